//! One run of a connector executable.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use airbyte_protocol::{AirbyteErrorTraceMessage, AirbyteMessage};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use tempfile::TempDir;
use tokio::time::Instant;
use tracing::Dispatch;

use crate::context::Context;
use crate::decode::{Incoming, for_each_line};
use crate::error::{ConnectorError, ErrorContext, Result};

/// After SIGTERM a child has this long, as on the Airbyte platform.
const TERM_GRACE: Duration = Duration::from_secs(10);
/// A child that closed its stdout has this long to exit, as a destination has on the platform.
const LINGER: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);
/// Stands for the directory with the run's files in arguments, for containers that must mount it.
const DIR: &str = "{dir}";

/// How to start a connector; the verb and its options follow the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessCommand {
    program: String,
    args: Vec<String>,
}

impl ProcessCommand {
    /// A program with the arguments that come before the verb. `{dir}` in an argument becomes the
    /// directory of the run's files.
    pub fn new<A: Into<String>>(
        program: impl Into<String>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
        }
    }

    /// A connector image, run by Docker.
    pub fn docker(image: impl Into<String>) -> Self {
        let mount = format!("{DIR}:{DIR}");
        let image = image.into();
        Self::new(
            "docker",
            ["run", "--rm", "-i", "-v", &mount, &image].map(str::to_owned),
        )
    }

    /// The program's name, for messages.
    pub fn name(&self) -> &str {
        &self.program
    }

    /// The arguments that come before the verb.
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// Starts `verb` with its files. A blocking call, but a short one.
    pub(super) fn start(&self, verb: &str, files: &RunFiles, stdin: Stdio) -> Result<Running> {
        let dir = files.dir.path();
        let args = self
            .args
            .iter()
            .map(|arg| arg.replace(DIR, &dir.to_string_lossy()));
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .arg(verb)
            .args(&files.options)
            .stdin(stdin);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // A connector may be a shell script: what it starts must end with it.
        command.process_group(0);
        let child = command.spawn().config_error(format!(
            "The connector `{}` can't be started. Check that the path is right and executable.",
            self.program
        ))?;
        Ok(Running {
            name: self.program.clone(),
            child: Arc::new(Mutex::new(child)),
            is_over: AtomicBool::new(false),
        })
    }
}

/// The files of one run, in a directory that only this user can read, removed afterwards.
#[derive(Debug)]
pub(super) struct RunFiles {
    dir: TempDir,
    options: Vec<String>,
}

impl RunFiles {
    pub(super) fn new() -> Result<Self> {
        let dir = tempfile::tempdir()
            .transient_error("No temporary directory for the connector's files can be made.")?;
        Ok(Self {
            dir,
            options: Vec::new(),
        })
    }

    /// Writes `value` as JSON and adds `--<option> FILE`.
    pub(super) fn with<T: Serialize + ?Sized>(mut self, option: &str, value: &T) -> Result<Self> {
        let path = self.dir.path().join(format!("{option}.json"));
        write_private(&path, value)
            .transient_error(format!("The connector's {option} file can't be written."))?;
        self.options.push(format!("--{option}"));
        self.options.push(path.to_string_lossy().into_owned());
        Ok(self)
    }
}

fn write_private<T: Serialize + ?Sized>(path: &Path, value: &T) -> std::io::Result<()> {
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let mut file = std::io::BufWriter::new(file);
    serde_json::to_writer(&mut file, value)?;
    std::io::Write::flush(&mut file)
}

/// A started connector. Dropping it before its end kills it.
#[derive(Debug)]
pub(super) struct Running {
    name: String,
    child: Arc<Mutex<Child>>,
    /// Set once it was waited for: from then on its number may be another's.
    is_over: AtomicBool,
}

impl Running {
    /// The child's stdin, once.
    pub(super) fn stdin(&self) -> Option<ChildStdin> {
        self.lock().stdin.take()
    }

