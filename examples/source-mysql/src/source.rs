//! Check, discovery and reading.

use std::sync::Arc;
use std::time::Duration;

use airbyte_protocol::{AirbyteStream, ConfiguredAirbyteCatalog, SyncMode};
use cdk_core::{
    BoxedStream, Context, GlobalFeed, Partitions, ReadSettings, RecordSink, Result, SecretString,
    Source, Stream, StreamRequest,
};
use cdk_sql::plan::Piece;
use cdk_sql::{PieceSettings, Table, TableStream, Tunnel};
use cdk_sql_mysql::cdc::{self, CdcOptions, LogFeed, LostPosition};
use cdk_sql_mysql::connect::CONNECT_TIMEOUT;
use cdk_sql_mysql::discovery::{self, Wanted};
use cdk_sql_mysql::{Login, MySql, Settings};

use crate::config::{InvalidPosition, MySqlConfig, ReplicationMethod};
use crate::rights;

/// Reads tables of MySQL and MariaDB.
///
/// Each table is a stream, in the namespace of its database. Resumable, by cursor, or by the binary log.
#[derive(Debug, Clone, Default)]
pub struct MySqlSource {
    read: Option<ReadSettings>,
    pieces: Option<u64>,
    is_following: bool,
}

impl MySqlSource {
    /// Sets when batches and states are emitted, in place of what the config says.
    #[must_use]
    pub fn with_read_settings(mut self, settings: ReadSettings) -> Self {
        self.read = Some(settings);
        self
    }

    /// Sets how many rows are read by one query, and so again after an interruption.
    #[must_use]
    pub fn with_piece_rows(mut self, rows: u64) -> Self {
        self.pieces = Some(rows);
        self
    }

    /// With change data capture, goes on following the log until the run is stopped.
    #[must_use]
    pub fn following(mut self) -> Self {
        self.is_following = true;
        self
    }

    async fn settings(&self, config: &MySqlConfig) -> Result<Settings> {
        let jdbc = config.jdbc_params()?;
        let timeout = jdbc
            .connect_timeout_ms
            .map_or(CONNECT_TIMEOUT, Duration::from_millis);
        let tunnel =
            Tunnel::open(&config.tunnel_method, &config.host, config.port, timeout).await?;
        Ok(Settings {
            login: Login {
                host: config.host.clone(),
                user: config.username.clone(),
                password: config
                    .password
                    .clone()
                    .unwrap_or_else(|| SecretString::new("")),
                database: Some(config.database.clone()),
            },
            port: config.port,
            tunnel: tunnel.map(Arc::new),
            encryption: config.encryption()?,
            timeout,
            variables: jdbc.variables,
        })
    }

    async fn tables(&self, config: &MySqlConfig, settings: &Settings) -> Result<Vec<Table>> {
        let wanted = Wanted {
            database: config.database.clone(),
            patterns: config.patterns()?,
            is_access_checked: config.check_privileges.unwrap_or(true),
        };
        discovery::tables(&mut settings.connect().await?, &wanted).await
    }

    fn concurrency(config: &MySqlConfig) -> usize {
        let given = config
            .max_db_connections
            .or(config.concurrency.filter(|many| *many > 1));
        given.map_or_else(|| ReadSettings::default().concurrency, |many| many as usize)
    }

    fn interval(config: &MySqlConfig) -> Duration {
        Duration::from_secs(u64::from(
            config.checkpoint_target_interval_seconds.unwrap_or(300),
        ))
    }

    fn options(&self, config: &MySqlConfig) -> CdcOptions {
        let mut options = CdcOptions::default();
        if let ReplicationMethod::Cdc {
            invalid_cdc_cursor_position_behavior,
            initial_load_timeout_hours,
            ..
        } = &config.replication_method
        {
            options.lost_position = match invalid_cdc_cursor_position_behavior {
                InvalidPosition::Fail => LostPosition::Fail,
                InvalidPosition::Resync => LostPosition::Resync,
            };
            let hours = initial_load_timeout_hours.unwrap_or(8);
            options.load_timeout = Some(Duration::from_secs(3600 * u64::from(hours)));
        }
        options.concurrency = Self::concurrency(config);
        options.checkpoint_interval = Self::interval(config);
        options.piece_rows = self.pieces.unwrap_or(options.piece_rows);
        options.is_following = self.is_following;
        options
    }
}

