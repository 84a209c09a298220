//! Fields that are added or removed.

use cdk_core::{Clock, ConnectorError, Result};
use serde_json::Value;

use crate::component::Component;
use crate::dpath;
use crate::partial::Members;
use crate::picked::Fields;
use crate::template::{Condition, Scope, Template, Types};

/// Adds fields whose values are templates.
#[derive(Debug, Clone)]
pub(crate) struct AddFields {
    fields: Vec<AddedField>,
    condition: Option<Condition>,
}

#[derive(Debug, Clone)]
struct AddedField {
    path: Vec<String>,
    value: Template,
    kind: Option<ValueKind>,
}

/// The type a value is kept as when its text reads as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueKind {
    String,
    Number,
    Integer,
    Boolean,
}

impl ValueKind {
    pub(crate) fn of(component: &Component<'_>) -> Result<Option<Self>> {
        Ok(match component.text("value_type")? {
            None => None,
            Some("string") => Some(Self::String),
            Some("number") => Some(Self::Number),
            Some("integer") => Some(Self::Integer),
            Some("boolean") => Some(Self::Boolean),
            Some(other) => {
                return Err(component.error(format!(
                    "`value_type` must be string, number, integer or boolean, not `{other}`."
                )));
            }
        })
    }

    pub(crate) fn types(kind: Option<Self>) -> Types {
        match kind {
            None => Types::Any,
            Some(Self::String) => Types::Text,
            Some(Self::Number) => Types::Float,
            Some(Self::Integer) => Types::Integer,
            Some(Self::Boolean) => Types::Boolean,
        }
    }
}

impl AddFields {
    pub(crate) fn build(component: &Component<'_>) -> Result<Self> {
        let fields = component.children("fields")?;
        let fields = fields.iter().map(|field| {
            let path = field.texts("path")?;
            if path.is_empty() {
                return Err(field.error("`path` must have at least one step."));
            }
            let Some(value) = field.text_like("value") else {
                return Err(field.error("the field `value` is missing."));
            };
            Ok(AddedField {
                path,
                value: Template::new(&value, field)?,
                kind: ValueKind::of(field)?,
            })
        });
        Ok(Self {
            fields: fields.collect::<Result<_>>()?,
            condition: Condition::optional(component, "condition")?,
        })
    }

    pub(crate) fn apply(&self, record: &mut impl Fields, scope: &Scope<'_>) -> Result<()> {
        for field in &self.fields {
            let Some(value) = self.value(field, &record.bind(scope))? else {
                continue;
            };
            if !record.set(&field.path, value) {
                return Err(ConnectorError::system(format!(
                    "The field `{}` can't be added: a value that is no object is in the way.",
                    field.path.join(".")
                )));
            }
        }
        Ok(())
    }

    /// Adds fields to a config, which is what its templates see; each sees the fields before it.
    pub(crate) fn apply_to_config(&self, config: &mut Value, clock: &dyn Clock) -> Result<()> {
        for field in &self.fields {
            let Some(value) = self.value(field, &Scope::new(config, clock))? else {
                continue;
            };
            if !dpath::set(config, &field.path, value) {
                return Err(ConnectorError::config(format!(
                    "The field `{}` can't be added to the config: a value that is no object is in the way.",
                    field.path.join(".")
                )));
            }
        }
        Ok(())
    }

    /// The value of a field; `None` if the condition does not hold.
    fn value(&self, field: &AddedField, scope: &Scope<'_>) -> Result<Option<Value>> {
        let value = field.value.typed(scope, ValueKind::types(field.kind))?;
        if let Some(condition) = &self.condition {
            let path = Value::from(field.path.clone());
            let scope = scope.with("value", &value);
            if !condition.holds(&scope.with("path", &path))? {
                return Ok(None);
            }
        }
        Ok(Some(value))
    }
}

/// Removes what pointers lead to.
#[derive(Debug, Clone)]
pub(crate) struct RemoveFields {
    pointers: Vec<Vec<String>>,
}

impl RemoveFields {
    pub(crate) fn build(component: &Component<'_>) -> Result<Self> {
        let wrong = || component.error("`field_pointers` must be a list of lists of texts.");
        let Some(Value::Array(pointers)) = component.get("field_pointers") else {
            return Err(wrong());
        };
        let pointers = pointers.iter().map(|pointer| {
            let steps = pointer.as_array().ok_or_else(wrong)?;
            let steps = steps.iter().map(|step| match step {
                Value::String(text) => Ok(text.clone()),
                Value::Number(number) => Ok(number.to_string()),
                _ => Err(wrong()),
            });
            steps.collect::<Result<Vec<_>>>()
        });
        Ok(Self {
            pointers: pointers.collect::<Result<_>>()?,
        })
    }

    pub(crate) fn apply(&self, record: &mut impl Fields) {
        self.pointers
            .iter()
            .for_each(|pointer| record.remove(pointer));
    }
}

/// A change to fields that templates and pointers name.
#[derive(Debug, Clone)]
pub(crate) enum FieldChange {
    Add(AddFields),
    Remove(RemoveFields),
}

impl FieldChange {
    /// Notes which members of a record it reads and changes.
    pub(crate) fn note_members(&self, members: &mut Members) {
        match self {
            Self::Add(add) => {
                for field in &add.fields {
                    members.reads(field.value.members_read("record"));
                    members.writes(&field.path);
                }
                if let Some(condition) = &add.condition {
                    members.reads(condition.members_read("record"));
                }
            }
            Self::Remove(remove) => remove
                .pointers
                .iter()
                .for_each(|pointer| members.writes(pointer)),
        }
    }

    pub(crate) fn apply(&self, record: &mut impl Fields, scope: &Scope<'_>) -> Result<()> {
        match self {
            Self::Add(add) => add.apply(record, scope),
            Self::Remove(remove) => {
                remove.apply(record);
                Ok(())
            }
        }
    }
}

/// Removes all leaves that a condition holds for.
///
/// As in the reference, this is what `RemoveFields` with a condition does, whatever its pointers say.
#[derive(Debug, Clone)]
pub(crate) struct RemoveLeaves(Condition);

impl RemoveLeaves {
    /// `None` without a condition.
    pub(crate) fn build(component: &Component<'_>) -> Result<Option<Self>> {
        Condition::optional(component, "condition").map(|condition| condition.map(Self))
    }

    pub(crate) fn apply(&self, record: &mut Value, scope: &Scope<'_>) -> Result<()> {
        let mut failed = None;
        dpath::remove_leaves(
            record,
            &mut |value| match self.0.holds(&scope.with("property", value)) {
                Ok(holds) => holds,
                Err(error) => {
                    failed.get_or_insert(error);
                    false
                }
            },
        );
        failed.map_or(Ok(()), Err)
    }
}
