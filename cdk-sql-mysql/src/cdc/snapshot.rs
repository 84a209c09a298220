//! The first read of a table: in the order of its key, a piece at a time.

use std::time::Instant;

use cdk_core::{ConnectorError, Context, RecordSink, RecordWriter, Result};
use cdk_sql::{Column, Comparison, Dialect as _, Table};

use super::meta::{Meta, Origin};
use super::state::StreamState;
use crate::dialect::MySql;
use crate::discovery::kind_of;
use crate::error::{Place, explain};
use crate::literal::name;
use crate::row_writer::RowWriter;
use crate::settings::Settings;
use crate::wire::{Connection, Failure, TextRow};

/// How a table is read.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotSettings {
    /// Rows of one query: it keeps old versions of rows alive at the server while it runs.
    pub(crate) piece_rows: u64,
    /// Rows between two points to resume from.
    pub(crate) checkpoint_rows: u64,
    /// When to stop and read changes first.
    pub(crate) deadline: Option<Instant>,
    /// Added to places in the log to get cursors.
    pub(crate) cursor_offset: u64,
}

/// How a read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Complete,
    /// The deadline came first.
    Interrupted,
}

/// One table's read.
pub(crate) struct Snapshot<'a> {
    dialect: MySql,
    connection: Connection,
    table: &'a Table,
    /// The key's columns; none for a table whose key has no order.
    key: Vec<&'a Column>,
    settings: &'a SnapshotSettings,
    writer: RowWriter,
    state: StreamState,
    context: Context,
    place: Place,
}

impl<'a> Snapshot<'a> {
    pub(crate) async fn new(
        server: &Settings,
        table: &'a Table,
        columns: &[&'a Column],
        meta: &Meta,
        settings: &'a SnapshotSettings,
        state: StreamState,
        context: &Context,
    ) -> Result<Self> {
        let connection = server.connect().await?;
        let origin = Origin {
            place: state.from.place(),
            cursor: settings.cursor_offset + state.from.place().cursor(),
            changed_at: u64::try_from(context.now_ms() / 1000).unwrap_or_default(),
            is_deleted: false,
        };
        let mut tail = Vec::new();
        meta.push(&origin, &mut tail);
        let kinds: Vec<_> = columns
            .iter()
            .map(|column| (column.name.as_str(), kind_of(&column.type_name)))
            .collect();
        Ok(Self {
            dialect: MySql::new(server.clone()),
            connection,
            table,
            key: table.key().unwrap_or_default(),
            settings,
            writer: RowWriter::new(&kinds, &tail, Place::Table(table.descriptor())),
            state,
            context: context.clone(),
            place: Place::Table(table.descriptor()),
        })
    }

    /// Reads on from the state's key to the end of the table.
    pub(crate) async fn read(mut self, sink: &mut RecordSink) -> Result<(StreamState, Ended)> {
        while self.piece(sink).await? {
            if self
                .settings
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
            {
                return Ok((self.state, Ended::Interrupted));
            }
        }
        self.state.is_complete = true;
        self.state.key = None;
        sink.checkpoint(&self.state).await?;
        Ok((self.state, Ended::Complete))
    }

    /// Reads one piece; false when it was the last.
    async fn piece(&mut self, sink: &mut RecordSink) -> Result<bool> {
        let sql = self.sql();
        let failed = |failure: Failure| explain(failure, &self.place);
        let mut rows = self.connection.select(&sql).await.map_err(failed)?;
        let mut key = Key::new(self.key.len());
        let mut count = 0;
        loop {
            let until = count + self.settings.checkpoint_rows;
            let mut copy = |out: &mut RecordWriter<'_>| {
                while !out.is_full() && count < until {
                    let Some(mut row) = rows.try_next().map_err(failed)? else {
                        return Ok(false);
                    };
                    self.writer.write(&mut row, out)?;
                    key.set(row).map_err(failed)?;
                    count += 1;
                }
                Ok(true)
            };
            let is_more = sink.write(&mut copy).await?;
            if key.is_some() && count > 0 {
                self.state.key = Some(key.texts());
                sink.checkpoint(&self.state).await?;
            }
            if self.context.stop().is_cancelled() {
                return Err(ConnectorError::stopped());
            }
            if !is_more && !rows.wait().await.map_err(failed)? {
                return Ok(key.is_some() && count >= self.settings.piece_rows);
            }
        }
    }

    fn sql(&self) -> String {
        let from = format!("{}.{}", name(&self.table.namespace), name(&self.table.name));
        let columns = self.writer.expressions();
        if self.key.is_empty() {
            return format!("SELECT {columns} FROM {from}");
        }
        let texts: Vec<_> = self
            .key
            .iter()
            .map(|column| self.dialect.text_of(column))
            .collect();
        let order: Vec<_> = self.key.iter().map(|column| name(&column.name)).collect();
        let condition = self
            .state
            .key
            .as_ref()
            .filter(|key| key.len() == self.key.len());
        let condition =
            condition.map(|key| self.dialect.compares(&self.key, Comparison::After, key));
        format!(
            "SELECT {columns}, {} FROM {from} FORCE INDEX (PRIMARY){} ORDER BY {} LIMIT {}",
            texts.join(", "),
            condition
                .map(|condition| format!(" WHERE {condition}"))
                .unwrap_or_default(),
            order.join(", "),
            self.settings.piece_rows
        )
    }
}

/// The key of the last row.
struct Key(Vec<Vec<u8>>);

impl Key {
    fn new(columns: usize) -> Self {
        Self(vec![Vec::new(); columns])
    }

    fn is_some(&self) -> bool {
        !self.0.is_empty()
    }

    /// Takes the values that follow a row's columns.
    fn set(&mut self, row: TextRow<'_>) -> Result<(), Failure> {
        for (part, value) in self.0.iter_mut().zip(row) {
            part.clear();
            part.extend_from_slice(value?.unwrap_or_default());
        }
        Ok(())
    }

    fn texts(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect()
    }
}
