//! `discover` and `read`.

use serde_json::{Value, json};

use super::states::{states_before, with_foreign, with_nulls};
use super::{Stage, streams};
use crate::suite::call::{At, Call, Interrupt, Signal};
use crate::suite::evidence::Act;

pub(super) async fn play(stage: &mut Stage) {
    for (act, label) in [
        (Act::Discover, "discover"),
        (Act::DiscoverAgain, "discover (again)"),
    ] {
        let mut call = Call::new(label, "discover");
        call.config = Some(stage.evidence.plan.config.clone());
        stage.call(act, call).await;
    }
    let has_streams = stage.evidence.chosen().next().is_some();
    if has_streams || stage.evidence.plan.catalog.is_some() {
        full_refresh(stage).await;
        incremental(stage).await;
    }
    let unknown = streams::unknown();
    read(
        stage,
        Act::ReadUnknownStream,
        "read (a stream that does not exist)",
        unknown,
        None,
    )
    .await;
}

/// Runs `read`, with everything as usual.
async fn read(stage: &mut Stage, act: Act, label: &str, catalog: Value, state: Option<Value>) {
    let call = call(stage, label, catalog, state);
    stage.call(act, call).await;
}

fn call(stage: &Stage, label: &str, catalog: Value, state: Option<Value>) -> Call {
    let mut call = Call::new(label, "read");
    call.config = Some(stage.evidence.plan.config.clone());
    call.catalog = Some(catalog);
    call.state = state;
    call
}

async fn full_refresh(stage: &mut Stage) {
    let catalog = streams::full_refresh(&stage.evidence);
    read(
        stage,
        Act::ReadFull,
        "read (full refresh)",
        catalog.clone(),
        None,
    )
    .await;
    read(
        stage,
        Act::ReadFullAgain,
        "read (full refresh, again)",
        catalog,
        None,
    )
    .await;
    let forced = streams::forced(&stage.evidence);
    let label = "read (everything incremental, absent fields as null, empty state)";
    read(stage, Act::ReadForced, label, forced, Some(json!([]))).await;
}

async fn incremental(stage: &mut Stage) {
    let catalog = streams::incremental(&stage.evidence);
    let from = stage.evidence.plan.state.clone();
    let label = "read (incremental)";
    read(stage, Act::ReadIncremental, label, catalog.clone(), from).await;
    let Some(first) = stage.evidence.runs.get(&Act::ReadIncremental) else {
        return;
    };
    let numbers: Vec<_> = first.states().map(|(line, _)| line.number).collect();
    let has_records = first.records().next().is_some();
    let Some((earliest, last)) = numbers.first().zip(numbers.last()) else {
        return;
    };
    let latest = states_before(first, *last);
    let older = states_before(first, *earliest);
    let resumes = stage.evidence.plan.limits.resumes;
    let from: Vec<_> = chosen(&numbers, resumes)
        .into_iter()
        .map(|number| (number, Value::Array(states_before(first, number))))
        .collect();
    let second = with_nulls(latest.clone());
    read(
        stage,
        Act::ReadSecond,
        "read (from its last state)",
        catalog.clone(),
        Some(second),
    )
    .await;
    let foreign = with_foreign(older, latest);
    let label = "read (with an older state before, and the state of a stream that is gone)";
    read(
        stage,
        Act::ReadForeignState,
        label,
        catalog.clone(),
        Some(foreign),
    )
    .await;
    for (number, states) in from {
        let label = format!("read (from the state in line {number})");
        read(
            stage,
            Act::Resume(number),
            &label,
            catalog.clone(),
            Some(states),
        )
        .await;
    }
    let half = At::State(numbers.len().div_ceil(2));
    cut(
        stage,
        Signal::Kill,
        half,
        &catalog,
        [Act::ReadKilled, Act::ReadAfterKill],
    )
    .await;
    if has_records {
        let acts = [Act::ReadStopped, Act::ReadAfterStop];
        cut(stage, Signal::Term, At::Record(1), &catalog, acts).await;
    }
    if let Some(future) = stage.evidence.plan.future_state.clone() {
        let label = "read (from a state ahead of all data)";
        read(stage, Act::ReadFuture, label, catalog, Some(future)).await;
    }
}

/// Reads, interrupts, and reads again from where it stood.
async fn cut(stage: &mut Stage, signal: Signal, at: At, catalog: &Value, acts: [Act; 2]) {
    let [before, after] = acts;
    let how = match signal {
        Signal::Kill => "killed",
        Signal::Term => "stopped",
    };
    let from = stage.evidence.plan.state.clone();
    let mut call = call(stage, &format!("read ({how})"), catalog.clone(), from);
    call.interrupt = Some(Interrupt { signal, at });
    stage.call(before, call).await;
    let Some(run) = stage.evidence.runs.get(&before) else {
        return;
    };
    let states = states_before(run, usize::MAX);
    let states = match (states.is_empty(), stage.evidence.plan.state.clone()) {
        (true, Some(first)) => first,
        _ => Value::Array(states),
    };
    let label = format!("read (after it was {how})");
    read(stage, after, &label, catalog.clone(), Some(states)).await;
}

/// At most `most` of the numbers, evenly chosen.
fn chosen(numbers: &[usize], most: usize) -> Vec<usize> {
    let step = numbers.len().div_ceil(most.max(1)).max(1);
    numbers.iter().copied().step_by(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_chosen_evenly() {
        assert_eq!(chosen(&[1, 2, 3, 4, 5], 2), [1, 4]);
        assert_eq!(chosen(&[1, 2], 10), [1, 2]);
        assert_eq!(chosen(&[], 10), [0; 0]);
    }
}
