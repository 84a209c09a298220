//! Protocol lines of another process, from a pipe into events.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use airbyte_protocol::codec::{self, Line, LineSplitter, RecordLine};
use airbyte_protocol::{
    AirbyteLogMessage, AirbyteMessage, AirbyteStateType, LogLevel, StreamDescriptor,
};
use tokio::runtime::Handle;

use crate::batch::{JsonRows, RecordBatch, RowExtras};
use crate::error::{ConnectorError, ErrorContext, Result};
use crate::event::EventSender;

/// Longer lines are an error. The protocol's documentation puts the limit at about 20 MB.
const MAX_LINE_BYTES: usize = 256 << 20;
const READ_BYTES: usize = 256 << 10;
const BATCH_BYTES: usize = 1 << 20;

/// Calls `each` for every line of `reader`, blocking. A line that is no UTF-8 or a broken RECORD or STATE
/// is an error that names its line number: skipping it would lose data in silence.
pub(crate) fn for_each_line(
    reader: &mut dyn Read,
    who: &str,
    mut each: impl FnMut(Line<'_>) -> Result<()>,
) -> Result<()> {
    let mut lines = LineSplitter::new(MAX_LINE_BYTES);
    let mut number = 0_u64;
    let mut handle = |line: &[u8]| {
        number += 1;
        let line = codec::scan(line).map_err(|error| {
            ConnectorError::system(format!(
                "Line {number} from {who} is a broken message; nothing after it was read."
            ))
            .caused_by(error)
        })?;
        each(line)
    };
    loop {
        let read = reader.read(lines.spare(READ_BYTES));
        let read = match read {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read.transient_error(format!("The output of {who} could not be read."))?,
        };
        if read == 0 {
            break;
        }
        lines.advance(read);
        while let Some(line) = lines.next_line() {
            handle(line.system_error(format!("A line from {who} is too long."))?)?;
        }
    }
    match lines.finish() {
        Some(last) => handle(last.system_error(format!("The last line from {who} is too long."))?),
        None => Ok(()),
    }
}

/// Gathers record lines into batches per stream and passes everything on in order.
pub(crate) struct Decoder {
    who: String,
    events: EventSender,
    runtime: Handle,
    streams: Vec<OpenStream>,
    index: HashMap<String, Vec<usize>>,
    /// Most lines belong to the stream of the line before.
    last: usize,
}

struct OpenStream {
    descriptor: Arc<StreamDescriptor>,
    rows: JsonRows,
}

impl Decoder {
    /// `who` names the other process in errors. Must run outside the runtime's worker threads.
    pub(crate) fn new(who: impl Into<String>, events: EventSender, runtime: Handle) -> Self {
        Self {
            who: who.into(),
            events,
            runtime,
            streams: Vec::new(),
            index: HashMap::new(),
            last: 0,
        }
    }

    /// Decodes until the end of `reader`.
    pub(crate) fn run(mut self, reader: &mut dyn Read) -> Result<()> {
        let who = std::mem::take(&mut self.who);
        for_each_line(reader, &who, |line| self.line(line))?;
        self.flush_all()
    }

    fn line(&mut self, line: Line<'_>) -> Result<()> {
        match line {
            Line::Blank => Ok(()),
            Line::Record(record) => self.record(&record),
            Line::Text(text) => {
                tracing::info!("{text}");
                Ok(())
            }
            Line::Message(_, text) => {
                let message: AirbyteMessage = serde_json::from_str(text)
                    .system_error("A message has a shape the protocol does not allow.")?;
                self.message(message)
            }
        }
    }

    fn message(&mut self, message: AirbyteMessage) -> Result<()> {
        match &message {
            AirbyteMessage::Log(log) => {
                relog(log);
                return Ok(());
            }
            AirbyteMessage::State(state) => match (state.kind(), &state.stream) {
                (AirbyteStateType::Stream, Some(stream)) => {
                    let descriptor = &stream.stream_descriptor;
                    let at = self.streams.iter().position(|open| *open.descriptor == *descriptor);
                    at.map_or(Ok(()), |at| self.flush(at))?;
                }
                _ => self.flush_all()?,
            },
            AirbyteMessage::Record(record) => {
                return self.record(&RecordLine {
                    stream: record.stream.as_str().into(),
                    namespace: record.namespace.as_deref().map(Into::into),
                    data: record.data.get(),
                    emitted_at: Some(record.emitted_at),
                    meta: None,
                    file_reference: None,
                });
            }
            // A status ends its stream: the records before it must be on their way.
            AirbyteMessage::Trace(_) => self.flush_all()?,
            _ => {}
        }
        self.events.message(message)
    }

    fn record(&mut self, record: &RecordLine<'_>) -> Result<()> {
        let at = self.stream_of(record);
        let open = &mut self.streams[at];
        open.rows.stamp(record.emitted_at.unwrap_or_default());
        open.rows.push_raw(record.data);
        if record.meta.is_some() || record.file_reference.is_some() {
            open.rows.set_extras(RowExtras {
                meta: record.meta.map(str::to_owned),
                file_reference: record.file_reference.map(str::to_owned),
            });
        }
        if open.rows.bytes() >= BATCH_BYTES { self.flush(at) } else { Ok(()) }
    }

    fn stream_of(&mut self, record: &RecordLine<'_>) -> usize {
        let is_it = |open: &OpenStream| {
            open.descriptor.name == record.stream
                && open.descriptor.namespace.as_deref() == record.namespace.as_deref()
        };
        if self.streams.get(self.last).is_some_and(is_it) {
            return self.last;
        }
        let same_name = self.index.get(record.stream.as_ref());
        let known = same_name.into_iter().flatten().find(|at| is_it(&self.streams[**at])).copied();
        self.last = known.unwrap_or_else(|| self.add_stream(record));
        self.last
    }

    fn add_stream(&mut self, record: &RecordLine<'_>) -> usize {
        let mut descriptor = StreamDescriptor::new(record.stream.as_ref());
        descriptor.namespace = record.namespace.as_deref().map(str::to_owned);
        let at = self.streams.len();
        self.index.entry(descriptor.name.clone()).or_default().push(at);
        let rows = JsonRows::default();
        self.streams.push(OpenStream { descriptor: Arc::new(descriptor), rows });
        at
    }

    fn flush(&mut self, at: usize) -> Result<()> {
        let open = &mut self.streams[at];
        if open.rows.is_empty() {
            return Ok(());
        }
        let fresh = JsonRows::with_capacity(open.rows.bytes());
        let rows = std::mem::replace(&mut open.rows, fresh);
        let batch = RecordBatch::new(Arc::clone(&open.descriptor), rows);
        self.runtime.block_on(self.events.records(batch))
    }

    fn flush_all(&mut self) -> Result<()> {
        (0..self.streams.len()).try_for_each(|at| self.flush(at))
    }
}

/// Another process's LOG becomes an event of this one.
pub(crate) fn relog(log: &AirbyteLogMessage) {
    let text = &log.message;
    match log.level {
        LogLevel::Fatal | LogLevel::Error => tracing::error!("{text}"),
        LogLevel::Warn => tracing::warn!("{text}"),
        LogLevel::Info => tracing::info!("{text}"),
        LogLevel::Debug => tracing::debug!("{text}"),
        LogLevel::Trace => tracing::trace!("{text}"),
    }
}
