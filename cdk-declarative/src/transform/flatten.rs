//! Nested fields brought to the top.

use cdk_core::Result;
use serde_json::{Map, Value};

use crate::component::Component;
use crate::dpath;
use crate::extract::evaluated_path;
use crate::template::{Scope, Template};

/// Brings all nested fields to the top.
#[derive(Debug, Clone)]
pub(crate) struct Flatten {
    with_lists: bool,
}

impl Flatten {
    pub(super) fn build(component: &Component<'_>) -> Result<Self> {
        Ok(Self {
            with_lists: component.flag("flatten_lists", true)?,
        })
    }

    /// Works from the last field to the first, as the reference does: a short name belongs to whoever comes first
    /// that way, later ones are called by their path.
    pub(super) fn apply(&self, record: &mut Value) {
        let mut stack = vec![(record.take(), "_".to_owned())];
        let mut flat = Map::new();
        let mut with_parents = false;
        while let Some((value, name)) = stack.pop() {
            match value {
                Value::Object(map) => {
                    for (key, value) in map {
                        let name = match flat.contains_key(&key) || with_parents {
                            true => format!("{name}.{key}"),
                            false => key,
                        };
                        stack.push((value, name));
                    }
                }
                Value::Array(items) if self.with_lists => {
                    for (at, item) in items.into_iter().enumerate() {
                        with_parents = true;
                        stack.push((item, format!("{name}.{at}")));
                    }
                }
                value => drop(flat.insert(name, value)),
            }
        }
        *record = Value::Object(flat);
    }
}

/// Brings the fields of one nested object to the top.
#[derive(Debug, Clone)]
pub(crate) struct FlattenAt {
    path: Vec<String>,
    deletes_origin: bool,
    replaces_record: bool,
    prefix: String,
    suffix: String,
}

impl FlattenAt {
    pub(super) fn build(component: &Component<'_>, scope: &Scope<'_>) -> Result<Self> {
        let keys = component.child("key_transformation")?;
        let affix = |name| -> Result<String> {
            let text = keys.as_ref().and_then(|keys| keys.text_like(name));
            match text {
                Some(text) => Template::new(&text, component)?.text(scope),
                None => Ok(String::new()),
            }
        };
        Ok(Self {
            path: evaluated_path(component, "field_path", scope)?,
            deletes_origin: component.flag("delete_origin_value", false)?,
            replaces_record: component.flag("replace_record", false)?,
            prefix: affix("prefix")?,
            suffix: affix("suffix")?,
        })
    }

    pub(super) fn apply(&self, record: &mut Value) {
        let Some(Value::Object(found)) = dpath::get(record, &self.path) else {
            return;
        };
        let named = found.iter().map(|(key, value)| {
            let key = format!("{}{key}{}", self.prefix, self.suffix);
            (key, value.clone())
        });
        let found: Map<String, Value> = named.collect();
        if self.replaces_record && !found.is_empty() {
            *record = Value::Object(found);
            return;
        }
        let has_conflict =
            |record: &Map<String, Value>| found.keys().any(|key| record.contains_key(key));
        if record.as_object().is_none_or(has_conflict) {
            return;
        }
        if self.deletes_origin {
            dpath::remove(record, &self.path);
        }
        if let Value::Object(record) = record {
            record.extend(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn flattened_names_are_those_of_the_reference() {
        let mut record = json!({"a": 1, "b": {"a": 2, "c": 3}, "l": [{"x": 1}, 5]});
        Flatten { with_lists: true }.apply(&mut record);
        assert_eq!(
            record,
            json!({"l.1": 5, "l.0.x": 1, "b.c": 3, "b.a": 2, "a": 1})
        );
        let mut record = json!({"a": 1, "b": {"a": 2}, "l": [1]});
        Flatten { with_lists: false }.apply(&mut record);
        assert_eq!(record, json!({"l": [1], "a": 1}));
    }

    #[test]
    fn fields_of_a_nested_object_come_to_the_top_unless_they_collide() {
        let flatten = FlattenAt {
            path: vec!["n".into()],
            deletes_origin: true,
            replaces_record: false,
            prefix: "p_".into(),
            suffix: String::new(),
        };
        let mut record = json!({"a": 1, "n": {"b": 2}});
        flatten.apply(&mut record);
        assert_eq!(record, json!({"a": 1, "p_b": 2}));
        let mut record = json!({"p_b": 1, "n": {"b": 2}});
        flatten.apply(&mut record);
        assert_eq!(record, json!({"p_b": 1, "n": {"b": 2}}));
    }
}
