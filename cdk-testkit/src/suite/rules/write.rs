//! Rules about what a destination answers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::read::{StreamName, name_in};
use crate::suite::evidence::{Act, Evidence};
use crate::suite::observed::Observed;
use crate::suite::rule::{Level, Need, Outcome, Rule, broken_at, broken_by};

/// A rule by which a run has to succeed.
macro_rules! succeeds_rule {
    ($id:literal, $title:literal, $protocol:literal, $acts:expr $(, $need:expr)*) => {
        Rule {
            id: $id,
            title: $title,
            protocol: $protocol,
            level: Level::Must,
            needs: &[Need::Destination $(, $need)*],
            check: |evidence: &Evidence| $acts.iter().try_for_each(|act| succeeded(evidence.run(*act)?)),
        }
    };
}

/// A rule about every load that succeeds.
macro_rules! load_rule {
    ($id:literal, $title:literal, $protocol:literal, $check:expr) => {
        Rule {
            id: $id,
            title: $title,
            protocol: $protocol,
            level: Level::Must,
            needs: &[Need::Destination],
            check: |evidence: &Evidence| {
                let loads = LOADS.iter().filter_map(|act| evidence.runs.get(act));
                loads.filter(|run| run.succeeded()).try_for_each($check)
            },
        }
    };
}

pub(super) const RULES: &[Rule] = &[
    succeeds_rule!(
        "write.append",
        "Records are appended, with messages as platforms and Python clients write them.",
        "A destination reads RECORD and STATE; it must not mind LOG and TRACE lines, nulls, and fields it does not know.",
        [Act::Append, Act::AppendAgain],
        Need::Append
    ),
    succeeds_rule!(
        "write.overwrite",
        "A stream is overwritten, twice.",
        "With the mode overwrite, the records of a sync replace those of the syncs before.",
        [Act::Overwrite, Act::OverwriteAgain],
        Need::Overwrite
    ),
    succeeds_rule!(
        "write.dedup",
        "A stream is merged by its primary key, twice.",
        "With the mode append_dedup, one row is kept for each primary key: the one of the largest cursor.",
        [Act::Dedup, Act::DedupAgain],
        Need::Dedup
    ),
    succeeds_rule!(
        "write.refresh",
        "A refresh with a new generation is loaded.",
        "`minimum_generation_id` says which generations are removed once the stream is complete.",
        [Act::Refresh, Act::RefreshAgain],
        Need::Append
    ),
    succeeds_rule!(
        "write.odd-names",
        "Streams and fields with spaces, quotes, keywords, other scripts and long names are loaded.",
        "Names come from foreign systems; a destination maps what its system can't hold.",
        [Act::OddNames]
    ),
    succeeds_rule!(
        "write.odd-values",
        "Extreme and malformed values are loaded, not refused.",
        "What a destination can't hold it nulls and says so in `_airbyte_meta.changes`; one value never fails a sync.",
        [Act::OddValues]
    ),
    succeeds_rule!(
        "write.namespaces",
        "Two streams of one name in two namespaces are loaded.",
        "Namespace and name identify a stream.",
        [Act::Namespaces]
    ),
    succeeds_rule!(
        "write.new-column",
        "A stream gets a new column.",
        "Schemas change between syncs; a new field becomes a new column.",
        [Act::NewColumn]
    ),
    succeeds_rule!(
        "write.new-type",
        "A column changes its type.",
        "Schemas change between syncs; a destination alters the column or maps the values.",
        [Act::NewType]
    ),
    succeeds_rule!(
        "write.no-records",
        "A stream without records is loaded.",
        "Most syncs have streams with nothing new.",
        [Act::Empty]
    ),
    succeeds_rule!(
        "write.many-streams",
        "Many streams are loaded side by side.",
        "Records of different streams come in any order.",
        [Act::ManyStreams]
    ),
    load_rule!(
        "write.states-come-back",
        "Every state comes back.",
        "A state that does not come back was not saved: the next sync starts before it. Platforms with checksums fail \
         the sync.",
        states_come_back
    ),
    load_rule!(
        "write.states-in-order",
        "States come back in the order they came.",
        "Per stream for STREAM states, overall for GLOBAL ones; the last one wins.",
        states_in_order
    ),
    load_rule!(
        "write.states-unchanged",
        "States come back as they came, with fields that the destination does not know.",
        "Platforms add an `id` to each state and fail the sync if it does not come back.",
        states_unchanged
    ),
    load_rule!(
        "write.counts",
        "Every state that comes back carries the number of records loaded since the one before.",
        "`destinationStats.recordCount` is compared with what the source sent.",
        counts
    ),
    Rule {
        id: "write.global-states",
        title: "A GLOBAL state comes back, with the records of all streams counted.",
        protocol: "A GLOBAL state stands for all streams: it comes back when everything before it is durable.",
        level: Level::Must,
        needs: &[Need::Destination],
        check: global_states,
    },
    Rule {
        id: "write.unknown-stream",
        title: "A record of a stream that is not in the catalog fails the run.",
        protocol: "Its records have no place to go; to drop them in silence is to lose data.",
        level: Level::Must,
        needs: &[Need::Destination],
        check: |evidence| refused(evidence, Act::UnknownStream),
    },
    Rule {
        id: "write.unknown-mode",
        title: "A sync mode that the destination does not have is refused.",
        protocol: "Only modes of `supported_destination_sync_modes` may be used; another one loaded anyhow gives wrong \
                   tables.",
        level: Level::Must,
        needs: &[Need::Destination],
        check: |evidence| refused(evidence, Act::UnknownMode),
    },
    Rule {
        id: "write.garbage",
        title: "A line that is no message loses no record in silence.",
        protocol: "Such a line is logged and left out, or it fails the run with an ERROR trace; the records around it \
                   are loaded or not acknowledged.",
        level: Level::Must,
        needs: &[Need::Destination],
        check: garbage,
    },
];

