//! A connector in a process of its own, started anew for every call.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rustix::process::{Pid, kill_process_group};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::call::{Call, Signal};
use super::observed::Ended;
use super::subject::{SharedTape, Subject};
use super::tape::Next;
use crate::files::Files;

/// How often the end of the process and of the run are looked for.
const POLL: Duration = Duration::from_millis(10);
/// How long output is still read when the process is gone, but something it started holds its stdout.
const LINGER: Duration = Duration::from_secs(2);
/// Stands for the directory of the run's files in an argument, for containers that must mount it.
const DIR: &str = "{dir}";

/// A connector's program: an executable, or `docker run …`.
#[derive(Debug, Clone, Default)]
pub struct Program {
    program: OsString,
    args: Vec<String>,
    env: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
}

impl Program {
    /// An executable that is called with a verb and its options.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            ..Self::default()
        }
    }

    /// Puts arguments before the verb. `{dir}` in one stands for the directory of the run's files.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The directory it runs in, instead of this process's.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    fn spawn(&self, call: &Call, files: &Files) -> std::io::Result<Child> {
        let directory = files.path().to_string_lossy();
        let mut command = Command::new(&self.program);
        command.args(self.args.iter().map(|arg| arg.replace(DIR, &directory)));
        command.args(call.arguments(files)).envs(self.env.clone());
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // A connector may be a shell script: what it starts must end with it.
        command.process_group(0);
        command.spawn()
    }
}

#[async_trait]
impl Subject for Program {
    async fn run(&self, call: &Call, tape: &SharedTape) -> Ended {
        let over = CancellationToken::new();
        let _end = over.clone().drop_guard();
        let (sender, ended) = oneshot::channel();
        let (program, call, tape) = (self.clone(), call.clone(), tape.clone());
        thread::spawn(move || {
            let files = Files::new();
            let ended = match program.spawn(&call, &files) {
                Ok(child) => Running { child, tape, over }.watch(call),
                Err(error) => Ended::Broken(format!("{}: {error}", program.name())),
            };
            // Nobody waits any more when the time was up.
            let _ = sender.send(ended);
        });
        let panicked = |_| Ended::Broken("the thread that watches the process panicked".to_owned());
        ended.await.unwrap_or_else(panicked)
    }

    fn name(&self) -> String {
        let mut name = self.program.to_string_lossy().into_owned();
        for arg in &self.args {
            name.push(' ');
            name.push_str(arg);
        }
        name
    }
}

/// What the threads at the pipes say.
enum Event {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// All was written to stdin, which is here again if it is to stay open.
    StdinTaken(Option<ChildStdin>),
}

struct Running {
    child: Child,
    tape: SharedTape,
    over: CancellationToken,
}

impl Running {
    fn watch(mut self, call: Call) -> Ended {
        let events = self.threads(call);
        let mut held = None;
        let mut gone: Option<(Instant, ExitStatus)> = None;
        let planned = loop {
            if self.over.is_cancelled() {
                break Some(Ended::TimedOut);
            }
            let next = match events.recv_timeout(POLL) {
                Ok(Event::Stdout(bytes)) => self.tape.push(&bytes),
                Ok(Event::Stderr(bytes)) => {
                    self.tape.push_stderr(&bytes);
                    Next::GoOn
                }
                Ok(Event::StdinTaken(stdin)) => {
                    held = stdin;
                    self.tape.stdin_taken()
                }
                Err(RecvTimeoutError::Timeout) => Next::GoOn,
                // Both pipes are closed.
                Err(RecvTimeoutError::Disconnected) => match gone {
                    Some(_) => break None,
                    None => {
                        thread::sleep(POLL);
                        Next::GoOn
                    }
                },
            };
            match next {
                Next::GoOn => {}
                Next::Interrupt(Signal::Term) => self.signal(rustix::process::Signal::TERM),
                Next::Interrupt(Signal::Kill) => break Some(Ended::Killed),
                Next::Flooded => break Some(Ended::Flooded),
            }
            match gone {
                None => {
                    gone = self
                        .child
                        .try_wait()
                        .ok()
                        .flatten()
                        .map(|it| (Instant::now(), it))
                }
                Some((since, _)) if since.elapsed() > LINGER => {
                    // Something it started holds its stdout, so its group is still there.
                    self.signal(rustix::process::Signal::KILL);
                    break None;
                }
                Some(_) => {}
            }
        };
        drop(held);
        match (planned, gone) {
            (None, Some((_, status))) => ended(status),
            (planned, gone) => {
                // Once it was waited for, the group's number may be another's.
                if gone.is_none() {
                    self.signal(rustix::process::Signal::KILL);
                    let _ = self.child.wait();
                }
                planned.unwrap_or(Ended::Killed)
            }
        }
    }

    /// Starts a thread per pipe. The channel is small: a flood waits in the pipe.
    fn threads(&mut self, call: Call) -> Receiver<Event> {
        let (sender, events) = sync_channel(4);
        if let Some(stdout) = self.child.stdout.take() {
            let sender = sender.clone();
            thread::spawn(move || pump(stdout, &sender, Event::Stdout));
        }
        if let Some(stderr) = self.child.stderr.take() {
            let sender = sender.clone();
            thread::spawn(move || pump(stderr, &sender, Event::Stderr));
        }
        if let Some(mut stdin) = self.child.stdin.take() {
            thread::spawn(move || {
                // A connector need not read all of it.
                let _ = stdin.write_all(&call.stdin).and_then(|()| stdin.flush());
                let held = call.holds_stdin.then_some(stdin);
                let _ = sender.send(Event::StdinTaken(held));
            });
        }
        events
    }

    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // All of it may have ended by itself.
            let _ = kill_process_group(group, signal);
        }
    }
}

fn pump(mut pipe: impl Read, events: &SyncSender<Event>, event: fn(Vec<u8>) -> Event) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = pipe.read(&mut buffer) {
        if events.send(event(buffer[..read].to_vec())).is_err() {
            return;
        }
    }
}

fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exit(code),
        (None, Some(signal)) => Ended::Signal(signal),
        (None, None) => Ended::Broken("it has neither an exit code nor a signal".to_owned()),
    }
}
