//! RecordExpander: records out of the items of lists inside of a record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cdk_core::{ConnectorError, Result};
use serde_json::{Map, Value};

use crate::component::Component;
use crate::dpath;
use crate::extract::{evaluated_path, is_true};
use crate::template::Scope;

/// Makes records of the items of a list inside a record.
#[derive(Debug, Clone)]
pub(crate) struct Expander {
    /// Its type and place in the manifest, for messages.
    place: Arc<str>,
    path: Vec<String>,
    merges_parent: bool,
    parent_fields: Vec<ParentField>,
    keeps_original: bool,
    emits_parent: bool,
    truncated: Option<Truncation>,
}

/// A field of the parent, and where it goes in each item.
#[derive(Debug, Clone)]
struct ParentField {
    from: Vec<String>,
    to: Vec<String>,
}

/// Where a record says that its list is not all there is.
#[derive(Debug, Clone)]
struct Truncation {
    indicator: Vec<String>,
    has_warned: Arc<AtomicBool>,
}

impl Expander {
    pub(crate) fn build(component: &Component<'_>, scope: &Scope<'_>) -> Result<Self> {
        let emits_parent = match component.text("on_no_records")? {
            None | Some("skip") => false,
            Some("emit_parent") => true,
            Some(other) => {
                return Err(component.error(format!(
                    "`on_no_records` must be `skip` or `emit_parent`, not `{other}`."
                )));
            }
        };
        if component.get("truncated_list_retriever").is_some() {
            return Err(component.error(
                "`truncated_list_retriever` is not available in this engine yet. Read the complete lists by a stream of their \
                 own, with a SubstreamPartitionRouter.",
            ));
        }
        let parent_fields = component.children("parent_fields")?;
        let parent_fields = parent_fields.iter().map(|at| ParentField::build(at, scope));
        let indicator = single(component, "truncation_indicator_path", scope)?;
        Ok(Self {
            place: Arc::from(format!("{} at `{}`", component.kind(), component.path())),
            path: evaluated_path(component, "expand_records_from_field", scope)?,
            merges_parent: component.flag("merge_parent", false)?,
            parent_fields: parent_fields.collect::<Result<_>>()?,
            keeps_original: component.flag("remain_original_record", false)?,
            emits_parent,
            truncated: (!indicator.is_empty()).then(|| Truncation {
                indicator,
                has_warned: Arc::default(),
            }),
        })
    }

    /// The items as records, with what they take of their parent; without a path, and for what is no object, the value
    /// itself.
    pub(crate) fn expand(&self, record: Value) -> Vec<Result<Value>> {
        if !record.is_object() || self.path.is_empty() {
            return vec![Ok(record)];
        }
        let lists: Vec<&Value> = if dpath::has_globs(&self.path) {
            dpath::values(&record, &self.path)
        } else {
            dpath::get(&record, &self.path).into_iter().collect()
        };
        let items: Vec<&Value> = lists
            .into_iter()
            .filter_map(Value::as_array)
            .flatten()
            .collect();
        if let Some(truncated) = &self.truncated {
            truncated.warn(&record, items.len(), &self.place);
        }
        if items.is_empty() {
            return match self.emits_parent {
                true => vec![Ok(record)],
                false => Vec::new(),
            };
        }
        let base = match self.merges_parent {
            true => self.without_lists(&record),
            false => Map::new(),
        };
        let items = items.into_iter();
        items
            .map(|item| self.with_parent(item, &record, &base))
            .collect()
    }

