//! Turns events of the log into records.

use std::collections::HashMap;
use std::io::{BufReader, Read};

use airbyte_protocol::StreamDescriptor;
use cdk_core::{ConnectorError, ErrorContext, RecordSink, Result};

use super::definition::{Definition, LoggedColumn};
use super::emit::{Emitter, Source, Spot, Target};
use super::meta::Meta;
use super::payload::{payload, read_event};
use super::position::{self, Position};
use super::state::{SharedState, StreamState};
use crate::binlog::GtidSet;
use crate::binlog::charset::Charset;
use crate::binlog::ddl::{self, Meaning};
use crate::binlog::event::{self, BadEvent, Event, Frames, Statement};
use crate::binlog::gtid::Gtid;
use crate::binlog::rows_event::RowsEvent;
use crate::binlog::table_map::TableMap;
use crate::column::Kind;
use crate::error::{Place, explain};
use crate::row_writer::key;
use crate::settings::Settings;
use crate::wire::{Failure, Flavor};

/// A stream that the log is read for.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) descriptor: StreamDescriptor,
    pub(crate) database: String,
    pub(crate) table: String,
    /// Names of the columns of its records.
    pub(crate) columns: Vec<String>,
    pub(crate) primary_key: Vec<String>,
    pub(crate) meta: Meta,
    pub(crate) sink: RecordSink,
    pub(crate) state: StreamState,
    /// The state has changed since it was last saved.
    pub(crate) is_dirty: bool,
}

/// Reads events in their order and emits what they did to rows of watched tables.
#[derive(Debug)]
pub(crate) struct Applier {
    settings: Settings,
    flavor: Flavor,
    frames: Frames,
    file: String,
    /// Everything before it was emitted: between two transactions.
    position: Position,
    gtids: Option<GtidSet>,
    gtid: Option<Gtid>,
    is_in_transaction: bool,
    streams: Vec<Watched>,
    by_name: HashMap<(String, String), usize>,
    targets: HashMap<u64, Option<Target>>,
    charsets: HashMap<String, Charset>,
    has_warned_of_xa: bool,
    /// Added to places in the log to get cursors.
    cursor_offset: u64,
    /// Records emitted so far.
    pub(crate) records: u64,
}

impl Applier {
    /// `log` says where the events begin that will be applied.
    pub(crate) fn new(
        settings: Settings,
        flavor: Flavor,
        log: SharedState,
        streams: Vec<Watched>,
    ) -> Self {
        let SharedState {
            log: position,
            cursor_offset,
        } = log;
        let names = streams.iter().enumerate();
        let by_name = names
            .map(|(at, stream)| ((stream.database.clone(), stream.table.clone()), at))
            .collect();
        Self {
            settings,
            flavor,
            frames: Frames::default(),
            file: position.file.clone(),
            gtids: position.gtid_set(flavor),
            position,
            gtid: None,
            is_in_transaction: false,
            streams,
            by_name,
            targets: HashMap::new(),
            charsets: HashMap::new(),
            has_warned_of_xa: false,
            cursor_offset,
            records: 0,
        }
    }

    /// Everything before it was emitted.
    pub(crate) fn log(&self) -> SharedState {
        let log = Position {
            gtids: self.gtids.as_ref().map(ToString::to_string),
            ..self.position.clone()
        };
        SharedState {
            log,
            cursor_offset: self.cursor_offset,
        }
    }

    /// Whether the last event ended a transaction.
    pub(crate) fn is_between_transactions(&self) -> bool {
        !self.is_in_transaction
    }

    /// Whether the log was read up to there.
    pub(crate) fn has_reached(&self, target: &Position) -> bool {
        !self.is_in_transaction && self.position.has_reached(target)
    }

    /// The states of streams that changed since they were last taken.
    pub(crate) fn changed_states(
        &mut self,
    ) -> impl Iterator<Item = (StreamDescriptor, &StreamState)> {
        self.streams.iter_mut().filter_map(|stream| {
            let is_dirty = std::mem::take(&mut stream.is_dirty);
            is_dirty.then(|| (stream.descriptor.clone(), &stream.state))
        })
    }

    /// Takes the next event as the server sent it.
    pub(crate) async fn apply(&mut self, bytes: &[u8]) -> Result<()> {
        let event = self.frames.read(bytes).map_err(unreadable)?;
        let end = u64::from(event.end);
        let size = u64::from(event.size);
        let spot = Spot {
            start: end.saturating_sub(size),
            size,
            timestamp: event.timestamp,
        };
        if event.kind == event::TRANSACTION_PAYLOAD {
            self.unpack(event.body, spot).await?;
            return Ok(());
        }
        self.event(&event, spot, event.end).await
    }

