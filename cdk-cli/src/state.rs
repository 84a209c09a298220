//! `cdk state`: what a connection remembers.

use airbyte_protocol::StreamDescriptor;
use cdk_core::sync::SavedConnection;
use cdk_core::{ConnectorError, ErrorContext, Result};

use crate::args::{StatePlaceArgs, StateResetArgs, StateShowArgs};
use crate::connection::{Connection, Store};
use crate::output::{Exit, Output};
use crate::references::Resolver;
use crate::summary;

/// A position longer than this is cut in the table; `--json` shows all of it.
const MAX_POSITION_CHARS: usize = 60;

/// `cdk state show`.
pub(crate) async fn show(args: &StateShowArgs, output: &Output) -> Exit {
    match show_text(args, output).await {
        Ok(text) => {
            output.print(&text);
            output.settle(Exit::Success)
        }
        Err(error) => failed(&error, output),
    }
}

/// `cdk state reset`.
pub(crate) async fn reset(args: &StateResetArgs, output: &Output) -> Exit {
    match forget(args, output).await {
        Ok(text) => {
            output.print(&text);
            output.settle(Exit::Success)
        }
        Err(error) => failed(&error, output),
    }
}

fn failed(error: &ConnectorError, output: &Output) -> Exit {
    output.tell_error(error);
    Exit::of(error)
}

async fn show_text(args: &StateShowArgs, output: &Output) -> Result<String> {
    let (connection, store) = open(&args.place, output)?;
    let saved = store
        .as_dyn()
        .load(&connection.name)
        .await?
        .unwrap_or_default();
    let wanted = wanted(&saved, &args.stream)?;
    if args.json {
        let chosen: Vec<_> = match args.stream.as_slice() {
            [] => saved.state.iter().collect(),
            _ => saved
                .state
                .iter()
                .filter(|state| {
                    let name = state
                        .stream
                        .as_ref()
                        .map(|stream| &stream.stream_descriptor);
                    name.is_none_or(|name| wanted.contains(name))
                })
                .collect(),
        };
        return serde_json::to_string(&chosen).system_error("The state can't be written as JSON.");
    }
    if saved == SavedConnection::default() {
        return Ok(format!(
            "Connection {} has no state: it was never synced.",
            connection.name
        ));
    }
    Ok(table(&connection.name, &saved, &wanted))
}

fn table(name: &str, saved: &SavedConnection, wanted: &[StreamDescriptor]) -> String {
    let mut table = summary::table(
        ["Stream", "Generation", "Refresh under way", "Position"],
        &[1],
    );
    let state = saved.input_state();
    for stream in wanted {
        let entry = saved.streams.iter().find(|entry| entry.stream == *stream);
        let generation = entry.map_or("-".to_owned(), |entry| entry.generation_id.to_string());
        let is_unfinished = entry.is_some_and(|entry| entry.is_unfinished);
        let position = state.stream(stream).map(|state| short(&state.to_string()));
        table.add_row([
            stream.to_string(),
            generation,
            (if is_unfinished { "yes" } else { "no" }).to_owned(),
            position.unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    let table = table.trim_fmt();
    format!("{table}\nConnection {name}, {} syncs so far", saved.sync_id)
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_POSITION_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Forgets positions only. Generations stay, since they must never shrink, and so do changed configs,
/// since a rotated credential can't be had again.
async fn forget(args: &StateResetArgs, output: &Output) -> Result<String> {
    let (connection, store) = open(&args.place, output)?;
    let store = store.as_dyn();
    let _lease = store.acquire(&connection.name).await?;
    let Some(mut saved) = store.load(&connection.name).await? else {
        return Ok(format!(
            "Connection {} has no state to forget.",
            connection.name
        ));
    };
    let wanted = wanted(&saved, &args.stream)?;
    if args.stream.is_empty() {
        saved.state.clear();
    } else {
        wanted.iter().for_each(|stream| saved.forget(stream));
    }
    store.save(&connection.name, &saved).await?;
    let names: Vec<_> = wanted.iter().map(ToString::to_string).collect();
    Ok(format!(
        "Forgot where {} stood. The next sync reads from the start; nothing was removed at the \
         destination.",
        names.join(", ")
    ))
}

/// The connection and its store. Its secrets are not needed, so they need not be set.
fn open(args: &StatePlaceArgs, output: &Output) -> Result<(Connection, Store)> {
    let connection = Connection::load(&args.connection)?;
    let env = |name: &str| std::env::var(name).ok();
    let directory = connection.directory();
    let resolver = Resolver::new(&env, directory, output.secrets());
    let store = connection.state_store(args.state_dir.as_deref(), &resolver)?;
    Ok((connection, store))
}

/// The streams that were named, by name or `namespace.name`; without names all that are known.
fn wanted(saved: &SavedConnection, named: &[String]) -> Result<Vec<StreamDescriptor>> {
    let mut known: Vec<_> = saved
        .streams
        .iter()
        .map(|entry| entry.stream.clone())
        .collect();
    for state in &saved.state {
        let global = state.global.iter().flat_map(|global| &global.stream_states);
        for stream in state.stream.iter().chain(global) {
            if !known.contains(&stream.stream_descriptor) {
                known.push(stream.stream_descriptor.clone());
            }
        }
    }
    known.sort();
    if let Some(unknown) = named
        .iter()
        .find(|name| !known.iter().any(|stream| is(stream, name)))
    {
        let known: Vec<_> = known.iter().map(ToString::to_string).collect();
        return Err(ConnectorError::config(format!(
            "The connection has no state of a stream {unknown}. It has: {}.",
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            }
        )));
    }
    known.retain(|stream| named.is_empty() || named.iter().any(|name| is(stream, name)));
    Ok(known)
}

fn is(stream: &StreamDescriptor, name: &str) -> bool {
    stream.name == name || stream.to_string() == name
}
