//! What a stream writes its records into.

use std::sync::Arc;

use airbyte_protocol::{
    AirbyteRecordMessageMeta, AirbyteRecordMessageMetaChange, Change, ChangeReason, RawJson,
    StreamDescriptor, codec,
};
use serde::Serialize;

use crate::batch::{JsonRows, RowExtras};
use crate::error::{ConnectorError, ErrorContext, Result};
use crate::source::lane::{Checkpoint, Lane};

/// Takes the records and checkpoints of one partition, in order.
///
/// Records are serialised into a batch that goes on when it is full, a second old, or flushed. Awaiting
/// blocks while the byte budget is used up: that is how a slow destination slows the source.
#[derive(Debug)]
pub struct RecordSink {
    lane: Arc<Lane>,
}

impl RecordSink {
    pub(crate) fn new(lane: Arc<Lane>) -> Self {
        Self { lane }
    }

    /// The stream this sink belongs to.
    pub fn stream(&self) -> &StreamDescriptor {
        &self.lane.run.descriptor
    }

    /// Emits one record; it must serialise to a JSON object.
    #[inline]
    pub async fn record<T: Serialize + ?Sized>(&mut self, record: &T) -> Result<()> {
        let is_full = self.lane.add(|rows| {
            rows.push(record).map_err(|error| self.unwritable(error))?;
            self.bound(rows)
        })?;
        if is_full {
            self.lane.flush(false).await
        } else {
            Ok(())
        }
    }

    /// Emits one record together with the changes made to it on the way.
    pub async fn record_with_changes<T: Serialize + ?Sized>(
        &mut self,
        record: &T,
        changes: Vec<AirbyteRecordMessageMetaChange>,
    ) -> Result<()> {
        let meta = AirbyteRecordMessageMeta {
            changes,
            ..Default::default()
        };
        let is_full = self.lane.add(|rows| {
            rows.push(record).map_err(|error| self.unwritable(error))?;
            rows.set_meta(&meta)
                .map_err(|error| self.unwritable(error))?;
            self.bound(rows)
        })?;
        if is_full {
            self.lane.flush(false).await
        } else {
            Ok(())
        }
    }

    /// Emits one record together with the file it describes, as the object of the protocol's `file_reference`.
    pub async fn record_with_file<T, F>(&mut self, record: &T, file_reference: &F) -> Result<()>
    where
        T: Serialize + ?Sized,
        F: Serialize + ?Sized,
    {
        let file = serde_json::to_string(file_reference).map_err(|error| self.unwritable(error))?;
        let is_full = self.lane.add(|rows| {
            rows.push(record).map_err(|error| self.unwritable(error))?;
            rows.set_extras(RowExtras {
                meta: None,
                file_reference: Some(file),
            });
            self.bound(rows)
        })?;
        if is_full {
            self.lane.flush(false).await
        } else {
            Ok(())
        }
    }

    /// Emits a record whose JSON text is at hand: the text of one object. It is copied, not parsed;
    /// line breaks between its tokens are dropped, since a message is one line.
    #[inline]
    pub async fn raw_record(&mut self, data: &str) -> Result<()> {
        let is_full = self.lane.add(|rows| {
            rows.push_raw(&codec::single_line(data));
            self.bound(rows)
        })?;
        if is_full {
            self.lane.flush(false).await
        } else {
            Ok(())
        }
    }