    async fn event(&mut self, event: &Event<'_>, spot: Spot, end: u32) -> Result<()> {
        match event.kind {
            event::ROTATE => self.rotate(event)?,
            event::MARIADB_GTID => {
                self.gtid = Some(Gtid::mariadb(event.body, event.server).map_err(unreadable)?);
                // A group of one statement ends with it; the others end with a commit.
                self.is_in_transaction = true;
            }
            event::GTID => self.gtid = Some(Gtid::mysql(event.body).map_err(unreadable)?),
            event::ANONYMOUS_GTID => self.gtid = None,
            event::QUERY | event::MARIADB_QUERY_COMPRESSED => {
                let statement = event::statement(event).map_err(unreadable)?;
                self.statement(&statement, end).await?;
            }
            event::XID => self.commit(end),
            event::XA_PREPARE => {
                if !std::mem::replace(&mut self.has_warned_of_xa, true) {
                    tracing::warn!(
                        "The log holds XA transactions. Their rows are read when they are prepared; if one is rolled \
                         back after that, they stay."
                    );
                }
                self.commit(end);
            }
            event::TABLE_MAP => self.table(event.body).await?,
            event::PARTIAL_UPDATE => {
                return Err(ConnectorError::config(
                    "The server logs only the changed parts of JSON values. Set `binlog_row_value_options` to '' there, \
                     and refresh the streams.",
                ));
            }
            event::INCIDENT => {
                return Err(ConnectorError::config(
                    "The server notes in its binary log that changes are missing from it. Refresh the streams.",
                ));
            }
            _ => self.rows(event, spot).await?,
        }
        Ok(())
    }

    /// The events inside a compressed transaction of MySQL.
    async fn unpack(&mut self, body: &[u8], spot: Spot) -> Result<()> {
        const BAD: BadEvent = BadEvent("a compressed transaction can't be read");
        let (is_packed, payload) = payload(body).ok_or_else(|| unreadable(BAD))?;
        let mut reader: Box<dyn Read + Send> = match is_packed {
            true => {
                Box::new(zstd::Decoder::with_buffer(payload).system_error("zstd can't be set up.")?)
            }
            false => Box::new(payload),
        };
        let mut reader = BufReader::new(&mut reader);
        let mut bytes = Vec::new();
        while read_event(&mut reader, &mut bytes)
            .map_err(|error| unreadable(BAD).caused_by(error))?
        {
            let event = Frames::without_checksum(&bytes).map_err(unreadable)?;
            let inner = Spot {
                timestamp: event.timestamp,
                ..spot
            };
            let end = u32::try_from(spot.start + spot.size).unwrap_or(u32::MAX);
            Box::pin(self.event(&event, inner, end)).await?;
        }
        Ok(())
    }

    fn rotate(&mut self, event: &Event<'_>) -> Result<()> {
        let (file, position) = event::rotation(event.body).map_err(unreadable)?;
        self.targets.clear();
        // What the server makes up at the start tells where it begins; a real one begins the next file.
        let is_moved = self.file != file;
        self.file = file;
        if is_moved && !self.is_in_transaction {
            self.position.file.clone_from(&self.file);
            self.position.position = position;
        }
        Ok(())
    }

    fn commit(&mut self, end: u32) {
        self.is_in_transaction = false;
        if let (Some(gtids), Some(gtid)) = (&mut self.gtids, self.gtid.take()) {
            gtids.add(gtid);
        }
        self.position.file.clone_from(&self.file);
        self.position.position = u64::from(end);
    }

    async fn statement(&mut self, statement: &Statement, end: u32) -> Result<()> {
        match ddl::meaning(&statement.sql, &statement.database) {
            Meaning::Begin => self.is_in_transaction = true,
            Meaning::Commit => self.commit(end),
            Meaning::Defines(tables) => {
                for table in tables {
                    self.redefine(&table).await?;
                }
                self.commit(end);
            }
            Meaning::Truncates(database, table) => {
                if let Some(stream) = self
                    .by_name
                    .get(&(database, table))
                    .and_then(|at| self.streams.get(*at))
                {
                    tracing::warn!(
                        "Stream {}: the table was truncated. The log does not tell which rows went; refresh the stream \
                         to have them gone at the destination.",
                        stream.descriptor
                    );
                }
                self.commit(end);
            }
            Meaning::ChangesRows => {
                let is_watched = self.streams.iter().find(|stream| {
                    let is_there = stream.database == statement.database
                        || statement.sql.contains(&stream.database);
                    is_there && statement.sql.contains(&stream.table)
                });
                if let Some(stream) = is_watched {
                    return Err(ConnectorError::config(
                        "The log holds a change of this table as a statement instead of as rows. Set `binlog_format` to \
                         ROW, for all sessions, and refresh the stream.",
                    )
                    .with_stream(&stream.descriptor));
                }
            }
            Meaning::Other => {
                if !self.is_in_transaction || self.flavor == Flavor::MariaDb && self.is_standalone()
                {
                    self.commit(end);
                }
            }
        }
        Ok(())
    }

    /// Of MariaDB's groups, those without BEGIN consist of one statement.
    fn is_standalone(&self) -> bool {
        matches!(
            self.gtid,
            Some(Gtid::MariaDb {
                is_standalone: true,
                ..
            })
        )
    }

