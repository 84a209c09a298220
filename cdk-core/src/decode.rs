//! Protocol lines of another process, from a pipe into events.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use airbyte_protocol::codec::{self, Line, LineSplitter, RecordLine};
use airbyte_protocol::{
    AirbyteLogMessage, AirbyteMessage, AirbyteStateType, LogLevel, MessageType, StreamDescriptor,
};
use tokio::runtime::Handle;

use crate::batch::{JsonRows, RecordBatch, RowExtras};
use crate::error::{ConnectorError, ErrorContext, Result};
use crate::event::EventSender;

/// Longer lines are an error. The protocol's documentation puts the limit at about 20 MB.
const MAX_LINE_BYTES: usize = 256 << 20;
const READ_BYTES: usize = 256 << 10;
const BATCH_BYTES: usize = 1 << 20;
/// Records of a slow process go on after this long, with the next line that comes.
const BATCH_AGE: Duration = Duration::from_secs(1);

/// What a line brings, besides text and logs.
pub(crate) enum Incoming<'a> {
    Record(RecordLine<'a>),
    Message(Box<AirbyteMessage>),
    /// All that was read so far was handed over; the next read may block.
    Pause,
}

/// Calls `each` for every record and message of `reader`, blocking; text and LOG lines go to the log.
///
/// A line that is a broken RECORD or STATE is an error that names its line number: skipping it would
/// lose data in silence. Other broken messages are logged as text, as on the platform.
pub(crate) fn for_each_line(
    reader: &mut dyn Read,
    who: &str,
    mut each: impl FnMut(Incoming<'_>) -> Result<()>,
) -> Result<()> {
    let mut lines = LineSplitter::new(MAX_LINE_BYTES);
    let mut number = 0_u64;
    let mut handle = |line: Option<&[u8]>| {
        let Some(line) = line else {
            return each(Incoming::Pause);
        };
        number += 1;
        match codec::scan(line).map_err(|error| broken(number, who, error))? {
            Line::Blank => Ok(()),
            Line::Record(record) => each(Incoming::Record(record)),
            Line::Message(kind, text) => match serde_json::from_str(text) {
                Ok(AirbyteMessage::Log(log)) => {
                    relog(&log);
                    Ok(())
                }
                Ok(message) => each(Incoming::Message(Box::new(message))),
                Err(error) if kind == MessageType::State => Err(broken(number, who, error)),
                Err(_) => {
                    tracing::info!("{text}");
                    Ok(())
                }
            },
            Line::Text(text) => {
                tracing::info!("{text}");
                Ok(())
            }
        }
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
            handle(Some(
                line.system_error(format!("A line from {who} is too long."))?,
            ))?;
        }
        handle(None)?;
    }
    match lines.finish() {
        Some(last) => handle(Some(
            last.system_error(format!("The last line from {who} is too long."))?,
        )),
        None => Ok(()),
    }
}

fn broken(
    number: u64,
    who: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> ConnectorError {
    ConnectorError::system(format!(
        "Line {number} from {who} is a broken message; nothing after it was read."
    ))
    .caused_by(error)
}

/// Gathers record lines into batches per stream and passes everything on in order.
pub(crate) struct Decoder {
    who: String,
    events: EventSender,
    runtime: Handle,
    streams: Vec<OpenStream>,
    /// Bytes in all open batches; they may be half of the budget.
    open_bytes: usize,
    /// When the first row came that is still open.
    opened: Option<Instant>,
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
            open_bytes: 0,
            opened: None,
            index: HashMap::new(),
            last: 0,
        }
    }

    /// Decodes until the end of `reader`. What came before an error is passed on too.
    pub(crate) fn run(mut self, reader: &mut dyn Read) -> Result<()> {
        let who = std::mem::take(&mut self.who);
        let read = for_each_line(reader, &who, |incoming| match incoming {
            Incoming::Record(record) => self.record(&record),
            Incoming::Message(message) => self.message(message),
            Incoming::Pause => self.flush_old(),
        });
        let flushed = self.flush_all();
        read.and(flushed)
    }

    fn message(&mut self, message: Box<AirbyteMessage>) -> Result<()> {
        match message.as_ref() {
            AirbyteMessage::State(state) => match (state.kind(), &state.stream) {
                (AirbyteStateType::Stream, Some(stream)) => {
                    let descriptor = &stream.stream_descriptor;
                    let at = self
                        .streams
                        .iter()
                        .position(|open| *open.descriptor == *descriptor);
                    at.map_or(Ok(()), |at| self.flush(at))?;
                }
                _ => self.flush_all()?,
            },
            // A status ends its stream: the records before it must be on their way.
            AirbyteMessage::Trace(_) => self.flush_all()?,
            _ => {}
        }
        self.events.message(message)
    }

    fn record(&mut self, record: &RecordLine<'_>) -> Result<()> {
        let at = self.stream_of(record);
        let open = &mut self.streams[at];
        if open.rows.is_empty() {
            open.rows = JsonRows::with_buffer(self.events.budget().buffer(BATCH_BYTES));
        }
        let before = open.rows.held_bytes();
        open.rows.stamp(record.emitted_at.unwrap_or_default());
        open.rows.push_raw(record.data);
        if record.meta.is_some() || record.file_reference.is_some() {
            open.rows.set_extras(RowExtras {
                meta: record.meta.map(str::to_owned),
                file_reference: record.file_reference.map(str::to_owned),
            });
        }
        let bytes = open.rows.held_bytes();
        self.open_bytes += bytes - before;
        if self.open_bytes >= self.events.budget().total_bytes() / 2 {
            return self.flush_all();
        }
        if bytes >= BATCH_BYTES {
            self.flush(at)
        } else {
            Ok(())
        }
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
        let known = same_name
            .into_iter()
            .flatten()
            .find(|at| is_it(&self.streams[**at]))
            .copied();
        self.last = known.unwrap_or_else(|| self.add_stream(record));
        self.last
    }

    fn add_stream(&mut self, record: &RecordLine<'_>) -> usize {
        let mut descriptor = StreamDescriptor::new(record.stream.as_ref());
        descriptor.namespace = record.namespace.as_deref().map(str::to_owned);
        let at = self.streams.len();
        self.index
            .entry(descriptor.name.clone())
            .or_default()
            .push(at);
        let rows = JsonRows::default();
        self.streams.push(OpenStream {
            descriptor: Arc::new(descriptor),
            rows,
        });
        at
    }

    fn flush(&mut self, at: usize) -> Result<()> {
        let open = &mut self.streams[at];
        if open.rows.is_empty() {
            return Ok(());
        }
        self.open_bytes -= open.rows.held_bytes();
        let rows = std::mem::take(&mut open.rows);
        let batch = RecordBatch::new(Arc::clone(&open.descriptor), rows);
        self.runtime.block_on(self.events.records(batch))
    }

    fn flush_old(&mut self) -> Result<()> {
        if self.open_bytes == 0 {
            self.opened = None;
            return Ok(());
        }
        let opened = *self.opened.get_or_insert_with(Instant::now);
        if opened.elapsed() >= BATCH_AGE {
            self.flush_all()
        } else {
            Ok(())
        }
    }

    fn flush_all(&mut self) -> Result<()> {
        self.opened = None;
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
