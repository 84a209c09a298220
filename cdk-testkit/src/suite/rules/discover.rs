//! Rules about the catalog.

use std::collections::HashSet;

use cdk_core::protocol::types::AirbyteType;
use serde_json::Value;

use super::schema_walk::walk;
use crate::suite::evidence::{Act, Evidence};
use crate::suite::rule::{
    Level, Need, Outcome, Rule, broken, broken_at, broken_by, key_of, list, path_of, skip,
};

/// A rule about every stream of the catalog.
macro_rules! stream_rule {
    ($id:literal, $title:literal, $protocol:literal, $check:expr) => {
        Rule {
            id: $id,
            title: $title,
            protocol: $protocol,
            level: Level::Must,
            needs: &[Need::Source],
            check: |evidence: &Evidence| each_stream(evidence, $check),
        }
    };
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "discover.one-answer",
        title: "`discover` prints exactly one CATALOG and exits with 0.",
        protocol: "The first CATALOG is the answer; an exit without one is an error of the connector.",
        level: Level::Must,
        needs: &[Need::Source],
        check: one_answer,
    },
    Rule {
        id: "discover.has-streams",
        title: "The catalog has streams.",
        protocol: "A source without streams can't be connected.",
        level: Level::Must,
        needs: &[Need::Source],
        check: has_streams,
    },
    Rule {
        id: "discover.unique-names",
        title: "No two streams have the same namespace and name.",
        protocol: "Namespace and name identify a stream, in catalogs, records and states.",
        level: Level::Must,
        needs: &[Need::Source],
        check: unique_names,
    },
    Rule {
        id: "discover.is-repeatable",
        title: "Two calls give the same catalog.",
        protocol: "Differences between two catalogs are schema changes: users are asked to review them.",
        level: Level::Must,
        needs: &[Need::Source],
        check: is_repeatable,
    },
    stream_rule!(
        "discover.valid-schemas",
        "Every `json_schema` is a JSON schema of an object.",
        "`json_schema` describes a record's data, which is an object (JSON schema, draft 7).",
        valid_schemas
    ),
    stream_rule!(
        "discover.refs-resolve",
        "No `json_schema` has a `$ref` that does not resolve.",
        "A schema has to stand on its own; only references to the protocol's well-known types may lead outside.",
        refs_resolve
    ),
    stream_rule!(
        "discover.no-forbidden-keywords",
        "No `json_schema` uses `allOf` or `not`.",
        "Destinations make columns of schemas; `allOf` and `not` have no column type.",
        no_forbidden_keywords
    ),
    stream_rule!(
        "discover.known-types",
        "Every field's type, format and `airbyte_type` is one of Airbyte's data types.",
        "The list of data types is closed: combinations that are not on it are loaded as text or JSON.",
        known_types
    ),
    stream_rule!(
        "discover.sync-modes",
        "Every stream has a sync mode.",
        "`supported_sync_modes` has at least one of full_refresh and incremental.",
        sync_modes
    ),
    stream_rule!(
        "discover.cursor-exists",
        "Every default cursor is a field of the schema.",
        "`default_cursor_field` is the path of a field.",
        cursor_exists
    ),
    stream_rule!(
        "discover.key-exists",
        "Every part of a primary key is a field of the schema.",
        "`source_defined_primary_key` is a list of paths of fields.",
        key_exists
    ),
    stream_rule!(
        "discover.key-is-scalar",
        "No part of a primary key is an object or a list.",
        "Rows are merged by their key: it has to be comparable.",
        key_is_scalar
    ),
    stream_rule!(
        "discover.resumable-streams-have-cursors",
        "A stream that is resumable says whether it has a cursor of its own.",
        "`source_defined_cursor` has to be set when `is_resumable` is true.",
        resumable_streams_have_cursors
    ),
];

fn each_stream(evidence: &Evidence, check: impl Fn(&str, &Value) -> Outcome) -> Outcome {
    catalog(evidence)?;
    evidence.streams().iter().try_for_each(|stream| {
        let name = stream["name"].as_str().unwrap_or_default();
        check(name, stream)
    })
}

fn catalog(evidence: &Evidence) -> Outcome {
    match evidence.run(Act::Discover)?.first("CATALOG", "catalog") {
        Some(_) => Ok(()),
        None => skip("the connector printed no CATALOG"),
    }
}

fn one_answer(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::Discover)?;
    let mut catalogs = run.messages("CATALOG", "catalog");
    match (catalogs.next(), catalogs.next()) {
        (None, _) => broken_by(run, format!("there is no CATALOG ({})", run.ended)),
        (_, Some((line, _))) => broken_at(run, line, "this is the second CATALOG"),
        (Some(_), None) if run.succeeded() => Ok(()),
        (Some(_), None) => broken_by(run, run.ended.to_string()),
    }
}

fn has_streams(evidence: &Evidence) -> Outcome {
    catalog(evidence)?;
    if evidence.streams().is_empty() {
        return broken("the catalog is empty");
    }
    Ok(())
}

fn unique_names(evidence: &Evidence) -> Outcome {
    let mut seen = HashSet::new();
    each_stream(evidence, |_, _| Ok(()))?;
    for stream in evidence.streams() {
        let (namespace, name) = (&stream["namespace"], &stream["name"]);
        if !seen.insert((namespace.to_string(), name.to_string())) {
            return broken(format!("{name} (namespace {namespace}) is there twice"));
        }
    }
    Ok(())
}

