//! Progress as JSON lines on stdout. The shape is stable: fields may be added, none changes or goes.
//!
//! Every line is an object with a `type`:
//!
//! | type | fields |
//! |---|---|
//! | `started` | `sync_id`, `attempt`, `streams` (a list of `{name, namespace?}`) |
//! | `progress` | `stream`, `records`, `bytes` so far; at most two a second for each stream |
//! | `estimate` | `stream`, `records` or null: how many there may be |
//! | `stream_status` | `stream`, `status` (`STARTED`, `RUNNING`, `COMPLETE`, `INCOMPLETE`) |
//! | `state_saved` | `states`: how many |
//! | `config_saved` | `side` (`source` or `destination`) |
//! | `retrying` | `error`, `attempt`, `wait_s` |
//! | `report` | always the last line, see [`crate::summary::report_line`] |

use cdk_core::sync::{SyncEvent, SyncSide};
use serde_json::{Value, json};

use super::Row;
use crate::output::Output;

pub(super) fn event(event: &SyncEvent, at: Option<usize>, rows: &mut [Row], output: &Output) {
    if matches!(event, SyncEvent::Progress { .. }) {
        return;
    }
    // What a stream brought stands before what became of it.
    if let Some(row) = at.and_then(|at| rows.get_mut(at)) {
        progress(row, output);
    }
    if let Some(line) = line(event, output) {
        output.print(&line.to_string());
    }
}

pub(super) fn tick(rows: &mut [Row], output: &Output) {
    rows.iter_mut().for_each(|row| progress(row, output));
}

fn progress(row: &mut Row, output: &Output) {
    if !std::mem::take(&mut row.has_moved) {
        return;
    }
    let line = json!({
        "type": "progress", "stream": row.stream, "records": row.records, "bytes": row.bytes
    });
    output.print(&line.to_string());
}

fn line(event: &SyncEvent, output: &Output) -> Option<Value> {
    Some(match event {
        SyncEvent::Started {
            sync_id,
            attempt,
            streams,
        } => json!({
            "type": "started", "sync_id": sync_id, "attempt": attempt, "streams": streams
        }),
        SyncEvent::Estimate { stream, rows } => {
            json!({"type": "estimate", "stream": stream, "records": rows})
        }
        SyncEvent::StreamStatus { stream, status } => {
            json!({"type": "stream_status", "stream": stream, "status": status})
        }
        SyncEvent::StateSaved { states } => json!({"type": "state_saved", "states": states}),
        SyncEvent::ConfigSaved { side } => {
            let side = match side {
                SyncSide::Source => "source",
                SyncSide::Destination => "destination",
            };
            json!({"type": "config_saved", "side": side})
        }
        SyncEvent::Retrying {
            error,
            attempt,
            wait,
        } => json!({
            "type": "retrying",
            "error": output.secrets().mask(error),
            "attempt": attempt,
            "wait_s": wait.as_secs_f64()
        }),
        // Kinds that the engine may get later are told once they are described above.
        _ => return None,
    })
}