    /// Emits records whose JSON text `write` puts together itself, many at a time: the fastest way for sources that
    /// decode another format. `write` should return soon after [`RecordWriter::is_full`]; the batch goes on then.
    pub async fn write<R>(
        &mut self,
        write: impl FnOnce(&mut RecordWriter<'_>) -> Result<R>,
    ) -> Result<R> {
        let mut written = None;
        let is_full = self.lane.add(|rows| {
            let full_bytes = self.lane.run.settings.batch_bytes;
            let mut writer = RecordWriter {
                rows,
                sink: self,
                full_bytes,
            };
            written = Some(write(&mut writer)?);
            Ok(())
        })?;
        if is_full {
            self.lane.flush(false).await?;
        }
        Ok(written.expect("without an error `write` has returned a value"))
    }

    /// Whether whoever takes the records works on Arrow columns; see [`RecordSink::arrow`].
    pub fn prefers_arrow(&self) -> bool {
        self.lane.run.context.prefers_arrow()
    }

    /// Emits the rows of an Arrow batch, behind what was given before. Best of about a megabyte.
    ///
    /// Worth it where [`RecordSink::prefers_arrow`] says so; elsewhere the rows are converted to JSON. The
    /// columns are named after the record's fields; [`crate::arrow`] says which types stand for what. A
    /// system error for a type that it doesn't list.
    #[cfg(feature = "arrow")]
    pub async fn arrow(&mut self, batch: arrow_array::RecordBatch) -> Result<()> {
        let rows = crate::arrow::ArrowRows::try_new(batch, self.lane.run.context.now_ms())
            .map_err(|error| error.with_stream(self.stream()))?;
        self.arrow_rows(rows).await
    }

    /// The same for rows some of which bring changes made to them on the way.
    #[cfg(feature = "arrow")]
    pub async fn arrow_rows(&mut self, rows: crate::arrow::ArrowRows) -> Result<()> {
        if rows.bytes() <= self.lane.run.settings.max_record_bytes {
            return self.lane.send_arrow(rows).await;
        }
        // One of the rows may be too large: the JSON path knows what to do.
        for row in rows.json().iter() {
            let extras = row.extras.cloned();
            let is_full = self.lane.add(|rows| {
                rows.push_raw(row.data);
                if let Some(extras) = extras {
                    rows.set_extras(extras);
                }
                self.bound(rows)
            })?;
            if is_full {
                self.lane.flush(false).await?;
            }
        }
        Ok(())
    }

    /// Marks a point to resume from: `state` covers every record given to this sink so far (and, with
    /// ordered partitions, all earlier partitions).
    ///
    /// Cheap: states are emitted in the rhythm of [`ReadSettings`](crate::ReadSettings), the newest
    /// wins. Errors with [`ConnectorError::stopped`] when the run should end here; return it.
    pub async fn checkpoint<S: Serialize + ?Sized>(&mut self, state: &S) -> Result<()> {
        let state = self.serialized(state)?;
        let checkpoint = self.lane.run.number(|| Ok::<_, ConnectorError>(state))?;
        self.mark(checkpoint).await
    }

    /// The same for a state that partitions share and change at the same time
    /// ([`Partitions::with_self_contained_states`](crate::Partitions::with_self_contained_states)).
    ///
    /// `snapshot` is called while no other partition of the stream makes a checkpoint, so that of two
    /// the one made last is the newest. It must not block for long.
    pub async fn checkpoint_with<S: Serialize>(
        &mut self,
        snapshot: impl FnOnce() -> S + Send,
    ) -> Result<()> {
        let checkpoint = self.lane.run.number(|| self.serialized(&snapshot()))?;
        self.mark(checkpoint).await
    }

    /// The same for a state that is large: `snapshot` is called only when a state is to be emitted now.
    ///
    /// For streams that also have a [final state](crate::Stream::final_state), which covers what is skipped here.
    pub async fn checkpoint_if_due<S: Serialize>(
        &mut self,
        snapshot: impl FnOnce() -> Option<S> + Send,
    ) -> Result<()> {
        let is_stopping = self.lane.run.context.stop().is_cancelled();
        if !is_stopping && !self.lane.run.is_checkpoint_due() {
            return Ok(());
        }
        let mut is_any = false;
        let made = self.lane.run.number(|| match snapshot() {
            Some(state) => {
                is_any = true;
                self.serialized(&state)
            }
            None => Ok(RawJson::empty_object()),
        })?;
        if is_any {
            return self.mark(made).await;
        }
        match is_stopping {
            true => Err(ConnectorError::stopped()),
            false => Ok(()),
        }
    }

    fn serialized<S: Serialize + ?Sized>(&self, state: &S) -> Result<RawJson> {
        RawJson::from_serialize(state).map_err(|error| {
            ConnectorError::system("The state could not be written as JSON.")
                .caused_by(error)
                .with_stream(self.stream())
        })
    }

    async fn mark(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let is_stopping = self.lane.run.context.stop().is_cancelled();
        if self.lane.note_checkpoint(checkpoint) || is_stopping {
            self.lane.flush(is_stopping).await?;
        }
        if is_stopping {
            Err(ConnectorError::stopped())
        } else {
            Ok(())
        }
    }

    /// Sends the open batch on, e.g. before a long wait for new data.
    pub async fn flush(&mut self) -> Result<()> {
        self.lane.flush(false).await
    }

    fn unwritable(&self, error: serde_json::Error) -> ConnectorError {
        ConnectorError::system(format!(
            "A record of stream {} could not be written as JSON.",
            self.stream()
        ))
        .caused_by(error)
        .with_stream(self.stream())
    }

    /// Keeps the last record below the size limit: its largest fields are nulled, and `meta` says so.
    #[inline]
    fn bound(&self, rows: &mut JsonRows) -> Result<()> {
        let limit = self.lane.run.settings.max_record_bytes;
        if rows.last_len() <= limit {
            Ok(())
        } else {
            self.shrink(rows, limit)
        }
    }

    #[cold]
    fn shrink(&self, rows: &mut JsonRows, limit: usize) -> Result<()> {
        let Some((row, extras)) = rows.pop() else {
            return Ok(());
        };
        let (data, changes) = null_largest(&row, limit).map_err(|error| {
            error
                .with_internal(format!("{} bytes, limit {limit}", row.len()))
                .with_stream(self.stream())
        })?;
        tracing::warn!(
            "A record of stream {} has {} bytes, more than the limit of {limit}: {} fields were nulled.",
            self.stream(),
            row.len(),
            changes.len()
        );
        rows.push_raw(&data);
        let meta = extras.meta.as_deref().map(serde_json::from_str);
        let meta: Option<AirbyteRecordMessageMeta> =
            meta.transpose().map_err(|error| self.unwritable(error))?;
        let mut meta = meta.unwrap_or_default();
        meta.changes.extend(changes);
        rows.set_meta(&meta).map_err(|error| self.unwritable(error))
    }
}

/// Takes the text of records as it is written; see [`RecordSink::write`].
#[derive(Debug)]
pub struct RecordWriter<'a> {
    rows: &'a mut JsonRows,
    sink: &'a RecordSink,
    full_bytes: usize,
}

