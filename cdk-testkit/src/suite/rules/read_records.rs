//! Rules about records: what is in them, and that it is what the catalog says.

use std::collections::{BTreeMap, HashMap, HashSet};

use jsonschema::Validator;
use serde_json::Value;

use super::formats;
use super::read::{StreamName, WHOLE, configured, name_in};
use crate::suite::acts;
use crate::suite::evidence::{Act, Evidence};
use crate::suite::observed::Observed;
use crate::suite::rule::{Level, Need, Outcome, Rule, broken_at, broken_by, key_of, list, path_of};
use crate::suite::tape::Line;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "read.no-empty-stream",
        title: "Every stream has records.",
        protocol: "A test says something about a stream only if it has data; streams without any need a reason.",
        level: Level::Must,
        needs: &[Need::Source],
        check: no_empty_stream,
    },
    Rule {
        id: "read.data-is-not-empty",
        title: "No record is without data.",
        protocol: "Platforms drop a record whose `data` is empty.",
        level: Level::Must,
        needs: &[Need::Source],
        check: |evidence| each_record(evidence, data_is_not_empty),
    },
    Rule {
        id: "read.matches-schema",
        title: "Every record is valid by its stream's schema.",
        protocol: "Columns are made of the schema; values that do not fit are nulled at the destination.",
        level: Level::Must,
        needs: &[Need::Source],
        check: matches_schema,
    },
    Rule {
        id: "read.formats",
        title: "Dates and times have the protocol's formats.",
        protocol: "date: YYYY-MM-DD; date-time: YYYY-MM-DDThh:mm:ss with offset, or without for \
                   timestamp_without_timezone; no epochs.",
        level: Level::Must,
        needs: &[Need::Source],
        check: |evidence| each_record(evidence, has_formats),
    },
    Rule {
        id: "read.declared-fields",
        title: "Every field of a record is in its stream's schema.",
        protocol: "Fields that are not in the catalog should not be emitted; destinations drop them.",
        level: Level::Should,
        needs: &[Need::Source],
        check: |evidence| each_record(evidence, declared_fields),
    },
    Rule {
        id: "read.fields-are-seen",
        title: "Every record has fields of the schema.",
        protocol: "A record that shares no field with its schema arrives as an empty row.",
        level: Level::Must,
        needs: &[Need::Source],
        check: |evidence| each_record(evidence, fields_are_seen),
    },
    Rule {
        id: "read.has-key",
        title: "Every record has its primary key.",
        protocol: "A dedup sync fails when all parts of a record's key are null.",
        level: Level::Must,
        needs: &[Need::Source, Need::PrimaryKey],
        check: |evidence| each_record(evidence, has_key),
    },
    Rule {
        id: "read.unique-keys",
        title: "No two records of one full refresh have the same key.",
        protocol: "A primary key identifies a row. At-least-once allows doubles, but users see them in append syncs.",
        level: Level::Should,
        needs: &[Need::Source, Need::PrimaryKey],
        check: unique_keys,
    },
    Rule {
        id: "read.has-cursor",
        title: "Every record of an incremental read has its cursor.",
        protocol: "The cursor decides what is new; a record without one is read again and again, or never.",
        level: Level::Must,
        needs: &[Need::Source, Need::Incremental],
        check: has_cursor,
    },
    Rule {
        id: "read.is-repeatable",
        title: "A second full refresh has every record of the first.",
        protocol: "A full refresh reads everything there is.",
        level: Level::Must,
        needs: &[Need::Source],
        check: is_repeatable,
    },
    Rule {
        id: "read.time-moves",
        title: "Records of a later read have later times of emission.",
        protocol: "`emitted_at` is when the record was read; dedup without cursor keeps the latest.",
        level: Level::Must,
        needs: &[Need::Source],
        check: time_moves,
    },
    Rule {
        id: "read.expected-records",
        title: "The records that are known to be there are read.",
        protocol: "The author knows some of the data; it has to arrive as it is.",
        level: Level::Must,
        needs: &[Need::Source, Need::ExpectedRecords],
        check: expected_records,
    },
];

fn each_record(
    evidence: &Evidence,
    check: impl Fn(&Observed, &Line, &Value, &Value) -> Outcome,
) -> Outcome {
    for act in WHOLE {
        let run = evidence.run(act)?;
        let streams: BTreeMap<_, _> = configured(run).into_iter().collect();
        for (line, record) in run.records() {
            if let Some(configured) = streams.get(&name_in(record, "stream")) {
                check(run, line, &record["data"], configured)?;
            }
        }
    }
    Ok(())
}

