//! The feed: reads tables that are new, then the log.

use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{Duration, Instant};

use airbyte_protocol::{ConfiguredAirbyteStream, RawJson, StreamDescriptor};
use cdk_core::{
    ConnectorError, Context, ErrorContext, GlobalFeed, GlobalSink, InputState, RecordSink, Result,
    async_trait,
};
use cdk_sql::{Column, Table, emit_estimate, selected_columns};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use super::applier::{Applier, Watched};
use super::definition::Definition;
use super::log_reader::{LogError, LogReader, at_log, raw};
use super::lost::{Start, connect_state, find_start};
use super::meta::Meta;
use super::position::{Position, current};
use super::snapshot::{Ended, Snapshot, SnapshotSettings};
use super::state::{SharedState, StreamState};
use crate::literal::text;
use crate::settings::Settings;
use crate::wire::{Connection, DumpStart, Failure};

/// What to do when the server no longer has the part of the log to go on from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LostPosition {
    /// Fail, and ask for a refresh.
    #[default]
    Fail,
    /// Read all tables again.
    Resync,
}

/// How the feed reads.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CdcOptions {
    /// What to do when the server no longer has the part of the log to go on from.
    pub lost_position: LostPosition,
    /// After this long, the first load of tables is interrupted and changes are read; the next run goes on with it.
    pub load_timeout: Option<Duration>,
    /// Tables that are loaded at the same time.
    pub concurrency: usize,
    /// Rows of one query of the first load.
    pub piece_rows: u64,
    /// How often the state is saved while the log is read.
    pub checkpoint_interval: Duration,
    /// Goes on following the log at its end, until the run is stopped. Without it, the run ends where the log ended
    /// when its tables were loaded.
    pub is_following: bool,
}

impl Default for CdcOptions {
    fn default() -> Self {
        Self {
            lost_position: LostPosition::Fail,
            load_timeout: None,
            concurrency: 2,
            piece_rows: 500_000,
            checkpoint_interval: Duration::from_secs(15),
            is_following: false,
        }
    }
}

/// Rows between two points to resume from, while a table is loaded.
const CHECKPOINT_ROWS: u64 = 10_000;

/// While following, the server says this often that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Reads several tables of one server by its binary log.
#[derive(Debug)]
pub struct LogFeed {
    settings: Settings,
    tables: Vec<Table>,
    options: CdcOptions,
}

/// A stream of this run.
struct Member<'a> {
    descriptor: StreamDescriptor,
    table: &'a Table,
    columns: Vec<&'a Column>,
    meta: Meta,
    state: Option<StreamState>,
}

impl LogFeed {
    /// A feed of these tables.
    pub fn new(settings: Settings, tables: Vec<Table>, options: CdcOptions) -> Self {
        Self {
            settings,
            tables,
            options,
        }
    }

    async fn connect(&self) -> Result<Connection> {
        self.settings.connect().await
    }

