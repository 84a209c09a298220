//! The verbs: what each reads, runs and prints.

use std::io::{self, Read, Write};

use airbyte_protocol::{
    AirbyteCatalog, AirbyteConnectionStatus, AirbyteMessage, ConnectorSpecification,
};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::SubscriberExt;

use crate::budget::MemoryBudget;
use crate::context::Context;
use crate::decode::Decoder;
use crate::destination::{DynDestination, StreamEnd, WriteArgs};
use crate::encode::Encoder;
use crate::entrypoint::args::{self, Args, Verb};
use crate::entrypoint::log::{LogLayer, most_verbose};
use crate::entrypoint::{Connector, Exit, Invocation, files};
use crate::error::{ConnectorError, ErrorContext, Result};
use crate::event::{self, EventReceiver};
use crate::memory_guard::MemoryGuard;
use crate::secret::Secrets;
use crate::source::{DynSource, ReadArgs};
use crate::watchdog::{self, Progress, STALL_INTERVAL};

/// Whether the process is the connector's own, or one that embeds it (a test, say).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    Process,
    Embedder,
}

pub(super) async fn run(connector: Connector, invocation: Invocation, host: Host) -> Exit {
    let Invocation {
        args,
        env,
        stdin,
        stdout,
        clock,
        stop,
    } = invocation;
    let parsed = args::parse(args);
    let is_debug = parsed.as_ref().is_ok_and(|args| args.is_debug);
    let budget = memory_budget(env("CDK_MEMORY_BUDGET_BYTES").as_deref());
    let (budget, parsed) = match budget {
        Ok(budget) => (budget, parsed),
        Err(problem) => (MemoryBudget::default(), Err(problem)),
    };
    let (events, received) = event::channel(budget, Progress::default());
    let received = match &connector {
        Connector::Source(_) => received,
        // A destination's states are another's, counted where they come from.
        Connector::Destination(_) => received.without_counting(),
    };
    let secrets = Secrets::default();
    let output = Output::start(stdout, secrets.clone(), received);

    let level = most_verbose(is_debug, env("LOG_LEVEL").as_deref());
    let log = tracing_subscriber::registry().with(LogLayer::new(events.clone(), level));
    let log = Dispatch::new(log);
    if host == Host::Process {
        // So that panics and threads outside our tasks are logged too. Fails only when a main of its
        // own set another one before; that one is kept.
        let _ = tracing::dispatcher::set_global_default(log.clone());
    }
    let context = Context::with_host(events, clock, secrets, stop);
    let ended = match parsed {
        Ok(args) => {
            guarded(connector, args, stdin, context.clone())
                .with_subscriber(log)
                .await
        }
        Err(problem) => Err(Ended::Usage(problem)),
    };
    let exit = finish(&context, ended);
    output.exit(exit, &context).await
}

/// The budget an operator asks for; the error is a sentence for the user.
fn memory_budget(bytes: Option<&str>) -> Result<MemoryBudget, String> {
    let Some(bytes) = bytes else {
        return Ok(MemoryBudget::default());
    };
    let bytes = bytes.trim().parse().map_err(|_| {
        format!("CDK_MEMORY_BUDGET_BYTES must be a number of bytes, not `{bytes}`.")
    })?;
    Ok(MemoryBudget::new(bytes))
}

/// How a verb ended without success.
enum Ended {
    Usage(String),
    Error(ConnectorError),
}

impl From<ConnectorError> for Ended {
    fn from(error: ConnectorError) -> Self {
        Self::Error(error)
    }
}

/// The last message of a run, and its exit code.
fn finish(context: &Context, ended: Result<(), Ended>) -> Exit {
    let (error, exit) = match ended {
        Ok(()) => return Exit::Success,
        Err(Ended::Error(error)) if error.is_stop() => return Exit::Stopped,
        Err(Ended::Error(error)) => (error, Exit::Failure),
        Err(Ended::Usage(problem)) => {
            let text = format!("{problem} Run with --help to see verbs and options.");
            (ConnectorError::config(text), Exit::Usage)
        }
    };
    // If nobody reads any more, the exit code has to do.
    let trace = error.to_trace(context.now_ms() as f64);
    let _ = context.emit(AirbyteMessage::Trace(trace));
    exit
}

