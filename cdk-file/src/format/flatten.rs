//! Objects inside records become columns of their own.

use std::collections::{HashMap, HashSet};

use airbyte_protocol::ConfiguredAirbyteStream;
use airbyte_protocol::codec::fields;
use airbyte_protocol::types::{AirbyteType, Field, fields_of};
use cdk_core::batch::RowExtras;
use cdk_core::destination::columns::{Column, Columns};
use cdk_core::{ConnectorError, JsonRows, Result};

/// Turns `{"contact": {"email": …}}` into `{"contact_email": …}`, as deep as the schema declares fields.
///
/// Lists, and objects whose fields the schema doesn't name, stay as they are.
#[derive(Debug, Clone)]
pub struct Flattener {
    columns: Columns,
    root: HashMap<String, Node>,
}

#[derive(Debug, Clone)]
enum Node {
    /// A column, with its name as JSON text.
    Column(String),
    /// An object whose fields are columns, with its path for messages.
    Object(String, HashMap<String, Node>),
}

impl Flattener {
    /// For the records of `stream`.
    pub fn new(stream: &ConfiguredAirbyteStream) -> Self {
        let fields = fields_of(&stream.stream.json_schema);
        let mut names = fields.iter().map(|field| field.name.clone()).collect();
        let mut list = Vec::new();
        let root = nodes(&fields, "", &mut names, &mut list);
        Self {
            columns: Columns::from_list(stream.descriptor(), list),
            root,
        }
    }

    /// The columns of the flat records.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The flat rows. What should be an object and isn't becomes null, and `meta` says so.
    ///
    /// A system error when a row is no JSON object.
    pub fn flatten(&self, rows: &JsonRows) -> Result<JsonRows> {
        let mut flat = JsonRows::default();
        let (mut text, mut lost) = (String::new(), Vec::new());
        for row in rows.iter() {
            text.clear();
            text.push('{');
            lost.clear();
            self.members(row.data, &self.root, &mut text, &mut lost)?;
            text.push('}');
            flat.stamp(row.emitted_at);
            flat.push_raw(&text);
            if lost.is_empty() {
                row.extras
                    .cloned()
                    .into_iter()
                    .for_each(|extras| flat.set_extras(extras));
            } else {
                flat.set_extras(self.with_changes(row.extras, &lost)?);
            }
        }
        Ok(flat)
    }

    fn members<'a>(
        &'a self,
        object: &str,
        nodes: &'a HashMap<String, Node>,
        out: &mut String,
        lost: &mut Vec<&'a str>,
    ) -> Result<()> {
        for member in fields(object) {
            let (key, value) = member.map_err(|error| self.broken(error))?;
            match nodes.get(key.as_ref()) {
                Some(Node::Object(_, inner)) if value.starts_with('{') => {
                    self.members(value, inner, out, lost)?;
                }
                Some(Node::Object(..)) if value == "null" => {}
                Some(Node::Object(path, _)) => lost.push(path),
                Some(Node::Column(name)) => push_member(name, value, out),
                // Without a column, at the root: formats of text keep it.
                None if std::ptr::eq(nodes, &raw const self.root) => {
                    push_member(
                        &serde_json::Value::from(key.as_ref()).to_string(),
                        value,
                        out,
                    );
                }
                None => {}
            }
        }
        Ok(())
    }

    fn with_changes(&self, extras: Option<&RowExtras>, lost: &[&str]) -> Result<RowExtras> {
        let mut extras = extras.cloned().unwrap_or_default();
        let meta = extras.meta.as_deref().unwrap_or("{}");
        let mut meta: serde_json::Value =
            serde_json::from_str(meta).map_err(|error| self.broken(error))?;
        if let Some(meta) = meta.as_object_mut() {
            let changes = meta
                .entry("changes")
                .or_insert_with(|| serde_json::json!([]));
            if changes.is_null() {
                *changes = serde_json::json!([]);
            }
            for field in lost {
                let change = serde_json::json!({"field": field, "change": "NULLED", "reason": "DESTINATION_TYPECAST_ERROR"});
                changes
                    .as_array_mut()
                    .into_iter()
                    .for_each(|list| list.push(change.clone()));
            }
        }
        extras.meta = Some(meta.to_string());
        Ok(extras)
    }

    fn broken(&self, error: impl std::error::Error + Send + Sync + 'static) -> ConnectorError {
        let stream = self.columns.stream();
        ConnectorError::system(format!(
            "A record of stream {stream} is not a JSON object. Fix the source that wrote it."
        ))
        .caused_by(error)
        .with_stream(stream)
    }
}