/// The loads whose states are looked at.
const LOADS: [Act; 12] = [
    Act::Append,
    Act::AppendAgain,
    Act::Overwrite,
    Act::OverwriteAgain,
    Act::RefreshAgain,
    Act::Dedup,
    Act::DedupAgain,
    Act::Namespaces,
    Act::OddNames,
    Act::OddValues,
    Act::Empty,
    Act::ManyStreams,
];

fn succeeded(run: &Observed) -> Outcome {
    if run.succeeded() {
        return Ok(());
    }
    match run.traces("error").next() {
        Some((line, _)) => broken_at(run, line, run.ended.to_string()),
        None => broken_by(run, run.ended.to_string()),
    }
}

/// The STATE messages that a run was given.
fn given(run: &Observed) -> Vec<Value> {
    let lines = run.call.stdin.split(|byte| *byte == b'\n');
    let states = lines.filter(|line| line.starts_with(b"{\"type\":\"STATE\""));
    states
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

/// The states of each stream, in order, without stats.
fn by_stream<'a>(states: impl Iterator<Item = &'a Value>) -> BTreeMap<StreamName, Vec<Value>> {
    let mut streams: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for state in states {
        let mut bare = state.clone();
        if let Some(fields) = bare.as_object_mut() {
            fields.retain(|name, value| !value.is_null() && name != "destinationStats");
        }
        let name = name_in(&state["stream"]["stream_descriptor"], "name");
        streams.entry(name).or_default().push(bare);
    }
    streams
}

fn sent(run: &Observed) -> BTreeMap<StreamName, Vec<Value>> {
    by_stream(given(run).iter().map(|message| &message["state"]))
}

fn returned(run: &Observed) -> BTreeMap<StreamName, Vec<Value>> {
    by_stream(run.states().map(|(_, state)| state))
}

fn states_come_back(run: &Observed) -> Outcome {
    let returned = returned(run);
    for ((namespace, name), states) in sent(run) {
        let back = returned.get(&(namespace, name.clone())).map_or(0, Vec::len);
        if back != states.len() {
            let what = format!("{name} was given {} states, {back} came back", states.len());
            return broken_by(run, what);
        }
    }
    Ok(())
}

