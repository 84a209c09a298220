//! What a recording destination was given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use airbyte_protocol::{ConfiguredAirbyteStream, StreamDescriptor};
use cdk_core::{RecordBatch, StreamEnd};

/// Looks at what a recording destination was given, over all its runs. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<BTreeMap<StreamDescriptor, RecordedStream>>>);

/// What a destination was given of one stream.
#[derive(Debug, Clone, Default)]
pub struct RecordedStream {
    /// How the stream was configured, run by run.
    pub opened: Vec<ConfiguredAirbyteStream>,
    /// Every row that was loaded, in order.
    pub loaded: Vec<RecordedRow>,
    /// The rows that a commit made durable, in the order of the commits. Rows that were loaded in a run
    /// that ended before their commit are not among them.
    pub committed: Vec<RecordedRow>,
    /// Number of commits that did their work.
    pub commits: u64,
    /// How the stream ended, for every run that finished it.
    pub ends: Vec<StreamEnd>,
}

/// A record as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRow {
    /// The text of the record's JSON object.
    pub data: String,
    /// When the source read it, in milliseconds since the Unix epoch.
    pub emitted_at: i64,
    /// The text of the record's `meta` object, if it had one.
    pub meta: Option<String>,
}

impl Recorder {
    /// The streams that were opened so far.
    pub fn streams(&self) -> Vec<StreamDescriptor> {
        self.lock().keys().cloned().collect()
    }

    /// What one stream got so far; nothing for a stream that was never opened.
    pub fn stream(&self, descriptor: &StreamDescriptor) -> RecordedStream {
        self.lock().get(descriptor).cloned().unwrap_or_default()
    }

    /// Records that a run opens a stream.
    pub(crate) fn open(&self, stream: &ConfiguredAirbyteStream) -> StreamRecorder {
        let descriptor = stream.descriptor();
        self.lock()
            .entry(descriptor.clone())
            .or_default()
            .opened
            .push(stream.clone());
        StreamRecorder {
            recorder: self.clone(),
            descriptor,
            pending: Vec::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<StreamDescriptor, RecordedStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of one stream in one run.
#[derive(Debug)]
pub(crate) struct StreamRecorder {
    recorder: Recorder,
    descriptor: StreamDescriptor,
    /// Loaded, not committed.
    pending: Vec<RecordedRow>,
}

impl StreamRecorder {
    pub(crate) fn load(&mut self, batch: &RecordBatch) {
        let rows = batch.json().iter().map(|row| RecordedRow {
            data: row.data.to_owned(),
            emitted_at: row.emitted_at,
            meta: row.meta().map(str::to_owned),
        });
        let known = self.pending.len();
        self.pending.extend(rows);
        let new = self.pending[known..].to_vec();
        self.with(|stream| stream.loaded.extend(new));
    }

    pub(crate) fn commit(&mut self) {
        let durable = std::mem::take(&mut self.pending);
        self.with(|stream| {
            stream.committed.extend(durable);
            stream.commits += 1;
        });
    }

    pub(crate) fn finish(&self, end: StreamEnd) {
        self.with(|stream| stream.ends.push(end));
    }

    fn with(&self, change: impl FnOnce(&mut RecordedStream)) {
        change(
            self.recorder
                .lock()
                .entry(self.descriptor.clone())
                .or_default(),
        );
    }
}
