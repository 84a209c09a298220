//! The progress of a sync, for people or for machines.

mod bars;
mod json;
mod plain;

use std::time::Duration;

use airbyte_protocol::{AirbyteStreamStatus, StreamDescriptor};
use cdk_core::sync::SyncEvent;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::output::Output;
use bars::Bars;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Bars on a terminal, lines elsewhere; on stderr.
    People,
    /// JSON lines on stdout.
    Machines,
    /// Not at all.
    Quiet,
}

/// What is known of a stream.
#[derive(Debug)]
struct Row {
    stream: StreamDescriptor,
    records: u64,
    bytes: u64,
    estimate: Option<u64>,
    status: Option<AirbyteStreamStatus>,
    since: Instant,
    /// When it ended; its rate stands still from then on.
    ended: Option<Instant>,
    /// True when something moved since it was shown last.
    has_moved: bool,
}

impl Row {
    fn new(stream: StreamDescriptor) -> Self {
        Self {
            stream,
            records: 0,
            bytes: 0,
            estimate: None,
            status: None,
            since: Instant::now(),
            ended: None,
            has_moved: false,
        }
    }

    fn time(&self) -> Duration {
        self.ended
            .unwrap_or_else(Instant::now)
            .duration_since(self.since)
    }

    /// From 0 to 100, when the source made a guess that still holds.
    fn percent(&self) -> Option<u64> {
        let estimate = self
            .estimate
            .filter(|estimate| *estimate >= self.records.max(1))?;
        Some(self.records.saturating_mul(100) / estimate)
    }

    fn apply(&mut self, event: &SyncEvent) {
        match event {
            SyncEvent::Progress { records, bytes, .. } => {
                (self.records, self.bytes) = (*records, *bytes);
                self.has_moved = true;
            }
            SyncEvent::Estimate { rows, .. } => {
                self.estimate = rows.and_then(|rows| u64::try_from(rows).ok());
            }
            SyncEvent::StreamStatus { status, .. } => {
                self.status = Some(*status);
                match status {
                    AirbyteStreamStatus::Started => self.since = Instant::now(),
                    AirbyteStreamStatus::Running => {}
                    _ => self.ended = Some(Instant::now()),
                }
            }
            _ => {}
        }
    }
}

/// Shows events until the sync is over and its sender gone.
pub(crate) async fn show(mut events: UnboundedReceiver<SyncEvent>, style: Style, output: Output) {
    let mut view = View::new(style, &output);
    let mut rows: Vec<Row> = Vec::new();
    let mut ticks = interval(view.rhythm());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Some(event) => {
                    let at = note(&mut rows, &event);
                    view.event(&event, at, &mut rows, &output);
                }
                None => break,
            },
            _ = ticks.tick() => view.tick(&mut rows, &output),
        }
    }
    view.finish(&mut rows, &output);
}

/// Takes an event in; returns which stream it is about.
fn note(rows: &mut Vec<Row>, event: &SyncEvent) -> Option<usize> {
    if let SyncEvent::Started { streams, .. } = event {
        for stream in streams {
            if !rows.iter().any(|row| row.stream == *stream) {
                rows.push(Row::new(stream.clone()));
            }
        }
    }
    let (SyncEvent::Progress { stream, .. }
    | SyncEvent::Estimate { stream, .. }
    | SyncEvent::StreamStatus { stream, .. }) = event
    else {
        return None;
    };
    let at = rows
        .iter()
        .position(|row| row.stream == *stream)
        .unwrap_or_else(|| {
            rows.push(Row::new(stream.clone()));
            rows.len() - 1
        });
    rows[at].apply(event);
    Some(at)
}

enum View {
    Bars(Bars),
    Plain,
    Json,
    Quiet,
}

impl View {
    fn new(style: Style, output: &Output) -> Self {
        match style {
            Style::Quiet => Self::Quiet,
            Style::Machines => Self::Json,
            Style::People if output.show_bars() => Self::Bars(Bars::default()),
            Style::People => Self::Plain,
        }
    }

    fn rhythm(&self) -> Duration {
        match self {
            Self::Bars(_) => Duration::from_millis(100),
            Self::Json => Duration::from_millis(500),
            Self::Plain => Duration::from_secs(10),
            Self::Quiet => Duration::from_secs(3600),
        }
    }

    fn event(&mut self, event: &SyncEvent, at: Option<usize>, rows: &mut [Row], output: &Output) {
        match self {
            Self::Bars(bars) => bars.event(event, at, rows, output),
            Self::Plain => plain::event(event, at, rows, output),
            Self::Json => json::event(event, at, rows, output),
            Self::Quiet => {}
        }
    }

    fn tick(&mut self, rows: &mut [Row], output: &Output) {
        match self {
            Self::Bars(bars) => bars.tick(rows, output),
            Self::Plain => plain::tick(rows, output),
            Self::Json => json::tick(rows, output),
            Self::Quiet => {}
        }
    }

    fn finish(self, rows: &mut [Row], output: &Output) {
        match self {
            Self::Bars(bars) => bars.finish(rows, output),
            Self::Json => json::tick(rows, output),
            Self::Plain | Self::Quiet => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(records: u64, estimate: Option<u64>) -> Row {
        Row {
            records,
            estimate,
            ..Row::new(StreamDescriptor::new("users"))
        }
    }

    #[test]
    fn a_percentage_needs_an_estimate_that_holds() {
        for (records, estimate, expected) in [
            (50, Some(200), Some(25)),
            (200, Some(200), Some(100)),
            (0, Some(0), None),
            (201, Some(200), None),
            (1, None, None),
        ] {
            assert_eq!(
                row(records, estimate).percent(),
                expected,
                "{records} {estimate:?}"
            );
        }
    }

    #[test]
    fn streams_that_were_not_announced_are_shown_all_the_same() {
        let mut rows = Vec::new();
        let stream = StreamDescriptor::new("late");
        let event = SyncEvent::Progress {
            stream,
            records: 3,
            bytes: 9,
        };
        assert_eq!(note(&mut rows, &event), Some(0));
        assert_eq!(
            (rows[0].records, rows[0].bytes, rows[0].has_moved),
            (3, 9, true)
        );
    }
}
