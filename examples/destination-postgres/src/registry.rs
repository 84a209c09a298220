//! `_airbyte_streams`: which stream a table belongs to, and which generation its rows are. It lies in the schema for
//! what is not the user's.

use airbyte_protocol::{ConfiguredAirbyteStream, StreamDescriptor};
use cdk_core::{ConnectorError, Result};
use cdk_sql_postgres::tokio_postgres::Client;

use crate::error::PgContext;
use crate::names::{TableName, quoted};

/// What is remembered of a table.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// The generation that its rows were swapped in with.
    pub(crate) generation_id: Option<i64>,
    /// The generation of the rows that wait aside, if any do.
    pub(crate) staging_generation_id: Option<i64>,
    /// Every column that the stream ever had.
    pub(crate) columns: Vec<String>,
}

/// The table of entries.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    table: String,
    schema: String,
}

impl Registry {
    pub(crate) fn new(schema: &str) -> Self {
        let table = TableName::new(schema, "_airbyte_streams");
        Self {
            table: table.quoted(),
            schema: schema.to_owned(),
        }
    }

    /// Creates the schema and the table of entries, unless they are there.
    pub(crate) async fn create(&self, client: &Client) -> Result<()> {
        create_schema(client, &self.schema).await?;
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {} (schema_name varchar NOT NULL, table_name varchar NOT NULL, \
             namespace varchar, stream varchar NOT NULL, sync_mode varchar NOT NULL, generation_id bigint, \
             staging_generation_id bigint, columns varchar[] NOT NULL, PRIMARY KEY (schema_name, table_name))",
            self.table
        );
        let created = client.batch_execute(&create).await;
        created.pg(|| format!("creating table {}", self.table))
    }

    /// What is remembered of `table`. A config error when it belongs to another stream.
    pub(crate) async fn find(
        &self,
        client: &Client,
        table: &TableName,
        stream: &StreamDescriptor,
    ) -> Result<Option<Entry>> {
        let select = format!(
            "SELECT namespace, stream, generation_id, staging_generation_id, columns FROM {} \
             WHERE schema_name = $1 AND table_name = $2",
            self.table
        );
        let doing = || format!("looking up table {table} in {}", self.table);
        let row = client
            .query_opt(&select, &[&table.schema, &table.table])
            .await
            .pg(doing)?;
        let Some(row) = row else { return Ok(None) };
        let owner: (Option<String>, String) =
            (row.try_get(0).pg(doing)?, row.try_get(1).pg(doing)?);
        let owner = StreamDescriptor::from_parts(owner.1, owner.0);
        if owner.name != stream.name || folded(&owner) != folded(stream) {
            return Err(ConnectorError::config(format!(
                "Stream {stream} would be written to table `{table}`, which belongs to stream {owner}. Give the \
                 connection a stream prefix, or drop that table and its row in {}.",
                self.table
            )));
        }
        Ok(Some(Entry {
            generation_id: row.try_get(2).pg(doing)?,
            staging_generation_id: row.try_get(3).pg(doing)?,
            columns: row.try_get(4).pg(doing)?,
        }))
    }

    /// Remembers what a sync is about to do.
    pub(crate) async fn save(
        &self,
        client: &Client,
        table: &TableName,
        stream: &ConfiguredAirbyteStream,
        entry: &Entry,
    ) -> Result<()> {
        let insert = format!(
            "INSERT INTO {} VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (schema_name, table_name) DO UPDATE \
             SET namespace = excluded.namespace, sync_mode = excluded.sync_mode, \
             generation_id = excluded.generation_id, staging_generation_id = excluded.staging_generation_id, \
             columns = excluded.columns",
            self.table
        );
        let descriptor = stream.descriptor();
        let mode = stream.destination_sync_mode.to_string();
        let saved = client
            .execute(
                &insert,
                &[
                    &table.schema,
                    &table.table,
                    &descriptor.namespace,
                    &descriptor.name,
                    &mode,
                    &entry.generation_id,
                    &entry.staging_generation_id,
                    &entry.columns,
                ],
            )
            .await;
        saved.pg(|| format!("remembering table {table} in {}", self.table))?;
        Ok(())
    }

    /// Remembers that the staged rows of a generation are now the table's.
    pub(crate) async fn swapped(
        &self,
        client: &Client,
        table: &TableName,
        generation: Option<i64>,
    ) -> Result<()> {
        let update = format!(
            "UPDATE {} SET generation_id = $3, staging_generation_id = NULL \
             WHERE schema_name = $1 AND table_name = $2",
            self.table
        );
        let updated = client
            .execute(&update, &[&table.schema, &table.table, &generation])
            .await;
        updated.pg(|| format!("remembering the generation of table {table}"))?;
        Ok(())
    }
}

/// An empty namespace is none.
fn folded(stream: &StreamDescriptor) -> Option<&str> {
    stream
        .namespace
        .as_deref()
        .filter(|namespace| !namespace.is_empty())
}

/// Creates a schema unless it is there. Who may not create schemas may use one that is there.
pub(crate) async fn create_schema(client: &Client, schema: &str) -> Result<()> {
    let doing = || format!("creating schema {schema}");
    let found = client
        .query_opt("SELECT FROM pg_namespace WHERE nspname = $1", &[&schema])
        .await
        .pg(doing)?;
    if found.is_none() {
        let create = format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema));
        client.batch_execute(&create).await.pg(doing)?;
    }
    Ok(())
}
