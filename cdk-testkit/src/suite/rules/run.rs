//! Rules about runs as such: they end, in time, with an exit code that tells the truth.

use serde_json::Value;

use crate::suite::evidence::{Act, Evidence, TIME_UP};
use crate::suite::observed::{Ended, Observed};
use crate::suite::rule::{Level, Need, Outcome, Rule, broken, broken_at, broken_by};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "run.ends",
        title: "Every run ends by itself within its time limit, and all of them within the suite's.",
        protocol: "A connector ends when its work is done; platforms give `spec`, `check` and `discover` nine minutes, \
                   and a sync that goes silent is failed.",
        level: Level::Must,
        needs: &[],
        check: ends,
    },
    Rule {
        id: "run.output-is-bounded",
        title: "No run prints more than the output limit.",
        protocol: "Answers of `spec`, `check` and `discover` are kept in files and in memory; a test read has to fit too.",
        level: Level::Must,
        needs: &[],
        check: is_bounded,
    },
    Rule {
        id: "run.no-crash",
        title: "No run panics, aborts or is ended by a signal.",
        protocol: "Every failure is an ERROR trace and an exit code of the connector's own choice; anything else is \
                   reported to users as an unknown error.",
        level: Level::Must,
        needs: &[],
        check: no_crash,
    },
    Rule {
        id: "run.failure-is-explained",
        title: "Every run that fails prints an ERROR trace with a message and a failure type.",
        protocol: "Users see the message of the first ERROR trace; `failure_type` says whether to retry (transient_error), \
                   to change the config (config_error) or to report a bug (system_error).",
        level: Level::Must,
        needs: &[],
        check: failure_is_explained,
    },
    Rule {
        id: "run.error-is-no-success",
        title: "A run that prints an ERROR trace does not exit with 0.",
        protocol: "The exit code decides whether a sync succeeded; clients that only look at it must not take a failure \
                   for a success. Only `check` may answer FAILED with exit code 0.",
        level: Level::Must,
        needs: &[],
        check: error_is_no_success,
    },
    Rule {
        id: "run.stops-when-told",
        title: "A run that gets SIGTERM ends in time.",
        protocol: "Platforms send SIGTERM on cancellation and SIGKILL ten seconds later; what was read or written until \
                   then should have been saved.",
        level: Level::Must,
        needs: &[],
        check: stops_when_told,
    },
    Rule {
        id: "run.secrets-stay-secret",
        title: "No secret of a config is printed, plain or encoded.",
        protocol: "Output goes to logs that many people read. Only a CONTROL message carries a config.",
        level: Level::Must,
        needs: &[Need::Secrets],
        check: secrets_stay_secret,
    },
];

fn ends(evidence: &Evidence) -> Outcome {
    for run in evidence.runs.values() {
        if run.ended == Ended::TimedOut {
            let took = run.took.as_secs();
            return broken_by(run, format!("it still ran after {took} s and was killed"));
        }
    }
    if evidence.missing.values().any(|why| why == TIME_UP) {
        let limit = evidence.plan.limits.suite.as_secs();
        return broken(format!("the whole suite was not done after {limit} s"));
    }
    Ok(())
}

fn is_bounded(evidence: &Evidence) -> Outcome {
    for run in evidence.runs.values() {
        if run.ended == Ended::Flooded {
            let limit = evidence.plan.limits.output;
            return broken_by(
                run,
                format!("it printed more than {limit} bytes and was killed"),
            );
        }
    }
    Ok(())
}

/// Exit code of a Rust program that panicked.
const PANICKED: i32 = 101;

fn no_crash(evidence: &Evidence) -> Outcome {
    for run in evidence.runs.values() {
        let is_asked = run.stopping.is_some();
        let is_crash = match run.ended {
            Ended::Signal(15) | Ended::Exit(143) if is_asked => false,
            Ended::Exit(code) => code == PANICKED || code >= 128,
            Ended::Signal(_) | Ended::Broken(_) => true,
            Ended::Killed | Ended::TimedOut | Ended::Flooded => false,
        };
        if is_crash {
            return broken_by(run, run.ended.to_string());
        }
    }
    Ok(())
}

fn failure_is_explained(evidence: &Evidence) -> Outcome {
    for run in evidence.runs.values() {
        let has_failed = matches!(run.ended, Ended::Exit(code) if code != 0);
        if has_failed && run.stopping.is_none() {
            is_explained(run)?;
        }
    }
    Ok(())
}

fn is_explained(run: &Observed) -> Outcome {
    let Some((line, error)) = run.traces("error").next() else {
        return broken_by(run, format!("{}, but there is no ERROR trace", run.ended));
    };
    if error["message"]
        .as_str()
        .is_none_or(|it| it.trim().is_empty())
    {
        return broken_at(run, line, "the ERROR trace has no message for the user");
    }
    if !error["failure_type"].is_string() {
        return broken_at(run, line, "the ERROR trace has no `failure_type`");
    }
    Ok(())
}

fn error_is_no_success(evidence: &Evidence) -> Outcome {
    let runs = evidence.runs.values();
    for run in runs.filter(|run| run.call.verb != "check" && run.succeeded()) {
        if let Some((line, _)) = run.traces("error").next() {
            return broken_at(run, line, "there is an ERROR trace, but the exit code is 0");
        }
    }
    Ok(())
}

fn stops_when_told(evidence: &Evidence) -> Outcome {
    let act = if evidence.is_destination() {
        Act::Stopped
    } else {
        Act::ReadStopped
    };
    let run = evidence.run(act)?;
    let limit = evidence.plan.limits.stop;
    match (run.stopping, &run.ended) {
        (_, Ended::TimedOut) => broken_by(run, "it did not end at all"),
        (Some(took), _) if took > limit => {
            broken_by(run, format!("it took {} s to end", took.as_secs()))
        }
        _ => Ok(()),
    }
}

fn secrets_stay_secret(evidence: &Evidence) -> Outcome {
    for run in evidence.runs.values() {
        for line in run.lines.iter().filter(|line| line.kind() != "CONTROL") {
            if evidence.leaks(&line.text) {
                let masked = evidence.mask(&line.text);
                let shown = crate::suite::tape::Line {
                    text: masked,
                    value: Ok(Value::Null),
                    ..*line
                };
                return broken_at(run, &shown, "a secret was printed (masked here)");
            }
        }
        if evidence.leaks(&run.stderr) {
            return broken_by(run, "a secret was printed to stderr");
        }
    }
    Ok(())
}
