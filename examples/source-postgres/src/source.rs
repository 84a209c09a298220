//! The source.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use airbyte_protocol::{AirbyteStream, ConfiguredAirbyteCatalog, ConnectorSpecification, SyncMode};
use cdk_core::{BoxedStream, Context, GlobalFeed, ReadSettings, Result, Source, Stream, spec};
use cdk_sql::{Incremental, PieceSettings, TableStream};
use cdk_sql_postgres::cdc::{self, CdcFeed, CdcSettings};
use cdk_sql_postgres::{Connector, PgDialect, PgTable, catalog};

use crate::check;
use crate::config::{CdcConfig, LostPosition, LsnCommit, PostgresConfig, ReplicationMethod};

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

async fn discover(config: &PostgresConfig) -> Result<(Connector, Vec<PgTable>)> {
    let connector = Connector::open(config.connect_settings()?).await?;
    let mut session = connector.session().await?;
    let tables = catalog::tables(&mut session, &config.schemas).await?;
    Ok((connector, tables))
}

impl PostgresSource {
    fn cdc_settings(&self, config: &PostgresConfig, cdc: &CdcConfig) -> CdcSettings {
        let read = self.read_settings(config);
        CdcSettings {
            slot: cdc.replication_slot.clone(),
            publication: cdc.publication.clone(),
            create_if_missing: cdc.create_if_missing,
            patience: Duration::from_secs(cdc.initial_waiting_seconds),
            confirms_while_reading: cdc.lsn_commit_behaviour == LsnCommit::WhileReading,
            heartbeat: cdc
                .heartbeat_action_query
                .clone()
                .filter(|query| !query.trim().is_empty()),
            lost_position: match cdc.invalid_cdc_cursor_position_behavior {
                LostPosition::Fail => cdc::LostPosition::Fail,
                LostPosition::Resync => cdc::LostPosition::Resync,
            },
            follows: cdc.follow,
            sessions: config.concurrency(),
            pages: self.pages.unwrap_or(4096),
            checkpoint_interval: read.checkpoint_interval,
            checkpoint_rows: read.checkpoint_rows,
        }
    }
}

/// Whether updates and deletes of the table are in the log: it has a replica identity.
fn is_captured(table: &PgTable) -> bool {
    let has_identity = match table.replica_identity {
        'd' => !table.table.primary_key.is_empty(),
        'f' | 'i' => true,
        _ => false,
    };
    matches!(table.kind, 'r' | 'p') && has_identity
}

/// The stream's entry in the catalog when changes are captured.
fn cdc_definition(mut stream: AirbyteStream, is_captured: bool) -> AirbyteStream {
    stream.supported_sync_modes = vec![SyncMode::FullRefresh];
    if is_captured {
        stream.supported_sync_modes.push(SyncMode::Incremental);
        cdc::add_meta_columns(&mut stream);
    }
    stream
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
        let dialect = Arc::new(self.dialect(connector.clone(), &tables));
        let unchanged = self
            .dialect(connector, &tables)
            .with_suffix(cdc::NO_CHANGE.to_vec());
        let unchanged = Arc::new(unchanged);
        let mut pieces = self.pieces.clone();
        pieces.seeks_late_rows &= config.find_late_rows;
        let stream = |table: PgTable| {
            let (is_cdc, is_captured) = (config.cdc().is_some(), is_captured(&table));
            let dialect = if is_cdc && is_captured {
                &unchanged
            } else {
                &dialect
            };
            let incremental = match config.replication_method {
                ReplicationMethod::Xmin {} => Incremental::Marks,
                _ => Incremental::Cursor,
            };
            let stream = TableStream::new(Arc::clone(dialect), table.table)
                .with_incremental(incremental)
                .with_pieces(pieces.clone());
            match is_cdc {
                true => stream
                    .with_definition(|stream| cdc_definition(stream, is_captured))
                    .boxed(),
                false => stream.boxed(),
            }
        };
        Ok(tables.into_iter().map(stream).collect())
    }

    async fn global_feed(
        &self,
        config: &PostgresConfig,
        catalog: &ConfiguredAirbyteCatalog,
        _context: &Context,
    ) -> Result<Option<Box<dyn GlobalFeed>>> {
        let Some(settings) = config.cdc() else {
            return Ok(None);
        };
        let incremental: HashSet<_> = catalog
            .streams
            .iter()
            .filter(|stream| stream.sync_mode == SyncMode::Incremental)
            .map(|stream| stream.stream.descriptor())
            .collect();
        let (connector, mut tables) = discover(config).await?;
        tables
            .retain(|table| is_captured(table) && incremental.contains(&table.table.descriptor()));
        if tables.is_empty() {
            return Ok(None);
        }
        let settings = self.cdc_settings(config, settings);
        Ok(Some(Box::new(CdcFeed::new(connector, tables, settings))))
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
