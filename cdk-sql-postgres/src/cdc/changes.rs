//! Change events as records.

use std::collections::{HashMap, HashSet};

use airbyte_protocol::StreamDescriptor;
use cdk_core::{ConnectorError, RecordSink, Result};

use super::lsn::Lsn;
use super::meta::write_members;
use super::pgoutput::{Message, Old, Tuple, Value};
use super::relations::{Known, Relations};

/// Writes changes to the streams they belong to.
#[derive(Debug)]
pub(super) struct Applier {
    pub(super) relations: Relations,
    sinks: HashMap<StreamDescriptor, RecordSink>,
    /// Streams whose tables were emptied, each warned about once.
    truncated: HashSet<StreamDescriptor>,
    /// Records so far.
    pub(super) records: u64,
}

/// A change's place and time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) lsn: Lsn,
    /// When its transaction was committed, in microseconds since 2000-01-01.
    pub(super) at: i64,
}

/// Values of a row in the server's text; `Missing` where only a look-up can tell.
enum Cell<'a> {
    Null,
    Text(&'a [u8]),
    Missing,
}

impl Applier {
    pub(super) fn new(relations: Relations, sinks: HashMap<StreamDescriptor, RecordSink>) -> Self {
        Self {
            relations,
            sinks,
            truncated: HashSet::new(),
            records: 0,
        }
    }

    /// Writes what `message` means for the streams.
    pub(super) async fn apply(&mut self, moment: Moment, message: Message<'_>) -> Result<()> {
        match message {
            Message::Relation(relation) => self.relations.learn(&relation).await,
            Message::Insert { relation, new } => self.row(relation, moment, None, &new).await,
            Message::Update { relation, old, new } => {
                if let Some(old) = &old {
                    self.key_change(relation, moment, old, &new).await?;
                }
                let full = match &old {
                    Some(Old::Full(old)) => Some(old),
                    _ => None,
                };
                self.row(relation, moment, full, &new).await
            }
            Message::Delete { relation, old } => self.gone(relation, moment, old.tuple()).await,
            Message::Truncate { relations } => {
                relations
                    .iter()
                    .for_each(|relation| self.warn_of_truncate(*relation, moment));
                Ok(())
            }
            Message::Begin { .. } | Message::Commit { .. } | Message::Other(_) => Ok(()),
        }
    }

    /// The row as it is now. What was large and unchanged is taken from the old row if that is there, else looked up.
    async fn row(
        &mut self,
        relation: u32,
        moment: Moment,
        old: Option<&Tuple<'_>>,
        new: &Tuple<'_>,
    ) -> Result<()> {
        let Some((known, side)) = self.relations.with_side(relation) else {
            return Ok(());
        };
        let cell = |(column, at): (usize, &Option<usize>)| {
            let Some(at) = *at else {
                return if known.is_nowhere(column) {
                    Cell::Null
                } else {
                    Cell::Missing
                };
            };
            match (new.0.get(at), old.and_then(|old| old.0.get(at))) {
                (Some(Value::Text(text)), _)
                | (Some(Value::Unchanged), Some(Value::Text(text))) => Cell::Text(text),
                (Some(Value::Null), _) | (Some(Value::Unchanged), Some(Value::Null)) => Cell::Null,
                _ => Cell::Missing,
            }
        };
        let cells: Vec<Cell<'_>> = known.at.iter().enumerate().map(cell).collect();
        let is_complete = !cells.iter().any(|cell| matches!(cell, Cell::Missing));
        let found = match is_complete {
            true => None,
            false => {
                let key: Vec<Option<&[u8]>> = known
                    .key
                    .iter()
                    .map(|(_, _, at)| text_of(new, *at))
                    .collect();
                known.look_up(side, &key).await?
            }
        };
        let value = |at: usize, cell: &Cell<'_>| match cell {
            Cell::Text(text) => Some(text.to_vec()),
            Cell::Null => None,
            Cell::Missing => found
                .as_ref()
                .and_then(|row| row.get(at)?.clone())
                .map(String::into_bytes),
        };
        let sink = sink_of(&mut self.sinks, known)?;
        self.records += 1;
        sink.write(|writer| {
            for (at, cell) in cells.iter().enumerate() {
                match cell {
                    Cell::Text(text) => {
                        known
                            .encoder
                            .write_text_field(at, Some(text), writer.text())
                    }
                    cell => known.encoder.write_text_field(
                        at,
                        value(at, cell).as_deref(),
                        writer.text(),
                    ),
                }
                if matches!(cell, Cell::Missing) && found.is_none() {
                    known.encoder.note_missing(at);
                }
            }
            let mut members = Vec::with_capacity(160);
            write_members(moment.lsn, moment.at, false, &mut members);
            known.encoder.end_with_members(&members, writer)
        })
        .await
    }

    /// An update that gave the row another key: for whoever merges by key, the row of the old key is gone.
    async fn key_change(
        &mut self,
        relation: u32,
        moment: Moment,
        old: &Old<'_>,
        new: &Tuple<'_>,
    ) -> Result<()> {
        let Some(known) = self.relations.get(relation) else {
            return Ok(());
        };
        let tuple = old.tuple();
        let is_other = |at: usize| match (tuple.0.get(at), new.0.get(at)) {
            (Some(Value::Text(old)), Some(Value::Text(new))) => old != new,
            _ => false,
        };
        match known.key.iter().any(|(_, _, at)| is_other(*at)) {
            true => self.gone(relation, moment, tuple).await,
            false => Ok(()),
        }
    }

    /// The row that is no more, as far as the log tells: its key, or all of it.
    async fn gone(&mut self, relation: u32, moment: Moment, old: &Tuple<'_>) -> Result<()> {
        let Some(known) = self.relations.get(relation) else {
            return Ok(());
        };
        let sink = sink_of(&mut self.sinks, known)?;
        self.records += 1;
        sink.write(|writer| {
            for (at, place) in known.at.iter().enumerate() {
                let value = place.and_then(|place| text_of(old, place));
                known.encoder.write_text_field(at, value, writer.text());
            }
            let mut members = Vec::with_capacity(160);
            write_members(moment.lsn, moment.at, true, &mut members);
            known.encoder.end_with_members(&members, writer)
        })
        .await
    }

    fn warn_of_truncate(&mut self, relation: u32, moment: Moment) {
        let Some(known) = self.relations.get(relation) else {
            return;
        };
        if self.truncated.insert(known.stream.clone()) {
            tracing::warn!(
                "Stream {}: the table was emptied by TRUNCATE at {}. There are no records for the rows that went; refresh the \
                 stream to have the destination forget them.",
                known.stream,
                moment.lsn
            );
        }
    }
}

fn sink_of<'a>(
    sinks: &'a mut HashMap<StreamDescriptor, RecordSink>,
    known: &Known,
) -> Result<&'a mut RecordSink> {
    sinks.get_mut(&known.stream).ok_or_else(|| {
        ConnectorError::system("A change belongs to a stream that is not read.")
            .with_stream(&known.stream)
    })
}

fn text_of<'a>(tuple: &Tuple<'a>, at: usize) -> Option<&'a [u8]> {
    match tuple.0.get(at)? {
        Value::Text(text) => Some(text),
        Value::Null | Value::Unchanged => None,
    }
}
