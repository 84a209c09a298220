//! `cdk sync`: a connection file, run to its end.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use cdk_core::entrypoint::Connector;
use cdk_core::memory_guard::MemoryGuard;
use cdk_core::sync::{StreamSelection, Sync, SyncError, SyncReport};
use cdk_core::{ConnectorError, DynDestination, DynSource, Result};
use tokio_util::sync::CancellationToken;

use crate::args::SyncArgs;
use crate::connection::Connection;
use crate::output::{Exit, Output};
use crate::progress::{Display, Style};
use crate::references::Resolver;
use crate::registry::Role;
use crate::signals::{Ended, Signals};
use crate::{host, summary};

/// Runs the command.
pub(crate) async fn run(
    args: &SyncArgs,
    is_quiet: bool,
    signals: Signals,
    output: &Output,
) -> Exit {
    let stop = CancellationToken::new();
    let style = match (args.json, is_quiet) {
        (true, _) => Style::Machines,
        (false, true) => Style::Quiet,
        (false, false) => Style::People,
    };
    let display = Display::start(style, output.clone());
    let on_event = display.on_event();
    // On the heap: it is large.
    let work = Box::pin(async {
        let sync = build(args, &stop, output, on_event).await?;
        if args.check {
            sync.check().await?;
            return Ok(None);
        }
        within_memory(sync.run(), &stop).await.map(Some)
    });
    let ended = signals.guard(&stop, output, work).await;
    display.finish();
    conclude(ended, args, style, output)
}

/// Runs a sync under the memory guard: near the limit of the container it stops in order, with its state
/// saved, before the kernel ends it without.
async fn within_memory(
    sync: impl Future<Output = Result<SyncReport, SyncError>>,
    stop: &CancellationToken,
) -> Result<SyncReport, SyncError> {
    let critical = async {
        match MemoryGuard::of_cgroup() {
            Some(guard) => guard.watch().await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(sync);
    tokio::select! {
        ended = &mut sync => ended,
        error = critical => {
            stop.cancel();
            match sync.await {
                Ok(report) => Ok(report),
                // Whatever it says, memory is the cause.
                Err(stopped) => Err(SyncError { error, report: stopped.report }),
            }
        }
    }
}

/// Puts the sync together from its file and the command line.
async fn build(
    args: &SyncArgs,
    stop: &CancellationToken,
    output: &Output,
    on_event: impl Fn(cdk_core::sync::SyncEvent) + Send + std::marker::Sync + 'static,
) -> Result<Sync> {
    let connection = Connection::load(&args.connection)?;
    connection
        .notes
        .iter()
        .for_each(|note| tracing::warn!("{note}"));
    let env = |name: &str| std::env::var(name).ok();
    let secrets = output.secrets();
    let resolver = Resolver::new(&env, connection.directory(), secrets);
    let file: &Path = &connection.file;
    let source_config = connection.source.config(&resolver, file)?;
    let mut destination_config = connection.destination.config(&resolver, file)?;
    let source = connection.source.connect()?;
    let destination = connection.destination.connect()?;
    if connection.normalization.is_some() {
        let schema = host::learn_secrets(&destination, &destination_config, secrets, stop).await?;
        connection.normalize(&mut destination_config, &schema, &resolver)?;
    }
    for (connector, part, config) in [
        (&source, &connection.source, &source_config),
        (&destination, &connection.destination, &destination_config),
    ] {
        if part.reference.is_process() {
            host::learn_secrets(connector, config, secrets, stop).await?;
        }
    }
    let mut builder = Sync::builder()
        .shared_source(as_source(source)?, source_config)
        .shared_destination(as_destination(destination)?, destination_config)
        .connection(&connection.name)
        .namespace(connection.namespace.clone())
        .prefix(&connection.prefix)
        .secrets(secrets.clone())
        .stop(stop.clone())
        .on_event(on_event);
    for selection in selections(&connection, &args.full_refresh)? {
        builder = builder.stream(selection);
    }
    if let Some(retries) = connection.retries {
        builder = builder.max_attempts(retries.saturating_add(1));
    }
    if let Some(bytes) = args.memory.or(connection.memory_bytes) {
        builder = builder.memory_budget(bytes);
    }
    let store = connection.state_store(args.state_dir.as_deref(), &resolver)?;
    store.give_to(builder).build()
}

fn as_source(connector: Connector) -> Result<Arc<dyn DynSource>> {
    match connector {
        Connector::Source(source) => Ok(source),
        Connector::Destination(_) => Err(wrong_role(Role::Source)),
    }
}

fn as_destination(connector: Connector) -> Result<Arc<dyn DynDestination>> {
    match connector {
        Connector::Destination(destination) => Ok(destination),
        Connector::Source(_) => Err(wrong_role(Role::Destination)),
    }
}

fn wrong_role(role: Role) -> ConnectorError {
    ConnectorError::config(format!("The connector at `{0}` is no {0}.", role.name()))
}

/// The streams of the file, those of `--full-refresh` marked.
fn selections(connection: &Connection, refresh: &[String]) -> Result<Vec<StreamSelection>> {
    for wanted in refresh {
        if !connection
            .streams
            .iter()
            .any(|stream| stream.is_called(wanted))
        {
            let known: Vec<_> = connection
                .streams
                .iter()
                .map(|stream| stream.name.as_str())
                .collect();
            let remedy = match known.as_slice() {
                [] => "List the streams at `streams` to refresh one of them.".to_owned(),
                known => format!("It lists: {}.", known.join(", ")),
            };
            return Err(ConnectorError::config(format!(
                "--full-refresh {wanted}: the connection file lists no such stream. {remedy}"
            )));
        }
    }
    let marked = connection.streams.iter().map(|stream| {
        let is_refresh = refresh.iter().any(|wanted| stream.is_called(wanted));
        let selection = stream.selection();
        if is_refresh {
            selection.refreshed()
        } else {
            selection
        }
    });
    Ok(marked.collect())
}

/// Prints how it ended, and decides the exit code.
fn conclude(
    ended: Ended<Result<Option<SyncReport>, SyncError>>,
    args: &SyncArgs,
    style: Style,
    output: &Output,
) -> Exit {
    let (report, error) = match ended.value {
        Some(Ok(report)) => (report, None),
        Some(Err(SyncError { error, report })) => (report.map(|report| *report), Some(error)),
        None => (None, Some(ConnectorError::stopped())),
    };
    let exit = match &error {
        None => Exit::Success,
        // What failed while it was being stopped failed because of that.
        Some(error) => ended.stopped.unwrap_or_else(|| Exit::of(error)),
    };
    match (style, &report) {
        (Style::Machines, report) => {
            output.print(&summary::report_line(
                report.as_ref(),
                error.as_ref(),
                exit,
                output,
            ));
        }
        (Style::People, Some(report)) => output.print(&summary::text(report)),
        (Style::People, None) if args.check && error.is_none() => {
            output.print("Both checks succeeded.");
        }
        _ => {}
    }
    match &error {
        Some(_) if exit == Exit::NoReader => {}
        Some(error) if error.is_stop() => {
            output.tell("stopped: run the same command again to go on from the last saved state");
        }
        Some(error) => output.tell_error(error),
        None => {}
    }
    output.settle(exit)
}