fn no_empty_stream(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::ReadFull)?;
    let seen: HashSet<_> = run
        .records()
        .map(|(_, record)| name_in(record, "stream"))
        .collect();
    for (name, _) in configured(run) {
        if !seen.contains(&name) && !evidence.plan.empty_streams.contains_key(&name.1) {
            return broken_by(run, format!("{} has no records", name.1));
        }
    }
    Ok(())
}

fn data_is_not_empty(run: &Observed, line: &Line, data: &Value, _: &Value) -> Outcome {
    match data.as_object().is_none_or(serde_json::Map::is_empty) {
        true => broken_at(run, line, "the record has no data"),
        false => Ok(()),
    }
}

fn matches_schema(evidence: &Evidence) -> Outcome {
    // The protocol's local times are no formats of JSON Schema; formats have a rule of their own.
    let options = jsonschema::draft7::options().should_validate_formats(false);
    for act in WHOLE {
        let run = evidence.run(act)?;
        let validators: HashMap<StreamName, Validator> = configured(run)
            .into_iter()
            .filter_map(|(name, it)| {
                Some((name, options.build(&it["stream"]["json_schema"]).ok()?))
            })
            .collect();
        for (line, record) in run.records() {
            let Some(validator) = validators.get(&name_in(record, "stream")) else {
                continue;
            };
            if let Some(error) = validator.iter_errors(&record["data"]).next() {
                let place = error.instance_path();
                return broken_at(run, line, format!("`{place}` breaks the schema: {error}"));
            }
        }
    }
    Ok(())
}

fn properties(configured: &Value) -> Option<&serde_json::Map<String, Value>> {
    configured["stream"]["json_schema"]["properties"].as_object()
}

fn has_formats(run: &Observed, line: &Line, data: &Value, configured: &Value) -> Outcome {
    for (name, schema) in properties(configured).into_iter().flatten() {
        if let Some(problem) = formats::problem(schema, &data[name]) {
            return broken_at(run, line, format!("`{name}` is {problem}"));
        }
    }
    Ok(())
}

fn declared_fields(run: &Observed, line: &Line, data: &Value, configured: &Value) -> Outcome {
    let Some(known) = properties(configured) else {
        return Ok(());
    };
    let mut fields = data.as_object().into_iter().flatten();
    match fields.find(|(name, _)| !known.contains_key(*name)) {
        Some((name, _)) => broken_at(run, line, format!("the schema has no `{name}`")),
        None => Ok(()),
    }
}

fn fields_are_seen(run: &Observed, line: &Line, data: &Value, configured: &Value) -> Outcome {
    let Some(known) = properties(configured).filter(|known| !known.is_empty()) else {
        return Ok(());
    };
    let mut fields = data.as_object().into_iter().flatten();
    if fields.any(|(name, _)| known.contains_key(name)) {
        return Ok(());
    }
    broken_at(run, line, "no field of the record is in the schema")
}

/// The value at a path.
fn at<'a>(data: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(data, |data, step| &data[*step])
}

fn has_key(run: &Observed, line: &Line, data: &Value, configured: &Value) -> Outcome {
    let key = key_of(&configured["stream"]);
    let parts: Vec<_> = key.iter().map(|path| at(data, path)).collect();
    if parts.iter().any(|part| part.is_object() || part.is_array()) {
        return broken_at(run, line, "a part of the key is an object or a list");
    }
    if !parts.is_empty() && parts.iter().all(|part| part.is_null()) {
        return broken_at(run, line, "the key is null");
    }
    Ok(())
}

fn unique_keys(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::ReadFull)?;
    let streams: BTreeMap<_, _> = configured(run).into_iter().collect();
    let mut seen = HashSet::new();
    for (line, record) in run.records() {
        let name = name_in(record, "stream");
        let key = streams
            .get(&name)
            .map(|it| key_of(&it["stream"]))
            .unwrap_or_default();
        if key.is_empty() {
            continue;
        }
        let parts: Vec<_> = key
            .iter()
            .map(|path| at(&record["data"], path).to_string())
            .collect();
        if !seen.insert((name, parts)) {
            return broken_at(run, line, "there was a record with this key before");
        }
    }
    Ok(())
}

fn has_cursor(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::ReadIncremental)?;
    let streams: BTreeMap<_, _> = configured(run).into_iter().collect();
    for (line, record) in run.records() {
        let Some(configured) = streams.get(&name_in(record, "stream")) else {
            continue;
        };
        if configured["sync_mode"] != "incremental" {
            continue;
        }
        let own = path_of(&configured["cursor_field"]);
        let default = path_of(&configured["stream"]["default_cursor_field"]);
        let cursor = if own.is_empty() { default } else { own };
        if !cursor.is_empty() && at(&record["data"], &cursor).is_null() {
            return broken_at(
                run,
                line,
                format!("the cursor {cursor:?} is missing or null"),
            );
        }
    }
    Ok(())
}

