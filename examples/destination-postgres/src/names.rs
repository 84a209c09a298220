//! Names of schemas, tables and columns.

use std::collections::HashMap;

use airbyte_protocol::StreamDescriptor;
use cdk_core::destination::columns::Columns;
use cdk_core::destination::meta_columns::META_COLUMNS;
use cdk_core::destination::names::{NameRules, hash};
use cdk_core::{ConnectorError, Result};

/// Everything that is ours and not a stream's begins so.
const OWN: &str = "_airbyte_";

/// Columns that every table has.
const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// Letters, digits and `_`, not beginning with a digit, of 63 bytes: names that need no care but quotes.
pub(crate) const RULES: NameRules = NameRules {
    plain,
    fold: str::to_owned,
    max_bytes: 63,
};

fn plain(name: &str) -> String {
    let mut plain: String = name
        .chars()
        .map(|char| if char.is_alphanumeric() { char } else { '_' })
        .collect();
    if plain.chars().next().is_none_or(char::is_numeric) {
        plain.insert(0, '_');
    }
    plain
}

/// A table and its schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TableName {
    pub(crate) schema: String,
    pub(crate) table: String,
}

impl TableName {
    pub(crate) fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            table: table.into(),
        }
    }

    /// As in a statement.
    pub(crate) fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.table))
    }

    /// Where the rows of an overwrite wait: in the schema for what is not the user's.
    pub(crate) fn staging(&self, internal: &str) -> Self {
        Self::new(internal, format!("{OWN}tmp_{:016x}", self.hash()))
    }

    fn hash(&self) -> u64 {
        hash(&self.quoted())
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// What the names of our indexes begin with. Only ours do.
pub(crate) const KEY_INDEX: &str = "_airbyte_key_";

/// The schema of a stream: its namespace, or the default.
pub(crate) fn schema(default: &str, stream: &StreamDescriptor) -> String {
    match stream.namespace.as_deref() {
        Some(namespace) if !namespace.is_empty() => RULES.name(namespace),
        _ => RULES.name(default),
    }
}

/// The typed table of a stream. A config error when the name is one that this connector uses itself.
pub(crate) fn typed(default_schema: &str, stream: &StreamDescriptor) -> Result<TableName> {
    let table = RULES.name(&stream.name);
    if table.starts_with(OWN) {
        return Err(ConnectorError::config(format!(
            "Stream {stream} would be written to table `{table}`, a name that is reserved. Give the connection a \
             stream prefix."
        ))
        .with_stream(stream));
    }
    Ok(TableName::new(schema(default_schema, stream), table))
}

/// The raw table of the first version: `_airbyte_raw_<stream>` beside the typed tables.
pub(crate) fn raw_v1(default_schema: &str, stream: &StreamDescriptor) -> TableName {
    let table = RULES.name(&format!("_airbyte_raw_{}", stream.name));
    TableName::new(schema(default_schema, stream), table)
}

/// The raw table of the second version: `<namespace>_raw__stream_<stream>` in the internal schema, with one
/// underscore more than namespace and name have in a row.
pub(crate) fn raw_v2(internal: &str, default_schema: &str, stream: &StreamDescriptor) -> TableName {
    let namespace = match stream.namespace.as_deref() {
        Some(namespace) if !namespace.is_empty() => namespace,
        _ => default_schema,
    };
    let both = format!("{namespace}{}", stream.name);
    let longest = both.split(|char| char != '_').map(str::len).max();
    let underscores = "_".repeat(longest.unwrap_or(0).max(1) + 1);
    let table = format!("{namespace}_raw{underscores}stream_{}", stream.name);
    TableName::new(RULES.name(internal), RULES.name(&table))
}

/// Refuses a catalog of which two streams have the same table.
pub(crate) fn check_tables<'a>(
    tables: impl Iterator<Item = (&'a StreamDescriptor, &'a TableName)>,
) -> Result<()> {
    let mut seen = HashMap::new();
    for (stream, table) in tables {
        if let Some(other) = seen.insert(table, stream) {
            return Err(ConnectorError::config(format!(
                "Streams {other} and {stream} would both be written to table `{table}`. Give one of them another \
                 name or namespace, or leave it out."
            ))
            .with_stream(stream));
        }
    }
    Ok(())
}

/// The column of each field.
pub(crate) fn columns(columns: &Columns) -> Vec<String> {
    let fields = columns.as_slice().iter().map(|column| column.name.as_str());
    let reserved = [&META_COLUMNS[..], &SYSTEM_COLUMNS].concat();
    RULES.columns(&fields.collect::<Vec<_>>(), &reserved)
}

/// An identifier in SQL. A name holds no byte 0: see [`RULES`].
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Text in SQL.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Names, quoted and separated by commas.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|name| quoted(name)).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(namespace: Option<&str>, name: &str) -> StreamDescriptor {
        StreamDescriptor::from_parts(name, namespace.map(str::to_owned))
    }

    #[test]
    fn tables_are_named_after_namespace_and_stream() {
        let named =
            |namespace, name| typed("public", &stream(namespace, name)).map(|name| name.quoted());
        assert_eq!(named(None, "users").unwrap(), "\"public\".\"users\"");
        assert_eq!(named(Some(""), "Users").unwrap(), "\"public\".\"Users\"");
        assert_eq!(
            named(Some("my shop"), "2nd table\0\"").unwrap(),
            "\"my_shop\".\"_2nd_table__\""
        );
        assert_eq!(named(None, "größe").unwrap(), "\"public\".\"größe\"");
        assert_eq!(RULES.name(&"é".repeat(60)).len(), 63);
        assert!(named(None, "_airbyte_streams").is_err());
    }

    #[test]
    fn raw_tables_have_the_names_of_airbyte() {
        let users = stream(Some("shop"), "users");
        assert_eq!(
            raw_v1("public", &users).to_string(),
            "shop._airbyte_raw_users"
        );
        let v2 = |namespace, name| {
            raw_v2("airbyte_internal", "public", &stream(namespace, name)).to_string()
        };
        assert_eq!(
            v2(Some("shop"), "users"),
            "airbyte_internal.shop_raw__stream_users"
        );
        assert_eq!(
            v2(None, "a__b"),
            "airbyte_internal.public_raw___stream_a__b"
        );
    }

    #[test]
    fn two_streams_of_one_table_are_refused() {
        let (a, b) = (stream(None, "a b"), stream(None, "a_b"));
        let table = TableName::new("public", "a_b");
        let error = check_tables([(&a, &table), (&b, &table)].into_iter()).unwrap_err();
        assert!(error.message().contains("Streams a b and a_b"), "{error}");
    }
}
