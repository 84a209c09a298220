//! SIGINT and SIGTERM: the first ends the run in order, the second at once, and so does the deadline.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::output::{Exit, Output};

/// Whoever sent a signal sends SIGKILL after ten seconds; what is left to print needs the rest.
const DEADLINE: Duration = Duration::from_secs(9);
const SIGINT: u8 = 2;
const SIGTERM: u8 = 15;

/// How work ended that signals may interrupt.
pub(crate) struct Ended<T> {
    /// What it returned, unless it did not end in time.
    pub(crate) value: Option<T>,
    /// Why it was stopped, if it was.
    pub(crate) stopped: Option<Exit>,
}

/// The two signals. Made early: from then on they don't kill the process by themselves.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens from now on. Needs a runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Runs `work` until it ends. `stop` is cancelled by the first signal, and when stdout is closed; work
    /// that goes on all the same is dropped, which kills its child processes.
    pub(crate) async fn guard<T>(
        mut self,
        stop: &CancellationToken,
        output: &Output,
        work: impl Future<Output = T>,
    ) -> Ended<T> {
        tokio::pin!(work);
        let stopped = tokio::select! {
            value = &mut work => return Ended { value: Some(value), stopped: None },
            exit = self.next() => exit,
            () = output.closed().cancelled() => Exit::NoReader,
        };
        stop.cancel();
        if let Exit::Signal(_) = stopped {
            tracing::info!("Stopping in order. A second signal stops at once.");
        }
        let value = tokio::select! {
            value = &mut work => Some(value),
            _ = self.next() => None,
            () = tokio::time::sleep(DEADLINE) => None,
        };
        Ended {
            value,
            stopped: Some(stopped),
        }
    }

    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Signal(SIGINT),
            _ = self.terminate.recv() => Exit::Signal(SIGTERM),
        }
    }
}
