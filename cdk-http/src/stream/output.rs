//! Where records go: to the sink, or on to a child stream.

use airbyte_protocol::codec;
use cdk_core::{ConnectorError, Context, RecordSink, Result};
use serde_json::{Map, Value};

use crate::decode::Records;
use crate::json;
use crate::stream::cursor::Seen;
use crate::stream::{HttpStream, Slice};

/// Takes the records of pages, in order.
pub(super) trait Output: Send {
    /// Takes records.
    fn records(&mut self, records: &Records) -> impl Future<Output = Result<()>> + Send;

    /// The page is over; `next` stands for the one that follows.
    fn page_end(&mut self, next: Option<&Value>) -> impl Future<Output = Result<()>> + Send;
}

/// Writes records into the sink, with what the stream changes about them, and checkpoints.
pub(super) struct SinkOutput<'a> {
    stream: &'a HttpStream,
    slice: &'a Slice,
    context: &'a Context,
    sink: &'a mut RecordSink,
    /// The latest time of the records so far.
    latest: Option<Seen>,
    is_plain: bool,
    /// Members put at the start of each record, as JSON text with a comma behind each.
    prefix: String,
}

impl<'a> SinkOutput<'a> {
    pub(super) fn new(
        stream: &'a HttpStream,
        slice: &'a Slice,
        context: &'a Context,
        sink: &'a mut RecordSink,
    ) -> Result<Self> {
        let mut prefix = String::new();
        for (field, name) in &stream.copied {
            let Some(value) = slice.values.get(name) else {
                return Err(ConnectorError::system(format!(
                    "Stream {}: `{name}` is no value of a parent record.",
                    stream.name
                )));
            };
            prefix.push_str(&format!("{}:{value},", Value::from(field.as_str())));
        }
        let changes = stream.keep.is_some() || stream.change.is_some();
        let is_plain = !changes && stream.cursor.is_none() && prefix.is_empty();
        Ok(Self {
            stream,
            slice,
            context,
            sink,
            latest: None,
            is_plain,
            prefix,
        })
    }

    /// The latest time of the records, once all have come.
    pub(super) fn into_latest(self) -> Option<Seen> {
        self.latest
    }

    /// Hands on records as they are, as many at a time as fit into a batch.
    async fn pass_on<'r>(&mut self, records: impl Iterator<Item = &'r str> + Send) -> Result<()> {
        let mut records = records.peekable();
        while records.peek().is_some() {
            self.sink
                .write(|writer| {
                    for record in records.by_ref() {
                        let text = codec::single_line(record);
                        writer.text().extend_from_slice(text.as_bytes());
                        writer.end()?;
                        if writer.is_full() {
                            break;
                        }
                    }
                    Ok(())
                })
                .await?;
        }
        Ok(())
    }

    async fn record(&mut self, record: &str) -> Result<()> {
        if !self.stream.keeps(record, self.slice) {
            return Ok(());
        }
        self.note_time(record);
        let Some(change) = &self.stream.change else {
            if self.prefix.is_empty() {
                return self.sink.raw_record(record).await;
            }
            return self.sink.raw_record(&self.prefixed(record)).await;
        };
        let mut members: Map<String, Value> = serde_json::from_str(&self.prefixed(record))
            .map_err(|error| {
                ConnectorError::system(format!(
                    "A record of stream {} is no valid JSON object.",
                    self.stream.name
                ))
                .caused_by(error)
            })?;
        match change(&mut members, self.slice)? {
            true => self.sink.record(&members).await,
            false => Ok(()),
        }
    }

    fn prefixed(&self, record: &str) -> String {
        let inner = record
            .strip_prefix('{')
            .unwrap_or(record)
            .trim_ascii_start();
        let prefix = match inner.starts_with('}') {
            true => self.prefix.trim_end_matches(','),
            false => &self.prefix,
        };
        format!("{{{prefix}{inner}")
    }

    fn note_time(&mut self, record: &str) {
        let cursor = self.stream.cursor.as_ref();
        if let Some(seen) = cursor.and_then(|cursor| cursor.of_record(record)) {
            self.latest = Some(seen.max(self.latest.take()));
        }
    }
}

impl HttpStream {
    /// Whether a record belongs to the stream, and lies in the span of its slice if the stream filters.
    pub(super) fn keeps(&self, record: &str, slice: &Slice) -> bool {
        if self.keep.as_ref().is_some_and(|keep| !keep(record)) {
            return false;
        }
        let (Some(cursor), Some(window)) = (&self.cursor, &slice.window) else {
            return true;
        };
        let is_outside = |seen: Seen| seen.time < window.start || seen.time > window.end;
        !(cursor.filters && cursor.of_record(record).is_some_and(is_outside))
    }
}

impl Output for SinkOutput<'_> {
    async fn records(&mut self, records: &Records) -> Result<()> {
        let records = records.iter().map_err(|error| {
            ConnectorError::system(format!("Stream {}: {error}.", self.stream.name))
        })?;
        if self.is_plain {
            return self.pass_on(records).await;
        }
        for record in records {
            self.record(record).await?;
        }
        Ok(())
    }

    async fn page_end(&mut self, next: Option<&Value>) -> Result<()> {
        if self.stream.is_resumable() {
            let state = match next {
                Some(next) => serde_json::json!({ "next_page": next }),
                None => serde_json::json!({}),
            };
            return self.sink.checkpoint(&state).await;
        }
        if let (Some(cursor), Some(latest), Some(_)) = (&self.stream.cursor, &self.latest, next)
            && cursor.is_sorted
            && self.stream.parent.is_none()
        {
            return self.sink.checkpoint(&cursor.state_of(&latest.text)).await;
        }
        if self.context.stop().is_cancelled() {
            return Err(ConnectorError::stopped());
        }
        Ok(())
    }
}

/// Keeps the first records of a page.
#[derive(Default)]
pub(super) struct Sample(pub(super) Vec<String>);

impl Sample {
    const MAX: usize = 1000;

    pub(super) fn add(&mut self, records: &Records) {
        if let Ok(records) = records.iter() {
            let room = Self::MAX.saturating_sub(self.0.len());
            self.0.extend(records.take(room).map(str::to_owned));
        }
    }
}

/// The values of a record that child streams ask for; `None` if one is missing.
pub(super) fn values_of(
    record: &str,
    wanted: &[(String, Vec<String>)],
    inherited: &Map<String, Value>,
) -> Option<Map<String, Value>> {
    let mut values = inherited.clone();
    for (name, path) in wanted {
        values.insert(name.clone(), json::value_at(record, path)?);
    }
    Some(values)
}
