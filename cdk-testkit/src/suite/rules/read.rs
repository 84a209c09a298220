//! Rules about a read as a whole: statuses, states, counts.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::suite::evidence::{Act, Evidence};
use crate::suite::observed::Observed;
use crate::suite::rule::{Level, Need, Outcome, Rule, broken_at, broken_by, list};

/// A rule about every whole read.
macro_rules! read_rule {
    ($id:literal, $title:literal, $protocol:literal, $check:expr) => {
        Rule {
            id: $id,
            title: $title,
            protocol: $protocol,
            level: Level::Must,
            needs: &[Need::Source],
            check: |evidence: &Evidence| each_read(evidence, $check),
        }
    };
}

pub(super) const RULES: &[Rule] = &[
    read_rule!(
        "read.succeeds",
        "A read with a good config and catalog exits with 0.",
        "Exit code 0 says that everything was read.",
        succeeds
    ),
    read_rule!(
        "read.only-configured-streams",
        "Records, states and statuses are of the configured streams only.",
        "A sync fails when a record's stream is not in its catalog.",
        only_configured_streams
    ),
    read_rule!(
        "read.complete",
        "Every configured stream ends with one COMPLETE, and not with INCOMPLETE.",
        "Destinations finish a stream (swap an overwrite, remove old generations) only after COMPLETE.",
        complete
    ),
    read_rule!(
        "read.status-order",
        "Statuses come in order, and records between STARTED and COMPLETE.",
        "STARTED before the first partition, RUNNING with the first record, COMPLETE or INCOMPLETE at the end.",
        status_order
    ),
    read_rule!(
        "read.has-states",
        "Every configured stream gets a state, full refreshes and empty streams too.",
        "Sources always emit states; the platform can't tell without one that a stream's records are safe.",
        has_states
    ),
    read_rule!(
        "read.last-state-covers-all",
        "No record comes after the last state of its stream.",
        "What follows the last state is not safe after a failure, and the next sync does not know of it.",
        last_state_covers_all
    ),
    read_rule!(
        "read.no-legacy-states",
        "States are of type STREAM or GLOBAL.",
        "LEGACY states are deprecated; platforms can't reset single streams with them.",
        no_legacy_states
    ),
    read_rule!(
        "read.one-kind-of-states",
        "STREAM and GLOBAL states are not mixed.",
        "Counts and order are kept per stream or for all streams, not both in one sync.",
        one_kind_of_states
    ),
    read_rule!(
        "read.counts",
        "Every state carries the exact number of records since the one before.",
        "`sourceStats.recordCount` is compared with what arrived; a difference means lost or doubled records.",
        counts
    ),
    read_rule!(
        "read.states-move",
        "No two states of a stream in a row are the same when records lie between.",
        "States that collide can't be told apart when the destination gives them back.",
        states_move
    ),
    read_rule!(
        "read.estimates",
        "Estimates are of streams or of the sync, not both.",
        "ESTIMATE messages of type STREAM and SYNC must not be mixed in one sync.",
        estimates
    ),
    Rule {
        id: "read.accepts-nulls",
        title: "A catalog in which absent fields are null, everything is incremental, and the state is `[]` is read.",
        protocol: "Clients write every field, and ask for incremental reads of streams that have none; those are read \
                   in full.",
        level: Level::Must,
        needs: &[Need::Source],
        check: accepts_nulls,
    },
    Rule {
        id: "read.unknown-stream",
        title: "A stream that does not exist is not reported as complete.",
        protocol: "A catalog can be older than the source. The stream gets INCOMPLETE, or an ERROR trace says why; an \
                   overwrite by nothing would empty its table.",
        level: Level::Must,
        needs: &[Need::Source],
        check: unknown_stream,
    },
];

/// The reads from start to end.
pub(super) const WHOLE: [Act; 3] = [Act::ReadFull, Act::ReadIncremental, Act::ReadForced];

/// Namespace and name.
pub(super) type StreamName = (String, String);

pub(super) fn name_in(value: &Value, field: &str) -> StreamName {
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text(field))
}

fn each_read(evidence: &Evidence, check: impl Fn(&Observed) -> Outcome) -> Outcome {
    WHOLE.iter().try_for_each(|act| check(evidence.run(*act)?))
}

/// The streams of a run's configured catalog.
pub(super) fn configured(run: &Observed) -> Vec<(StreamName, &Value)> {
    let catalog = run.call.catalog.as_ref().map(|it| &it["streams"]);
    let streams = catalog.into_iter().flat_map(list);
    streams
        .map(|it| (name_in(&it["stream"], "name"), it))
        .collect()
}

