//! Replaces the rows that users see, in one transaction.
//!
//! A table that nothing hangs on is replaced by the staged one: no row is copied, and owner, rights and comment move
//! along. One with views, indexes of its users, triggers and the like keeps them: it is emptied, and the staged rows
//! are copied into it. Until the commit everybody sees the old rows (or waits), after it the new ones.

use cdk_core::Result;
use cdk_sql_postgres::tokio_postgres::Client;

use crate::catalog;
use crate::error::PgContext;
use crate::names::{TableName, list, quoted};
use crate::table::Table;

/// Puts the rows of `staged` in the place of those of `visible`. Runs inside a transaction.
///
/// Returns what happened to the table besides, for people.
pub(crate) async fn replace(
    client: &Client,
    staged: &Table,
    visible: &TableName,
    drop_cascade: bool,
) -> Result<Vec<String>> {
    let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", visible.quoted());
    let is_there = catalog::columns(client, visible).await?.is_some();
    if is_there {
        client
            .batch_execute(&lock)
            .await
            .pg(|| format!("locking table {visible}"))?;
    }
    if is_there && !drop_cascade && catalog::has_dependents(client, visible).await? {
        return refill(client, staged, visible).await;
    }
    exchange(client, staged, visible, is_there, drop_cascade).await?;
    Ok(Vec::new())
}

/// The staged table becomes the visible one.
async fn exchange(
    client: &Client,
    staged: &Table,
    visible: &TableName,
    is_there: bool,
    drop_cascade: bool,
) -> Result<()> {
    let doing = || format!("replacing table {visible}");
    let mut statements = Vec::new();
    if is_there {
        statements = catalog::privileges(client, visible, visible).await?;
        let cascade = if drop_cascade { " CASCADE" } else { "" };
        let drop = format!("DROP TABLE {}{cascade}", visible.quoted());
        client.batch_execute(&drop).await.pg(doing)?;
    }
    // Two steps, of which neither meets a table of that name: the internal schema holds none of a stream's, unless it is
    // the same one.
    let renamed = TableName::new(&staged.name.schema, &visible.table);
    let name = quoted(&visible.table);
    let mut rename = format!("ALTER TABLE {} RENAME TO {name}", staged.quoted());
    if staged.name.schema != visible.schema {
        let schema = quoted(&visible.schema);
        rename.push_str(&format!(
            "; ALTER TABLE {} SET SCHEMA {schema}",
            renamed.quoted()
        ));
    }
    statements.insert(0, rename);
    for statement in statements {
        client.batch_execute(&statement).await.pg(doing)?;
    }
    Ok(())
}

/// The visible table takes over the staged rows.
async fn refill(client: &Client, staged: &Table, visible: &TableName) -> Result<Vec<String>> {
    let doing = || format!("replacing the rows of table {visible}");
    let mut table = Table::new(visible.clone(), staged.shape.clone());
    let changes = table.ensure(client, &[], false).await?;
    let truncate = format!("TRUNCATE {}", visible.quoted());
    client.batch_execute(&truncate).await.pg(doing)?;
    table.ensure_key_index(client).await?;
    let columns = list(staged.shape.names());
    let values = table
        .shape
        .columns
        .iter()
        .zip(&staged.shape.columns)
        .map(|(to, from)| {
            let name = quoted(&from.name);
            match to.data_type == from.data_type {
                true => name,
                false => to.data_type.converted(&name),
            }
        });
    let values: Vec<_> = values.collect();
    let copy = format!(
        "INSERT INTO {} ({columns}) SELECT {} FROM {}",
        visible.quoted(),
        values.join(", "),
        staged.quoted()
    );
    client.batch_execute(&copy).await.pg(doing)?;
    Table::drop(client, &staged.name).await?;
    Ok(changes)
}
