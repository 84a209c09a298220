//! Rules about `check`.

use crate::suite::evidence::{Act, Evidence};
use crate::suite::observed::{Ended, Observed};
use crate::suite::rule::{Level, Need, Outcome, Rule, broken_at, broken_by};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "check.one-answer",
        title: "`check` prints exactly one CONNECTION_STATUS.",
        protocol: "The first CONNECTION_STATUS is the answer; an exit without one is an error of the connector.",
        level: Level::Must,
        needs: &[],
        check: one_answer,
    },
    Rule {
        id: "check.succeeds",
        title: "A config that works is answered with SUCCEEDED and exit code 0.",
        protocol: "SUCCEEDED says that the connector can work with this config.",
        level: Level::Must,
        needs: &[],
        check: succeeds,
    },
    Rule {
        id: "check.refuses",
        title: "A config that can't work is answered with FAILED, or with an ERROR trace.",
        protocol: "FAILED says that the connector can't work with this config; a connection with it is not created.",
        level: Level::Must,
        needs: &[Need::InvalidConfig],
        check: refuses,
    },
    Rule {
        id: "check.says-why",
        title: "FAILED comes with a message.",
        protocol: "`message` is what the user sees.",
        level: Level::Must,
        needs: &[Need::InvalidConfig],
        check: says_why,
    },
    Rule {
        id: "check.failed-is-an-answer",
        title: "FAILED exits with 0.",
        protocol: "A config that does not work is an answer of `check`, not a failure of the connector.",
        level: Level::Must,
        needs: &[Need::InvalidConfig],
        check: failed_is_an_answer,
    },
    Rule {
        id: "check.validates",
        title: "A config against the spec is refused.",
        protocol: "Configs are validated by `connectionSpecification` before anything is done with them.",
        level: Level::Must,
        needs: &[],
        check: validates,
    },
    Rule {
        id: "check.missing-file",
        title: "A config file that does not exist is refused.",
        protocol: "`--config` names a file with the config; a connector can't work without it.",
        level: Level::Must,
        needs: &[],
        check: missing_file,
    },
];

const STATUS: (&str, &str) = ("CONNECTION_STATUS", "connectionStatus");

fn one_answer(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::Check)?;
    let mut statuses = run.messages(STATUS.0, STATUS.1);
    match (statuses.next(), statuses.next()) {
        (None, _) => broken_by(
            run,
            format!("there is no CONNECTION_STATUS ({})", run.ended),
        ),
        (_, Some((line, _))) => broken_at(run, line, "this is the second CONNECTION_STATUS"),
        _ => Ok(()),
    }
}

fn succeeds(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::Check)?;
    match run.messages(STATUS.0, STATUS.1).next() {
        Some((line, status)) if status["status"] != "SUCCEEDED" => {
            broken_at(run, line, "a config that works was refused")
        }
        _ if run.succeeded() => Ok(()),
        _ => broken_by(run, run.ended.to_string()),
    }
}

/// Whether a check says that the config does not work.
fn is_refusal(run: &Observed) -> bool {
    match run.first(STATUS.0, STATUS.1) {
        Some(status) => status["status"] == "FAILED",
        None => run.traces("error").next().is_some() && !run.succeeded(),
    }
}

fn is_refused(run: &Observed) -> Outcome {
    match run.messages(STATUS.0, STATUS.1).next() {
        _ if is_refusal(run) => Ok(()),
        Some((line, _)) => broken_at(run, line, "a config that can't work was accepted"),
        None => broken_by(
            run,
            format!("neither FAILED nor an ERROR trace ({})", run.ended),
        ),
    }
}

fn invalid(evidence: &Evidence) -> impl Iterator<Item = &Observed> {
    let count = evidence.plan.invalid_configs.len();
    (0..count).filter_map(|at| evidence.runs.get(&Act::CheckInvalid(at)))
}

fn refuses(evidence: &Evidence) -> Outcome {
    invalid(evidence).try_for_each(is_refused)
}

fn says_why(evidence: &Evidence) -> Outcome {
    for run in invalid(evidence) {
        for (line, status) in run.messages(STATUS.0, STATUS.1) {
            let message = status["message"].as_str().unwrap_or_default();
            if status["status"] == "FAILED" && message.trim().is_empty() {
                return broken_at(run, line, "there is no message");
            }
        }
    }
    Ok(())
}

fn failed_is_an_answer(evidence: &Evidence) -> Outcome {
    for run in invalid(evidence) {
        let has_failed = run
            .first(STATUS.0, STATUS.1)
            .is_some_and(|it| it["status"] == "FAILED");
        if has_failed && matches!(run.ended, Ended::Exit(1..)) {
            return broken_by(run, format!("the answer is FAILED, with {}", run.ended));
        }
    }
    Ok(())
}

fn validates(evidence: &Evidence) -> Outcome {
    is_refused(evidence.run(Act::CheckBroken)?)
}

fn missing_file(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::CheckNoFile)?;
    if run.succeeded() && !is_refusal(run) {
        return broken_by(run, "it succeeded without a config");
    }
    Ok(())
}