fn is_repeatable(evidence: &Evidence) -> Outcome {
    catalog(evidence)?;
    let run = evidence.run(Act::DiscoverAgain)?;
    let again = run
        .first("CATALOG", "catalog")
        .map_or(&Value::Null, |it| &it["streams"]);
    let again: Vec<_> = list(again).collect();
    for stream in evidence.streams() {
        if !again.contains(&stream) {
            let name = &stream["name"];
            return broken_by(
                run,
                format!("stream {name} is not what it was in the call before"),
            );
        }
    }
    if again.len() != evidence.streams().len() {
        return broken_by(run, "it has more streams than the call before");
    }
    Ok(())
}

fn valid_schemas(name: &str, stream: &Value) -> Outcome {
    let schema = &stream["json_schema"];
    if let Err(error) = jsonschema::draft7::new(schema) {
        // A reference that does not resolve is another rule's.
        if !has_refs(schema) {
            return broken(format!("{name}: it is no JSON schema: {error}"));
        }
    }
    let kind = &schema["type"];
    let is_object = kind == "object" || list(kind).any(|it| it == "object");
    if !is_object && !schema["properties"].is_object() {
        return broken(format!("{name}: its type is {kind}, not \"object\""));
    }
    Ok(())
}

fn has_refs(schema: &Value) -> bool {
    walk(schema, &mut |node| {
        if node.has("$ref") { Err(()) } else { Ok(()) }
    })
    .is_err()
}

fn refs_resolve(name: &str, stream: &Value) -> Outcome {
    let schema = &stream["json_schema"];
    walk(schema, &mut |node| {
        let Some(target) = node.get("$ref").as_str() else {
            return Ok(());
        };
        let is_known = target.contains("WellKnownTypes.json#/definitions/");
        let local = target
            .strip_prefix('#')
            .and_then(|pointer| schema.pointer(pointer));
        if is_known || local.is_some() {
            return Ok(());
        }
        broken(format!(
            "{name}: `$ref` to `{target}` at `{}` leads nowhere",
            node.path
        ))
    })
}

fn no_forbidden_keywords(name: &str, stream: &Value) -> Outcome {
    walk(&stream["json_schema"], &mut |node| match ["allOf", "not"]
        .iter()
        .find(|keyword| node.has(keyword))
    {
        Some(keyword) => broken(format!("{name}: `{keyword}` is used at `{}`", node.path)),
        None => Ok(()),
    })
}

fn known_types(name: &str, stream: &Value) -> Outcome {
    let properties = stream["json_schema"]["properties"].as_object();
    for (field, schema) in properties.into_iter().flatten() {
        let says_nothing = schema.as_object().is_none_or(|it| !it.contains_key("type"));
        let (kind, _) = AirbyteType::from_json_schema(schema);
        if kind == AirbyteType::Unknown && !says_nothing {
            return broken(format!("{name}: `{field}` has the schema {schema}"));
        }
        let airbyte_type = schema["airbyte_type"].as_str();
        if airbyte_type.is_some_and(|it| !AIRBYTE_TYPES.contains(&it)) {
            return broken(format!("{name}: `{field}` has the schema {schema}"));
        }
    }
    Ok(())
}

const AIRBYTE_TYPES: [&str; 7] = [
    "timestamp_with_timezone",
    "timestamp_without_timezone",
    "time_with_timezone",
    "time_without_timezone",
    "integer",
    "big_integer",
    "big_number",
];

fn sync_modes(name: &str, stream: &Value) -> Outcome {
    if list(&stream["supported_sync_modes"]).next().is_none() {
        return broken(format!("{name}: it has no `supported_sync_modes`"));
    }
    Ok(())
}

/// The schema of a field, in any alternative of what is around it; none if what is around it is open.
fn field<'a>(schema: &'a Value, path: &[&str]) -> Result<Option<&'a Value>, ()> {
    let Some((step, rest)) = path.split_first() else {
        return Ok(Some(schema));
    };
    if let Some(here) = schema["properties"].get(*step) {
        return field(here, rest);
    }
    let mut alternatives = list(&schema["oneOf"]).chain(list(&schema["anyOf"]));
    if let Some(found) = alternatives.find_map(|it| field(it, path).ok()) {
        return Ok(found);
    }
    // An object that says nothing about its fields may have any.
    if schema.get("properties").is_none() {
        Ok(None)
    } else {
        Err(())
    }
}

fn cursor_exists(name: &str, stream: &Value) -> Outcome {
    let path = path_of(&stream["default_cursor_field"]);
    if field(&stream["json_schema"], &path).is_err() {
        return broken(format!("{name}: the schema has no field {path:?}"));
    }
    Ok(())
}

fn key_exists(name: &str, stream: &Value) -> Outcome {
    for path in key_of(stream) {
        if field(&stream["json_schema"], &path).is_err() {
            return broken(format!("{name}: the schema has no field {path:?}"));
        }
    }
    Ok(())
}

fn key_is_scalar(name: &str, stream: &Value) -> Outcome {
    for path in key_of(stream) {
        let kind = match field(&stream["json_schema"], &path) {
            Ok(Some(schema)) => &schema["type"],
            _ => continue,
        };
        let mut kinds = kind
            .as_str()
            .into_iter()
            .chain(list(kind).filter_map(Value::as_str));
        if kinds.any(|kind| matches!(kind, "object" | "array")) {
            return broken(format!("{name}: {path:?} of the key has the type {kind}"));
        }
    }
    Ok(())
}

fn resumable_streams_have_cursors(name: &str, stream: &Value) -> Outcome {
    if stream["is_resumable"] == true && !stream["source_defined_cursor"].is_boolean() {
        return broken(format!(
            "{name}: `is_resumable`, but no `source_defined_cursor`"
        ));
    }
    Ok(())
}
