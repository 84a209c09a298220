//! Who is judged: anything that can be called with a verb and prints lines.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::call::Call;
use super::observed::Ended;
use super::tape::{Next, Tape};

/// A connector that the suite can call.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Runs a call to its end. What it prints goes to the tape, whose answers must be followed.
    ///
    /// The future is dropped when the run's time is up: nothing of the run may live on.
    async fn run(&self, call: &Call, tape: &SharedTape) -> Ended;

    /// How it is called, for the report.
    fn name(&self) -> String;
}

/// A tape that threads share.
#[derive(Debug, Clone)]
pub struct SharedTape(Arc<Mutex<Tape>>);

impl SharedTape {
    pub(super) fn new(tape: Tape) -> Self {
        Self(Arc::new(Mutex::new(tape)))
    }

    /// Takes what was written to stdout.
    pub fn push(&self, bytes: &[u8]) -> Next {
        self.lock().push(bytes)
    }

    /// Takes one line of stdout.
    pub fn push_line(&self, line: &str) -> Next {
        self.lock().push_line(line)
    }

    /// Takes what was written to stderr.
    pub fn push_stderr(&self, bytes: &[u8]) {
        self.lock().push_stderr(bytes);
    }

    /// All of stdin was taken by the connector.
    pub fn stdin_taken(&self) -> Next {
        self.lock().stdin_taken()
    }

    /// The tape as it is; whoever still writes to it writes into the void.
    pub(super) fn take(&self) -> Tape {
        std::mem::replace(&mut self.lock(), Tape::new(0, None))
    }

    fn lock(&self) -> MutexGuard<'_, Tape> {
        // A writer that panicked ended its run; what it wrote before was printed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
