//! Events as protocol lines, for stdout or another process's stdin.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use airbyte_protocol::codec::RecordEnvelope;
use airbyte_protocol::{AirbyteMessage, AirbyteRecordMessage, RawJson, StreamDescriptor};

use crate::batch::{RecordBatch, RowExtras};
use crate::event::{Event, EventReceiver};
use crate::secret::Secrets;

/// Bytes gathered before a write.
const WRITE_BYTES: usize = 64 << 10;

/// Writes events as lines, masks secrets in everything a person reads, and flushes whenever the queue runs dry.
pub(crate) struct Encoder<W> {
    writer: W,
    secrets: Secrets,
    buffer: Vec<u8>,
    envelopes: HashMap<Arc<StreamDescriptor>, RecordEnvelope>,
}

impl<W: Write> Encoder<W> {
    pub(crate) fn new(writer: W, secrets: Secrets) -> Self {
        Self {
            writer,
            secrets,
            buffer: Vec::new(),
            envelopes: HashMap::new(),
        }
    }

    /// Writes until all senders are gone. Runs on a thread of its own: a full pipe blocks it.
    pub(crate) fn run(mut self, events: &mut EventReceiver) -> io::Result<()> {
        loop {
            let event = match events.try_recv() {
                Some(event) => event,
                None => {
                    self.flush()?;
                    match events.blocking_recv() {
                        Some(event) => event,
                        None => return Ok(()),
                    }
                }
            };
            match event {
                Event::Records(batch) => self.batch(&batch)?,
                Event::Message(mut message) => {
                    mask(&self.secrets, &mut message);
                    message.to_line(&mut self.buffer);
                }
                Event::Delivered(delivery) => {
                    self.flush()?;
                    delivery.confirm();
                }
            }
            self.write_full()?;
        }
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let envelope = self
            .envelopes
            .entry(Arc::clone(batch.stream()))
            .or_insert_with(|| RecordEnvelope::new(batch.stream()));
        let mut stamped_at = 0;
        let mut stamp = envelope.stamp(stamped_at);
        for (data, emitted_at, extras) in batch.json().iter_bytes() {
            if emitted_at != stamped_at {
                stamped_at = emitted_at;
                stamp = envelope.stamp(stamped_at);
            }
            match extras {
                None => stamp.write(&mut self.buffer, data),
                Some(RowExtras {
                    meta: Some(meta),
                    file_reference: None,
                }) => stamp.write_with_meta(&mut self.buffer, data, meta),
                Some(extras) => whole_record(batch.stream(), data, emitted_at, extras)?
                    .to_line(&mut self.buffer),
            }
            if self.buffer.len() >= WRITE_BYTES {
                self.writer.write_all(&self.buffer)?;
                self.buffer.clear();
            }
        }
        Ok(())
    }

    fn write_full(&mut self) -> io::Result<()> {
        if self.buffer.len() < WRITE_BYTES {
            return Ok(());
        }
        self.writer.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.write_all(&self.buffer)?;
        self.buffer.clear();
        self.writer.flush()
    }
}

/// The rare record with a file reference, by way of its struct.
fn whole_record(
    stream: &StreamDescriptor,
    data: &[u8],
    emitted_at: i64,
    extras: &RowExtras,
) -> io::Result<AirbyteMessage> {
    let data: RawJson = serde_json::from_slice(data)?;
    let mut record = AirbyteRecordMessage::new(stream.name.clone(), data, emitted_at);
    record.namespace.clone_from(&stream.namespace);
    record.meta = extras
        .meta
        .as_deref()
        .map(serde_json::from_str)
        .transpose()?;
    record.file_reference = extras
        .file_reference
        .as_deref()
        .map(serde_json::from_str)
        .transpose()?;
    Ok(AirbyteMessage::Record(record))
}

fn mask(secrets: &Secrets, message: &mut AirbyteMessage) {
    let hide = |text: &mut String| {
        if let std::borrow::Cow::Owned(masked) = secrets.mask(text) {
            *text = masked;
        }
    };
    match message {
        AirbyteMessage::Log(log) => {
            hide(&mut log.message);
            log.stack_trace.as_mut().map(hide);
        }
        AirbyteMessage::ConnectionStatus(status) => drop(status.message.as_mut().map(hide)),
        AirbyteMessage::Trace(trace) => {
            if let Some(error) = &mut trace.error {
                hide(&mut error.message);
                error.internal_message.as_mut().map(hide);
                error.stack_trace.as_mut().map(hide);
            }
        }
        _ => {}
    }
}