fn statuses(run: &Observed) -> Vec<(usize, StreamName, &str)> {
    let statuses = run.traces("stream_status");
    statuses
        .map(|(line, status)| {
            let name = name_in(&status["stream_descriptor"], "name");
            (
                line.number,
                name,
                status["status"].as_str().unwrap_or_default(),
            )
        })
        .collect()
}

/// The streams a state is about.
fn streams_of(state: &Value) -> Vec<StreamName> {
    if state["type"] == "GLOBAL" {
        let streams = list(&state["global"]["stream_states"]);
        return streams
            .map(|it| name_in(&it["stream_descriptor"], "name"))
            .collect();
    }
    vec![name_in(&state["stream"]["stream_descriptor"], "name")]
}

fn succeeds(run: &Observed) -> Outcome {
    if run.succeeded() {
        return Ok(());
    }
    match run.traces("error").next() {
        Some((line, _)) => broken_at(run, line, run.ended.to_string()),
        None => broken_by(run, run.ended.to_string()),
    }
}

fn only_configured_streams(run: &Observed) -> Outcome {
    let known: HashSet<_> = configured(run).into_iter().map(|(name, _)| name).collect();
    for (line, record) in run.records() {
        if !known.contains(&name_in(record, "stream")) {
            return broken_at(run, line, "the record's stream is not in the catalog");
        }
    }
    for (line, state) in run.states().filter(|(_, state)| state["type"] != "LEGACY") {
        if streams_of(state).iter().any(|name| !known.contains(name)) {
            return broken_at(run, line, "the state's stream is not in the catalog");
        }
    }
    for (line, status) in run.traces("stream_status") {
        if !known.contains(&name_in(&status["stream_descriptor"], "name")) {
            return broken_at(run, line, "the status's stream is not in the catalog");
        }
    }
    Ok(())
}

fn complete(run: &Observed) -> Outcome {
    let statuses = statuses(run);
    for (name, _) in configured(run) {
        let of = |wanted: &str| {
            let found = statuses
                .iter()
                .filter(|(_, it, status)| *it == name && *status == wanted);
            found.count()
        };
        let (complete, incomplete) = (of("COMPLETE"), of("INCOMPLETE"));
        if (complete, incomplete) != (1, 0) {
            let (_, name) = &name;
            let what = format!("{name} has {complete} COMPLETE and {incomplete} INCOMPLETE");
            return broken_by(run, what);
        }
    }
    Ok(())
}

