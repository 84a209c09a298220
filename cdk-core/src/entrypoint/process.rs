//! What only a real process has: a runtime, signals, a panic hook.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::entrypoint::{Connector, Exit, Invocation, verbs};

/// A stopped run must be over by then, with whatever it has emitted.
const STOP_DEADLINE: Duration = Duration::from_secs(9);

pub(super) fn main(connector: Connector, args: Vec<OsString>) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("The connector panicked: {panic}");
    }));
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return unstartable(&error),
    };
    let invocation = Invocation {
        args,
        ..Invocation::of_process()
    };
    let exit = runtime.block_on(async {
        let (terminate, interrupt) = match (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        ) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let stopping = stop_on_signal(terminate, interrupt, invocation.stop.clone());
        Ok(tokio::select! {
            exit = verbs::run(connector, invocation, verbs::Host::Process) => exit,
            () = stopping => Exit::Stopped,
        })
    });
    // A thread may still block on stdin; there is nothing to wait for.
    runtime.shutdown_background();
    match exit {
        // The shell and PyAirbyte look for a death by SIGTERM after they sent one.
        Ok(Exit::Stopped) => die_by_sigterm(),
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => unstartable(&error),
    }
}

/// Asks the run to stop at the first signal; returns when it did not in time.
async fn stop_on_signal(mut terminate: Signal, mut interrupt: Signal, stop: CancellationToken) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.cancel();
    tokio::time::sleep(STOP_DEADLINE).await;
}

fn die_by_sigterm() -> ExitCode {
    // Only returns if the signal can't be raised; then the code says the same.
    let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTERM);
    ExitCode::from(Exit::Stopped.code())
}

fn unstartable(error: &std::io::Error) -> ExitCode {
    eprintln!("The connector could not start: {error}");
    ExitCode::from(Exit::Failure.code())
}