fn push_member(name: &str, value: &str, out: &mut String) {
    if out.len() > 1 {
        out.push(',');
    }
    out.push_str(name);
    out.push(':');
    out.push_str(value);
}

/// The nodes of the fields of an object whose columns begin with `prefix`.
fn nodes(
    fields: &[Field],
    prefix: &str,
    names: &mut HashSet<String>,
    list: &mut Vec<Column>,
) -> HashMap<String, Node> {
    let node = |field: &Field| {
        let path = format!("{prefix}{}", field.name);
        if let AirbyteType::Object(Some(inner)) = &field.data_type
            && !inner.is_empty()
        {
            let inner = nodes(inner, &format!("{path}_"), names, list);
            return (field.name.clone(), Node::Object(path, inner));
        }
        // Fields at the root have the right to their names.
        let name = if prefix.is_empty() {
            path
        } else {
            free(&path, names)
        };
        list.push(Column {
            name: name.clone(),
            data_type: field.data_type.clone(),
        });
        let text = serde_json::Value::from(name.as_str()).to_string();
        (field.name.clone(), Node::Column(text))
    };
    fields.iter().map(node).collect()
}

fn free(name: &str, names: &mut HashSet<String>) -> String {
    let numbered = (1..).map(|number| format!("{name}_{number}"));
    let free = std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| !names.contains(name));
    let free = free.unwrap_or_default();
    names.insert(free.clone());
    free
}

#[cfg(test)]
mod tests {
    use airbyte_protocol::{AirbyteStream, DestinationSyncMode, SyncMode};
    use serde_json::{Value, json};

    use super::*;

    fn flattener() -> Flattener {
        let schema = json!({"properties": {
            "id": {"type": "integer"},
            "contact": {"type": ["null", "object"], "properties": {
                "email": {"type": "string"},
                "phone": {"type": "object", "properties": {"home": {"type": "string"}}},
            }},
            "contact_email": {"type": "string"},
            "tags": {"type": "array"}, "free": {"type": "object"},
        }});
        let stream = AirbyteStream::new("s", schema, vec![SyncMode::FullRefresh]);
        Flattener::new(&ConfiguredAirbyteStream::new(
            stream,
            SyncMode::FullRefresh,
            DestinationSyncMode::Append,
        ))
    }

    fn flat(row: &str) -> (String, Option<Value>) {
        let mut rows = JsonRows::default();
        rows.push_raw(row);
        let flat = flattener().flatten(&rows).unwrap();
        let row = flat.iter().next().unwrap();
        (
            row.data.to_owned(),
            row.meta().map(|meta| serde_json::from_str(meta).unwrap()),
        )
    }

    #[test]
    fn fields_of_objects_become_columns_and_root_fields_keep_their_names() {
        let flattener = flattener();
        let names: Vec<_> = flattener
            .columns()
            .as_slice()
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "id",
                "contact_email_1",
                "contact_phone_home",
                "contact_email",
                "tags",
                "free"
            ]
        );
        let row = r#"{"id":1,"contact":{"email":"a","phone":{"home":"b"},"x":0},"contact_email":"c","tags":[{"y":1}],"free":{"z":2},"more":3}"#;
        let expected = r#"{"id":1,"contact_email_1":"a","contact_phone_home":"b","contact_email":"c","tags":[{"y":1}],"free":{"z":2},"more":3}"#;
        assert_eq!(flat(row), (expected.to_owned(), None));
    }

    #[test]
    fn what_should_be_an_object_is_null_and_says_so() {
        assert_eq!(
            flat(r#"{"contact":null,"id":2}"#),
            (r#"{"id":2}"#.to_owned(), None)
        );
        let (row, meta) = flat(r#"{"contact":{"phone":7},"id":2}"#);
        assert_eq!(row, r#"{"id":2}"#);
        let change = json!({"field": "contact_phone", "change": "NULLED", "reason": "DESTINATION_TYPECAST_ERROR"});
        assert_eq!(meta, Some(json!({"changes": [change]})));
    }
}
