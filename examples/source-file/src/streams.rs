//! The one stream: the rows of the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use airbyte_protocol::types::{Field, fields_of};
use airbyte_protocol::{AirbyteRecordMessageMetaChange, AirbyteStream, RawJson, SyncMode};
use cdk_core::{
    ConnectorError, ErrorContext, Partitions, RecordSink, Result, Stream, StreamRequest,
};
use serde::{Deserialize, Serialize};

use crate::block::Block;
use crate::config::FileFormat;
use crate::csv::CsvRecords;
use crate::fingerprint::Fingerprint;
use crate::head::{FormatHead, Head};
use crate::jsonl::JsonlRecords;
use crate::position::Position;
use crate::reader::{self, Blocks, Job, ReaderSettings, Records};
use crate::source::FileTask;
use crate::text::{self, Bytes};
use crate::window::Window;

/// The rows of a file.
pub(crate) struct FileStream {
    name: String,
    task: FileTask,
    head: Arc<Head>,
    reader: ReaderSettings,
}

/// The stream's state: a place in one version of a file.
///
/// All is optional, so that the markers other implementations leave behind mean "from the start".
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct FileState {
    file: String,
    format: String,
    reader_options: String,
    fingerprint: Fingerprint,
    position: Option<Position>,
}

impl FileStream {
    pub(crate) fn new(name: &str, task: FileTask, head: Head, reader: ReaderSettings) -> Self {
        Self {
            name: name.to_owned(),
            task,
            head: Arc::new(head),
            reader,
        }
    }

    /// The state that stands for `position` of the file as it is now.
    fn state(&self, position: Position) -> FileState {
        let format = match self.task.format {
            FileFormat::Csv => "csv",
            FileFormat::Jsonl => "jsonl",
        };
        FileState {
            file: self.task.location.display(),
            format: format.to_owned(),
            reader_options: self.task.options_text.to_string(),
            fingerprint: self.head.fingerprint.clone(),
            position: Some(position),
        }
    }

    /// Where to read on: where `saved` says if it stands for this file, else at the start.
    fn resume_at(&self, saved: &FileState) -> Position {
        let Some(position) = saved.position else {
            return self.head.start();
        };
        let reason = if *saved != self.state(position) {
            "the file, its place or its options changed since the state was saved"
        } else if !self.head.fingerprint.is_telling() {
            "the server gives neither an ETag nor a Last-Modified date to tell whether the file \
             changed since the state was saved"
        } else {
            tracing::info!(
                "Stream {} goes on after row {} of {}.",
                self.name,
                position.rows,
                saved.file
            );
            return position;
        };
        tracing::warn!("Stream {} is read from the start: {reason}.", self.name);
        self.head.start()
    }

    /// Starts to parse at `from`.
    async fn open(&self, from: Position, request: &StreamRequest) -> Result<Blocks> {
        let seek_base = self
            .head
            .seek_base
            .filter(|_| from.offset > self.head.start().offset);
        let bytes = self
            .bytes_at(seek_base.map_or(0, |base| base + from.offset))
            .await?;
        let wanted = fields_of(&request.configured().stream.json_schema);
        let (task, head) = (self.task.clone(), Arc::clone(&self.head));
        let job = Job {
            file: task.location.display(),
            rows: from.rows,
            options: Arc::clone(&task.options),
            settings: self.reader,
        };
        Ok(reader::start(job, move || {
            let window = window_at(bytes, seek_base.is_some(), from, &task)?;
            Ok(records(window, from, &head, &wanted, &task))
        }))
    }

    /// The file from byte `from` on.
    async fn bytes_at(&self, from: u64) -> Result<Bytes> {
        if from > 0 && self.head.fingerprint.size == Some(from) {
            // Servers refuse a range that starts at the end.
            return Ok(Box::new(std::io::empty()));
        }
        let expected = &self.head.fingerprint;
        let opened = self.task.location.open(from, Some(expected)).await?;
        if opened.fingerprint.contradicts(expected) {
            return Err(ConnectorError::transient(format!(
                "{} changed while it was read. Run the sync again to read the new version.",
                self.task.location.display()
            )));
        }
        Ok(opened.bytes)
    }