/// What tells two states of a stream apart here.
fn mark(state: &Value) -> String {
    state["stream"]["stream_state"].to_string()
}

fn states_in_order(run: &Observed) -> Outcome {
    let sent = sent(run);
    for (name, states) in returned(run) {
        let order = sent.get(&name).map_or(&[][..], Vec::as_slice);
        let mut at = 0;
        for state in states {
            let found = order[at..].iter().position(|it| mark(it) == mark(&state));
            match found {
                Some(found) => at += found + 1,
                None if order.iter().any(|it| mark(it) == mark(&state)) => {
                    let what = format!("the state {} of {} comes too late", mark(&state), name.1);
                    return broken_by(run, what);
                }
                None => {}
            }
        }
    }
    Ok(())
}

fn states_unchanged(run: &Observed) -> Outcome {
    let sent = sent(run);
    for (line, state) in run.states() {
        let alone = by_stream(std::iter::once(state));
        for (name, states) in alone {
            let before = sent.get(&name).map_or(&[][..], Vec::as_slice);
            if states.iter().any(|state| !before.contains(state)) {
                return broken_at(run, line, "no such state was given");
            }
        }
    }
    Ok(())
}

fn recorded(run: &Observed) -> BTreeMap<StreamName, u64> {
    let mut counts = BTreeMap::new();
    let lines = run.call.stdin.split(|byte| *byte == b'\n');
    for line in lines.filter(|line| line.starts_with(b"{\"type\":\"RECORD\"")) {
        // Record data need not fit into a tree; names come before it.
        let text = String::from_utf8_lossy(line);
        let head = text.split(",\"data\":").next().unwrap_or_default();
        let head: Value = serde_json::from_str(&format!("{head}}}}}")).unwrap_or_default();
        *counts
            .entry(name_in(&head["record"], "stream"))
            .or_default() += 1;
    }
    counts
}

fn counts(run: &Observed) -> Outcome {
    let mut counted: BTreeMap<StreamName, f64> = BTreeMap::new();
    for (line, state) in run.states() {
        let Some(count) = state["destinationStats"]["recordCount"].as_f64() else {
            return broken_at(run, line, "there is no `destinationStats.recordCount`");
        };
        let name = name_in(&state["stream"]["stream_descriptor"], "name");
        *counted.entry(name).or_default() += count;
    }
    let sent = recorded(run);
    for (name, count) in &counted {
        let records = sent.get(name).copied().unwrap_or_default();
        if *count != records as f64 {
            let what = format!(
                "{} was given {records} records, its states count {count}",
                name.1
            );
            return broken_by(run, what);
        }
    }
    Ok(())
}

fn global_states(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::GlobalState)?;
    succeeded(run)?;
    let given = given(run);
    let back: Vec<_> = run.states().collect();
    if back.len() != given.len() {
        return broken_by(
            run,
            format!("{} were given, {} came back", given.len(), back.len()),
        );
    }
    for (given, (line, state)) in given.iter().zip(&back) {
        if given["state"]["global"] != state["global"] {
            return broken_at(
                run,
                line,
                "it is not the state that was given at this place",
            );
        }
    }
    let counts = back
        .iter()
        .map(|(_, it)| it["destinationStats"]["recordCount"].as_f64());
    let counted: f64 = counts.map(Option::unwrap_or_default).sum();
    if counted != 3.0 {
        return broken_by(
            run,
            format!("3 records were given, the states count {counted}"),
        );
    }
    Ok(())
}

fn refused(evidence: &Evidence, act: Act) -> Outcome {
    let run = evidence.run(act)?;
    if run.succeeded() {
        return broken_by(run, "it succeeded");
    }
    match run.states().next() {
        Some((line, _)) => broken_at(run, line, "a state came back, as if it had been loaded"),
        None => Ok(()),
    }
}

fn garbage(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::Garbage)?;
    if !run.succeeded() {
        // What it says about it is another rule's.
        return Ok(());
    }
    states_come_back(run)?;
    counts(run)
}
