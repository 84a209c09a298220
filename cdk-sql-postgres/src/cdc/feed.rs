//! The run: slot, snapshot, changes, states.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use airbyte_protocol::{ConfiguredAirbyteStream, RawJson, StreamDescriptor};
use cdk_core::{
    ConnectorError, ErrorContext, GlobalFeed, GlobalSink, InputState, Result, async_trait,
};
use cdk_sql::{StateType, TableState, emit_estimate, selected_columns};

use super::changes::Applier;
use super::follow::Follow;
use super::lsn::Lsn;
use super::meta::{is_meta, micros, write_members};
use super::relations::{Relations, Wanted};
use super::snapshot::Snapshot;
use super::state::SharedPosition;
use super::stream::ChangeStream;
use super::{position, slot};
use crate::catalog::{self, PgTable, text};
use crate::connect::Connector;
use crate::quote;
use crate::session::Session;

/// How changes are captured.
#[derive(Debug, Clone)]
pub struct CdcSettings {
    /// Name of the slot.
    pub slot: String,
    /// Name of the publication.
    pub publication: String,
    /// Creates both when they are missing.
    pub create_if_missing: bool,
    /// How long the server may be silent.
    pub patience: Duration,
    /// Lets the server forget the log while it is read, not when the state was given back.
    pub confirms_while_reading: bool,
    /// A statement that writes something small.
    pub heartbeat: Option<String>,
    /// What to do when the saved position is lost.
    pub lost_position: LostPosition,
    /// Goes on until the run is stopped.
    pub follows: bool,
    /// Sessions that read a table at the same time.
    pub sessions: usize,
    /// Pages (of 8 KiB) of a table to read at a time.
    pub pages: u64,
    /// A state is emitted at least this often while changes arrive…
    pub checkpoint_interval: Duration,
    /// …and behind this many changes.
    pub checkpoint_rows: u64,
}

/// What to do when the log behind the saved position is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostPosition {
    /// Fail with a config error that says what to do.
    Fail,
    /// Read all tables again.
    Resync,
}

/// Streams of one database whose changes come from its log.
#[derive(Debug)]
pub struct CdcFeed {
    connector: Connector,
    tables: Vec<PgTable>,
    settings: CdcSettings,
}

impl CdcFeed {
    /// A feed of these tables.
    pub fn new(connector: Connector, tables: Vec<PgTable>, settings: CdcSettings) -> Self {
        Self {
            connector,
            tables,
            settings,
        }
    }

    fn table(&self, descriptor: &StreamDescriptor) -> Option<&PgTable> {
        self.tables
            .iter()
            .find(|table| table.table.descriptor() == *descriptor)
    }

    fn wanted(&self, streams: &[ConfiguredAirbyteStream]) -> Vec<Wanted> {
        let wanted = |stream: &ConfiguredAirbyteStream| {
            let table = self.table(&stream.stream.descriptor())?;
            let json_schema = &stream.stream.json_schema;
            let columns = selected_columns(&table.table, json_schema);
            let mut columns: Vec<String> = columns
                .into_iter()
                .map(|column| column.name.clone())
                // A table that another sync filled may have columns of these names; ours count.
                .filter(|name| !is_meta(name))
                .collect();
            // Columns that were dropped since may still have values in the log.
            let configured = json_schema
                .get("properties")
                .and_then(serde_json::Value::as_object);
            let names = configured.into_iter().flat_map(serde_json::Map::keys);
            let dropped = names.filter(|name| !is_meta(name) && table.table.column(name).is_none());
            columns.extend(dropped.cloned());
            Some(Wanted {
                table: table.clone(),
                columns,
            })
        };
        streams.iter().filter_map(wanted).collect()
    }

    /// The saved position if it is still good; `None` to begin anew.
    async fn saved(
        &self,
        session: &mut Session,
        system_id: &str,
        state: &InputState,
    ) -> Result<Option<Lsn>> {
        let Some(shared) = state.shared() else {
            return Ok(None);
        };
        let saved = shared.parse_as::<SharedPosition>().config_error(
            "The saved position of the change log has a shape that this connector does not know. Refresh all streams to \
             start over.",
        )?;
        let Some(reason) = self.lost(session, system_id, &saved).await? else {
            return Ok(saved.lsn());
        };
        match self.settings.lost_position {
            LostPosition::Fail => Err(ConnectorError::config(format!(
                "The saved position {} of the change log can't be used: {reason}. Changes may be lost. Refresh all streams to \
                 read them anew, or set `invalid_cdc_cursor_position_behavior` to `Re-sync data` to have that done by itself.",
                saved.lsn
            ))),
            LostPosition::Resync => {
                tracing::warn!(
                    "All streams are read again: the saved position {} can't be used: {reason}.",
                    saved.lsn
                );
                Ok(None)
            }
        }
    }