/// How often each record is there, by stream and data; fields that may differ are left out.
pub(super) fn tally<'a>(
    evidence: &Evidence,
    records: impl Iterator<Item = (&'a Line, &'a Value)>,
) -> HashMap<(StreamName, String), (usize, usize)> {
    let mut tally = HashMap::new();
    for (line, record) in records {
        let key = (
            name_in(record, "stream"),
            canonical(evidence, &record["data"]),
        );
        let (count, _) = tally.entry(key).or_insert((0, line.number));
        *count += 1;
    }
    tally
}

fn canonical(evidence: &Evidence, data: &Value) -> String {
    let Some(fields) = data.as_object() else {
        return data.to_string();
    };
    let ignored = &evidence.plan.ignored_fields;
    let fields = fields.iter().filter(|(name, _)| !ignored.contains(name));
    let mut fields: Vec<_> = fields
        .map(|(name, value)| format!("{name:?}:{value}"))
        .collect();
    fields.sort_unstable();
    fields.join(",")
}

fn is_repeatable(evidence: &Evidence) -> Outcome {
    let (first, second) = (
        evidence.run(Act::ReadFull)?,
        evidence.run(Act::ReadFullAgain)?,
    );
    let again = tally(evidence, second.records());
    for (record, (count, number)) in tally(evidence, first.records()) {
        let found = again.get(&record).map_or(0, |(count, _)| *count);
        if found < count {
            let line = &first.lines[number - 1];
            return broken_at(
                first,
                line,
                format!("it is there {count} times, then {found} times"),
            );
        }
    }
    Ok(())
}

fn time_moves(evidence: &Evidence) -> Outcome {
    let (first, second) = (
        evidence.run(Act::ReadFull)?,
        evidence.run(Act::ReadFullAgain)?,
    );
    let at = |record: &Value| record["emitted_at"].as_i64();
    let latest = first.records().filter_map(|(_, record)| at(record)).max();
    for (line, record) in second.records() {
        if latest
            .zip(at(record))
            .is_some_and(|(latest, now)| now < latest)
        {
            return broken_at(second, line, "it is older than a record of the read before");
        }
    }
    Ok(())
}

fn expected_records(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::ReadFull)?;
    for (stream, expected) in &evidence.plan.expected_records {
        for wanted in expected {
            let fits = |data: &Value| {
                let fields = wanted.as_object().into_iter().flatten();
                fields
                    .into_iter()
                    .all(|(name, value)| data.get(name) == Some(value))
            };
            let mut records = run
                .records()
                .filter(|(_, it)| it["stream"] == stream.as_str());
            if !records.any(|(_, record)| fits(&record["data"])) {
                return broken_by(run, format!("{stream} has no record {wanted}"));
            }
        }
    }
    Ok(())
}

/// The first record of a whole read that neither what was read before a cut and is covered by its states, nor what
/// was read after it, has.
pub(super) fn lost<'a>(
    evidence: &Evidence,
    whole: &'a Observed,
    before: &Observed,
    until: usize,
    after: &Observed,
) -> Option<&'a Line> {
    let covered = acts::covered(before, until);
    let kept = before.records().filter(|(line, record)| {
        covered
            .get(&name_in(record, "stream"))
            .is_some_and(|last| line.number <= *last)
    });
    let mut have = tally(evidence, kept);
    for (record, (count, number)) in tally(evidence, after.records()) {
        have.entry(record).or_insert((0, number)).0 += count;
    }
    let mut wanted: Vec<_> = tally(evidence, whole.records()).into_iter().collect();
    wanted.sort_by_key(|(_, (_, number))| *number);
    let is_lost = |(record, (count, _)): &&(_, (usize, usize))| {
        have.get(record).map_or(0, |(count, _)| *count) < *count
    };
    let lost = wanted.iter().find(is_lost);
    lost.map(|(_, (_, number))| &whole.lines[number - 1])
}

/// The streams of a catalog that are read incrementally.
pub(super) fn incremental_streams(run: &Observed) -> HashSet<StreamName> {
    let catalog = run.call.catalog.as_ref().map(|it| &it["streams"]);
    let streams = catalog.into_iter().flat_map(list);
    let incremental = streams.filter(|it| it["sync_mode"] == "incremental");
    incremental
        .map(|it| name_in(&it["stream"], "name"))
        .collect()
}
