//! What must be there for the chosen way of reading: all that is missing is told at once.

use cdk_core::{ConnectorError, Result};
use cdk_sql::Table;
use cdk_sql_mysql::{Place, Settings, cdc, explain};

use crate::config::{MySqlConfig, ReplicationMethod};

/// Tries everything that reading will need.
pub(crate) async fn check(
    config: &MySqlConfig,
    settings: &Settings,
    tables: &[Table],
) -> Result<()> {
    let mut missing = Vec::new();
    if tables.is_empty() {
        missing.push(format!(
            "a table to read: in database `{}` there is none that the user may SELECT from{}",
            config.database,
            match config.table_filters {
                Some(_) => " and that `table_filters` let through",
                None => "",
            }
        ));
    }
    if let ReplicationMethod::Cdc { .. } = config.replication_method {
        let mut connection = settings.connect().await?;
        let mut dump = settings.connect().await?;
        let found = cdc::missing(&mut connection, &mut dump).await;
        missing
            .extend(found.map_err(|failure| explain(failure, &Place::Server(settings.address())))?);
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(ConnectorError::config(format!(
            "These are missing: {}.",
            missing.join("; ")
        ))),
    }
}
