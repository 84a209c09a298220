//! `check`: what is missing, all at once.

use std::collections::BTreeMap;

use cdk_core::{ConnectorError, Result};
use cdk_sql_postgres::cdc::slot;
use cdk_sql_postgres::{Connector, Session, catalog, quote};

use crate::config::PostgresConfig;

/// Lists longer than this are cut.
const SHOWN: usize = 10;

/// Connects and looks for everything that reading needs.
pub(crate) async fn check(config: &PostgresConfig) -> Result<()> {
    let connector = Connector::open(config.connect_settings()?).await?;
    let mut session = connector.session().await?;
    let mut problems = missing_schemas(&mut session, config).await?;
    let unreadable = catalog::unreadable(&mut session, &config.schemas).await?;
    let tables = catalog::tables(&mut session, &config.schemas).await?;
    if tables.is_empty() {
        problems.push(match unreadable.is_empty() {
            true => "There is no table or view in `schemas`.".to_owned(),
            false => grants(&unreadable, &config.username),
        });
    } else if !unreadable.is_empty() {
        tracing::warn!(
            "Some tables are left out. {}",
            grants(&unreadable, &config.username)
        );
    }
    if let Some(cdc) = config.cdc() {
        let (slot, publication) = (&cdc.replication_slot, &cdc.publication);
        problems
            .extend(slot::problems(&mut session, publication, slot, cdc.create_if_missing).await?);
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(ConnectorError::config(problems.join(" "))),
    }
}

async fn missing_schemas(session: &mut Session, config: &PostgresConfig) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for schema in &config.schemas {
        let sql = format!(
            "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = {}",
            quote::literal(schema)
        );
        if session.value(&sql, "looking for a schema").await?.is_none() {
            problems.push(format!("Schema {schema} does not exist: check `schemas`."));
        }
    }
    Ok(problems)
}

/// The statements that would let the user read these tables.
fn grants(unreadable: &BTreeMap<String, Vec<String>>, user: &str) -> String {
    let user = quote::identifier(user);
    let mut statements = Vec::new();
    let mut names = Vec::new();
    for (schema, tables) in unreadable {
        let quoted = quote::identifier(schema);
        statements.push(format!("GRANT USAGE ON SCHEMA {quoted} TO {user}; GRANT SELECT ON ALL TABLES IN SCHEMA {quoted} TO {user};"));
        names.extend(tables.iter().map(|table| format!("{schema}.{table}")));
    }
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!(
        "The user may not read {}{more}. To allow it: {}",
        names.join(", "),
        statements.join(" ")
    )
}