fn status_order(run: &Observed) -> Outcome {
    let rank = |status: &str| match status {
        "STARTED" => 0,
        "RUNNING" => 1,
        _ => 2,
    };
    let mut reached: BTreeMap<StreamName, usize> = BTreeMap::new();
    for line in &run.lines {
        let Ok(message) = &line.value else {
            continue;
        };
        match line.kind() {
            "RECORD" => {
                let name = name_in(&message["record"], "stream");
                match reached.get(&name) {
                    None => return broken_at(run, line, "the record comes before STARTED"),
                    Some(2) => return broken_at(run, line, "the record comes after the end"),
                    Some(_) => {}
                }
            }
            "TRACE" if message["trace"]["stream_status"].is_object() => {
                let status = &message["trace"]["stream_status"];
                let name = name_in(&status["stream_descriptor"], "name");
                let next = rank(status["status"].as_str().unwrap_or_default());
                let before = reached.insert(name, next);
                let is_again = before == Some(next) && next != 1;
                if is_again || before.is_some_and(|before| before > next) {
                    return broken_at(run, line, "the status comes too late, or again");
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn has_states(run: &Observed) -> Outcome {
    let mut seen: HashSet<_> = run
        .states()
        .flat_map(|(_, state)| streams_of(state))
        .collect();
    if run.states().any(|(_, state)| state["type"] == "GLOBAL") {
        // It stands for all streams, those without a state of their own too.
        seen.extend(configured(run).into_iter().map(|(name, _)| name));
    }
    match configured(run)
        .into_iter()
        .find(|(name, _)| !seen.contains(name))
    {
        Some(((_, name), _)) => broken_by(run, format!("{name} has no state")),
        None => Ok(()),
    }
}

fn last_state_covers_all(run: &Observed) -> Outcome {
    let mut last: BTreeMap<StreamName, usize> = BTreeMap::new();
    let mut global = 0;
    for (line, state) in run.states() {
        if state["type"] == "GLOBAL" {
            global = line.number;
        }
        last.extend(
            streams_of(state)
                .into_iter()
                .map(|name| (name, line.number)),
        );
    }
    for (line, record) in run.records() {
        let covered = last
            .get(&name_in(record, "stream"))
            .copied()
            .unwrap_or_default();
        if line.number > covered.max(global) {
            return broken_at(run, line, "no state of its stream follows this record");
        }
    }
    Ok(())
}

fn no_legacy_states(run: &Observed) -> Outcome {
    for (line, state) in run.states() {
        if !matches!(state["type"].as_str(), Some("STREAM" | "GLOBAL")) {
            return broken_at(run, line, "the state is neither STREAM nor GLOBAL");
        }
    }
    Ok(())
}

fn one_kind_of_states(run: &Observed) -> Outcome {
    let mut first = None;
    for (line, state) in run.states() {
        let kind = &state["type"];
        if *first.get_or_insert(kind) != kind {
            return broken_at(
                run,
                line,
                format!("there were {} states before", first.unwrap_or(kind)),
            );
        }
    }
    Ok(())
}

fn counts(run: &Observed) -> Outcome {
    let mut since: BTreeMap<StreamName, u64> = BTreeMap::new();
    for line in &run.lines {
        let Ok(message) = &line.value else {
            continue;
        };
        match line.kind() {
            "RECORD" => {
                *since
                    .entry(name_in(&message["record"], "stream"))
                    .or_default() += 1
            }
            "STATE" => {
                let state = &message["state"];
                let counted: u64 = match state["type"].as_str() {
                    Some("GLOBAL") => std::mem::take(&mut since).into_values().sum(),
                    Some("STREAM") => {
                        let streams = streams_of(state);
                        streams.iter().filter_map(|name| since.remove(name)).sum()
                    }
                    _ => continue,
                };
                let said = state["sourceStats"]["recordCount"].as_f64();
                if said != Some(counted as f64) {
                    let said = said.map_or("says nothing".to_owned(), |it| format!("says {it}"));
                    let what = format!("{counted} records came since the last state, it {said}");
                    return broken_at(run, line, what);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn states_move(run: &Observed) -> Outcome {
    let mut last: BTreeMap<Vec<StreamName>, Value> = BTreeMap::new();
    let mut since: HashSet<StreamName> = HashSet::new();
    for line in &run.lines {
        let Ok(message) = &line.value else {
            continue;
        };
        match line.kind() {
            "RECORD" => {
                since.insert(name_in(&message["record"], "stream"));
            }
            "STATE" => {
                let state = &message["state"];
                let content = match state["type"].as_str() {
                    Some("GLOBAL") => state["global"].clone(),
                    _ => state["stream"].clone(),
                };
                let streams = streams_of(state);
                let is_moved = streams.iter().any(|name| since.remove(name));
                let before = last.insert(streams, content.clone());
                if is_moved && before.as_ref() == Some(&content) {
                    return broken_at(
                        run,
                        line,
                        "it is the same as the state before the last records",
                    );
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn estimates(run: &Observed) -> Outcome {
    let mut kinds = HashSet::new();
    for (line, estimate) in run.traces("estimate") {
        kinds.insert(estimate["type"].as_str().unwrap_or_default());
        if kinds.len() > 1 {
            return broken_at(run, line, "there were estimates of the other type before");
        }
    }
    Ok(())
}

fn accepts_nulls(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::ReadForced)?;
    succeeds(run)?;
    let full = evidence.run(Act::ReadFull)?;
    let counted = |run: &Observed| run.records().count();
    if counted(run) < counted(full) {
        let (now, all) = (counted(run), counted(full));
        return broken_by(
            run,
            format!("it gave {now} records, the full refresh {all}"),
        );
    }
    Ok(())
}

fn unknown_stream(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::ReadUnknownStream)?;
    for (line, status) in run.traces("stream_status") {
        if status["status"] == "COMPLETE" {
            return broken_at(run, line, "a stream that does not exist is COMPLETE");
        }
    }
    let has_said = run.traces("error").next().is_some()
        || statuses(run)
            .iter()
            .any(|(_, _, status)| *status == "INCOMPLETE");
    if run.succeeded() && !has_said {
        return broken_by(run, "it succeeded and says nothing about the stream");
    }
    Ok(())
}
