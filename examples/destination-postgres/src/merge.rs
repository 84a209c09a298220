//! Which of two rows of one key stays.

use cdk_core::Result;
use cdk_core::destination::meta_columns::{EXTRACTED_AT, RAW_ID};
use cdk_sql_postgres::tokio_postgres::Client;

use crate::error::PgContext;
use crate::layout::Role;
use crate::names::{list, quoted};
use crate::table::Table;
use crate::types::PgType;

/// The temporary table that rows of a deduplicated table arrive in. It lives as long as its transaction.
pub(crate) const BATCH: &str = "pg_temp._airbyte_batch";

/// What is known of the rows that arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// Some key may be there twice.
    pub(crate) has_repeats: bool,
    /// Some key has a null, which a unique index does not hold together.
    pub(crate) has_null_keys: bool,
    /// Some row is marked as deleted.
    pub(crate) has_deleted: bool,
}

/// Makes the temporary table.
pub(crate) async fn create_batch(client: &Client, table: &Table) -> Result<()> {
    let create = format!(
        "CREATE TEMP TABLE _airbyte_batch (LIKE {} INCLUDING DEFAULTS) ON COMMIT DROP",
        table.quoted()
    );
    let created = client.batch_execute(&create).await;
    created.pg(|| format!("making a temporary table like {}", table.name))
}

/// Brings the rows of the temporary table into `table`: the newest of each key, unless the table has a newer one.
/// Then rows that are marked as deleted go, where they are to.
pub(crate) async fn merge(client: &Client, table: &Table, arrived: Arrived) -> Result<()> {
    for statement in statements(table, arrived) {
        let merged = client.batch_execute(&statement).await;
        merged.pg(|| format!("merging rows into table {}", table.name))?;
    }
    Ok(())
}

fn statements(table: &Table, arrived: Arrived) -> Vec<String> {
    let Some(key) = &table.shape.key else {
        return Vec::new();
    };
    let into = table.quoted();
    let keys = list(key);
    let names: Vec<_> = table.shape.names().map(|name| quoted(name)).collect();
    let columns = names.join(", ");
    let order = newest_first(table);
    let has_null: Vec<_> = key
        .iter()
        .map(|name| format!("{} IS NULL", quoted(name)))
        .collect();
    let has_null = has_null.join(" OR ");
    let distinct = match arrived.has_repeats {
        true => format!("DISTINCT ON ({keys}) "),
        false => String::new(),
    };
    let sorted = match arrived.has_repeats {
        true => format!(" ORDER BY {keys}, {order}"),
        false => String::new(),
    };
    let whole_keys = match arrived.has_null_keys {
        true => format!(" WHERE NOT ({has_null})"),
        false => String::new(),
    };
    let set = names
        .iter()
        .zip(table.shape.names())
        .filter(|(_, name)| !key.contains(name));
    let set = set.map(|(name, _)| format!("{name} = excluded.{name}"));
    // A new version of the row has no value for them.
    let removed = table
        .removed
        .iter()
        .map(|name| format!("{} = NULL", quoted(name)));
    let set: Vec<_> = set.chain(removed).collect();
    let mut statements = vec![format!(
        "INSERT INTO {into} AS old ({columns}) SELECT {distinct}{columns} FROM {BATCH}{whole_keys}{sorted} \
         ON CONFLICT ({keys}) DO UPDATE SET {} WHERE {}",
        set.join(", "),
        newer(table, "excluded")
    )];
    if arrived.has_null_keys {
        let same = same_key(key);
        let newest = format!(
            "SELECT DISTINCT ON ({keys}) {columns} FROM {BATCH} WHERE {has_null} ORDER BY {keys}, {order}"
        );
        statements.push(format!(
            "DELETE FROM {into} AS old USING ({newest}) AS new WHERE {same} AND ({})",
            newer(table, "new")
        ));
        statements.push(format!(
            "INSERT INTO {into} ({columns}) SELECT {columns} FROM ({newest}) AS new \
             WHERE NOT EXISTS (SELECT FROM {into} AS old WHERE {same})"
        ));
    }
    if arrived.has_deleted
        && let Some(deleted_at) = &table.shape.deleted_at
    {
        let deleted_at = quoted(deleted_at);
        statements.push(format!(
            "DELETE FROM {into} AS old USING {BATCH} AS new \
             WHERE new.{deleted_at} IS NOT NULL AND old.{deleted_at} IS NOT NULL AND {}",
            match arrived.has_null_keys {
                true => same_key(key),
                // Equality can use the index.
                false => equal_key(key),
            }
        ));
    }
    statements
}

