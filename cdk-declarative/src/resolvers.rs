//! Components resolvers: streams made of a template, one per thing found.

use std::sync::Arc;

use cdk_core::{ConnectorError, Result};
use serde_json::{Map, Value};

use crate::component::Component;
use crate::dpath;
use crate::extract::evaluated_path;
use crate::host::Host;
use crate::retriever::simple::SimpleRetriever;
use crate::slice::{Cursor, StreamSlice};
use crate::template::{Condition, Scope, Template};
use crate::transform::ValueKind;
use crate::yaml;

/// Fills a stream's template.
struct Mapping {
    path: Vec<Template>,
    value: Template,
    kind: Option<ValueKind>,
    creates: bool,
    condition: Option<Condition>,
}

/// What a kind of resolver does with a mapping, as in the reference.
#[derive(Clone, Copy)]
struct Powers {
    /// Texts are read as YAML.
    parses_yaml: bool,
    /// `create_or_update` counts.
    creates: bool,
    /// `condition` counts.
    asks: bool,
}

const OF_API: Powers = Powers {
    parses_yaml: false,
    creates: false,
    asks: false,
};
const OF_CONFIG: Powers = Powers {
    parses_yaml: true,
    creates: true,
    asks: true,
};
const OF_PARAMETERS: Powers = Powers {
    parses_yaml: true,
    creates: true,
    asks: false,
};

/// The stream definitions that a resolver makes of a template.
pub(crate) async fn resolve(
    resolver: &Component<'_>,
    template: &Value,
    name: &str,
    router: Option<Arc<dyn Cursor>>,
    host: &Arc<Host>,
) -> Result<Vec<Value>> {
    let mappings = resolver.children("components_mapping")?;
    let mappings: Vec<Mapping> = mappings.iter().map(Mapping::build).collect::<Result<_>>()?;
    match resolver.kind() {
        "HttpComponentsResolver" => from_api(resolver, &mappings, template, name, router, host).await,
        "ConfigComponentsResolver" => {
            let config = host.config();
            let found = from_config(resolver, &config, host)?;
            found
                .iter()
                .map(|values| filled(&mappings, template, values, None, OF_CONFIG, host))
                .collect()
        }
        "ParametrizedComponentsResolver" => {
            let parameters = resolver.need_child("stream_parameters")?;
            let list = parameters.need("list_of_parameters_for_stream")?.as_array();
            let list = list.ok_or_else(|| parameters.error("`list_of_parameters_for_stream` must be a list."))?;
            list.iter()
                .map(|values| filled(&mappings, template, values, None, OF_PARAMETERS, host))
                .collect()
        }
        other => Err(resolver.error(format!(
            "`{other}` is no components resolver. Use HttpComponentsResolver, ConfigComponentsResolver or \
             ParametrizedComponentsResolver."
        ))),
    }
}

impl Mapping {
    fn build(component: &Component<'_>) -> Result<Self> {
        let path = component.texts("field_path")?;
        let path = path.iter().map(|step| Template::new(step, component));
        let value = component.text_like("value");
        let value = value.ok_or_else(|| component.error("the field `value` is missing."))?;
        Ok(Self {
            path: path.collect::<Result<_>>()?,
            value: Template::new(&value, component)?,
            kind: ValueKind::of(component)?,
            creates: component.flag("create_or_update", false)?,
            condition: Condition::optional(component, "condition")?,
        })
    }
}

async fn from_api(
    resolver: &Component<'_>,
    mappings: &[Mapping],
    template: &Value,
    name: &str,
    router: Option<Arc<dyn Cursor>>,
    host: &Arc<Host>,
) -> Result<Vec<Value>> {
    use futures::StreamExt;

    let retriever = resolver.need_child("retriever")?;
    let retriever = Arc::new(SimpleRetriever::of_resolver(
        &retriever,
        name,
        router.clone(),
        host,
    )?);
    let mut slices = match router {
        Some(router) => router.slices(),
        None => futures::stream::iter([Ok(Arc::new(StreamSlice::default()))]).boxed(),
    };
    let mut streams = Vec::new();
    while let Some(slice) = slices.next().await {
        let slice = slice?;
        let mut pager = Arc::clone(&retriever).pager(Arc::clone(&slice));
        while let Some(record) = pager.next().await? {
            let values = record.into_value()?;
            streams.push(filled(
                mappings,
                template,
                &values,
                Some(&slice),
                OF_API,
                host,
            )?);
        }
    }
    Ok(streams)
}

/// The entries of one list of the config, or all combinations of the entries of several.
fn from_config(resolver: &Component<'_>, config: &Value, host: &Host) -> Result<Vec<Value>> {
    let mut combined: Vec<Map<String, Value>> = vec![Map::new()];
    for (at, list) in resolver.children("stream_config")?.iter().enumerate() {
        let path = evaluated_path(list, "configs_pointer", &host.scope(config))?;
        let mut entries = match dpath::get(config, &path) {
            Some(Value::Array(items)) => items.clone(),
            Some(one) => vec![one.clone()],
            None => Vec::new(),
        };
        if let Some(Value::Array(more)) = list.get("default_values") {
            entries.extend(more.iter().cloned());
        }
        combined = combined
            .iter()
            .flat_map(|before| {
                entries.iter().enumerate().map(move |(number, entry)| {
                    let mut next = before.clone();
                    match entry {
                        Value::Object(entry) => next.extend(entry.clone()),
                        other => {
                            let pair = Value::Array(vec![number.into(), other.clone()]);
                            next.entry(format!("source_config_{at}")).or_insert(pair);
                        }
                    }
                    next
                })
            })
            .collect();
    }
    Ok(combined.into_iter().map(Value::Object).collect())
}

fn filled(
    mappings: &[Mapping],
    template: &Value,
    values: &Value,
    slice: Option<&StreamSlice>,
    powers: Powers,
    host: &Host,
) -> Result<Value> {
    let config = host.config();
    let scope = host.scope(&config);
    let scope = match slice {
        Some(slice) => scope.of_slice(slice),
        None => scope,
    };
    let scope = scope.with("components_values", values);
    let scope = scope.with("stream_template_config", template);
    let mut filled = template.clone();
    for mapping in mappings {
        mapping.apply(&mut filled, &scope, powers)?;
    }
    Ok(filled)
}

impl Mapping {
    fn apply(&self, stream: &mut Value, scope: &Scope<'_>, powers: Powers) -> Result<()> {
        if let Some(condition) = &self.condition
            && powers.asks
            && !condition.holds(scope)?
        {
            return Ok(());
        }
        let mut value = self.value.typed(scope, ValueKind::types(self.kind))?;
        if let Value::String(text) = &value
            && powers.parses_yaml
            && self.kind != Some(ValueKind::String)
            && let Ok(parsed) = yaml::parse(text)
        {
            value = parsed;
        }
        let path = self.path.iter().map(|step| step.text(scope));
        let path: Vec<String> = path.collect::<Result<_>>()?;
        if dpath::replace(stream, &path, &value) {
            return Ok(());
        }
        let is_set = crate::extract::is_true(&value);
        if self.creates && powers.creates && is_set && !dpath::set(stream, &path, value) {
            return Err(ConnectorError::config(format!(
                "`{}` can't be set in the stream's template: a value that is no object is in the way.",
                path.join(".")
            )));
        }
        Ok(())
    }
}
