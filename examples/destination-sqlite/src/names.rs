//! Names of tables and columns.

use airbyte_protocol::StreamDescriptor;
use cdk_core::destination::columns::Columns;
use cdk_core::destination::meta_columns::META_COLUMNS;
use cdk_core::destination::names::{NameRules, hash};
use cdk_core::{ConnectorError, Result};

/// Everything that is ours and not a stream's begins so.
const OWN: &str = "_airbyte_";

/// The table of a stream: `<prefix><namespace>__<stream>`, or `<prefix><stream>` without a namespace.
/// SQLite takes any name, apart from its own `sqlite_…` and the byte 0.
///
/// A config error when the name is one that this connector uses itself.
pub(crate) fn table(prefix: &str, stream: &StreamDescriptor) -> Result<String> {
    let name = match stream.namespace.as_deref() {
        Some(namespace) if !namespace.is_empty() => format!("{prefix}{namespace}__{}", stream.name),
        _ => format!("{prefix}{}", stream.name),
    };
    let name = name.replace('\0', "_");
    let folded = name.to_ascii_lowercase();
    if folded.starts_with(OWN) || name.is_empty() {
        return Err(ConnectorError::config(format!(
            "Stream {stream} would be written to table `{name}`, a name that is reserved. Set \
             `table_prefix`."
        ))
        .with_stream(stream));
    }
    if folded.starts_with("sqlite_") {
        return Ok(format!("_{name}"));
    }
    Ok(name)
}

/// The raw table beside the table of this name.
pub(crate) fn raw_of(table: &str) -> String {
    format!("{OWN}raw_{table}")
}

/// Refuses a catalog of which two streams have the same table. SQLite ignores the case of ASCII letters.
pub(crate) fn check_tables<'a>(
    tables: impl Iterator<Item = (&'a StreamDescriptor, &'a str)>,
) -> Result<()> {
    let mut seen = std::collections::HashMap::new();
    for (stream, table) in tables {
        if let Some(other) = seen.insert(table.to_ascii_lowercase(), stream) {
            return Err(ConnectorError::config(format!(
                "Streams {other} and {stream} would both be written to table `{table}`. Give one of \
                 them another name or namespace, or leave it out."
            ))
            .with_stream(stream));
        }
    }
    Ok(())
}

/// Where the rows of an overwrite of `table` wait.
pub(crate) fn staging(table: &str) -> String {
    format!("{OWN}tmp_{:016x}", hash(&table.to_ascii_lowercase()))
}

/// Where the rows of `table` are copied to when its columns change.
pub(crate) fn rebuild(table: &str) -> String {
    format!("{OWN}new_{:016x}", hash(&table.to_ascii_lowercase()))
}

/// What the names of our indexes begin with. Only ours do.
pub(crate) const INDEX: &str = "_airbyte_index_";

/// SQLite takes any name but for the byte 0, and ignores the case of ASCII letters.
const RULES: NameRules = NameRules {
    plain: |name| name.replace('\0', "_"),
    fold: str::to_ascii_lowercase,
    max_bytes: usize::MAX,
};

/// The column of each field.
pub(crate) fn columns(columns: &Columns) -> Vec<String> {
    let names = columns.as_slice().iter().map(|column| column.name.as_str());
    RULES.columns(&names.collect::<Vec<_>>(), &META_COLUMNS)
}

/// An identifier in SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use airbyte_protocol::{AirbyteStream, ConfiguredAirbyteStream, DestinationSyncMode, SyncMode};
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_are_named_after_namespace_and_stream() {
        let users = StreamDescriptor::new("users");
        assert_eq!(table("", &users).unwrap(), "users");
        assert_eq!(
            table("p_", &users.clone().with_namespace("crm")).unwrap(),
            "p_crm__users"
        );
        assert_eq!(table("", &users.with_namespace("")).unwrap(), "users");
        assert_eq!(
            table("", &StreamDescriptor::new("SQLITE_x")).unwrap(),
            "_SQLITE_x"
        );
        assert_eq!(
            table("", &StreamDescriptor::new("a\0\"é/..")).unwrap(),
            "a_\"é/.."
        );
        assert!(table("", &StreamDescriptor::new("_AIRBYTE_streams")).is_err());
    }

    #[test]
    fn two_streams_of_one_table_are_refused() {
        let (a, b) = (
            StreamDescriptor::new("Users"),
            StreamDescriptor::new("users"),
        );
        let error = check_tables([(&a, "Users"), (&b, "users")].into_iter()).unwrap_err();
        assert!(
            error.message().contains("Streams Users and users"),
            "{error}"
        );
    }

    #[test]
    fn fields_that_look_alike_get_different_columns_whatever_their_order() {
        let named = |fields: &[&str]| {
            let properties: serde_json::Map<_, _> = fields
                .iter()
                .map(|name| ((*name).to_owned(), json!({})))
                .collect();
            let schema = json!({ "properties": properties });
            let stream = AirbyteStream::new("s", schema, vec![SyncMode::FullRefresh]);
            let mode = DestinationSyncMode::Append;
            columns(&Columns::of(&ConfiguredAirbyteStream::new(
                stream,
                SyncMode::FullRefresh,
                mode,
            )))
        };
        let first = named(&["id", "Id", "x", "_AIRBYTE_meta"]);
        assert_eq!(first[1], "Id");
        assert!(
            first[0].starts_with("id_") && first[3].starts_with("_AIRBYTE_meta_"),
            "{first:?}"
        );
        assert_eq!(named(&["Id", "id"]), [first[1].clone(), first[0].clone()]);
    }
}
