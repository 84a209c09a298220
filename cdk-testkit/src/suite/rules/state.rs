//! Rules about reads that go on from a state.

use serde_json::Value;

use super::read::name_in;
use super::read_records::{incremental_streams, lost, tally};
use crate::suite::evidence::{Act, Evidence};
use crate::suite::observed::Observed;
use crate::suite::rule::{Level, Need, Outcome, Rule, broken_at, broken_by, skip};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "state.is-accepted",
        title: "The connector accepts its own states, with absent fields as null and unknown ones.",
        protocol: "Platforms and clients add fields to states (`id`, `global_`, stats) and write absent ones as null.",
        level: Level::Must,
        needs: &[Need::Source],
        check: is_accepted,
    },
    Rule {
        id: "state.moves-on",
        title: "A read from the last state does not read everything again.",
        protocol: "An incremental read gives what is new since the state.",
        level: Level::Must,
        needs: &[Need::Source, Need::Incremental],
        check: moves_on,
    },
    Rule {
        id: "state.resumes-everywhere",
        title: "From every state, a read gives everything that came after it.",
        protocol: "A state stands for all records of its stream before it, and for none after: whoever resumes from it \
                   misses nothing.",
        level: Level::Must,
        needs: &[Need::Source],
        check: resumes_everywhere,
    },
    Rule {
        id: "state.survives-kill",
        title: "After kill -9, a read from the last state that was seen misses nothing.",
        protocol: "A process can be gone at any moment; at-least-once is what is promised.",
        level: Level::Must,
        needs: &[Need::Source],
        check: |evidence| survives(evidence, [Act::ReadKilled, Act::ReadAfterKill]),
    },
    Rule {
        id: "state.survives-stop",
        title: "After SIGTERM, a read from the last state misses nothing.",
        protocol: "A stopped read ends with a state that it can go on from.",
        level: Level::Must,
        needs: &[Need::Source],
        check: |evidence| survives(evidence, [Act::ReadStopped, Act::ReadAfterStop]),
    },
    Rule {
        id: "state.ignores-what-is-gone",
        title: "States of streams that are gone are ignored, and of several states of a stream the last one counts.",
        protocol: "State files are kept over changes of the catalog; several states of a stream are no error.",
        level: Level::Must,
        needs: &[Need::Source, Need::Incremental],
        check: ignores_what_is_gone,
    },
    Rule {
        id: "state.ahead",
        title: "A state ahead of all data gives no records, and a state again.",
        protocol: "Nothing is new, so nothing is read; the state is kept.",
        level: Level::Must,
        needs: &[Need::Source, Need::Incremental, Need::FutureState],
        check: ahead,
    },
    Rule {
        id: "state.ahead-keeps-shape",
        title: "The state that answers a state ahead of all data has the same shape.",
        protocol: "A cursor value keeps its type and format from sync to sync.",
        level: Level::Must,
        needs: &[Need::Source, Need::Incremental, Need::FutureState],
        check: ahead_keeps_shape,
    },
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

fn is_accepted(evidence: &Evidence) -> Outcome {
    succeeded(evidence.run(Act::ReadSecond)?)
}

fn moves_on(evidence: &Evidence) -> Outcome {
    let (first, second) = (
        evidence.run(Act::ReadIncremental)?,
        evidence.run(Act::ReadSecond)?,
    );
    let streams = incremental_streams(first);
    let count = |run: &Observed| {
        let records = run.records();
        records
            .filter(|(_, record)| streams.contains(&name_in(record, "stream")))
            .count()
    };
    let (all, new) = (count(first), count(second));
    if all == 0 {
        return skip("no stream that is read incrementally has records");
    }
    // A cursor that includes its last value gives the newest records again.
    if new >= all && all > 1 {
        return broken_by(
            second,
            format!("it gave {new} records, the first read {all}"),
        );
    }
    Ok(())
}

fn resumes_everywhere(evidence: &Evidence) -> Outcome {
    let whole = evidence.run(Act::ReadIncremental)?;
    let mut resumed = 0;
    for (act, run) in &evidence.runs {
        let Act::Resume(number) = act else {
            continue;
        };
        resumed += 1;
        succeeded(run)?;
        if let Some(line) = lost(evidence, whole, whole, *number, run) {
            let what = format!("this record is missing when a read goes on from line {number}");
            return broken_at(whole, line, what);
        }
    }
    if resumed == 0 {
        return skip("the read had no state to go on from");
    }
    Ok(())
}

fn survives(evidence: &Evidence, acts: [Act; 2]) -> Outcome {
    let [before, after] = acts;
    let whole = evidence.run(Act::ReadIncremental)?;
    let (before, after) = (evidence.run(before)?, evidence.run(after)?);
    succeeded(after)?;
    match lost(evidence, whole, before, usize::MAX, after) {
        Some(line) => broken_at(
            whole,
            line,
            "this record is neither before the cut nor after it",
        ),
        None => Ok(()),
    }
}

fn ignores_what_is_gone(evidence: &Evidence) -> Outcome {
    let (second, foreign) = (
        evidence.run(Act::ReadSecond)?,
        evidence.run(Act::ReadForeignState)?,
    );
    succeeded(foreign)?;
    let streams = incremental_streams(second);
    let new = tally(evidence, second.records());
    for (line, record) in foreign.records() {
        if !streams.contains(&name_in(record, "stream")) {
            continue;
        }
        let alone = tally(evidence, std::iter::once((line, record)));
        if alone.keys().any(|record| !new.contains_key(record)) {
            return broken_at(
                foreign,
                line,
                "the last state alone did not give this record",
            );
        }
    }
    Ok(())
}

fn ahead(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::ReadFuture)?;
    succeeded(run)?;
    let streams = incremental_streams(run);
    for (line, record) in run.records() {
        if streams.contains(&name_in(record, "stream")) {
            return broken_at(
                run,
                line,
                "a record came, though the state is ahead of all data",
            );
        }
    }
    if run.states().next().is_none() {
        return broken_by(run, "no state came");
    }
    Ok(())
}

fn ahead_keeps_shape(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::ReadFuture)?;
    let given = run
        .call
        .state
        .as_ref()
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for (line, state) in run.states() {
        let same = |it: &&Value| {
            it["stream"]["stream_descriptor"]["name"]
                == state["stream"]["stream_descriptor"]["name"]
        };
        let Some(before) = given.iter().find(same) else {
            continue;
        };
        if !has_shape(
            &before["stream"]["stream_state"],
            &state["stream"]["stream_state"],
        ) {
            return broken_at(
                run,
                line,
                "its values have other types than those of the state given",
            );
        }
    }
    Ok(())
}

/// Whether every value that is in both has the same type in both.
fn has_shape(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => before
            .iter()
            .all(|(name, value)| after.get(name).is_none_or(|after| has_shape(value, after))),
        _ => std::mem::discriminant(before) == std::mem::discriminant(after),
    }
}
