//! The SQL that writes rows. Parameters are the metadata columns, then the stream's, in order.

use cdk_core::destination::meta_columns::{EXTRACTED_AT, META_COLUMNS};

use crate::names::quoted;
use crate::table::Table;

/// The statements for the rows of one table.
#[derive(Debug, Clone)]
pub(crate) struct Statements {
    /// Writes a row; in a deduplicated table only if it is the newest of its key.
    pub(crate) write: String,
    /// For rows with a null in their key, which a unique index does not hold together.
    /// Run one after the other with the same parameters: the first removes the row of the key unless it
    /// is newer, the second writes the row unless one of its key is there.
    pub(crate) null_key: Vec<String>,
    /// Removes the rows that are marked as deleted.
    pub(crate) remove_deleted: Option<String>,
}

impl Statements {
    pub(crate) fn of(table: &Table) -> Self {
        let name = quoted(&table.name);
        let columns: Vec<_> = all_columns(table).collect();
        let parameters: Vec<_> = (1..=columns.len()).map(|at| format!("?{at}")).collect();
        let (list, parameters) = (columns.join(", "), parameters.join(", "));
        let into = format!("INSERT INTO {name} AS old ({list})");
        let key = table.key.as_ref().filter(|_| table.is_deduped);
        let Some(key) = key else {
            let write = format!("{into} VALUES ({parameters})");
            return Self {
                write,
                null_key: Vec::new(),
                remove_deleted: None,
            };
        };
        let upsert = upsert(table, key);
        let last = columns.len();
        let same_key = same_key(table, key);
        let newer = newer(table, |at| format!("?{}", at + 1));
        let deleted_at = table
            .deleted_at
            .and_then(|at| table.quoted_columns(&[at]).pop());
        Self {
            write: format!("{into} VALUES ({parameters}) {upsert}"),
            null_key: vec![
                // The last comparison gives it all the parameters that the others have.
                format!(
                    "DELETE FROM {name} AS old WHERE {same_key} AND ({newer}) AND ?{last} IS ?{last}"
                ),
                format!(
                    "INSERT INTO {name} ({list}) SELECT {parameters} WHERE NOT EXISTS \
                     (SELECT 1 FROM {name} AS old WHERE {same_key})"
                ),
            ],
            remove_deleted: deleted_at
                .map(|column| format!("DELETE FROM {name} WHERE {column} IS NOT NULL")),
        }
    }
}

fn all_columns(table: &Table) -> impl Iterator<Item = String> {
    let meta = META_COLUMNS.iter().map(|name| quoted(name));
    meta.chain(table.columns.iter().map(|column| quoted(&column.name)))
}

/// Position of a typed column among the parameters.
fn parameter(column: usize) -> usize {
    META_COLUMNS.len() + column
}

fn upsert(table: &Table, key: &[usize]) -> String {
    let columns: Vec<_> = all_columns(table).collect();
    let excluded = |at: usize| {
        let column = columns.get(at).map_or("", String::as_str);
        format!("excluded.{column}")
    };
    let keys = table.quoted_columns(key);
    let set = columns.iter().filter(|column| !keys.contains(column));
    let set = set.map(|column| format!("{column} = excluded.{column}"));
    // A new version of the row has no value for them.
    let removed = table
        .removed
        .iter()
        .map(|name| format!("{} = NULL", quoted(name)));
    let set: Vec<_> = set.chain(removed).collect();
    let newer = newer(table, excluded);
    format!(
        "ON CONFLICT ({}) DO UPDATE SET {} WHERE {newer}",
        keys.join(", "),
        set.join(", ")
    )
}

fn same_key(table: &Table, key: &[usize]) -> String {
    let columns = table.quoted_columns(key).into_iter();
    let same = columns
        .zip(key)
        .map(|(column, at)| format!("old.{column} IS ?{}", parameter(*at) + 1));
    same.collect::<Vec<_>>().join(" AND ")
}

/// Whether the new row replaces the row `old`: its cursor is greater (no cursor is the least), or the
/// same and it was not extracted earlier. `new` gives the new row's value by position.
fn newer(table: &Table, new: impl Fn(usize) -> String) -> String {
    let extracted_at = META_COLUMNS
        .iter()
        .position(|name| *name == EXTRACTED_AT)
        .unwrap_or_default();
    let later = format!("{} >= old.{}", new(extracted_at), quoted(EXTRACTED_AT));
    let Some((at, column)) = table
        .cursor
        .and_then(|at| Some((at, table.columns.get(at)?)))
    else {
        return later;
    };
    let new_key = column.order.key(&new(parameter(at)));
    let old_key = column.order.column_key("old", &column.name);
    format!(
        "{new_key} > {old_key} OR ({new_key} IS NOT NULL AND {old_key} IS NULL) \
         OR ({new_key} IS {old_key} AND {later})"
    )
}