    /// Why a saved position is no longer good, if it is not.
    async fn lost(
        &self,
        session: &mut Session,
        system_id: &str,
        saved: &SharedPosition,
    ) -> Result<Option<String>> {
        let name = &self.settings.slot;
        let Some(lsn) = saved.lsn() else {
            return Ok(Some("it is no position".to_owned()));
        };
        if saved.system_id != system_id {
            return Ok(Some(
                "it belongs to another server, perhaps the one before a restore".to_owned(),
            ));
        }
        let Some(slot) = slot::slot(session, name).await? else {
            return Ok(Some(format!(
                "replication slot {name} does not exist any more"
            )));
        };
        if slot.wal_status == "lost" {
            return Ok(Some(format!(
                "the server has removed log that slot {name} needs"
            )));
        }
        if slot.confirmed > lsn {
            return Ok(Some(format!(
                "slot {name} stands at {} already, so that the changes before are gone",
                slot.confirmed
            )));
        }
        Ok(None)
    }

    /// Brings slot and publication to where they are needed, or says all that is missing.
    async fn prepare(
        &self,
        session: &mut Session,
        wanted: &[Wanted],
        states: &States,
        is_anew: bool,
    ) -> Result<()> {
        let CdcSettings {
            slot: name,
            publication,
            create_if_missing,
            ..
        } = &self.settings;
        let is_lost = slot::slot(session, name)
            .await?
            .is_some_and(|slot| slot.wal_status == "lost");
        if *create_if_missing && is_lost && is_anew {
            let sql = format!(
                "SELECT pg_catalog.pg_drop_replication_slot({})",
                quote::literal(name)
            );
            session
                .query(&sql, "dropping the slot whose log is gone")
                .await?;
        }
        let mut problems = slot::problems(session, publication, name, *create_if_missing).await?;
        if *create_if_missing && problems.is_empty() {
            let unread = wanted
                .iter()
                .filter(|one| !is_complete(states, one))
                .map(|one| &one.table);
            slot::create_missing(session, publication, name, &unread.collect::<Vec<_>>()).await?;
        }
        if let Some(published) = slot::published(session, publication).await? {
            problems.extend(unpublished(wanted, states, &published, publication));
        }
        match problems.is_empty() {
            true => self.await_slot(session).await,
            false => Err(ConnectorError::config(problems.join(" "))),
        }
    }

