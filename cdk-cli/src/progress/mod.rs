//! The progress of a sync, for people or for machines.

mod bars;
mod json;
mod plain;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use airbyte_protocol::{AirbyteStreamStatus, StreamDescriptor};
use cdk_core::sync::SyncEvent;

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
    fn new(stream: StreamDescriptor, since: Instant) -> Self {
        Self {
            stream,
            records: 0,
            bytes: 0,
            estimate: None,
            status: None,
            since,
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

    fn apply(&mut self, event: &SyncEvent, at: Instant) {
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
                let is_over = matches!(
                    status,
                    AirbyteStreamStatus::Complete | AirbyteStreamStatus::Incomplete
                );
                // Another attempt begins it again.
                self.ended = is_over.then_some(at);
            }
            _ => {}
        }
    }
}

/// Shows progress on a thread of its own: the sync may keep all others busy.
pub(crate) struct Display {
    messages: Sender<Message>,
    thread: JoinHandle<()>,
}

/// An event and its time, or the end of the sync.
enum Message {
    Event(Instant, SyncEvent),
    End,
}

impl Display {
    /// Starts showing.
    pub(crate) fn start(style: Style, output: Output) -> Self {
        let (messages, received) = mpsc::channel();
        let thread = std::thread::spawn(move || show(&received, style, &output));
        Self { messages, thread }
    }

    /// What is to be called with every event. It does not block.
    pub(crate) fn on_event(&self) -> impl Fn(SyncEvent) + Send + Sync + 'static {
        let messages = self.messages.clone();
        move |event| {
            // A display that has ended shows nothing more, and the sync does not need it.
            let _ = messages.send(Message::Event(Instant::now(), event));
        }
    }

    /// Shows what came so far and ends.
    pub(crate) fn finish(self) {
        let is_gone = self.messages.send(Message::End).is_err();
        if self.thread.join().is_err() || is_gone {
            tracing::error!("The progress display crashed.");
        }
    }
}

fn show(messages: &Receiver<Message>, style: Style, output: &Output) {
    let mut view = View::new(style, output);
    let mut rows: Vec<Row> = Vec::new();
    let mut next_tick = Instant::now() + view.rhythm();
    loop {
        let wait = next_tick.saturating_duration_since(Instant::now());
        match messages.recv_timeout(wait) {
            Ok(Message::Event(at, event)) => {
                let row = note(&mut rows, &event, at);
                view.event(&event, row, &mut rows, output);
            }
            Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if Instant::now() >= next_tick {
            view.tick(&mut rows, output);
            next_tick = Instant::now() + view.rhythm();
        }
    }
    view.finish(&mut rows, output);
}

/// Takes an event in; returns which stream it is about.
fn note(rows: &mut Vec<Row>, event: &SyncEvent, at: Instant) -> Option<usize> {
    if let SyncEvent::Started { streams, .. } = event {
        for stream in streams {
            if !rows.iter().any(|row| row.stream == *stream) {
                rows.push(Row::new(stream.clone(), at));
            }
        }
    }
    let (SyncEvent::Progress { stream, .. }
    | SyncEvent::Estimate { stream, .. }
    | SyncEvent::StreamStatus { stream, .. }) = event
    else {
        return None;
    };
    let row = rows
        .iter()
        .position(|row| row.stream == *stream)
        .unwrap_or_else(|| {
            rows.push(Row::new(stream.clone(), at));
            rows.len() - 1
        });
    rows[row].apply(event, at);
    Some(row)
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
            ..Row::new(StreamDescriptor::new("users"), Instant::now())
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
        assert_eq!(note(&mut rows, &event, Instant::now()), Some(0));
        assert_eq!(
            (rows[0].records, rows[0].bytes, rows[0].has_moved),
            (3, 9, true)
        );
    }
}
