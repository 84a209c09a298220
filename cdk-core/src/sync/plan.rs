//! What one attempt reads and writes: the two catalogs, with generations.

use airbyte_protocol::{
    AirbyteCatalog, AirbyteStream, ConfiguredAirbyteCatalog, ConfiguredAirbyteStream,
    DestinationSyncMode, StreamDescriptor, SyncMode,
};

use crate::destination::Capabilities;
use crate::error::{ConnectorError, Result};
use crate::sync::mode::Mode;
use crate::sync::names::NameMap;
use crate::sync::selection::StreamSelection;
use crate::sync::state_store::SavedConnection;

/// A stream that was selected and found, with its mode decided.
#[derive(Debug, Clone)]
pub(super) struct PlannedStream {
    pub(super) name: StreamDescriptor,
    pub(super) mode: Mode,
    pub(super) configured: ConfiguredAirbyteStream,
    is_refresh: bool,
}

/// Finds the selected streams and checks that each can be synced as wanted; all of them without selections.
pub(super) fn choose(
    catalog: &AirbyteCatalog,
    selections: &[StreamSelection],
    modes: &[DestinationSyncMode],
) -> Result<Vec<PlannedStream>> {
    if catalog.streams.is_empty() {
        let text = "The source has no streams. Check its config and the user's rights.";
        return Err(ConnectorError::config(text));
    }
    if selections.is_empty() {
        let all = catalog.streams.iter();
        let all = all
            .map(|stream| plan_stream(stream, &StreamSelection::new(stream.name.clone()), modes));
        return all.collect();
    }
    let mut planned: Vec<PlannedStream> = Vec::new();
    for selection in selections {
        let stream = plan_stream(find(catalog, &selection.stream)?, selection, modes)?;
        if planned.iter().any(|other| other.name == stream.name) {
            return Err(ConnectorError::config(format!(
                "Stream {} is selected twice. Select it once.",
                stream.name
            )));
        }
        planned.push(stream);
    }
    Ok(planned)
}

fn find<'a>(catalog: &'a AirbyteCatalog, wanted: &StreamDescriptor) -> Result<&'a AirbyteStream> {
    let is_it = |stream: &&AirbyteStream| {
        stream.name == wanted.name
            && (wanted.namespace.is_none() || stream.namespace == wanted.namespace)
    };
    let found: Vec<_> = catalog.streams.iter().filter(is_it).collect();
    match found.as_slice() {
        [stream] => Ok(stream),
        [] => {
            let known = catalog
                .streams
                .iter()
                .map(|stream| stream.descriptor().to_string());
            let known: Vec<_> = known.take(20).collect();
            Err(ConnectorError::config(format!(
                "The source has no stream {wanted}. It has: {}.",
                known.join(", ")
            )))
        }
        several => {
            let several: Vec<_> = several
                .iter()
                .map(|stream| stream.descriptor().to_string())
                .collect();
            Err(ConnectorError::config(format!(
                "Several streams are called {wanted}: {}. Name the namespace too.",
                several.join(", ")
            )))
        }
    }
}

fn plan_stream(
    stream: &AirbyteStream,
    selection: &StreamSelection,
    modes: &[DestinationSyncMode],
) -> Result<PlannedStream> {
    let name = stream.descriptor();
    let mode = selection
        .mode
        .unwrap_or_else(|| default_mode(stream, modes));
    let mut configured =
        ConfiguredAirbyteStream::new(stream.clone(), mode.source(), mode.destination());
    configured.cursor_field.clone_from(&selection.cursor_field);
    configured.primary_key.clone_from(&selection.primary_key);
    let problem = mode_problem(stream, mode)
        .or_else(|| destination_problem(mode, modes))
        .or_else(|| cursor_problem(&configured))
        .or_else(|| key_problem(&configured, mode));
    match problem {
        None => Ok(PlannedStream {
            name,
            mode,
            configured,
            is_refresh: selection.is_refresh,
        }),
        Some(problem) => {
            let text = format!("Stream {name} can't be synced in mode {mode}: {problem}");
            Err(ConnectorError::config(text).with_stream(&name))
        }
    }
}

