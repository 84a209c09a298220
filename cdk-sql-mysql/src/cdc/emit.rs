//! Rows of the log as records.

use airbyte_protocol::StreamDescriptor;
use cdk_core::{ConnectorError, RecordWriter, Result};

use super::applier::unreadable;
use super::meta::{Meta, Origin};
use super::position::Place;
use crate::binlog::charset::Charset;
use crate::binlog::reader::Reader;
use crate::binlog::rows_event::{Change, Image, RowsEvent};
use crate::binlog::table_map::{Stored, TableMap};
use crate::column::Kind;
use crate::row_writer::noted;
use crate::values::push_logged;

/// What is known of a table id of the log.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) map: TableMap,
    pub(super) stream: usize,
    /// By column of the record: its member name, and where and what it is in the log.
    pub(super) columns: Vec<(Vec<u8>, Source)>,
    /// Places of the primary key's columns.
    pub(super) key: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) at: usize,
    pub(super) kind: Kind,
    pub(super) stored: Stored,
    pub(super) charset: Charset,
}

/// Where an event stands, for the cursors of its rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    /// Byte at which the event begins.
    pub(super) start: u64,
    pub(super) size: u64,
    pub(super) timestamp: u32,
}

/// Emits the rows of one event.
pub(super) struct Emitter<'a> {
    pub(super) target: &'a Target,
    pub(super) stream: &'a StreamDescriptor,
    pub(super) meta: &'a Meta,
    pub(super) place: Place<'a>,
    pub(super) spot: Spot,
    /// Added to places in the log to get cursors.
    pub(super) cursor_offset: u64,
}

impl Emitter<'_> {
    /// All rows; returns the number of records.
    pub(super) fn all(&self, event: &RowsEvent<'_>, out: &mut RecordWriter<'_>) -> Result<u64> {
        let mut rows = event.rows();
        let total = rows.rest().len();
        let (mut before, mut after) = (Image::new(), Image::new());
        let mut records = 0;
        let cut = |rows: &mut Reader<'_>| total - rows.rest().len();
        while !rows.is_empty() {
            let at = cut(&mut rows);
            event
                .image(&mut rows, &self.target.map, false, &mut before)
                .map_err(unreadable)?;
            match event.change {
                Change::Insert => self.emit(&before, at, false, out)?,
                Change::Delete => self.emit(&before, at, true, out)?,
                Change::Update => {
                    let at_after = cut(&mut rows);
                    event
                        .image(&mut rows, &self.target.map, true, &mut after)
                        .map_err(unreadable)?;
                    if self.moves_key(&before, &after) {
                        self.emit(&before, at, true, out)?;
                        records += 1;
                    }
                    self.emit(&after, at_after, false, out)?;
                }
            }
            records += 1;
        }
        Ok(records)
    }

    /// Whether an update gives the row another key: the old one is gone then.
    fn moves_key(&self, before: &Image<'_>, after: &Image<'_>) -> bool {
        self.target
            .key
            .iter()
            .any(|at| match (before.get(*at), after.get(*at)) {
                (Some(Some(before)), Some(Some(after))) => before != after,
                _ => false,
            })
    }

    fn emit(
        &self,
        image: &Image<'_>,
        at: usize,
        is_deleted: bool,
        out: &mut RecordWriter<'_>,
    ) -> Result<()> {
        let mut losses = Vec::new();
        let text = out.text();
        for (member, source) in &self.target.columns {
            let value = match image.get(source.at).copied().flatten() {
                Some(value) => value,
                // A delete needs no more than the key.
                None if is_deleted => None,
                None => return Err(incomplete(self.stream)),
            };
            text.extend_from_slice(member);
            match value {
                None => text.extend_from_slice(b"null"),
                Some(value) => {
                    let pushed =
                        push_logged(&source.kind, source.stored, &source.charset, value, text);
                    losses.extend(pushed.err().map(|loss| noted(&source.name, loss)));
                }
            }
        }
        if self.target.columns.is_empty() {
            return Ok(());
        }
        // Inside the event, so that rows of one event differ, too, and none reaches into the next event.
        let inside = (at as u64 + 1).min(self.spot.size.saturating_sub(1));
        let origin = Origin {
            place: self.place,
            cursor: self.cursor_offset + self.place.cursor() + inside,
            changed_at: u64::from(self.spot.timestamp),
            is_deleted,
        };
        self.meta.push(&origin, text);
        text.push(b'}');
        match losses.is_empty() {
            true => out.end(),
            false => out.end_with(losses),
        }
    }
}

fn incomplete(stream: &StreamDescriptor) -> ConnectorError {
    ConnectorError::config(
        "The log holds only a part of the columns of changed rows. Set `binlog_row_image` to FULL, for all sessions, and \
         refresh the stream.",
    )
    .with_stream(stream)
}
