//! A connector of this process, run through the entry point that ships with it.

use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use cdk_core::SystemClock;
use cdk_core::entrypoint::{self, Connector, Invocation};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::call::{Call, Signal};
use super::observed::Ended;
use super::subject::{SharedTape, Subject};
use super::tape::Next;
use crate::files::Files;

/// How long the tasks of a killed run are waited for.
const SHUTDOWN: Duration = Duration::from_millis(100);

/// A connector of this process.
pub(super) struct InProcess {
    name: String,
    connector: Connector,
}

impl InProcess {
    pub(super) fn new(connector: Connector) -> Self {
        let name = match &connector {
            Connector::Source(_) => "the source",
            Connector::Destination(_) => "the destination",
        };
        Self {
            name: name.to_owned(),
            connector,
        }
    }
}

#[async_trait]
impl Subject for InProcess {
    /// Each run has a thread and a runtime of its own: a connector that blocks its threads can't block the suite.
    async fn run(&self, call: &Call, tape: &SharedTape) -> Ended {
        let run = Run {
            tape: tape.clone(),
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
            over: Latch::default(),
        };
        // Ends the run when this future is dropped.
        let _end = run.clone().on_drop();
        let (sender, ended) = oneshot::channel();
        let (connector, call) = (self.connector.clone(), call.clone());
        let thread = thread::Builder::new().name(format!("suite: {}", call.label));
        let spawned = thread.spawn(move || {
            // Nobody waits any more when the time was up.
            let _ = sender.send(run.to_end(connector, &call));
        });
        if let Err(error) = spawned {
            return Ended::Broken(format!("no thread can be started: {error}"));
        }
        let panicked = |_| Ended::Broken("the connector's thread panicked".to_owned());
        ended.await.unwrap_or_else(panicked)
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

#[derive(Clone)]
struct Run {
    tape: SharedTape,
    stop: CancellationToken,
    kill: CancellationToken,
    over: Latch,
}

impl Run {
    fn to_end(&self, connector: Connector, call: &Call) -> Ended {
        let files = Files::new();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return Ended::Broken(format!("no runtime can be started: {error}")),
        };
        let invocation = Invocation {
            args: call.arguments(&files),
            env: |_| None,
            stdin: Box::new(Stdin {
                bytes: io::Cursor::new(call.stdin.clone()),
                run: self.clone(),
                holds: call.holds_stdin,
            }),
            stdout: Box::new(Stdout(self.clone())),
            clock: Arc::new(SystemClock),
            stop: self.stop.clone(),
        };
        let ended = runtime.block_on(async {
            tokio::select! {
                exit = entrypoint::run(connector, invocation) => Ended::Exit(exit.code().into()),
                () = self.kill.cancelled() => Ended::Killed,
            }
        });
        self.over.open();
        runtime.shutdown_timeout(SHUTDOWN);
        ended
    }

    fn follow(&self, next: Next) {
        match next {
            Next::GoOn => {}
            Next::Interrupt(Signal::Term) => self.stop.cancel(),
            Next::Interrupt(Signal::Kill) | Next::Flooded => self.kill.cancel(),
        }
    }

    fn on_drop(self) -> impl Drop {
        struct End(Run);
        impl Drop for End {
            fn drop(&mut self) {
                self.0.stop.cancel();
                self.0.kill.cancel();
                self.0.over.open();
            }
        }
        End(self)
    }
}

/// Opens once.
#[derive(Clone, Default)]
struct Latch(Arc<(Mutex<bool>, Condvar)>);

impl Latch {
    fn open(&self) {
        let (is_open, changed) = &*self.0;
        *is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    fn wait(&self) {
        let (is_open, changed) = &*self.0;
        let is_open = is_open.lock().unwrap_or_else(PoisonError::into_inner);
        let _open = changed
            .wait_while(is_open, |is_open| !*is_open)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

struct Stdin {
    bytes: io::Cursor<Vec<u8>>,
    run: Run,
    holds: bool,
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            let next = self.run.tape.stdin_taken();
            self.run.follow(next);
            if self.holds {
                self.run.over.wait();
            }
        }
        Ok(read)
    }
}

struct Stdout(Run);

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let next = self.0.tape.push(bytes);
        self.0.follow(next);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
