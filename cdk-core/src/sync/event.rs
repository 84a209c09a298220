//! What a running sync tells its host.

use std::time::Duration;

use airbyte_protocol::{AirbyteStreamStatus, StreamDescriptor};

/// Progress of a sync. Streams are named as at the source.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SyncEvent {
    /// The streams are chosen; reading begins.
    Started {
        /// The sync's id, growing by one with each run of a connection.
        sync_id: i64,
        /// 1 for the first attempt.
        attempt: u32,
        /// The streams of this attempt.
        streams: Vec<StreamDescriptor>,
    },
    /// A batch went on to the destination.
    Progress {
        /// The batch's stream.
        stream: StreamDescriptor,
        /// Records so far, over all attempts.
        records: u64,
        /// Bytes of record data so far.
        bytes: u64,
    },
    /// The source guesses how much there is.
    Estimate {
        /// The stream.
        stream: StreamDescriptor,
        /// Its rows.
        rows: Option<i64>,
    },
    /// The source says how a stream goes.
    StreamStatus {
        /// The stream.
        stream: StreamDescriptor,
        /// Its status.
        status: AirbyteStreamStatus,
    },
    /// State was saved: a crash from now on resumes from here.
    StateSaved {
        /// Messages saved together.
        states: usize,
    },
    /// A connector changed its config, and the change was saved.
    ConfigSaved {
        /// Which one.
        side: SyncSide,
    },
    /// A transient failure; the sync goes on from the last state.
    Retrying {
        /// The failure, for people.
        error: String,
        /// The attempt that comes next.
        attempt: u32,
        /// After this long.
        wait: Duration,
    },
}

/// One of the two connectors of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncSide {
    /// The source.
    Source,
    /// The destination.
    Destination,
}
