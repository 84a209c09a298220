//! Every part of a JSON schema, with its place.

use serde_json::{Map, Value};

/// A part of a schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    /// Where it is: `credentials.oneOf[1].token`.
    pub(super) path: &'a str,
    /// The property it describes, if it is one's schema.
    pub(super) name: Option<&'a str>,
    /// How many properties are around it.
    pub(super) depth: usize,
    pub(super) schema: &'a Map<String, Value>,
}

impl<'a> Node<'a> {
    pub(super) fn get(&self, key: &str) -> &'a Value {
        self.schema.get(key).unwrap_or(&Value::Null)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.schema.contains_key(key)
    }

    /// The types it allows, without null.
    pub(super) fn types(&self) -> Vec<&'a str> {
        let kind = self.get("type");
        let many = kind.as_array().into_iter().flatten();
        let all = kind
            .as_str()
            .into_iter()
            .chain(many.filter_map(Value::as_str));
        all.filter(|kind| *kind != "null").collect()
    }

    /// The alternatives of `oneOf`.
    pub(super) fn alternatives(&self) -> &'a [Value] {
        self.get("oneOf").as_array().map_or(&[], Vec::as_slice)
    }

    /// The properties.
    pub(super) fn properties(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.get("properties").as_object().into_iter().flatten()
    }
}

/// Schemas nested deeper than this are cut off.
const MAX_DEPTH: usize = 64;

/// Visits a schema and everything below `properties`, `items` and `oneOf`; stops at the first error.
pub(super) fn walk<E>(
    schema: &Value,
    visit: &mut impl FnMut(Node<'_>) -> Result<(), E>,
) -> Result<(), E> {
    walk_from(schema, "", None, 0, visit)
}

fn walk_from<E>(
    schema: &Value,
    path: &str,
    name: Option<&str>,
    depth: usize,
    visit: &mut impl FnMut(Node<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let Some(schema) = schema.as_object().filter(|_| depth < MAX_DEPTH) else {
        return Ok(());
    };
    let node = Node {
        path,
        name,
        depth,
        schema,
    };
    visit(node)?;
    for (name, property) in node.properties() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        walk_from(property, &path, Some(name), depth + 1, visit)?;
    }
    for keyword in ["oneOf", "anyOf", "allOf"] {
        for (at, part) in node
            .get(keyword)
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            walk_from(
                part,
                &format!("{path}.{keyword}[{at}]"),
                None,
                depth + 1,
                visit,
            )?;
        }
    }
    for keyword in ["items", "not"] {
        walk_from(
            node.get(keyword),
            &format!("{path}.{keyword}"),
            None,
            depth + 1,
            visit,
        )?;
    }
    Ok(())
}