/// Keeps the newest row of each key, and of rows marked as deleted none: for a table that nobody sees yet, or whose
/// rows may have come twice.
pub(crate) async fn merge_in_place(client: &Client, table: &Table) -> Result<()> {
    let Some(key) = &table.shape.merge_key else {
        return Ok(());
    };
    let name = table.quoted();
    let (keys, order) = (key.join(", "), newest_first(table));
    let merge = format!(
        "DELETE FROM {name} WHERE ctid IN (SELECT id FROM (SELECT ctid AS id, row_number() OVER \
         (PARTITION BY {keys} ORDER BY {order}) AS rank FROM {name}) AS ranked WHERE rank > 1)"
    );
    let doing = || format!("merging rows of table {}", table.name);
    client.batch_execute(&merge).await.pg(doing)?;
    if let Some(deleted_at) = &table.shape.deleted_at {
        let remove = format!(
            "DELETE FROM {name} WHERE {} IS NOT NULL",
            quoted(deleted_at)
        );
        client.batch_execute(&remove).await.pg(doing)?;
    }
    Ok(())
}

/// The order of the rows of one key: the greatest cursor first (none is the least), then the one extracted last, then
/// the one written last.
fn newest_first(table: &Table) -> String {
    let cursor = table.shape.cursor.as_ref();
    let cursor = cursor.map(|name| {
        format!(
            "{} DESC NULLS LAST, ",
            comparable(table, name, &quoted(name))
        )
    });
    let extracted_at = table
        .shape
        .name_of(Role::ExtractedAt)
        .unwrap_or(EXTRACTED_AT);
    let raw_id = table.shape.name_of(Role::RawId).unwrap_or(RAW_ID);
    format!(
        "{}{} DESC, {} DESC",
        cursor.unwrap_or_default(),
        quoted(extracted_at),
        comparable(table, raw_id, &quoted(raw_id))
    )
}

/// Whether the row `new` replaces the row `old`: its cursor is greater (none is the least), or the same and it was
/// not extracted earlier.
fn newer(table: &Table, new: &str) -> String {
    let extracted = quoted(EXTRACTED_AT);
    let later = format!("{new}.{extracted} >= old.{extracted}");
    let Some(name) = &table.shape.cursor else {
        return later;
    };
    let column = quoted(name);
    let new_cursor = comparable(table, name, &format!("{new}.{column}"));
    let old_cursor = comparable(table, name, &format!("old.{column}"));
    format!(
        "{new_cursor} > {old_cursor} OR ({new_cursor} IS NOT NULL AND {old_cursor} IS NULL) \
         OR ({new_cursor} IS NOT DISTINCT FROM {old_cursor} AND {later})"
    )
}

/// Text compares byte by byte, whatever the database's collation.
fn comparable(table: &Table, name: &str, expression: &str) -> String {
    match table.type_of(name) {
        Some(PgType::Text) => format!("{expression} COLLATE \"C\""),
        _ => expression.to_owned(),
    }
}

fn same_key(key: &[String]) -> String {
    let same = key.iter().map(|name| {
        let name = quoted(name);
        format!("old.{name} IS NOT DISTINCT FROM new.{name}")
    });
    same.collect::<Vec<_>>().join(" AND ")
}

fn equal_key(key: &[String]) -> String {
    let equal = key.iter().map(|name| {
        let name = quoted(name);
        format!("old.{name} = new.{name}")
    });
    equal.collect::<Vec<_>>().join(" AND ")
}
