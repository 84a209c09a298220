//! Rules about what a destination really holds.

use serde_json::Value;

use super::odd;
use crate::suite::acts::BEFORE_KILL;
use crate::suite::evidence::{Act, Evidence};
use crate::suite::observed::Observed;
use crate::suite::rule::{Halt, Level, Need, Outcome, Rule, broken_by, list};

/// A rule about the rows after a run.
macro_rules! rows_rule {
    ($id:literal, $title:literal, $protocol:literal, [$($need:expr),*], $check:expr) => {
        Rule {
            id: $id,
            title: $title,
            protocol: $protocol,
            level: Level::Must,
            needs: &[Need::Destination, Need::ReadBack $(, $need)*],
            check: $check,
        }
    };
}

pub(super) const RULES: &[Rule] = &[
    rows_rule!(
        "rows.append",
        "An append keeps every row, also the same one twice.",
        "With the mode append, records are added to what is there.",
        [Need::Append],
        |evidence| ids_are(
            evidence,
            Act::AppendAgain,
            &["1", "2", "3", "4", "5", "5", "6"]
        )
    ),
    rows_rule!(
        "rows.overwrite",
        "An overwrite leaves the rows of the last sync only.",
        "With the mode overwrite, the records of a sync replace those of the syncs before.",
        [Need::Overwrite],
        |evidence| ids_are(evidence, Act::OverwriteAgain, &["3"])
    ),
    rows_rule!(
        "rows.overwrite-is-atomic",
        "An overwrite by a source that does not complete leaves the rows before it.",
        "Old data is replaced only when the new data is there in full.",
        [Need::Overwrite],
        |evidence| ids_are(evidence, Act::OverwriteCut, &["3"])
    ),
    rows_rule!(
        "rows.dedup",
        "A dedup keeps one row per key, the one with the largest cursor, over syncs.",
        "With the mode append_dedup, one row is kept for each primary key: the one of the largest cursor.",
        [Need::Dedup],
        dedup
    ),
    rows_rule!(
        "rows.refresh",
        "A refresh with a minimum generation removes the rows of older generations.",
        "Rows of generations below `minimum_generation_id` are removed once the stream is complete.",
        [Need::Append],
        |evidence| ids_are(evidence, Act::RefreshAgain, &["3"])
    ),
    rows_rule!(
        "rows.durable-before-state",
        "When a state comes back, the rows before it are there, even after kill -9.",
        "A state is given back only when every record before it is durable.",
        [Need::Append],
        durable_before_state
    ),
    rows_rule!(
        "rows.namespaces",
        "Streams of one name in two namespaces do not mix.",
        "Namespace and name identify a stream.",
        [],
        namespaces
    ),
    rows_rule!(
        "rows.odd-names",
        "Streams with odd names hold their rows, each its own.",
        "Names that a destination has to change must stay different from each other.",
        [],
        odd_names
    ),
    rows_rule!(
        "rows.odd-values",
        "No record of extreme values is lost; integers of 64 bit and text arrive as they are.",
        "Values arrive exactly, or are nulled with an entry in `_airbyte_meta.changes`.",
        [],
        odd_values
    ),
    rows_rule!(
        "rows.schema-changes",
        "A new column and a new type keep the rows that are there.",
        "A change of the schema must not lose what was loaded before it.",
        [],
        schema_changes
    ),
];

/// What a destination held of the only stream of a run.
fn rows(evidence: &Evidence, act: Act) -> Result<(&Observed, &[Value]), Halt> {
    let run = evidence.run(act)?;
    let streams = streams(run);
    let name = streams.first().map(String::as_str).unwrap_or_default();
    Ok((run, evidence.rows(act, name)?))
}

/// The streams of a run, as namespace and name.
fn streams(run: &Observed) -> Vec<String> {
    let catalog = run.call.catalog.as_ref().map(|it| &it["streams"]);
    let streams = catalog.into_iter().flat_map(list).map(|it| &it["stream"]);
    streams
        .map(|stream| {
            let name = stream["name"].as_str().unwrap_or_default();
            stream["namespace"]
                .as_str()
                .map_or(name.to_owned(), |it| format!("{it}.{name}"))
        })
        .collect()
}

