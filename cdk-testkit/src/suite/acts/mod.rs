//! What the suite does with a connector, in order.

mod config;
mod destination;
mod source;
mod states;
mod streams;

use std::sync::Arc;
use std::time::Instant;

use super::call::Call;
use super::evidence::{Act, Evidence, TIME_UP};
use super::observed::{Ended, Observed};
use super::subject::{SharedTape, Subject};
use super::tape::Tape;

pub(super) use destination::BEFORE_KILL;
pub(super) use states::covered;

/// Where the runs take place.
pub(super) struct Stage {
    subject: Arc<dyn Subject>,
    pub(super) evidence: Evidence,
    pub(super) started: Instant,
}

impl Stage {
    pub(super) fn new(subject: Arc<dyn Subject>, evidence: Evidence) -> Self {
        Self {
            subject,
            evidence,
            started: Instant::now(),
        }
    }

    /// Runs a call, unless that makes no sense any more.
    async fn call(&mut self, act: Act, call: Call) {
        let limits = &self.evidence.plan.limits;
        let left = limits.suite.saturating_sub(self.started.elapsed());
        if left.is_zero() {
            return self.miss(act, TIME_UP);
        }
        if self.evidence.gave_up(call.verb) {
            let why = format!("`{}` did not come to its end before", call.verb);
            return self.miss(act, why);
        }
        let tape = SharedTape::new(Tape::new(limits.output, call.interrupt));
        let begun = Instant::now();
        let run = self.subject.run(&call, &tape);
        let ended = tokio::time::timeout(limits.run.min(left), run).await;
        let ended = ended.unwrap_or(Ended::TimedOut);
        let observed = Observed::new(call, tape.take(), ended, begun.elapsed());
        self.evidence.runs.insert(act, observed);
    }

    /// Runs a second call of an act, if the first one succeeded.
    async fn then(&mut self, act: Act, call: Call) {
        if self
            .evidence
            .runs
            .get(&act)
            .is_some_and(Observed::succeeded)
        {
            self.call(act, call).await;
        }
    }

    /// Says why something is not done.
    fn miss(&mut self, act: Act, why: impl Into<String>) {
        self.evidence.missing.insert(act, why.into());
    }

    /// Reads back what the destination holds of a stream, if there is a way.
    async fn read_back(&mut self, act: Act, namespace: Option<&str>, name: &str) {
        let Some(read) = self.evidence.plan.read_back.clone() else {
            return;
        };
        let reading = read(namespace.map(str::to_owned), name.to_owned());
        let rows = tokio::time::timeout(self.evidence.plan.limits.run, reading).await;
        let rows = rows.unwrap_or_else(|_| Err("the time limit of a run was up".to_owned()));
        let stream = namespace.map_or(name.to_owned(), |it| format!("{it}.{name}"));
        self.evidence.rows.insert((act, stream), rows);
    }
}

/// Everything.
pub(super) async fn play(stage: &mut Stage) {
    stage.call(Act::Spec, Call::new("spec", "spec")).await;
    stage.evidence.learn_spec();
    config::play(stage).await;
    if stage.evidence.is_destination() {
        destination::play(stage).await;
    } else {
        source::play(stage).await;
    }
}
