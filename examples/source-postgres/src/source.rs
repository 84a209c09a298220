//! The source.

use std::sync::Arc;

use airbyte_protocol::ConnectorSpecification;
use cdk_core::{BoxedStream, Context, ReadSettings, Result, Source, Stream, spec};
use cdk_sql::{Incremental, PieceSettings, TableStream};
use cdk_sql_postgres::{Connector, PgDialect, PgTable, catalog};

use crate::check;
use crate::config::{PostgresConfig, ReplicationMethod};

/// Reads tables and views of a PostgreSQL database.
#[derive(Debug, Clone, Default)]
pub struct PostgresSource {
    read: ReadSettings,
    pieces: PieceSettings,
    pages: Option<u64>,
}

impl PostgresSource {
    /// Sets when batches and states are emitted.
    #[must_use]
    pub fn with_read_settings(mut self, settings: ReadSettings) -> Self {
        self.read = settings;
        self
    }

    /// Sets how many pages (of 8 KiB) of a table are read at a time, and so how much is read again after an
    /// interruption; by default 4096.
    #[must_use]
    pub fn with_pages(mut self, pages: u64) -> Self {
        self.pages = Some(pages);
        self
    }

    /// Sets how tables that can't be read by page are cut into pieces.
    #[must_use]
    pub fn with_pieces(mut self, pieces: PieceSettings) -> Self {
        self.pieces = pieces;
        self
    }

    fn dialect(&self, connector: Connector, tables: &[PgTable]) -> PgDialect {
        let dialect = PgDialect::new(connector, tables);
        match self.pages {
            Some(pages) => dialect.with_pages(pages),
            None => dialect,
        }
    }
}

pub(crate) async fn discover(config: &PostgresConfig) -> Result<(Connector, Vec<PgTable>)> {
    if config.cdc().is_some() {
        return Err(cdk_core::ConnectorError::config(
            "Change data capture is not built in yet. Choose another method.",
        ));
    }
    let connector = Connector::open(config.connect_settings()?).await?;
    let mut session = connector.session().await?;
    let tables = catalog::tables(&mut session, &config.schemas).await?;
    Ok((connector, tables))
}

impl Source for PostgresSource {
    type Config = PostgresConfig;

    fn spec(&self) -> ConnectorSpecification {
        spec::of::<PostgresConfig>()
            .with_documentation_url("https://docs.airbyte.com/integrations/sources/postgres")
    }

    async fn check(&self, config: &PostgresConfig, _context: &Context) -> Result<()> {
        check::check(config).await
    }

    async fn streams(
        &self,
        config: &PostgresConfig,
        _context: &Context,
    ) -> Result<Vec<BoxedStream>> {
        let (connector, tables) = discover(config).await?;
        let dialect = Arc::new(self.dialect(connector, &tables));
        let incremental = match config.replication_method {
            ReplicationMethod::Xmin {} => Incremental::Marks,
            _ => Incremental::Cursor,
        };
        let mut pieces = self.pieces.clone();
        pieces.seeks_late_rows &= config.find_late_rows;
        let stream = |table: PgTable| {
            TableStream::new(Arc::clone(&dialect), table.table)
                .with_incremental(incremental)
                .with_pieces(pieces.clone())
                .boxed()
        };
        Ok(tables.into_iter().map(stream).collect())
    }

    fn read_settings(&self, config: &PostgresConfig) -> ReadSettings {
        let concurrency = config.concurrency();
        let mut settings = self
            .read
            .clone()
            .with_concurrency(concurrency)
            .with_open_streams(concurrency);
        if let Some(interval) = config.checkpoint_interval() {
            settings.checkpoint_interval = interval;
        }
        settings
    }
}
