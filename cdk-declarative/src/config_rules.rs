//! What a manifest does with the config before it is used: migrations, transformations, validations.

use cdk_core::{Clock, ConnectorError, Result};
use serde_json::Value;

use crate::component::Component;
use crate::custom::Registry;
use crate::dpath;
use crate::requester::inputs::Inputs;
use crate::template::{Condition, Scope, Template, Types, python_text};
use crate::transform::{AddFields, RemoveFields};

/// The rules of a spec.
pub(crate) struct ConfigRules<'a> {
    rules: Option<Component<'a>>,
    clock: &'a dyn Clock,
    registry: &'a Registry,
}

impl<'a> ConfigRules<'a> {
    pub(crate) fn of(
        spec: Option<&Component<'a>>,
        clock: &'a dyn Clock,
        registry: &'a Registry,
    ) -> Result<Self> {
        let rules = match spec {
            Some(spec) => spec.child("config_normalization_rules")?,
            None => None,
        };
        Ok(Self {
            rules,
            clock,
            registry,
        })
    }

    /// Changes that are to be kept: the platform stores the config afterwards.
    pub(crate) fn migrate(&self, config: &mut Value) -> Result<()> {
        for migration in self.list("config_migrations")? {
            for step in migration.children("transformations")? {
                self.apply(&step, config)?;
            }
        }
        Ok(())
    }

    /// Changes for this run only.
    pub(crate) fn transform(&self, config: &mut Value) -> Result<()> {
        for step in self.list("transformations")? {
            self.apply(&step, config)?;
        }
        Ok(())
    }

    /// A config error for the first rule that the config breaks.
    pub(crate) fn validate(&self, config: &Value) -> Result<()> {
        for rule in self.list("validations")? {
            self.check(&rule, config)?;
        }
        Ok(())
    }

    fn list(&self, key: &str) -> Result<Vec<Component<'a>>> {
        match &self.rules {
            Some(rules) => rules.children(key),
            None => Ok(Vec::new()),
        }
    }

    fn apply(&self, step: &Component<'_>, config: &mut Value) -> Result<()> {
        let before = config.clone();
        let scope = Scope::new(&before, self.clock);
        match step.kind() {
            "ConfigAddFields" => AddFields::build(step)?.apply_to_config(config, self.clock),
            "ConfigRemapField" => remap(step, config, &scope),
            "ConfigRemoveFields" => {
                if let Some(condition) = Condition::optional(step, "condition")?
                    && !condition.holds(&scope)?
                {
                    return Ok(());
                }
                RemoveFields::build(step)?.apply(config);
                Ok(())
            }
            "CustomConfigTransformation" => {
                self.registry.config_transformation(step)?.transform(config)
            }
            other => Err(step.error(format!(
                "`{other}` is no config transformation. Use ConfigAddFields, ConfigRemapField or ConfigRemoveFields."
            ))),
        }
    }

    fn check(&self, rule: &Component<'_>, config: &Value) -> Result<()> {
        let scope = Scope::new(config, self.clock);
        let strategy = rule.need_child("validation_strategy")?;
        match rule.kind() {
            "DpathValidator" => {
                let path = crate::extract::evaluated_path(rule, "field_path", &scope)?;
                let values = match dpath::has_globs(&path) {
                    true => dpath::values(config, &path),
                    false => dpath::get(config, &path).into_iter().collect(),
                };
                values
                    .into_iter()
                    .try_for_each(|value| self.adheres(&strategy, value))
            }
            "PredicateValidator" => {
                let value = rule.need("value")?;
                let value = match value {
                    Value::String(text) => Template::new(text, rule)?.eval(&scope)?,
                    other => other.clone(),
                };
                self.adheres(&strategy, &value)
            }
            other => Err(rule.error(format!(
                "`{other}` is no config validation. Use DpathValidator or PredicateValidator."
            ))),
        }
    }

    fn adheres(&self, strategy: &Component<'_>, value: &Value) -> Result<()> {
        match strategy.kind() {
            "ValidateAdheresToSchema" => {}
            "CustomValidationStrategy" => {
                return self.registry.validation(strategy)?.validate(value);
            }
            other => {
                return Err(strategy.error(format!(
                    "`{other}` is no validation strategy. Use ValidateAdheresToSchema."
                )));
            }
        }
        let schema = strategy.need("base_schema")?;
        let parsed;
        let value = match value {
            Value::String(text) => {
                parsed = serde_json::from_str(text).map_err(|error| {
                    ConnectorError::config(
                        "A value of the config must be the text of a JSON document.",
                    )
                    .caused_by(error)
                })?;
                &parsed
            }
            other => other,
        };
        let validator = jsonschema::validator_for(schema)
            .map_err(|error| strategy.error(format!("`base_schema` is no JSON schema: {error}")))?;
        match validator.iter_errors(value).next() {
            None => Ok(()),
            Some(problem) => Err(ConnectorError::config(format!(
                "The config breaks a rule of this connector: at `{}` of the checked value, {}.",
                problem.instance_path(),
                problem.masked()
            ))),
        }
    }
}

fn remap(step: &Component<'_>, config: &mut Value, scope: &Scope<'_>) -> Result<()> {
    let path = crate::extract::evaluated_path(step, "field_path", scope)?;
    let map = Inputs::build(step, "map")?.eval(scope, Types::Any)?;
    let Some(current) = dpath::get(config, &path).map(python_text) else {
        return Ok(());
    };
    if let Some(new) = map.get(&current) {
        let new = new.clone();
        dpath::replace(config, &path, &new);
    }
    Ok(())
}