    fn members(
        &self,
        streams: &[ConfiguredAirbyteStream],
        state: &InputState,
    ) -> Result<Vec<Member<'_>>> {
        let mut members = Vec::new();
        for configured in streams {
            let (descriptor, schema) = (
                configured.stream.descriptor(),
                &configured.stream.json_schema,
            );
            let Some(table) = self
                .tables
                .iter()
                .find(|table| table.descriptor() == descriptor)
            else {
                continue;
            };
            let saved = state
                .stream(&descriptor)
                .map(|saved| saved.parse_as::<StreamState>())
                .transpose();
            let saved = saved.config_error(
                "The saved state of this stream has a shape this connector does not know. Refresh the stream to read \
                 it from the start.",
            );
            members.push(Member {
                state: saved.map_err(|error| error.with_stream(&descriptor))?,
                columns: selected_columns(table, schema),
                meta: Meta::of(schema),
                descriptor,
                table,
            });
        }
        Ok(members)
    }

    /// Where to go on in the log, and how. When there is nothing to go on from, all streams start over.
    async fn start(
        &self,
        members: &mut [Member<'_>],
        saved: Option<SharedState>,
    ) -> Result<(SharedState, Start)> {
        let Some(saved) = saved else {
            return self.start_over(members, 0).await;
        };
        let mut connection = self.connect().await?;
        let start = find_start(&mut connection, &saved.log)
            .await
            .map_err(at_log)?;
        match start {
            Start::File => Ok((saved, start)),
            Start::Gtids(_) => {
                let states = members
                    .iter_mut()
                    .filter_map(|member| member.state.as_mut());
                states.for_each(|state| state.from = state.from.before_all());
                let cursor_offset = next_offset(&saved);
                Ok((
                    SharedState {
                        log: saved.log.before_all(),
                        cursor_offset,
                    },
                    start,
                ))
            }
            Start::Lost(reason) => {
                self.lost(&saved.log, &reason)?;
                self.start_over(members, next_offset(&saved)).await
            }
        }
    }

    /// All streams from the start, and then the log from where it ends now.
    async fn start_over(
        &self,
        members: &mut [Member<'_>],
        cursor_offset: u64,
    ) -> Result<(SharedState, Start)> {
        members.iter_mut().for_each(|member| member.state = None);
        let log = self.end_of_log(&mut self.connect().await?).await?;
        Ok((SharedState { log, cursor_offset }, Start::File))
    }

    async fn end_of_log(&self, connection: &mut Connection) -> Result<Position> {
        current(connection).await.map_err(at_log)?.ok_or_else(|| {
            ConnectorError::config(
                "The server writes no binary log. Start it with `log_bin` and `binlog_format=ROW`, or choose another \
                 update method.",
            )
        })
    }

    /// The log is not there any more: an error, or a warning when the tables are to be read again.
    fn lost(&self, saved: &Position, reason: &str) -> Result<()> {
        match self.options.lost_position {
            LostPosition::Resync => {
                tracing::warn!(
                    "The log can't be gone on with from {saved}: {reason}. All tables are read again."
                );
                Ok(())
            }
            LostPosition::Fail => Err(ConnectorError::config(format!(
                "The binary log can't be gone on with from {saved}: {reason}. Refresh the streams to read the tables \
                 again; keep the log for longer (`binlog_expire_logs_seconds`, `expire_logs_days`) or sync more often."
            ))),
        }
    }

    /// Loads the tables that were not loaded yet.
    async fn load(
        &self,
        members: &mut [Member<'_>],
        cursor_offset: u64,
        sink: &GlobalSink,
    ) -> Result<Ended> {
        let settings = SnapshotSettings {
            piece_rows: self.options.piece_rows,
            checkpoint_rows: CHECKPOINT_ROWS.min(self.options.piece_rows),
            deadline: self
                .options
                .load_timeout
                .map(|timeout| Instant::now() + timeout),
            cursor_offset,
        };
        let mut connection = self.connect().await?;
        for member in members.iter_mut().filter(|member| member.state.is_none()) {
            // Before the first row: what changes from here on is taken from the log.
            let from = self.end_of_log(&mut connection).await?;
            let table = member.table;
            let columns = Definition::read(&mut connection, &table.namespace, &table.name).await;
            let columns = columns.map_err(at_log)?;
            member.state = Some(StreamState {
                is_complete: false,
                key: None,
                from,
                columns,
            });
        }
        drop(connection);
        let mut loads = Vec::new();
        for (at, member) in members.iter().enumerate() {
            if let (Some(state), Some(writer)) = (&member.state, sink.stream(&member.descriptor))
                && !state.is_complete
            {
                let load =
                    self.load_table(member, state.clone(), &settings, writer, sink.context());
                loads.push(
                    load.map(move |ended| ended.map(|(state, ended)| (at, state, ended)))
                        .boxed(),
                );
            }
        }
        let loads = futures::stream::iter(loads).buffer_unordered(self.options.concurrency.max(1));
        let loaded: Vec<_> = loads.try_collect().await?;
        let mut all = Ended::Complete;
        for (at, state, ended) in loaded {
            if ended == Ended::Interrupted {
                all = ended;
            }
            if let Some(member) = members.get_mut(at) {
                member.state = Some(state);
            }
        }
        Ok(all)
    }

    async fn load_table(
        &self,
        member: &Member<'_>,
        state: StreamState,
        settings: &SnapshotSettings,
        mut writer: RecordSink,
        context: &Context,
    ) -> Result<(StreamState, Ended)> {
        emit_estimate(member.table, context)?;
        let load = Snapshot::new(
            &self.settings,
            member.table,
            &member.columns,
            &member.meta,
            settings,
            state,
            context,
        );
        let load = load
            .await
            .map_err(|error| error.with_stream(&member.descriptor))?;
        let ended = load.read(&mut writer).await?;
        writer.flush().await?;
        Ok(ended)
    }

    /// Reads the log from `log` to where it ends now.
    async fn follow(
        &self,
        members: &[Member<'_>],
        log: SharedState,
        start: &Start,
        sink: &GlobalSink,
    ) -> Result<(), LogError> {
        let mut connection = self.connect().await?;
        let mut target = self.end_of_log(&mut connection).await?;
        let flavor = connection.server().flavor;
        let watched = members.iter().filter_map(|member| {
            Some(Watched {
                sink: sink.stream(&member.descriptor)?,
                database: member.table.namespace.clone(),
                table: member.table.name.clone(),
                columns: member
                    .columns
                    .iter()
                    .map(|column| column.name.clone())
                    .collect(),
                primary_key: member.table.primary_key.clone(),
                meta: member.meta.clone(),
                descriptor: member.descriptor.clone(),
                state: member.state.clone()?,
                is_dirty: true,
            })
        });
        let position = log.log.clone();
        // Found by its transactions, the log says itself which of the server's files it is in.
        let log = SharedState {
            log: Position {
                server: std::mem::take(&mut target.server),
                ..log.log
            },
            ..log
        };
        let mut applier = Applier::new(self.settings.clone(), flavor, log, watched.collect());
        self.dump(&mut connection, &position, start).await?;
        let mut reader = LogReader {
            applier: &mut applier,
            sink,
            options: &self.options,
            saved_at: Instant::now(),
            saved: 0,
        };
        reader.read(&mut connection, &target).await?;
        Ok(reader.save().await?)
    }

    async fn dump(
        &self,
        connection: &mut Connection,
        position: &Position,
        start: &Start,
    ) -> Result<(), Failure> {
        let flavor = connection.server().flavor;
        let mut variables = vec!["SET @mariadb_slave_capability = 4".to_owned()];
        if self.options.is_following {
            let nanoseconds = HEARTBEAT.as_nanos();
            variables.push(format!("SET @master_heartbeat_period = {nanoseconds}, @source_heartbeat_period = {nanoseconds}"));
        }
        let encoded;
        let from = match start {
            Start::Gtids(gtids) => match connect_state(gtids, flavor) {
                Some(state) => {
                    variables.push(format!(
                        "SET @slave_connect_state = {}, @slave_gtid_strict_mode = 0",
                        text(&state)
                    ));
                    DumpStart::Position {
                        file: "",
                        position: 4,
                    }
                }
                None => {
                    encoded = gtids.encoded();
                    DumpStart::GtidSet(&encoded)
                }
            },
            _ => DumpStart::Position {
                file: &position.file,
                position: u32::try_from(position.position).unwrap_or(u32::MAX),
            },
        };
        for variable in variables {
            connection.execute(&variable).await?;
        }
        connection
            .dump(replica_id(), from, self.options.is_following)
            .await
    }
}

/// A number for the server to tell its replicas apart: random, so that no other has it.
fn replica_id() -> u32 {
    let random = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    // Small numbers are those that people give.
    (random as u32) | 0x8000_0000
}

/// What the cursors of another log begin behind.
fn next_offset(saved: &SharedState) -> u64 {
    saved.cursor_offset + saved.log.place().cursor()
}

#[async_trait]
impl GlobalFeed for LogFeed {
    fn streams(&self) -> Vec<StreamDescriptor> {
        self.tables.iter().map(Table::descriptor).collect()
    }

    async fn read(
        &self,
        streams: &[ConfiguredAirbyteStream],
        state: &InputState,
        sink: GlobalSink,
    ) -> Result<()> {
        let mut members = self.members(streams, state)?;
        let saved = state
            .shared()
            .map(RawJson::parse_as::<SharedState>)
            .transpose();
        let saved = saved.config_error(
            "The saved state of the log has a shape this connector does not know. Refresh all streams to read them from \
             the start.",
        )?;
        let (mut log, mut start) = self.start(&mut members, saved.clone()).await?;
        loop {
            if saved.as_ref() != Some(&log) {
                // The position first: from here on, nothing that happens is lost.
                sink.checkpoint(Some(raw(&log)?), Vec::new()).await?;
            }
            let loaded = self.load(&mut members, log.cursor_offset, &sink).await?;
            sink.checkpoint(None, Vec::new()).await?;
            match self.follow(&members, log.clone(), &start, &sink).await {
                Ok(()) if loaded == Ended::Complete => return Ok(()),
                Ok(()) => return Err(still_loading()),
                Err(LogError::Other(error)) => return Err(error),
                Err(LogError::Lost(failure)) => {
                    self.lost(&log.log, &failure.to_string())?;
                    (log, start) = self.start_over(&mut members, next_offset(&log)).await?;
                }
            }
        }
    }
}

fn still_loading() -> ConnectorError {
    ConnectorError::transient(
        "The first load of the tables takes longer than `initial_load_timeout_hours`. Changes were read meanwhile; the \
         next sync goes on with the load.",
    )
}