/// A field, whatever case its system gives it, as text.
fn field(row: &Value, name: &str) -> String {
    let mut fields = row.as_object().into_iter().flatten();
    let found = fields
        .find(|(it, _)| it.eq_ignore_ascii_case(name))
        .map(|(_, value)| value);
    match found {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

fn ids(rows: &[Value]) -> Vec<String> {
    let mut ids: Vec<_> = rows.iter().map(|row| field(row, "id")).collect();
    ids.sort_unstable();
    ids
}

fn ids_are(evidence: &Evidence, act: Act, wanted: &[&str]) -> Outcome {
    let (run, rows) = rows(evidence, act)?;
    let found = ids(rows);
    if found != wanted {
        return broken_by(
            run,
            format!("afterwards the ids are {found:?}, not {wanted:?}"),
        );
    }
    Ok(())
}

fn dedup(evidence: &Evidence) -> Outcome {
    let (run, rows) = rows(evidence, Act::DedupAgain)?;
    let mut found: Vec<_> = rows
        .iter()
        .map(|it| (field(it, "id"), field(it, "name")))
        .collect();
    found.sort_unstable();
    let wanted = [("1", "new"), ("2", "kept"), ("3", "added")];
    let wanted = wanted.map(|(id, name)| (id.to_owned(), name.to_owned()));
    if found != wanted {
        return broken_by(
            run,
            format!("afterwards the rows are {found:?}, not {wanted:?}"),
        );
    }
    Ok(())
}

fn durable_before_state(evidence: &Evidence) -> Outcome {
    let (run, rows) = rows(evidence, Act::KilledAtState)?;
    if run.states().next().is_none() {
        return Err(Halt::Skip(
            "no state came back before the end of the run".to_owned(),
        ));
    }
    if (rows.len() as i64) < BEFORE_KILL {
        let found = rows.len();
        return broken_by(
            run,
            format!("{BEFORE_KILL} records came before the state, {found} are there"),
        );
    }
    Ok(())
}

fn namespaces(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::Namespaces)?;
    for (stream, wanted) in streams(run).iter().zip([&["1"][..], &["2", "3"][..]]) {
        let found = ids(evidence.rows(Act::Namespaces, stream)?);
        if found != wanted {
            return broken_by(
                run,
                format!("{stream} has the ids {found:?}, not {wanted:?}"),
            );
        }
    }
    Ok(())
}

fn odd_names(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::OddNames)?;
    for stream in streams(run) {
        let found = evidence.rows(Act::OddNames, &stream)?.len();
        if found != 1 {
            return broken_by(run, format!("`{stream}` has {found} rows, not 1"));
        }
    }
    Ok(())
}

fn odd_values(evidence: &Evidence) -> Outcome {
    let (run, rows) = rows(evidence, Act::OddValues)?;
    let given = odd::values().len();
    if rows.len() != given {
        return broken_by(run, format!("of {given} records {} are there", rows.len()));
    }
    let found = ids(rows);
    if let Some(id) = odd::EXACT_IDS
        .iter()
        .find(|id| !found.iter().any(|it| it == *id))
    {
        return broken_by(
            run,
            format!("the id {id} is not there; there are {found:?}"),
        );
    }
    let name = |id: &str| {
        rows.iter()
            .find(|row| field(row, "id") == id)
            .map(|it| field(it, "name"))
    };
    for (id, wanted) in odd::EXACT_NAMES {
        if name(id).as_deref() != Some(wanted) {
            return broken_by(
                run,
                format!("the name of {id} is {:?}, not {wanted:?}", name(id)),
            );
        }
    }
    if name("16").map(|it| it.len()) != Some(odd::LONG) {
        return broken_by(
            run,
            format!("the text of {} bytes is not there in full", odd::LONG),
        );
    }
    Ok(())
}

fn schema_changes(evidence: &Evidence) -> Outcome {
    ids_are(evidence, Act::NewColumn, &["1", "2"])?;
    ids_are(evidence, Act::NewType, &["1", "2"])
}
