//! Whether the database can be written to.

use cdk_core::Result;

use crate::config::Config;
use crate::error::PgContext;
use crate::names::{RULES, TableName};
use crate::pool::Pool;
use crate::registry;

/// Creates a table in each of the two schemas, writes to it, and takes everything back.
pub(crate) async fn check(pool: &Pool, config: &Config) -> Result<()> {
    let lease = pool.lease().await?;
    lease.begin().await?;
    let client = lease.client();
    for schema in [&config.schema, &config.raw_data_schema] {
        let table = TableName::new(RULES.name(schema), "_airbyte_check");
        registry::create_schema(client, &table.schema).await?;
        let name = table.quoted();
        let probe = format!(
            "CREATE TABLE {name} (probe bigint); INSERT INTO {name} VALUES (1); DROP TABLE {name}"
        );
        let done = client.batch_execute(&probe).await;
        done.pg(|| format!("creating and writing a table in schema {schema}"))?;
    }
    client
        .batch_execute("ROLLBACK")
        .await
        .pg(|| "taking back the check's tables".to_owned())
}