/// The stream's default mode, if the destination has it.
fn default_mode(stream: &AirbyteStream, modes: &[DestinationSyncMode]) -> Mode {
    let mode = Mode::default_for(stream);
    match modes.contains(&mode.destination()) {
        true => mode,
        false => Mode::FullRefreshOverwrite,
    }
}

/// Said before anything is read, not when the destination is opened.
fn destination_problem(mode: Mode, modes: &[DestinationSyncMode]) -> Option<String> {
    let wanted = mode.destination();
    (!modes.contains(&wanted)).then(|| {
        let known: Vec<_> = modes.iter().map(ToString::to_string).collect();
        let known = known.join(", ");
        format!("the destination has no mode {wanted}; choose one that is {known}.")
    })
}

fn mode_problem(stream: &AirbyteStream, mode: Mode) -> Option<String> {
    (!stream.supports(mode.source())).then(|| {
        let known = stream.supported_sync_modes.iter().map(ToString::to_string);
        let known: Vec<_> = known.collect();
        format!("the source only reads it as {}.", known.join(", "))
    })
}

fn cursor_problem(configured: &ConfiguredAirbyteStream) -> Option<String> {
    let is_sources = configured.stream.source_defined_cursor == Some(true);
    if configured.sync_mode != SyncMode::Incremental || is_sources {
        return None;
    }
    match configured.cursor() {
        None => Some("it needs a cursor field; set `cursor_field`.".to_owned()),
        Some(path) => unknown_field(configured, path)
            .map(|field| format!("its cursor field `{field}` is not among the stream's fields.")),
    }
}

fn key_problem(configured: &ConfiguredAirbyteStream, mode: Mode) -> Option<String> {
    if !mode.is_deduped() {
        return None;
    }
    match configured.key() {
        None | Some([]) => Some("it needs a primary key; set `primary_key`.".to_owned()),
        Some(key) => key
            .iter()
            .find_map(|path| unknown_field(configured, path))
            .map(|field| {
                format!("its primary key field `{field}` is not among the stream's fields.")
            }),
    }
}

/// The field, if the schema lists fields and it is not one of them.
fn unknown_field(configured: &ConfiguredAirbyteStream, path: &[String]) -> Option<String> {
    let fields = configured
        .stream
        .json_schema
        .get("properties")?
        .as_object()?;
    let top = path.first()?;
    (!fields.contains_key(top)).then(|| path.join("."))
}

/// Gives the streams their generations and resets those that start over.
///
/// A full refresh is a new generation; its rows replace the older ones once complete (overwrite), or
/// join them (append). An interrupted one goes on where its state stands, if the destination kept what
/// was staged and can merge rows that come twice by their key. Otherwise it starts over.
///
/// `first_generation` must be one that no other connection has given to a destination before, or what
/// that one left there would pass for an attempt of this one; the time is.
pub(super) fn assign_generations(
    streams: &mut [PlannedStream],
    saved: &mut SavedConnection,
    capabilities: &Capabilities,
    first_generation: i64,
) {
    let sync_id = saved.sync_id;
    for stream in streams {
        let has_state = saved.input_state().stream(&stream.name).is_some();
        let has_key = stream.configured.key().is_some_and(|key| !key.is_empty());
        let is_full = stream.mode.source() == SyncMode::FullRefresh || stream.is_refresh;
        let entry = saved.stream_mut(&stream.name);
        // An interrupted refresh stays one until it is complete, even when this run does not ask for it.
        let is_replacing_still = entry.is_unfinished && entry.is_replacing;
        let replaces = stream.mode.is_overwrite() || stream.is_refresh || is_replacing_still;
        let can_merge = !replaces || (capabilities.can_resume_overwrite && has_key);
        let goes_on = entry.is_unfinished && has_state && can_merge;
        let starts_over = (is_full || entry.is_unfinished) && !goes_on;
        if entry.generation_id == 0 {
            entry.generation_id = first_generation.max(1);
        } else if starts_over {
            entry.generation_id += 1;
        }
        entry.is_unfinished = is_full || is_replacing_still;
        entry.is_replacing = replaces;
        let generation = entry.generation_id;
        if starts_over {
            saved.forget(&stream.name);
        }
        let minimum = if replaces { generation } else { 0 };
        stream.configured.generation_id = Some(generation);
        stream.configured.minimum_generation_id = Some(minimum);
        stream.configured.sync_id = Some(sync_id);
    }
}

