//! What a run prints, line by line, while it prints it.

use std::time::Instant;

use serde_json::Value;

use super::call::{At, Interrupt, Signal};

/// A line of stdout.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// Its text; bytes that are no UTF-8 are replaced.
    pub text: String,
    /// What it says, or why it says nothing.
    pub value: Result<Value, String>,
}

impl Line {
    /// The message's type, as printed.
    pub fn kind(&self) -> &str {
        let value = self.value.as_ref().ok();
        value
            .and_then(|value| value.get("type"))
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// What whoever writes to a tape has to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    GoOn,
    /// Stop the run this way; said once.
    Interrupt(Signal),
    /// Stop the run: it has printed more than is allowed.
    Flooded,
}

/// Keeps what a run prints, up to a limit, and says when the run is to be interrupted.
#[derive(Debug)]
pub struct Tape {
    lines: Vec<Line>,
    open: Vec<u8>,
    bytes: usize,
    limit: usize,
    interrupt: Option<Interrupt>,
    states: usize,
    records: usize,
    is_cut: bool,
    stopped: Option<Instant>,
    stderr: String,
}

/// What is on a tape when its run is over.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) lines: Vec<Line>,
    /// Whether the last line had an end.
    pub(super) is_whole: bool,
    pub(super) stderr: String,
    /// When the run was asked to stop.
    pub(super) stopped: Option<Instant>,
}

/// How much of stderr is kept.
const STDERR_LIMIT: usize = 1 << 20;

impl Tape {
    /// A tape of at most `limit` bytes, for a run with this interruption.
    pub fn new(limit: usize, interrupt: Option<Interrupt>) -> Self {
        Self {
            lines: Vec::new(),
            open: Vec::new(),
            bytes: 0,
            limit,
            interrupt,
            states: 0,
            records: 0,
            is_cut: false,
            stopped: None,
            stderr: String::new(),
        }
    }

    /// Takes what was written to stdout. After a kill, nothing is taken any more: its reader is gone too.
    pub fn push(&mut self, bytes: &[u8]) -> Next {
        if self.is_cut {
            return Next::GoOn;
        }
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > self.limit {
            self.is_cut = true;
            self.open.clear();
            return Next::Flooded;
        }
        let mut next = Next::GoOn;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.open.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.open.pop();
                self.end_line();
                if let Some(signal) = self.due() {
                    next = Next::Interrupt(signal);
                    if self.is_cut {
                        break;
                    }
                }
            }
        }
        next
    }

    /// Takes one line of stdout.
    pub fn push_line(&mut self, line: &str) -> Next {
        self.push(format!("{line}\n").as_bytes())
    }

    /// Takes what was written to stderr.
    pub fn push_stderr(&mut self, bytes: &[u8]) {
        let room = STDERR_LIMIT.saturating_sub(self.stderr.len());
        let taken = &bytes[..bytes.len().min(room)];
        self.stderr.push_str(&String::from_utf8_lossy(taken));
    }

    /// All of stdin was taken by the connector.
    pub fn stdin_taken(&mut self) -> Next {
        match self.interrupt {
            Some(Interrupt {
                signal,
                at: At::StdinTaken,
            }) => {
                self.interrupted_by(signal);
                Next::Interrupt(signal)
            }
            _ => Next::GoOn,
        }
    }

    pub(super) fn finish(mut self) -> Recorded {
        let is_whole = self.open.is_empty();
        if !is_whole {
            self.end_line();
        }
        Recorded {
            lines: self.lines,
            is_whole,
            stderr: self.stderr,
            stopped: self.stopped,
        }
    }

    fn end_line(&mut self) {
        let bytes = std::mem::take(&mut self.open);
        let value = serde_json::from_slice::<Value>(&bytes).map_err(|error| error.to_string());
        let line = Line {
            number: self.lines.len() + 1,
            text: String::from_utf8_lossy(&bytes).into_owned(),
            value,
        };
        match line.kind() {
            "STATE" => self.states += 1,
            "RECORD" => self.records += 1,
            _ => {}
        }
        self.lines.push(line);
    }

    fn due(&mut self) -> Option<Signal> {
        let interrupt = self.interrupt?;
        let is_due = match interrupt.at {
            At::State(count) => self.states >= count,
            At::Record(count) => self.records >= count,
            At::StdinTaken => false,
        };
        if !is_due {
            return None;
        }
        self.interrupted_by(interrupt.signal);
        Some(interrupt.signal)
    }

    fn interrupted_by(&mut self, signal: Signal) {
        self.interrupt = None;
        match signal {
            Signal::Kill => self.is_cut = true,
            Signal::Term => self.stopped = Some(Instant::now()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn killed_at(at: At) -> Tape {
        let signal = Signal::Kill;
        Tape::new(1000, Some(Interrupt { signal, at }))
    }

    #[test]
    fn a_kill_ends_the_tape_at_its_line() {
        let mut tape = killed_at(At::State(1));
        let text = b"{\"type\":\"RECORD\"}\n{\"type\":\"STATE\"}\n{\"type\":\"RECORD\"}\n";
        assert_eq!(tape.push(text), Next::Interrupt(Signal::Kill));
        assert_eq!(tape.push_line("{}"), Next::GoOn);
        assert_eq!(tape.finish().lines.len(), 2);
    }

    #[test]
    fn lines_come_in_pieces_and_may_lack_an_end() {
        let mut tape = Tape::new(1000, None);
        for piece in ["{\"a\"", ":1}\n", "no end"] {
            assert_eq!(tape.push(piece.as_bytes()), Next::GoOn);
        }
        let Recorded {
            lines, is_whole, ..
        } = tape.finish();
        assert!(lines[0].value.is_ok() && lines[1].value.is_err() && !is_whole);
    }

    #[test]
    fn a_flood_is_said_once() {
        let mut tape = Tape::new(10, None);
        assert_eq!(tape.push(&[b'x'; 11]), Next::Flooded);
        assert_eq!(tape.push(b"x"), Next::GoOn);
    }
}