    /// The parent without the lists that are expanded.
    fn without_lists(&self, record: &Value) -> Map<String, Value> {
        let mut base = record.clone();
        let mut is_list = |value: &Value| value.is_array();
        dpath::remove_if(&mut base, &self.path, &mut is_list);
        match base {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    fn with_parent(
        &self,
        item: &Value,
        record: &Value,
        base: &Map<String, Value>,
    ) -> Result<Value> {
        let takes_nothing =
            !self.keeps_original && !self.merges_parent && self.parent_fields.is_empty();
        let own = match item {
            Value::Object(own) => own.clone(),
            other if takes_nothing => return Ok(other.clone()),
            other => Map::from_iter([("value".to_owned(), other.clone())]),
        };
        let mut merged = base.clone();
        merged.extend(own);
        let mut child = Value::Object(merged);
        for field in &self.parent_fields {
            let value = dpath::get(record, &field.from).cloned();
            if !dpath::set(&mut child, &field.to, value.unwrap_or(Value::Null)) {
                return Err(ConnectorError::config(format!(
                    "{}: `record_path` {} leads through a value of an item that is no object. Choose another place for the \
                     parent's field.",
                    self.place,
                    field.to.join(".")
                )));
            }
        }
        if self.keeps_original
            && let Value::Object(map) = &mut child
        {
            map.insert("original_record".to_owned(), record.clone());
        }
        Ok(child)
    }
}

impl ParentField {
    fn build(component: &Component<'_>, scope: &Scope<'_>) -> Result<Self> {
        let path = |key: &str| match single(component, key, scope)? {
            path if path.is_empty() => {
                Err(component.error(format!("`{key}` must have at least one step.")))
            }
            path => Ok(path),
        };
        Ok(Self {
            from: path("parent_path")?,
            to: path("record_path")?,
        })
    }
}

/// A path to one field.
fn single(component: &Component<'_>, key: &str, scope: &Scope<'_>) -> Result<Vec<String>> {
    let path = evaluated_path(component, key, scope)?;
    match dpath::has_globs(&path) {
        true => Err(component.error(format!(
            "`{key}` must lead to one field: `*`, `?` and `[` are not possible in it."
        ))),
        false => Ok(path),
    }
}

impl Truncation {
    /// Says once that a list is not complete.
    fn warn(&self, record: &Value, items: usize, place: &str) {
        let is_truncated = dpath::get(record, &self.indicator).is_some_and(is_true);
        if is_truncated && !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "{place}: the API marks a list as truncated (`{}`), so only the {items} items in it become records; there may be \
                 more such lists. Read the complete lists by a stream of their own, with a SubstreamPartitionRouter.",
                self.indicator.join(".")
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::PinnedClock;
    use serde_json::json;

    fn expander(definition: &Value) -> Result<Expander> {
        let clock = PinnedClock::new(0);
        let component = Component::new(definition, "expander").unwrap();
        Expander::build(&component, &Scope::new(&json!({"at": "id"}), &clock))
    }

    fn expanded(definition: &Value, record: Value) -> Vec<Value> {
        let items = expander(definition).unwrap().expand(record);
        items.into_iter().map(Result::unwrap).collect()
    }

    #[test]
    fn items_carry_the_parent_below_them_then_its_fields_then_all_of_it() {
        let definition = json!({
            "type": "RecordExpander", "expand_records_from_field": ["box", "items"], "merge_parent": true,
            "parent_fields": [
                {"type": "ParentFieldPath", "parent_path": ["{{ config.at }}"], "record_path": ["parent", "id"]},
                {"type": "ParentFieldPath", "parent_path": ["nope"], "record_path": ["x"]}
            ],
            "remain_original_record": true
        });
        let record = json!({"id": 7, "n": "parent", "box": {"items": [{"n": 1}, 5], "more": true}});
        let common = json!({"more": true});
        assert_eq!(
            expanded(&definition, record.clone()),
            [
                json!({"id": 7, "n": 1, "box": common, "parent": {"id": 7}, "x": null, "original_record": record}),
                json!({"id": 7, "n": "parent", "box": common, "value": 5, "parent": {"id": 7}, "x": null,
                       "original_record": record}),
            ]
        );
    }

    #[test]
    fn only_lists_leave_the_merged_parent() {
        let definition = json!({"type": "RecordExpander", "expand_records_from_field": ["*", "items"], "merge_parent": true});
        let record = json!({"a": {"items": [{"n": 1}]}, "b": {"items": "text"}});
        assert_eq!(
            expanded(&definition, record),
            [json!({"a": {}, "b": {"items": "text"}, "n": 1})]
        );
    }

    #[test]
    fn items_that_take_nothing_of_their_parent_stay_what_they_are() {
        let definition = json!({"type": "RecordExpander", "expand_records_from_field": ["items"],
            "truncation_indicator_path": ["more"]});
        let record = json!({"items": [{"n": 1}, 5], "more": true});
        assert_eq!(expanded(&definition, record), [json!({"n": 1}), json!(5)]);
        assert_eq!(expanded(&definition, json!("text")), ["text"]);
        assert!(expanded(&definition, json!({"items": "text"})).is_empty());
    }

    #[test]
    fn what_can_not_be_done_is_a_config_error_with_the_place() {
        let with = |key: &str, value: Value| {
            let mut definition =
                json!({"type": "RecordExpander", "expand_records_from_field": ["items"]});
            definition[key] = value;
            definition
        };
        let fields = |from: Value, to: Value| json!([{"type": "ParentFieldPath", "parent_path": from, "record_path": to}]);
        for (definition, expected) in [
            (
                with("truncated_list_retriever", json!({})),
                "SubstreamPartitionRouter",
            ),
            (
                with("parent_fields", fields(json!(["a*"]), json!(["b"]))),
                "one field",
            ),
            (
                with("parent_fields", fields(json!(["a"]), json!([]))),
                "at least one step",
            ),
        ] {
            let error = expander(&definition).unwrap_err();
            assert!(error.message().contains("`expander"), "{error}");
            assert!(error.message().contains(expected), "{error}");
        }
        let through_text = with("parent_fields", fields(json!(["id"]), json!(["n", "id"])));
        let items = expander(&through_text)
            .unwrap()
            .expand(json!({"id": 1, "items": [{"n": "x"}]}));
        assert!(
            items[0]
                .as_ref()
                .unwrap_err()
                .message()
                .contains("record_path")
        );
    }
}
