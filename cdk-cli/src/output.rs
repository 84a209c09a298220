//! Everything that leaves the program: results on stdout, everything else on stderr, and the exit code.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use airbyte_protocol::FailureType;
use cdk_core::{ConnectorError, Secrets};
use indicatif::{MultiProgress, ProgressDrawTarget};
use tokio_util::sync::CancellationToken;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: all is done.
    Success,
    /// 1: the user has to change something, or there is a bug.
    Failure,
    /// 75 (EX_TEMPFAIL): the same call may work later, retries are used up.
    Transient,
    /// 130 or 143: stopped by SIGINT or SIGTERM before all was done.
    Signal(u8),
    /// 141, as after SIGPIPE: nobody reads stdout any more, and not all was done.
    NoReader,
    /// What a connector's own entry point decided.
    Connector(u8),
}

impl Exit {
    /// By who has to act.
    pub(crate) fn of(error: &ConnectorError) -> Self {
        match error.failure_type() {
            FailureType::TransientError => Self::Transient,
            FailureType::ConfigError | FailureType::SystemError => Self::Failure,
        }
    }

    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Transient => 75,
            Self::Signal(signal) => 128 + signal,
            Self::NoReader => 141,
            Self::Connector(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The way out, shared by everything that prints. Clones share it.
#[derive(Clone)]
pub(crate) struct Output {
    secrets: Secrets,
    bars: MultiProgress,
    /// Cancelled when nobody reads stdout any more.
    closed: CancellationToken,
    failure: Arc<Mutex<Option<io::Error>>>,
}

impl Output {
    /// Masks `secrets` in everything meant for people.
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
            closed: CancellationToken::new(),
            failure: Arc::default(),
        }
    }

    /// The known secrets.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The progress bars; log lines are printed above them.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Cancelled when nobody reads stdout any more, or it can't be written.
    pub(crate) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    /// Writes a result to stdout and flushes. Once stdout is closed this does nothing.
    pub(crate) fn print(&self, text: &str) {
        if self.closed.is_cancelled() {
            return;
        }
        let written = self.bars.suspend(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes())?;
            if !text.ends_with('\n') {
                stdout.write_all(b"\n")?;
            }
            stdout.flush()
        });
        if let Err(error) = written {
            self.closed.cancel();
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.tell(&format!(
                    "error: the output can't be written to stdout: {error}"
                ));
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        }
    }

    /// Writes lines for people to stderr, secrets masked, above the progress bars.
    pub(crate) fn tell(&self, text: &str) {
        let text = self.secrets.mask(text);
        self.bars.suspend(|| {
            // There is nowhere left to report it.
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }

    /// Tells an error: what, who has to act, where, and the technical cause.
    pub(crate) fn tell_error(&self, error: &ConnectorError) {
        let act = match error.failure_type() {
            FailureType::ConfigError => {
                "config_error: change what the message names, then run again"
            }
            FailureType::TransientError => "transient_error: run the same command again later",
            FailureType::SystemError => {
                "system_error: unexpected; run again with -vv and report it with the log"
            }
        };
        let mut lines = vec![format!("error: {}", error.message())];
        if let Some(stream) = error.stream() {
            lines.push(format!("  stream: {stream}"));
        }
        if let Some(cause) = error.internal_message() {
            lines.push(format!("  cause: {cause}"));
        }
        lines.push(format!("  type: {act}"));
        self.tell(&lines.join("\n"));
    }

    /// The exit code, when what was printed counts too. A result that could not be written is a failure.
    pub(crate) fn settle(&self, exit: Exit) -> Exit {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match (exit, failure.is_some()) {
            (Exit::Success, true) => Exit::Failure,
            (exit, _) => exit,
        }
    }

    /// Shows progress bars from now on if stderr is a terminal; says whether it is.
    pub(crate) fn show_bars(&self) -> bool {
        let is_terminal = io::stderr().is_terminal();
        if is_terminal {
            self.bars.set_draw_target(ProgressDrawTarget::stderr());
        }
        is_terminal
    }
}
