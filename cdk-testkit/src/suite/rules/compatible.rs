//! Rules about an earlier version of the connector.

use serde_json::Value;

use crate::suite::evidence::Evidence;
use crate::suite::rule::{Level, Need, Outcome, Rule, broken, list};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "compatible.spec-required",
        title: "Nothing is required that was not before.",
        protocol: "Configs of the version before must stay valid; otherwise it is a breaking change with a new major \
                   version.",
        level: Level::Must,
        needs: &[Need::PreviousSpec],
        check: |evidence| spec(evidence, nothing_new_is_required),
    },
    Rule {
        id: "compatible.spec-types",
        title: "No property of the spec has another type than before.",
        protocol: "A type may get wider, never narrower or different.",
        level: Level::Must,
        needs: &[Need::PreviousSpec],
        check: |evidence| spec(evidence, types_stay),
    },
    Rule {
        id: "compatible.spec-enums",
        title: "No property of the spec allows fewer values than before.",
        protocol: "A value that could be chosen must stay valid; a property without `enum` must not get one.",
        level: Level::Must,
        needs: &[Need::PreviousSpec],
        check: |evidence| spec(evidence, enums_stay),
    },
    Rule {
        id: "compatible.streams",
        title: "No stream of the earlier catalog is gone.",
        protocol: "Connections name their streams; a stream that is gone fails or silently empties them.",
        level: Level::Must,
        needs: &[Need::Source, Need::PreviousCatalog],
        check: |evidence| catalog(evidence, |_, _| Ok(())),
    },
    Rule {
        id: "compatible.fields",
        title: "No field of an earlier stream is gone.",
        protocol: "Columns that users select and query must stay.",
        level: Level::Must,
        needs: &[Need::Source, Need::PreviousCatalog],
        check: |evidence| catalog(evidence, fields_stay),
    },
    Rule {
        id: "compatible.field-types",
        title: "No field has a narrower or another type than before.",
        protocol: "The type of a column may get wider; a change of type, format or airbyte_type breaks destinations.",
        level: Level::Must,
        needs: &[Need::Source, Need::PreviousCatalog],
        check: |evidence| catalog(evidence, field_types_stay),
    },
    Rule {
        id: "compatible.cursors",
        title: "No stream has another cursor than before.",
        protocol: "States hold values of the cursor; with another one they mean nothing.",
        level: Level::Must,
        needs: &[Need::Source, Need::PreviousCatalog],
        check: |evidence| catalog(evidence, cursors_stay),
    },
    Rule {
        id: "compatible.keys",
        title: "No stream has another primary key than before.",
        protocol: "Rows at the destination are merged by the key; with another one they multiply or vanish.",
        level: Level::Must,
        needs: &[Need::Source, Need::PreviousCatalog],
        check: |evidence| catalog(evidence, keys_stay),
    },
];

fn spec(evidence: &Evidence, check: fn(&str, &Value, &Value) -> Outcome) -> Outcome {
    let before = evidence.plan.previous_spec.as_ref().unwrap_or(&Value::Null);
    pairs(
        "",
        &before["connectionSpecification"],
        evidence.schema()?,
        &check,
    )
}

/// Visits what is in both schemas, with its place.
fn pairs(
    path: &str,
    before: &Value,
    now: &Value,
    check: &impl Fn(&str, &Value, &Value) -> Outcome,
) -> Outcome {
    check(path, before, now)?;
    for (name, was) in before["properties"].as_object().into_iter().flatten() {
        if let Some(is) = now["properties"].get(name) {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            pairs(&path, was, is, check)?;
        }
    }
    Ok(())
}

fn nothing_new_is_required(path: &str, before: &Value, now: &Value) -> Outcome {
    let mut required = list(&now["required"]);
    match required.find(|name| !list(&before["required"]).any(|it| it == *name)) {
        Some(name) => broken(format!("{name} is required now, at `{path}`")),
        None => Ok(()),
    }
}

fn kinds(schema: &Value) -> Vec<&str> {
    let kind = &schema["type"];
    kind.as_str()
        .into_iter()
        .chain(list(kind).filter_map(Value::as_str))
        .collect()
}

/// Whether everything of one type is of the other.
fn is_within(before: &Value, now: &Value) -> bool {
    let now = kinds(now);
    let fits = |kind: &&str| now.contains(kind) || (*kind == "integer" && now.contains(&"number"));
    now.is_empty() || kinds(before).iter().all(fits)
}

fn types_stay(path: &str, before: &Value, now: &Value) -> Outcome {
    if !is_within(before, now) {
        return broken(format!(
            "`{path}` was {} and is {}",
            before["type"], now["type"]
        ));
    }
    if before["format"] != now["format"] && !now["format"].is_null() {
        let (was, is) = (&before["format"], &now["format"]);
        return broken(format!("the format of `{path}` was {was} and is {is}"));
    }
    Ok(())
}

fn enums_stay(path: &str, before: &Value, now: &Value) -> Outcome {
    let Some(allowed) = now["enum"].as_array() else {
        return Ok(());
    };
    if before.get("enum").is_none() {
        return broken(format!("`{path}` had no `enum`"));
    }
    match list(&before["enum"]).find(|value| !allowed.contains(value)) {
        Some(value) => broken(format!("`{path}` does not allow {value} any more")),
        None => Ok(()),
    }
}

/// Visits every stream of the earlier catalog beside what it is now.
fn catalog(evidence: &Evidence, check: fn(&Value, &Value) -> Outcome) -> Outcome {
    let before = evidence
        .plan
        .previous_catalog
        .as_ref()
        .unwrap_or(&Value::Null);
    for was in list(&before["streams"]) {
        let same =
            |now: &&Value| now["name"] == was["name"] && now["namespace"] == was["namespace"];
        match evidence.streams().iter().find(same) {
            Some(now) => check(was, now)?,
            None => return broken(format!("stream {} is gone", was["name"])),
        }
    }
    Ok(())
}

fn fields_stay(was: &Value, now: &Value) -> Outcome {
    pairs(
        "",
        &was["json_schema"],
        &now["json_schema"],
        &|path, before, now| {
            let fields = before["properties"].as_object().into_iter().flatten();
            for (name, _) in fields {
                if now["properties"].get(name).is_none() {
                    return broken(format!("{}: `{path}.{name}` is gone", was["name"]));
                }
            }
            Ok(())
        },
    )
}

fn field_types_stay(was: &Value, now: &Value) -> Outcome {
    pairs(
        "",
        &was["json_schema"],
        &now["json_schema"],
        &|path, before, now| {
            let is_other = ["format", "airbyte_type"]
                .iter()
                .any(|key| before[key] != now[key]);
            if is_other || !is_within(before, now) {
                return broken(format!("{}: `{path}` has another type now", was["name"]));
            }
            Ok(())
        },
    )
}

fn cursors_stay(was: &Value, now: &Value) -> Outcome {
    if was["default_cursor_field"] != now["default_cursor_field"] {
        let (before, after) = (&was["default_cursor_field"], &now["default_cursor_field"]);
        return broken(format!(
            "{}: the cursor was {before} and is {after}",
            was["name"]
        ));
    }
    Ok(())
}

fn keys_stay(was: &Value, now: &Value) -> Outcome {
    let (before, after) = (
        &was["source_defined_primary_key"],
        &now["source_defined_primary_key"],
    );
    if before != after {
        return broken(format!(
            "{}: the key was {before} and is {after}",
            was["name"]
        ));
    }
    Ok(())
}