/// Runs the verb under the watchdog and the memory guard; a panic becomes a system error.
async fn guarded(
    connector: Connector,
    args: Args,
    stdin: Box<dyn Read + Send>,
    context: Context,
) -> Result<(), Ended> {
    let verb = verb(connector, args, stdin, context.clone());
    let mut task = AbortOnDropHandle::new(tokio::spawn(verb.with_current_subscriber()));
    let watchdog = watchdog::watch(context.events().progress().clone(), STALL_INTERVAL);
    let critical = async {
        match MemoryGuard::of_cgroup() {
            Some(guard) => guard.watch().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = &mut task => flatten(ended),
        () = watchdog => Err(ConnectorError::system("The watchdog ended before the run.").into()),
        () = context.events().closed() => {
            // Nobody takes what is read any more; the writer of stdout knows why.
            context.stop().cancel();
            flatten(task.await)
        }
        error = critical => {
            // Readers stop at their next checkpoint, so the finished part is saved.
            context.stop().cancel();
            // Whatever it says, memory is the cause.
            let _ = task.await;
            Err(Ended::Error(error))
        }
    }
}

fn flatten(ended: Result<Result<(), Ended>, tokio::task::JoinError>) -> Result<(), Ended> {
    ended.unwrap_or_else(|error| {
        let text = "Something went wrong in the connector. See the logs for more details.";
        Err(ConnectorError::system(text)
            .with_internal(error.to_string())
            .into())
    })
}

async fn verb(
    connector: Connector,
    args: Args,
    stdin: Box<dyn Read + Send>,
    context: Context,
) -> Result<(), Ended> {
    match (args.verb, connector) {
        (Verb::Help, _) => help(&context),
        (Verb::Version, _) => version(&context),
        (Verb::Spec, connector) => Ok(spec(connector, &context).await?),
        (Verb::Check, connector) => Ok(check(connector, &args, &context).await?),
        (Verb::Discover, Connector::Source(source)) => {
            Ok(discover(source.as_ref(), &args, &context).await?)
        }
        (Verb::Read, Connector::Source(source)) => {
            Ok(read(source.as_ref(), &args, &context).await?)
        }
        (Verb::Write, Connector::Destination(destination)) => {
            Ok(write(destination.as_ref(), &args, stdin, &context).await?)
        }
        (verb, Connector::Source(_)) => {
            Err(Ended::Usage(format!("A source has no verb {verb:?}.")))
        }
        (verb, Connector::Destination(_)) => {
            Err(Ended::Usage(format!("A destination has no verb {verb:?}.")))
        }
    }
}

/// Help is for people, but stdout carries messages only: every line is a LOG.
fn help(context: &Context) -> Result<(), Ended> {
    args::USAGE.lines().try_for_each(|line| log(context, line))
}

fn version(context: &Context) -> Result<(), Ended> {
    log(context, &format!("Rust CDK {}", env!("CARGO_PKG_VERSION")))
}

fn log(context: &Context, line: &str) -> Result<(), Ended> {
    let log = airbyte_protocol::AirbyteLogMessage::new(airbyte_protocol::LogLevel::Info, line);
    Ok(context.emit(AirbyteMessage::Log(log))?)
}

async fn spec(connector: Connector, context: &Context) -> Result<()> {
    let spec: ConnectorSpecification = match connector {
        Connector::Source(source) => source.spec_dyn(context).await?,
        Connector::Destination(destination) => destination.spec_dyn(context).await?,
    };
    context.emit(AirbyteMessage::Spec(spec))
}

/// A failed check is an answer, not a failure of the run. A config that can't be read at all is one.
async fn check(connector: Connector, args: &Args, context: &Context) -> Result<()> {
    let config = files::config(required(args.config.as_deref())?)?;
    let checked = match connector {
        Connector::Source(source) => source.check_dyn(&config, context).await,
        Connector::Destination(destination) => destination.check_dyn(&config, context).await,
    };
    let status = match checked {
        Ok(()) => AirbyteConnectionStatus::succeeded(),
        Err(error) if error.is_stop() => return Err(error),
        Err(error) => {
            if let Some(cause) = error.internal_message() {
                tracing::error!("The check failed: {cause}");
            }
            AirbyteConnectionStatus::failed(error.message())
        }
    };
    context.emit(AirbyteMessage::ConnectionStatus(status))
}

async fn discover(source: &dyn DynSource, args: &Args, context: &Context) -> Result<()> {
    let config = files::config(required(args.config.as_deref())?)?;
    let catalog: AirbyteCatalog = source.discover_dyn(&config, context).await?;
    context.emit(AirbyteMessage::Catalog(catalog))
}

async fn read(source: &dyn DynSource, args: &Args, context: &Context) -> Result<()> {
    let args = ReadArgs {
        config: files::config(required(args.config.as_deref())?)?,
        catalog: files::catalog(required(args.catalog.as_deref())?)?,
        state: files::state(args.state.as_deref())?,
    };
    source.read_dyn(args, context).await
}

async fn write(
    destination: &dyn DynDestination,
    args: &Args,
    mut stdin: Box<dyn Read + Send>,
    context: &Context,
) -> Result<()> {
    let args = WriteArgs {
        config: files::config(required(args.config.as_deref())?)?,
        catalog: files::catalog(required(args.catalog.as_deref())?)?,
        settings: None,
    };
    let needs_complete = destructive_streams(&args);
    let events = context.events();
    let (incoming, received) = event::channel(events.budget().clone(), events.progress().clone());
    let received = received.without_counting();
    let decoder = Decoder::new("stdin", incoming, Handle::current());
    let log = tracing::dispatcher::get_default(Clone::clone);
    let decoded = tokio::task::spawn_blocking(move || {
        tracing::dispatcher::with_default(&log, || decoder.run(stdin.as_mut()))
    });
    let written = destination.write_dyn(args, received, context).await;
    // When writing ended first, the decoder may still block on stdin: nobody needs it any more.
    let report = written?.into_result()?;
    decoded
        .await
        .system_error("The thread that reads stdin crashed.")??;
    let open: Vec<_> = report
        .streams
        .iter()
        .filter(|stream| {
            stream.end == StreamEnd::Incomplete && needs_complete.contains(&stream.stream)
        })
        .map(|stream| stream.stream.to_string())
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    Err(ConnectorError::transient(format!(
        "The source did not report COMPLETE for {}, so the old data was left in place. Run the sync \
         again.",
        open.join(", ")
    )))
}

/// Streams whose end makes old data go: they must not end by chance.
fn destructive_streams(args: &WriteArgs) -> Vec<airbyte_protocol::StreamDescriptor> {
    use airbyte_protocol::DestinationSyncMode::{Overwrite, OverwriteDedup};
    let streams = args.catalog.streams.iter();
    let destructive = streams.filter(|stream| {
        matches!(stream.destination_sync_mode, Overwrite | OverwriteDedup)
            || stream
                .minimum_generation_id
                .is_some_and(|minimum| minimum > 0)
    });
    destructive.map(|stream| stream.descriptor()).collect()
}

fn required(path: Option<&std::path::Path>) -> Result<&std::path::Path> {
    path.ok_or_else(|| ConnectorError::system("The arguments were not checked for their files."))
}

/// The one writer of stdout, on a thread of its own.
struct Output(std::thread::JoinHandle<io::Result<()>>);

impl Output {
    fn start(stdout: Box<dyn Write + Send>, secrets: Secrets, mut received: EventReceiver) -> Self {
        let encoder = Encoder::new(stdout, secrets);
        Self(std::thread::spawn(move || encoder.run(&mut received)))
    }

    /// Waits until everything is written. A closed stdout ends the process quietly: whoever closed it
    /// has what it wanted.
    async fn exit(self, exit: Exit, context: &Context) -> Exit {
        if context.events().delivered().await.is_ok() {
            return exit;
        }
        // The writer ended before its senders: only an error ends it so.
        match self.0.join() {
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
            Ok(Err(error)) => {
                eprintln!("Messages could not be written to stdout: {error}");
                Exit::Failure
            }
            Ok(Ok(())) | Err(_) => Exit::Failure,
        }
    }
}