/// The catalog for the source.
pub(super) fn source_catalog(streams: &[PlannedStream]) -> ConfiguredAirbyteCatalog {
    ConfiguredAirbyteCatalog::new(
        streams
            .iter()
            .map(|stream| stream.configured.clone())
            .collect(),
    )
}

/// The catalog for the destination: the same under its names.
pub(super) fn destination_catalog(
    streams: &[PlannedStream],
    names: &NameMap,
) -> ConfiguredAirbyteCatalog {
    let renamed = streams.iter().map(|planned| {
        let mut configured = planned.configured.clone();
        if let Some(there) = names.there(&planned.name) {
            configured.stream.name.clone_from(&there.name);
            configured.stream.namespace.clone_from(&there.namespace);
        }
        configured
    });
    ConfiguredAirbyteCatalog::new(renamed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use airbyte_protocol::{AirbyteStateMessage, DestinationSyncMode, RawJson};

    fn catalog() -> AirbyteCatalog {
        let schema = serde_json::json!({"properties": {"id": {}, "at": {}}});
        let both = vec![SyncMode::FullRefresh, SyncMode::Incremental];
        let mut keyed = AirbyteStream::new("keyed", schema.clone(), both);
        keyed.source_defined_primary_key = Some(vec![vec!["id".to_owned()]]);
        let plain = AirbyteStream::new("plain", schema, vec![SyncMode::FullRefresh]);
        AirbyteCatalog::new(vec![keyed, plain])
    }

    fn refused(selection: StreamSelection) -> String {
        choose(&catalog(), &[selection], DestinationSyncMode::ALL)
            .unwrap_err()
            .message()
            .to_owned()
    }

    #[test]
    fn impossible_wishes_are_refused_with_the_reason() {
        let incremental = Mode::IncrementalAppend;
        for (selection, reason) in [
            (
                StreamSelection::new("nope"),
                "has no stream nope. It has: keyed, plain",
            ),
            (
                StreamSelection::new("plain").with_mode(incremental),
                "only reads it as full_refresh",
            ),
            (
                StreamSelection::new("keyed").with_mode(incremental),
                "needs a cursor field",
            ),
            (
                StreamSelection::new("keyed")
                    .with_mode(incremental)
                    .with_cursor("x"),
                "cursor field `x` is not among",
            ),
            (
                StreamSelection::new("plain").with_mode(Mode::FullRefreshOverwriteDeduped),
                "needs a primary key",
            ),
        ] {
            let text = refused(selection);
            assert!(text.contains(reason), "{text}");
        }
    }

    #[test]
    fn a_cursor_on_a_full_refresh_is_accepted_and_ignored() {
        let selection = StreamSelection::new("plain")
            .with_mode(Mode::FullRefreshOverwrite)
            .with_cursor("whatever");
        assert!(choose(&catalog(), &[selection], DestinationSyncMode::ALL).is_ok());
    }

    /// Plans one run of a stream and returns (generation, minimum, whether its state was kept).
    fn run(
        saved: &mut SavedConnection,
        selection: &StreamSelection,
        can_resume: bool,
    ) -> (i64, i64, bool) {
        let mut streams = choose(
            &catalog(),
            std::slice::from_ref(selection),
            DestinationSyncMode::ALL,
        )
        .unwrap();
        let mut capabilities = Capabilities::new([DestinationSyncMode::Append]);
        capabilities.can_resume_overwrite = can_resume;
        assign_generations(&mut streams, saved, &capabilities, 1);
        let configured = &streams[0].configured;
        let kept = saved.input_state().stream(&streams[0].name).is_some();
        (
            configured.generation_id.unwrap(),
            configured.minimum_generation_id.unwrap(),
            kept,
        )
    }

    fn remember(saved: &mut SavedConnection, name: &str) {
        let state = Some(RawJson::from(serde_json::json!({"at": 1})));
        saved.apply(AirbyteStateMessage::stream(
            StreamDescriptor::new(name),
            state,
        ));
    }

    #[test]
    fn every_complete_overwrite_is_followed_by_a_new_generation() {
        let mut saved = SavedConnection::default();
        let selection = StreamSelection::new("keyed").with_mode(Mode::FullRefreshOverwrite);
        assert_eq!(run(&mut saved, &selection, true), (1, 1, false));
        remember(&mut saved, "keyed");
        saved
            .stream_mut(&StreamDescriptor::new("keyed"))
            .is_unfinished = false;
        assert_eq!(run(&mut saved, &selection, true), (2, 2, false));
    }

    #[test]
    fn an_interrupted_overwrite_goes_on_only_where_repeated_rows_can_be_merged() {
        for (stream, can_resume, expected) in [
            ("keyed", true, (1, 1, true)),
            ("keyed", false, (2, 2, false)),
            ("plain", true, (2, 2, false)),
        ] {
            let mut saved = SavedConnection::default();
            let selection = StreamSelection::new(stream).with_mode(Mode::FullRefreshOverwrite);
            run(&mut saved, &selection, can_resume);
            remember(&mut saved, stream);
            assert_eq!(
                run(&mut saved, &selection, can_resume),
                expected,
                "{stream} {can_resume}"
            );
        }
    }

    #[test]
    fn incremental_syncs_keep_generation_and_state() {
        let mut saved = SavedConnection::default();
        let selection = StreamSelection::new("keyed")
            .with_mode(Mode::IncrementalDeduped)
            .with_cursor("at");
        assert_eq!(run(&mut saved, &selection, true), (1, 0, false));
        remember(&mut saved, "keyed");
        assert_eq!(run(&mut saved, &selection, true), (1, 0, true));
    }

    #[test]
    fn an_interrupted_refresh_stays_a_refresh_until_it_is_complete() {
        let mut saved = SavedConnection::default();
        let selection = StreamSelection::new("keyed")
            .with_mode(Mode::IncrementalDeduped)
            .with_cursor("at");
        run(&mut saved, &selection, true);
        remember(&mut saved, "keyed");
        assert_eq!(
            run(&mut saved, &selection.clone().refreshed(), true),
            (2, 2, false)
        );
        remember(&mut saved, "keyed");
        assert_eq!(run(&mut saved, &selection, true), (2, 2, true));
    }

    #[test]
    fn an_interrupted_refresh_starts_over_where_rows_can_not_be_merged() {
        let mut saved = SavedConnection::default();
        let selection = StreamSelection::new("keyed")
            .with_mode(Mode::IncrementalAppend)
            .with_cursor("at");
        run(&mut saved, &selection, false);
        remember(&mut saved, "keyed");
        let refreshed = selection.clone().refreshed();
        assert_eq!(run(&mut saved, &refreshed, false), (2, 2, false));
        remember(&mut saved, "keyed");
        // Without its state: what was staged before is not there to be joined.
        assert_eq!(run(&mut saved, &selection, false), (3, 3, false));
    }

    #[test]
    fn an_interrupted_append_never_becomes_a_replacement() {
        let mut saved = SavedConnection::default();
        let append = StreamSelection::new("keyed").with_mode(Mode::FullRefreshAppend);
        assert_eq!(run(&mut saved, &append, true), (1, 0, false));
        remember(&mut saved, "keyed");
        let incremental = StreamSelection::new("keyed")
            .with_mode(Mode::IncrementalAppend)
            .with_cursor("at");
        assert_eq!(run(&mut saved, &incremental, true), (1, 0, true));
    }
}