    async fn emit(&self, block: &Block, sink: &mut RecordSink, lost: &mut Lost) -> Result<()> {
        for (record, changes) in block.records() {
            if changes.is_empty() {
                sink.raw_record(record).await?;
                continue;
            }
            lost.count(changes);
            let record = RawJson::parse(record.to_owned())
                .system_error("A row was written as broken JSON.")?;
            sink.record_with_changes(&record, changes.to_vec()).await?;
        }
        block
            .warnings
            .iter()
            .for_each(|warning| tracing::warn!("{warning}"));
        sink.checkpoint(&self.state(block.after)).await
    }
}

/// The records of `window`, which begins at `from`.
fn records(
    window: Window,
    from: Position,
    head: &Head,
    wanted: &[Field],
    task: &FileTask,
) -> Records {
    let max_row_bytes = task.options.max_row_bytes;
    match &head.format {
        FormatHead::Jsonl(_) => {
            Records::Jsonl(JsonlRecords::new(window, from.lines, max_row_bytes))
        }
        FormatHead::Csv(csv) => {
            let options = &task.options.csv;
            let records = CsvRecords::new(window, from.lines, csv, wanted, options, max_row_bytes);
            Records::Csv(Box::new(records))
        }
    }
}

/// The text from `from` on. `bytes` begin there already if the file could be opened there.
fn window_at(bytes: Bytes, is_there: bool, from: Position, task: &FileTask) -> Result<Window> {
    if is_there {
        return Ok(Window::new(bytes, from.offset));
    }
    let mut text = text::decode(bytes, &task.options.text)?.bytes;
    if text::skip(&mut text, from.offset)? {
        return Ok(Window::new(text, from.offset));
    }
    Err(ConnectorError::transient(format!(
        "{} became shorter while it was read. Run the sync again to read the new version.",
        task.location.display()
    )))
}

impl Stream for FileStream {
    type Partition = Position;

    fn definition(&self) -> AirbyteStream {
        let schema = self.head.json_schema();
        let mut stream = AirbyteStream::new(self.name.clone(), schema, vec![SyncMode::FullRefresh]);
        // The protocol wants it set on resumable streams: the cursor is the place in the file.
        stream.source_defined_cursor = Some(true);
        stream.with_resumable(true)
    }

    async fn partitions(&self, request: &StreamRequest) -> Result<Partitions<Position>> {
        let from = match request.state_as::<FileState>()? {
            Some(saved) => self.resume_at(&saved),
            None => self.head.start(),
        };
        Ok(Partitions::one(from))
    }

    async fn read(
        &self,
        from: Position,
        request: &StreamRequest,
        sink: &mut RecordSink,
    ) -> Result<()> {
        let mut blocks = self.open(from, request).await?;
        let mut lost = Lost::default();
        let mut at = from;
        let ended = loop {
            let next = tokio::select! {
                biased;
                () = request.context().stop().cancelled() => {
                    break sink.checkpoint(&self.state(at)).await;
                }
                next = blocks.next() => next,
            };
            match next {
                Ok(Some(block)) => {
                    self.emit(&block, sink, &mut lost).await?;
                    at = block.after;
                    blocks.recycle(block);
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        lost.report(&self.name);
        // Also on error: the rows before it, and their state, are good.
        sink.flush().await?;
        ended
    }
}

/// Values that did not fit their column's type, by column.
#[derive(Default)]
struct Lost(BTreeMap<String, u64>);

impl Lost {
    fn count(&mut self, changes: &[AirbyteRecordMessageMetaChange]) {
        for change in changes {
            *self.0.entry(change.field.clone()).or_default() += 1;
        }
    }

    fn report(&self, stream: &str) {
        for (column, count) in &self.0 {
            tracing::warn!(
                "Stream {stream}, column {column:?}: {count} values do not fit the column's type and \
                 became null (each such record says so in its `meta`). To keep them, set \
                 `reader_options.dtype` to {{\"{column}\": \"string\"}} and refresh the schema."
            );
        }
    }
}
