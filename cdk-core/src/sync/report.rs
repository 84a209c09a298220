//! What a sync did.

use std::fmt;
use std::time::Duration;

use airbyte_protocol::StreamDescriptor;
use serde::{Serialize, Serializer};

use crate::error::ConnectorError;

/// The result of a sync, stream by stream.
#[derive(Debug, Serialize)]
pub struct SyncReport {
    /// The connection's name.
    pub connection: String,
    /// The sync's id, growing by one with each run.
    pub sync_id: i64,
    /// How it ended.
    pub status: SyncStatus,
    /// Attempts made; more than one after transient failures.
    pub attempts: u32,
    /// Start, in milliseconds since the Unix epoch.
    pub started_at_ms: i64,
    /// Wall time.
    #[serde(serialize_with = "seconds", rename = "duration_s")]
    pub duration: Duration,
    /// One entry per selected stream.
    pub streams: Vec<StreamSummary>,
}

/// How a sync ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncStatus {
    /// Every stream is complete.
    Succeeded,
    /// At least one stream is not.
    Failed,
    /// It was asked to stop.
    Cancelled,
}

/// What a sync did for one stream.
#[derive(Debug, Clone, Serialize)]
pub struct StreamSummary {
    /// The stream, under its name at the source.
    pub stream: StreamDescriptor,
    /// Its sync mode.
    pub mode: String,
    /// True when all of it arrived and is visible.
    pub is_complete: bool,
    /// Records read from the source, over all attempts.
    pub records_read: u64,
    /// Bytes of record data read.
    pub bytes_read: u64,
    /// Records durable at the destination, over all attempts.
    pub records_written: u64,
    /// Records the destination rejected.
    pub records_rejected: u64,
    /// Time spent waiting.
    pub waits: Waits,
    /// Why it is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a stream's time went into, as seen by the destination's loader.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Waits {
    /// Waiting for the source to bring records.
    #[serde(serialize_with = "seconds", rename = "source_s")]
    pub source: Duration,
    /// Waiting for the destination to take them.
    #[serde(serialize_with = "seconds", rename = "destination_s")]
    pub destination: Duration,
}

impl Waits {
    /// The slower side: the one to make faster first.
    pub fn bottleneck(&self) -> &'static str {
        if self.source >= self.destination {
            "source"
        } else {
            "destination"
        }
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// A sync that did not succeed: the first thing to mend, and what was done all the same.
#[derive(Debug)]
pub struct SyncError {
    /// Why, and who has to act.
    pub error: ConnectorError,
    /// What was done; `None` when nothing was started.
    pub report: Option<Box<SyncReport>>,
}

impl From<ConnectorError> for SyncError {
    fn from(error: ConnectorError) -> Self {
        Self {
            error,
            report: None,
        }
    }
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for SyncError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.error)
    }
}