    /// Hands stdout to `each` on a blocking thread and waits for the end of the process.
    ///
    /// When the run is stopped the child gets SIGTERM; what it still prints is read.
    pub(super) async fn finish<T, F>(self, context: &Context, read: F) -> Result<(T, ExitStatus)>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Read) -> Result<T> + Send + 'static,
    {
        let (stdout, stderr) = {
            let mut child = self.lock();
            (child.stdout.take(), child.stderr.take())
        };
        let log = tracing::dispatcher::get_default(Clone::clone);
        if let Some(stderr) = stderr {
            let log = log.clone();
            // Ends with the child's stderr.
            tokio::task::spawn_blocking(move || log_stderr(stderr, &log));
        }
        let reading = tokio::task::spawn_blocking(move || {
            tracing::dispatcher::with_default(&log, || read_stdout(stdout, read))
        });
        tokio::pin!(reading);
        let read = tokio::select! {
            read = &mut reading => read,
            () = self.terminate(context) => reading.await,
        };
        let value = read.system_error(format!("The thread that reads {} crashed.", self.name))?;
        if value.is_err() {
            self.signal(Signal::KILL);
        }
        let status = self.wait().await?;
        Ok((value?, status))
    }

    /// Waits for the stop signal, then ends the child; returns when it had to be killed.
    async fn terminate(&self, context: &Context) {
        context.stop().cancelled().await;
        self.signal(Signal::TERM);
        tokio::time::sleep(TERM_GRACE).await;
        tracing::warn!(
            "{} did not end {} s after SIGTERM.",
            self.name,
            TERM_GRACE.as_secs()
        );
        self.signal(Signal::KILL);
    }

    /// Waits for the end of a child whose stdout is closed. One that lingers is ended.
    async fn wait(&self) -> Result<ExitStatus> {
        let closed = Instant::now();
        loop {
            let waited = self.try_wait();
            match waited.system_error(format!("The end of {} can't be observed.", self.name))? {
                Some(status) => return Ok(status),
                None if closed.elapsed() > LINGER + TERM_GRACE => self.signal(Signal::KILL),
                None if closed.elapsed() > LINGER => self.signal(Signal::TERM),
                None => {}
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn try_wait(&self) -> std::io::Result<Option<ExitStatus>> {
        let mut child = self.lock();
        let waited = child.try_wait();
        let is_over = matches!(waited, Ok(Some(_)));
        self.is_over.store(is_over, Ordering::Release);
        waited
    }

    /// Signals the child and what it started, unless it was waited for already.
    fn signal(&self, signal: Signal) {
        let child = self.lock();
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if let (false, Some(group)) = (self.is_over.load(Ordering::Acquire), group) {
            // All of it may have ended; then there is nothing to signal.
            let _ = kill_process_group(group, signal);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_over.load(Ordering::Acquire) {
            return;
        }
        self.signal(Signal::KILL);
        let child = Arc::clone(&self.child);
        // Without a wait the dead child keeps its number until this process ends.
        std::thread::spawn(move || {
            let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
            child.wait()
        });
    }
}

fn read_stdout<T>(
    stdout: Option<ChildStdout>,
    read: impl FnOnce(&mut dyn Read) -> Result<T>,
) -> Result<T> {
    let mut stdout =
        stdout.ok_or_else(|| ConnectorError::system("The connector's stdout was not captured."))?;
    read(&mut stdout)
}

fn log_stderr(stderr: impl Read, log: &Dispatch) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    tracing::dispatcher::with_default(log, || {
        while lines
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            tracing::warn!("{}", String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    });
}

/// What a verb with a single answer printed.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) messages: Vec<AirbyteMessage>,
    pub(super) error: Option<AirbyteErrorTraceMessage>,
}

impl Answers {
    /// Reads everything; logs are passed on, the first ERROR trace is kept.
    pub(super) fn read(reader: &mut dyn Read, who: &str) -> Result<Self> {
        let mut answers = Self::default();
        for_each_line(reader, who, |incoming| {
            if let Incoming::Message(message) = incoming {
                answers.add(*message);
            }
            Ok(())
        })?;
        Ok(answers)
    }

    fn add(&mut self, message: AirbyteMessage) {
        match message {
            AirbyteMessage::Trace(trace) => self.error = self.error.take().or(trace.error),
            other => self.messages.push(other),
        }
    }

    /// The failure of a run that did not give the answer it was asked for.
    pub(super) fn failure(&self, who: &str, verb: &str, status: ExitStatus) -> ConnectorError {
        match &self.error {
            Some(trace) => ConnectorError::from_trace(trace),
            None => ConnectorError::system(format!(
                "`{who} {verb}` gave no answer ({status}). The log shows what it printed."
            )),
        }
    }
}
