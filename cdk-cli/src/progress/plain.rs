//! Progress as lines on stderr, for log files and CI.

use airbyte_protocol::AirbyteStreamStatus;
use cdk_core::sync::SyncEvent;

use super::Row;
use crate::output::Output;
use crate::units;

pub(super) fn event(event: &SyncEvent, at: Option<usize>, rows: &mut [Row], output: &Output) {
    match event {
        SyncEvent::Started {
            sync_id,
            attempt,
            streams,
        } => {
            let names: Vec<_> = streams.iter().map(ToString::to_string).collect();
            output.tell(&format!(
                "sync {sync_id}, attempt {attempt}: {}",
                names.join(", ")
            ));
        }
        SyncEvent::Retrying {
            error,
            attempt,
            wait,
        } => output.tell(&format!(
            "attempt {attempt} follows in {}: {error}",
            units::duration(*wait)
        )),
        SyncEvent::StreamStatus { status, .. } if is_end(*status) => {
            if let Some(row) = at.and_then(|at| rows.get_mut(at)) {
                row.has_moved = false;
                output.tell(&format!("{}, all read", line(row)));
            }
        }
        _ => {}
    }
}

pub(super) fn tick(rows: &mut [Row], output: &Output) {
    for row in rows.iter_mut().filter(|row| row.has_moved) {
        row.has_moved = false;
        output.tell(&line(row));
    }
}

fn is_end(status: AirbyteStreamStatus) -> bool {
    status == AirbyteStreamStatus::Complete
}

/// `users: 12,000 records (24 %), 3.4 MB, 6,000 records/s`.
pub(super) fn line(row: &Row) -> String {
    let percent = row
        .percent()
        .map(|percent| format!(" ({percent} %)"))
        .unwrap_or_default();
    format!(
        "{}: {} records{percent}, {}, {} records/s",
        row.stream,
        units::count(row.records),
        units::bytes(row.bytes),
        units::count(units::per_second(row.records, row.time()))
    )
}
