//! The indexes that this connector keeps on its tables, and merging rows by key.

use cdk_core::Result;
use cdk_core::destination::meta_columns::EXTRACTED_AT;
use rusqlite::Connection;

use crate::error::SqliteContext;
use crate::names::{INDEX, quoted};
use crate::table::Table;

/// Makes the unique index that a deduplicated table needs, after merging the rows that stand in its
/// way, and drops ours that are not wanted any more.
pub(crate) fn ensure(connection: &Connection, table: &Table) -> Result<()> {
    let doing = || format!("index table `{}`", table.name);
    let mut wanted = wanted(table);
    for (name, sql) in ours(connection, &table.name).sqlite(doing)? {
        // What follows the index's name tells table and columns.
        let definition = sql
            .split_once(" ON ")
            .map_or("", |(_, definition)| definition);
        let before = wanted.len();
        wanted.retain(|index| index.definition != definition);
        if wanted.len() == before {
            connection
                .execute_batch(&format!("DROP INDEX {}", quoted(&name)))
                .sqlite(doing)?;
        }
    }
    for index in wanted {
        if index.is_unique {
            merge(connection, table)?;
        }
        let name = quoted(&free_name(connection).sqlite(doing)?);
        let unique = if index.is_unique { "UNIQUE " } else { "" };
        let create = format!("CREATE {unique}INDEX {name} ON {}", index.definition);
        connection.execute_batch(&create).sqlite(doing)?;
    }
    Ok(())
}

struct Index {
    is_unique: bool,
    definition: String,
}

fn wanted(table: &Table) -> Vec<Index> {
    let Some(key) = table.key.as_ref().filter(|_| table.is_deduped) else {
        return Vec::new();
    };
    let on = quoted(&table.name);
    let mut wanted = vec![Index {
        is_unique: true,
        definition: format!("{on} ({})", table.quoted_columns(key).join(", ")),
    }];
    if let Some(deleted_at) = table.deleted_at {
        // Mostly empty: finds deleted rows without a scan.
        for column in table.quoted_columns(&[deleted_at]) {
            let definition = format!("{on} ({column}) WHERE {column} IS NOT NULL");
            wanted.push(Index {
                is_unique: false,
                definition,
            });
        }
    }
    wanted
}

fn ours(connection: &Connection, table: &str) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare_cached(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL \
         AND tbl_name = ?1 COLLATE NOCASE",
    )?;
    let all: Vec<(String, String)> = statement
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(all
        .into_iter()
        .filter(|(name, _)| name.starts_with(INDEX))
        .collect())
}

/// SQLite can't rename an index, and one moves along when its table is swapped in: names are numbers.
fn free_name(connection: &Connection) -> rusqlite::Result<String> {
    let sql = "SELECT coalesce(max(CAST(substr(name, length(?1) + 1) AS INTEGER)), 0) + 1 \
               FROM sqlite_schema WHERE type = 'index' AND substr(name, 1, length(?1)) = ?1";
    let number: i64 = connection
        .prepare_cached(sql)?
        .query_row([INDEX], |row| row.get(0))?;
    Ok(format!("{INDEX}{number}"))
}

/// Keeps the newest row of each key: the one with the greatest cursor (none is the least), then the
/// one extracted last, then the one written last.
pub(crate) fn merge(connection: &Connection, table: &Table) -> Result<()> {
    let Some(key) = &table.key else { return Ok(()) };
    let cursor = table
        .cursor
        .and_then(|at| table.columns.get(at))
        .map(|column| {
            format!(
                "{} DESC NULLS LAST, ",
                column.order.key(&quoted(&column.name))
            )
        });
    let sql = format!(
        "DELETE FROM {table} WHERE rowid IN (SELECT id FROM (SELECT rowid AS id, row_number() OVER \
         (PARTITION BY {key} ORDER BY {cursor}{extracted} DESC, rowid DESC) AS rank FROM {table}) \
         WHERE rank > 1)",
        table = quoted(&table.name),
        key = table.quoted_columns(key).join(", "),
        cursor = cursor.unwrap_or_default(),
        extracted = quoted(EXTRACTED_AT),
    );
    connection
        .execute_batch(&sql)
        .sqlite(|| format!("merge rows of table `{}`", table.name))
}
