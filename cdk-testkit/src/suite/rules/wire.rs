//! Rules about every line that is printed.

use cdk_core::{Clock, SystemClock};
use serde_json::Value;

use crate::schema;
use crate::suite::evidence::Evidence;
use crate::suite::observed::{Ended, Observed};
use crate::suite::rule::{Level, Outcome, Rule, broken_at, broken_by};
use crate::suite::tape::Line;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "wire.json-lines",
        title: "Every line of stdout is a JSON object in UTF-8.",
        protocol: "Messages are JSON, one per line. Platforms log a line that is none, and drop a record in it silently.",
        level: Level::Must,
        needs: &[],
        check: json_lines,
    },
    Rule {
        id: "wire.known-types",
        title: "Every message has a type of the protocol.",
        protocol: "`type` is one of RECORD, STATE, LOG, SPEC, CONNECTION_STATUS, CATALOG, TRACE, CONTROL, \
                   DESTINATION_CATALOG; a message of another type is dropped.",
        level: Level::Must,
        needs: &[],
        check: known_types,
    },
    Rule {
        id: "wire.schema",
        title: "Every message is valid by the protocol's own JSON schema.",
        protocol: "`airbyte_protocol.yaml` says which fields are required and what they hold; a message that breaks it is \
                   dropped or fails the sync.",
        level: Level::Must,
        needs: &[],
        check: protocol_schema,
    },
    Rule {
        id: "wire.whole-lines",
        title: "The last line of stdout has an end.",
        protocol: "A message is complete at its line feed; what follows the last one can be lost with the process.",
        level: Level::Must,
        needs: &[],
        check: whole_lines,
    },
    Rule {
        id: "wire.line-size",
        title: "No line is longer than 20,000,000 characters.",
        protocol: "Platforms warn from 20,000,000 characters on, and destinations may refuse such a record.",
        level: Level::Must,
        needs: &[],
        check: line_size,
    },
    Rule {
        id: "wire.verb-messages",
        title: "A verb prints only the messages that belong to it.",
        protocol: "Besides LOG, TRACE and CONTROL, `spec` prints SPEC, `check` CONNECTION_STATUS, `discover` CATALOG, \
                   `read` RECORD and STATE, `write` STATE; anything else is filtered out.",
        level: Level::Must,
        needs: &[],
        check: verb_messages,
    },
    Rule {
        id: "wire.emitted-at",
        title: "`emitted_at` is a time in milliseconds since 1970.",
        protocol: "`emitted_at` of RECORD and TRACE is in epoch milliseconds; it becomes `_airbyte_extracted_at` and \
                   orders errors.",
        level: Level::Must,
        needs: &[],
        check: emitted_at,
    },
    Rule {
        id: "wire.log-levels",
        title: "Logs are not errors: no successful run logs at FATAL.",
        protocol: "Level FATAL is for the end of a connector; platforms show it as a failure.",
        level: Level::Should,
        needs: &[],
        check: log_levels,
    },
];

const TYPES: [&str; 9] = [
    "RECORD",
    "STATE",
    "LOG",
    "SPEC",
    "CONNECTION_STATUS",
    "CATALOG",
    "TRACE",
    "CONTROL",
    "DESTINATION_CATALOG",
];

/// Looks at every line of every run.
fn each_line(evidence: &Evidence, check: impl Fn(&Observed, &Line) -> Outcome) -> Outcome {
    for run in evidence.runs.values() {
        for line in &run.lines {
            // The line a killed run was in the middle of.
            let is_cut = !run.is_whole && !matches!(run.ended, Ended::Exit(_));
            if !(is_cut && line.number == run.lines.len()) {
                check(run, line)?;
            }
        }
    }
    Ok(())
}

fn json_lines(evidence: &Evidence) -> Outcome {
    each_line(evidence, |run, line| match &line.value {
        Ok(Value::Object(_)) => Ok(()),
        Ok(_) => broken_at(run, line, "the line is JSON, but no object"),
        Err(error) => broken_at(run, line, format!("the line is no JSON: {error}")),
    })
}

fn known_types(evidence: &Evidence) -> Outcome {
    each_line(evidence, |run, line| {
        if line.value.as_ref().is_ok_and(Value::is_object) && !TYPES.contains(&line.kind()) {
            return broken_at(run, line, format!("there is no type `{}`", line.kind()));
        }
        Ok(())
    })
}

fn protocol_schema(evidence: &Evidence) -> Outcome {
    each_line(evidence, |run, line| {
        // What is too long is another rule's.
        if !TYPES.contains(&line.kind()) || line.text.len() >= LONGEST {
            return Ok(());
        }
        match schema::check(line.text.as_bytes()) {
            Ok(()) => Ok(()),
            Err(problems) => broken_at(run, line, problems.join("; ")),
        }
    })
}

fn whole_lines(evidence: &Evidence) -> Outcome {
    for run in evidence.runs.values() {
        if let (false, Ended::Exit(_), Some(last)) = (run.is_whole, &run.ended, run.lines.last()) {
            return broken_at(run, last, "the last line has no end");
        }
    }
    Ok(())
}

const LONGEST: usize = 20_000_000;

fn line_size(evidence: &Evidence) -> Outcome {
    each_line(evidence, |run, line| {
        if line.text.len() >= LONGEST {
            let (number, length) = (line.number, line.text.len());
            return broken_by(run, format!("line {number} has {length} bytes"));
        }
        Ok(())
    })
}

fn verb_messages(evidence: &Evidence) -> Outcome {
    each_line(evidence, |run, line| {
        let fits = match line.kind() {
            "LOG" | "TRACE" | "CONTROL" => true,
            "SPEC" => run.call.verb == "spec",
            "CONNECTION_STATUS" => run.call.verb == "check",
            "CATALOG" | "DESTINATION_CATALOG" => run.call.verb == "discover",
            "RECORD" => run.call.verb == "read",
            "STATE" => matches!(run.call.verb, "read" | "write"),
            // Another rule's.
            _ => true,
        };
        if fits {
            return Ok(());
        }
        broken_at(
            run,
            line,
            format!("`{}` printed {}", run.call.verb, line.kind()),
        )
    })
}

/// The year 2000.
const EARLIEST: f64 = 946_684_800_000.0;
const DAY: f64 = 86_400_000.0;

fn emitted_at(evidence: &Evidence) -> Outcome {
    let latest = SystemClock.now_ms() as f64 + DAY;
    each_line(evidence, |run, line| {
        let field = match line.kind() {
            "RECORD" => "record",
            "TRACE" => "trace",
            _ => return Ok(()),
        };
        let Ok(message) = &line.value else {
            return Ok(());
        };
        let at = &message[field]["emitted_at"];
        match at.as_f64() {
            Some(at) if (EARLIEST..=latest).contains(&at) => Ok(()),
            _ => broken_at(
                run,
                line,
                format!("{at} is no present time in milliseconds"),
            ),
        }
    })
}

fn log_levels(evidence: &Evidence) -> Outcome {
    for run in evidence.runs.values().filter(|run| run.succeeded()) {
        for (line, log) in run.messages("LOG", "log") {
            if log["level"] == "FATAL" && run.call.verb != "check" {
                return broken_at(run, line, "the run succeeded, but logged at FATAL");
            }
        }
    }
    Ok(())
}