impl Source for MySqlSource {
    type Config = MySqlConfig;

    /// Logs in, looks for tables, and tries what the way of reading needs.
    async fn check(&self, config: &MySqlConfig, _: &Context) -> Result<()> {
        let settings = self.settings(config).await?;
        let tables = self.tables(config, &settings).await?;
        rights::check(config, &settings, &tables).await
    }

    async fn streams(&self, config: &MySqlConfig, _: &Context) -> Result<Vec<BoxedStream>> {
        let settings = self.settings(config).await?;
        let tables = self.tables(config, &settings).await?;
        let dialect = Arc::new(MySql::new(settings));
        let is_cdc = matches!(config.replication_method, ReplicationMethod::Cdc { .. });
        let mut pieces = PieceSettings::default();
        pieces.rows = self.pieces.unwrap_or(pieces.rows);
        let stream = |table: Table| {
            let has_log = is_cdc && has_log(&table);
            let stream = TableStream::new(Arc::clone(&dialect), table).with_pieces(pieces.clone());
            match is_cdc {
                true => LoggedStream { stream, has_log }.boxed(),
                false => stream.boxed(),
            }
        };
        Ok(tables.into_iter().map(stream).collect())
    }

    async fn global_feed(
        &self,
        config: &MySqlConfig,
        catalog: &ConfiguredAirbyteCatalog,
        _: &Context,
    ) -> Result<Option<Box<dyn GlobalFeed>>> {
        let ReplicationMethod::Cdc { .. } = config.replication_method else {
            return Ok(None);
        };
        let wanted = catalog
            .streams
            .iter()
            .filter(|stream| stream.sync_mode == SyncMode::Incremental);
        let wanted: Vec<_> = wanted.map(|stream| stream.stream.descriptor()).collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let settings = self.settings(config).await?;
        let mut tables = self.tables(config, &settings).await?;
        tables.retain(|table| has_log(table) && wanted.contains(&table.descriptor()));
        Ok(Some(Box::new(LogFeed::new(
            settings,
            tables,
            self.options(config),
        ))))
    }

    fn read_settings(&self, config: &MySqlConfig) -> ReadSettings {
        if let Some(settings) = &self.read {
            return settings.clone();
        }
        let many = Self::concurrency(config);
        let mut settings = ReadSettings::default()
            .with_concurrency(many)
            .with_open_streams(many);
        settings.checkpoint_interval = Self::interval(config);
        settings
    }
}

/// The log tells of rows by their key.
fn has_log(table: &Table) -> bool {
    !table.is_view && !table.primary_key.is_empty()
}

/// A table as change data capture shows it: with the columns of the log. Incremental reads are the feed's; a full
/// refresh is this stream's.
struct LoggedStream {
    stream: TableStream<MySql>,
    has_log: bool,
}

impl Stream for LoggedStream {
    type Partition = Piece<MySql>;

    fn definition(&self) -> AirbyteStream {
        let mut definition = self.stream.definition();
        definition.supported_sync_modes = vec![SyncMode::FullRefresh];
        if self.has_log {
            definition.supported_sync_modes.push(SyncMode::Incremental);
            definition.source_defined_cursor = Some(true);
            definition.default_cursor_field = Some(vec![cdc::CURSOR.to_owned()]);
        }
        if let Some(properties) = definition
            .json_schema
            .get_mut("properties")
            .and_then(|all| all.as_object_mut())
        {
            cdc::add_to_schema(properties);
        }
        definition
    }

    async fn partitions(&self, request: &StreamRequest) -> Result<Partitions<Piece<MySql>>> {
        self.stream.partitions(request).await
    }

    async fn read(
        &self,
        piece: Piece<MySql>,
        request: &StreamRequest,
        sink: &mut RecordSink,
    ) -> Result<()> {
        self.stream.read(piece, request, sink).await
    }
}
