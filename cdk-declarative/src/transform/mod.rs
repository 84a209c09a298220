//! Transformations: what happens to a record between its selection and its emission.

mod fields;
mod flatten;
mod keys;

use std::sync::Arc;

use cdk_core::Result;
use serde_json::{Map, Value};

use crate::component::Component;
use crate::custom::{CustomTransformation, Registry};
use crate::template::Scope;

use fields::RemoveLeaves;
pub(crate) use fields::{AddFields, FieldChange, RemoveFields, ValueKind};

/// One step.
#[derive(Clone)]
pub(crate) enum Transformation {
    Fields(FieldChange),
    RemoveLeaves(RemoveLeaves),
    KeysToLower,
    KeysToSnakeCase,
    KeysReplace(keys::Replace),
    Flatten(flatten::Flatten),
    FlattenAt(flatten::FlattenAt),
    Custom(Arc<dyn CustomTransformation>),
}

impl std::fmt::Debug for Transformation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fields(FieldChange::Add(_)) => "AddFields",
            Self::Fields(FieldChange::Remove(_)) | Self::RemoveLeaves(_) => "RemoveFields",
            Self::KeysToLower => "KeysToLower",
            Self::KeysToSnakeCase => "KeysToSnakeCase",
            Self::KeysReplace(_) => "KeysReplace",
            Self::Flatten(_) => "FlattenFields",
            Self::FlattenAt(_) => "DpathFlattenFields",
            Self::Custom(_) => "CustomTransformation",
        })
    }
}

impl Transformation {
    pub(crate) fn build(
        component: &Component<'_>,
        scope: &Scope<'_>,
        registry: &Registry,
    ) -> Result<Self> {
        Ok(match component.kind() {
            "AddFields" => Self::Fields(FieldChange::Add(AddFields::build(component)?)),
            "RemoveFields" => match RemoveLeaves::build(component)? {
                Some(leaves) => Self::RemoveLeaves(leaves),
                None => Self::Fields(FieldChange::Remove(RemoveFields::build(component)?)),
            },
            "KeysToLower" => Self::KeysToLower,
            "KeysToSnakeCase" => Self::KeysToSnakeCase,
            "KeysReplace" => Self::KeysReplace(keys::Replace::build(component)?),
            "FlattenFields" => Self::Flatten(flatten::Flatten::build(component)?),
            "DpathFlattenFields" => Self::FlattenAt(flatten::FlattenAt::build(component, scope)?),
            "CustomTransformation" => Self::Custom(registry.transformation(component)?),
            other => {
                return Err(component.error(format!(
                    "`{other}` is no transformation. Use AddFields, RemoveFields, KeysToLower, KeysToSnakeCase, \
                     KeysReplace, FlattenFields or DpathFlattenFields."
                )));
            }
        })
    }

    pub(crate) fn build_all(
        components: &[Component<'_>],
        scope: &Scope<'_>,
        registry: &Registry,
    ) -> Result<Vec<Self>> {
        let built = components.iter();
        built
            .map(|component| Self::build(component, scope, registry))
            .collect()
    }

    /// The change, if it is one to fields that it names.
    pub(crate) fn field_change(&self) -> Option<&FieldChange> {
        match self {
            Self::Fields(change) => Some(change),
            _ => None,
        }
    }

    /// Changes a record. `scope` has all that templates see besides the record.
    pub(crate) fn apply(&self, record: &mut Value, scope: &Scope<'_>) -> Result<()> {
        match self {
            Self::Fields(change) => change.apply(record, scope),
            Self::RemoveLeaves(leaves) => leaves.apply(record, scope),
            Self::KeysToLower => {
                rekey(record, false, &|key| key.to_lowercase());
                Ok(())
            }
            Self::KeysToSnakeCase => {
                rekey(record, true, &keys::snake_case);
                Ok(())
            }
            Self::KeysReplace(replace) => replace.apply(record, scope),
            Self::Flatten(flatten) => {
                flatten.apply(record);
                Ok(())
            }
            Self::FlattenAt(flatten) => {
                flatten.apply(record);
                Ok(())
            }
            Self::Custom(custom) => custom.transform(record, scope.config(), scope.slice()),
        }
    }
}

/// Renames the keys of an object, and of objects directly inside of objects if `is_deep`.
fn rekey(value: &mut Value, is_deep: bool, rename: &impl Fn(&str) -> String) {
    let Value::Object(map) = value else { return };
    let mut renamed = Map::with_capacity(map.len());
    for (key, mut value) in std::mem::take(map) {
        if is_deep {
            rekey(&mut value, true, rename);
        }
        renamed.insert(rename(&key), value);
    }
    *map = renamed;
}