    /// A statement has changed the definition of this table.
    async fn redefine(&mut self, table: &(String, String)) -> Result<()> {
        if let Some(at) = self.by_name.get(table).copied() {
            self.targets.clear();
            let definition = self.read_definition(&table.0, &table.1).await?;
            // Of a table that is gone by now, the log may still hold rows of old.
            if let Some(stream) = self.streams.get_mut(at)
                && !definition.0.is_empty()
                && stream.state.columns != definition
            {
                tracing::info!("Stream {}: its table was altered.", stream.descriptor);
                stream.state.columns = definition;
                stream.is_dirty = true;
            }
        }
        Ok(())
    }

    async fn read_definition(&self, database: &str, table: &str) -> Result<Definition> {
        let mut connection = self.settings.connect().await?;
        let definition = Definition::read(&mut connection, database, table).await;
        definition.map_err(|failure| explain(failure, &Place::Log))
    }

    async fn table(&mut self, body: &[u8]) -> Result<()> {
        let map = TableMap::parse(body).map_err(unreadable)?;
        let id = map.id;
        let is_known = self
            .targets
            .get(&id)
            .is_some_and(|target| target.as_ref().is_none_or(|target| target.map == map));
        if is_known {
            return Ok(());
        }
        let stream = self
            .by_name
            .get(&(map.database.clone(), map.table.clone()))
            .copied();
        let target = match stream {
            Some(at) => Some(self.target(map, at).await?),
            None => None,
        };
        self.targets.insert(id, target);
        Ok(())
    }

    async fn target(&mut self, map: TableMap, at: usize) -> Result<Target> {
        let logged = self.resolve(&map, at).await?;
        let stream = self.streams.get(at).ok_or_else(lost_stream)?;
        let place = |name: &str| logged.iter().position(|column| column.name == name);
        let key_places = stream
            .primary_key
            .iter()
            .filter_map(|name| place(name))
            .collect();
        let found: Vec<_> = stream
            .columns
            .iter()
            .filter_map(|name| Some((name.clone(), place(name)?)))
            .collect();
        let mut columns = Vec::new();
        for (name, at) in found {
            let (Some(column), Some(stored)) = (logged.get(at), map.columns.get(at)) else {
                continue;
            };
            let charset = self.charset(&column.kind).await?;
            let member = key(&name, columns.is_empty());
            columns.push((
                member,
                Source {
                    name,
                    at,
                    kind: column.kind.clone(),
                    stored: *stored,
                    charset,
                },
            ));
        }
        Ok(Target {
            map,
            stream: at,
            columns,
            key: key_places,
        })
    }

    /// What the columns of a logged table are: as the definition says that goes with this place of the log, or the
    /// current one.
    async fn resolve(&mut self, map: &TableMap, at: usize) -> Result<Vec<LoggedColumn>> {
        let stream = self.streams.get(at).ok_or_else(lost_stream)?;
        if let Some(columns) = stream.state.columns.resolve(map) {
            return Ok(columns);
        }
        let definition = self.read_definition(&map.database, &map.table).await?;
        let stream = self.streams.get_mut(at).ok_or_else(lost_stream)?;
        if let Some(columns) = definition.resolve(map) {
            stream.state.columns = definition;
            stream.is_dirty = true;
            return Ok(columns);
        }
        stream.state.columns.guess(map).ok_or_else(|| {
            ConnectorError::config(
                "The table was altered more than once since the last sync, and the log does not name its columns. \
                 Refresh the stream, and set `binlog_row_metadata` to FULL so that this does not happen again.",
            )
            .with_stream(&stream.descriptor)
        })
    }

    async fn charset(&mut self, kind: &Kind) -> Result<Charset> {
        let Kind::Text { charset: name } = kind else {
            return Ok(Charset::Utf8);
        };
        if let Some(known) = self.charsets.get(name.as_ref()) {
            return Ok(known.clone());
        }
        let charset = match Charset::known(name) {
            Some(charset) => charset,
            None => {
                let mut connection = self.settings.connect().await?;
                let asked = Charset::ask(name, &mut connection).await;
                asked.map_err(|failure: Failure| explain(failure, &Place::Log))?
            }
        };
        self.charsets.insert(name.to_string(), charset.clone());
        Ok(charset)
    }

    async fn rows(&mut self, event: &Event<'_>, spot: Spot) -> Result<()> {
        let Some(rows) = RowsEvent::parse(event).map_err(unreadable)? else {
            return Ok(());
        };
        let Some(Some(target)) = self.targets.get(&rows.table) else {
            return Ok(());
        };
        let stream = self
            .streams
            .get_mut(target.stream)
            .ok_or_else(lost_stream)?;
        let place = position::Place {
            file: &self.file,
            position: spot.start,
        };
        if place.cursor() < stream.state.from.place().cursor() {
            // The table was read after this change.
            return Ok(());
        }
        let emitter = Emitter {
            target,
            stream: &stream.descriptor,
            meta: &stream.meta,
            place,
            spot,
            cursor_offset: self.cursor_offset,
        };
        self.records += stream.sink.write(|out| emitter.all(&rows, out)).await?;
        Ok(())
    }
}

pub(super) fn unreadable(error: BadEvent) -> ConnectorError {
    ConnectorError::system("The binary log can't be read.").caused_by(error)
}

fn lost_stream() -> ConnectorError {
    ConnectorError::system("A stream of the change feed got lost.")
}