    /// Waits until nobody reads from the slot: the server may take a while to notice that a reader died.
    async fn await_slot(&self, session: &mut Session) -> Result<()> {
        let (name, began) = (&self.settings.slot, Instant::now());
        while slot::slot(session, name)
            .await?
            .is_some_and(|slot| slot.is_active)
        {
            if began.elapsed() >= self.settings.patience.min(SLOT_IN_USE) {
                return Err(ConnectorError::transient(format!(
                    "Replication slot {name} is in use, perhaps by another sync. Each connection needs a slot of its own."
                )));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn snapshot(
        &self,
        wanted: &[Wanted],
        states: &States,
        from: Lsn,
        sink: &GlobalSink,
    ) -> Result<()> {
        let mut suffix = Vec::new();
        write_members(from, micros(sink.context().now_ms()), false, &mut suffix);
        let snapshot = Arc::new(Snapshot {
            connector: self.connector.clone(),
            sink: sink.clone(),
            suffix,
            sessions: self.settings.sessions,
            pages: self.settings.pages,
            idle: Mutex::default(),
        });
        let fresh = TableState::default();
        for one in wanted {
            let state = states.get(&one.table.table.descriptor()).unwrap_or(&fresh);
            if state.state_type == StateType::Complete {
                continue;
            }
            emit_estimate(&one.table.table, sink.context())?;
            snapshot.read(one, state).await?;
        }
        Ok(())
    }
}

/// A slot that is in use is waited for this long: somewhat more than the server's `wal_sender_timeout`.
const SLOT_IN_USE: Duration = Duration::from_secs(70);

type States = HashMap<StreamDescriptor, TableState>;

fn is_complete(states: &States, wanted: &Wanted) -> bool {
    let state = states.get(&wanted.table.table.descriptor());
    state.is_some_and(|state| state.state_type == StateType::Complete)
}

/// The tables that the publication lacks, with the statement that adds them.
fn unpublished(
    wanted: &[Wanted],
    states: &States,
    published: &BTreeSet<(String, String)>,
    publication: &str,
) -> Option<String> {
    let is_missing = |one: &&Wanted| {
        let table = &one.table.table;
        !published.contains(&(table.namespace.clone(), table.name.clone()))
    };
    let missing: Vec<&Wanted> = wanted.iter().filter(is_missing).collect();
    let names: Vec<String> = missing.iter().map(|one| one.table.quoted()).collect();
    let lost = match missing.iter().any(|one| is_complete(states, one)) {
        true => " Tables that were captured before have lost changes since: refresh their streams.",
        false => "",
    };
    (!missing.is_empty()).then(|| {
        format!(
            "Publication {publication} lacks tables: ALTER PUBLICATION {} ADD TABLE {};{lost}",
            quote::identifier(publication),
            names.join(", ")
        )
    })
}

async fn system_id(session: &mut Session) -> Result<String> {
    let rows = session
        .query("IDENTIFY_SYSTEM", "asking which server this is")
        .await?;
    Ok(rows
        .first()
        .and_then(|row| text(row, 0))
        .unwrap_or_default()
        .to_owned())
}

fn states(
    streams: &[ConfiguredAirbyteStream],
    state: &InputState,
) -> HashMap<StreamDescriptor, TableState> {
    let parsed = streams.iter().filter_map(|stream| {
        let name = stream.stream.descriptor();
        // A state of another shape is no progress of a snapshot.
        let state = state.stream(&name)?.parse_as::<TableState>().ok()?;
        Some((name, state))
    });
    parsed.collect()
}

#[async_trait]
impl GlobalFeed for CdcFeed {
    fn streams(&self) -> Vec<StreamDescriptor> {
        self.tables
            .iter()
            .map(|table| table.table.descriptor())
            .collect()
    }

    async fn read(
        &self,
        streams: &[ConfiguredAirbyteStream],
        state: &InputState,
        sink: GlobalSink,
    ) -> Result<()> {
        let settings = &self.settings;
        let wanted = self.wanted(streams);
        let mut session = self.connector.session().await?;
        let mut replication = self.connector.replication_session().await?;
        let system_id = system_id(&mut replication).await?;
        let saved = self.saved(&mut session, &system_id, state).await?;
        let states = saved.map(|_| states(streams, state)).unwrap_or_default();
        self.prepare(&mut session, &wanted, &states, saved.is_none())
            .await?;
        let from = match saved {
            Some(saved) => saved,
            None => {
                // The position comes first: whatever is committed while tables are read lies behind it.
                let from = position::settled(&mut session, settings.patience).await?;
                begin(
                    &sink,
                    &wanted,
                    SharedPosition::new(from, &settings.slot, &system_id),
                )
                .await?;
                from
            }
        };
        self.snapshot(&wanted, &states, from, &sink).await?;
        // So that the next state of the log has their states too.
        sink.flush().await?;
        let target = position::target(&mut session, settings.heartbeat.as_deref()).await?;
        let types = catalog::types(&mut session).await?;
        drop(session);
        let sinks = wanted.iter().filter_map(|one| {
            let name = one.table.table.descriptor();
            Some((name.clone(), sink.stream(&name)?))
        });
        let sinks = sinks.collect();
        let wanted = wanted
            .into_iter()
            .map(|one| (one.table.table.descriptor(), one))
            .collect();
        let mut applier =
            Applier::new(Relations::new(self.connector.clone(), types, wanted), sinks);
        let stream =
            ChangeStream::start(replication, &settings.slot, &settings.publication, from).await?;
        let follow = Follow {
            sink: &sink,
            slot: &settings.slot,
            system_id: &system_id,
            target: (!settings.follows).then_some(target),
            checkpoint_interval: settings.checkpoint_interval,
            checkpoint_rows: settings.checkpoint_rows,
            patience: settings.patience,
            confirms_while_reading: settings.confirms_while_reading,
        };
        follow.run(stream, from, &mut applier).await
    }
}

/// The first state: the position, and that no table was read.
async fn begin(sink: &GlobalSink, wanted: &[Wanted], position: SharedPosition) -> Result<()> {
    const UNWRITABLE: &str = "The state could not be written as JSON.";
    let unread = RawJson::from_serialize(&TableState::default()).system_error(UNWRITABLE)?;
    let streams = wanted
        .iter()
        .map(|one| (one.table.table.descriptor(), unread.clone()));
    let shared = RawJson::from_serialize(&position).system_error(UNWRITABLE)?;
    sink.checkpoint(Some(shared), streams.collect()).await
}