impl RecordWriter<'_> {
    /// Where the record's text goes, behind what is there: one JSON object, UTF-8, on one line. Text that
    /// [`RecordWriter::end`] did not make a record of is dropped.
    #[inline]
    pub fn text(&mut self) -> &mut Vec<u8> {
        self.rows.text_mut()
    }

    /// Makes a record of the text since the last one.
    #[inline]
    pub fn end(&mut self) -> Result<()> {
        self.rows.end_row();
        self.sink.bound(self.rows)
    }

    /// The same for a record that was changed on the way.
    pub fn end_with(&mut self, changes: Vec<AirbyteRecordMessageMetaChange>) -> Result<()> {
        self.rows.end_row();
        let meta = AirbyteRecordMessageMeta {
            changes,
            ..Default::default()
        };
        let set = self.rows.set_meta(&meta);
        set.map_err(|error| self.sink.unwritable(error))?;
        self.sink.bound(self.rows)
    }

    /// True when the batch is large enough to go on.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.rows.held_bytes() >= self.full_bytes
    }
}

impl Drop for RecordWriter<'_> {
    fn drop(&mut self) {
        self.rows.drop_open_text();
    }
}

/// Nulls the largest members of an object until its text fits `limit`.
fn null_largest(
    object: &str,
    limit: usize,
) -> Result<(String, Vec<AirbyteRecordMessageMetaChange>)> {
    const TOO_LARGE: &str = "A record is larger than the record size limit and its fields could not be \
        read to null the largest ones.";
    let members: Vec<_> = codec::fields(object)
        .collect::<Result<_, _>>()
        .system_error(TOO_LARGE)?;
    let mut by_size: Vec<usize> = (0..members.len()).collect();
    by_size.sort_by_key(|at| std::cmp::Reverse(members[*at].1.len()));
    let mut size = object.len();
    let mut nulled = vec![false; members.len()];
    let mut changes = Vec::new();
    for at in by_size {
        if size <= limit {
            break;
        }
        size -= members[at].1.len().saturating_sub("null".len());
        nulled[at] = true;
        changes.push(AirbyteRecordMessageMetaChange::new(
            members[at].0.clone(),
            Change::Nulled,
            ChangeReason::SourceRecordSizeLimitation,
        ));
    }
    let mut data = String::from("{");
    for (at, (key, value)) in members.iter().enumerate() {
        if at > 0 {
            data.push(',');
        }
        data.push_str(&serde_json::to_string(key).system_error(TOO_LARGE)?);
        data.push(':');
        data.push_str(if nulled[at] { "null" } else { value });
    }
    data.push('}');
    Ok((data, changes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_fields_are_nulled_until_the_record_fits() {
        let big = "x".repeat(100);
        let object = format!(r#"{{"id":1,"a":"{big}","b":"{big}y","c":"small"}}"#);
        let (data, changes) = null_largest(&object, 150).unwrap();
        assert_eq!(
            data,
            format!(r#"{{"id":1,"a":"{big}","b":null,"c":"small"}}"#)
        );
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].field, "b");
        assert_eq!(changes[0].reason, ChangeReason::SourceRecordSizeLimitation);
    }
}
