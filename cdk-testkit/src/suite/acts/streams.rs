//! Configured catalogs made of discovered ones.

use serde_json::{Map, Value, json};

use crate::suite::evidence::Evidence;
use crate::suite::rule::{is_incremental, list};

/// Every tested stream as a full refresh.
pub(super) fn full_refresh(evidence: &Evidence) -> Value {
    catalog(given(evidence).map_or_else(
        || {
            evidence
                .chosen()
                .map(|stream| configured(stream, None))
                .collect::<Vec<_>>()
        },
        |streams| {
            let streams = streams.iter().cloned();
            streams
                .map(|mut stream| {
                    stream["sync_mode"] = json!("full_refresh");
                    stream
                })
                .collect()
        },
    ))
}

/// Every tested stream incrementally, if it can; the others as a full refresh.
pub(super) fn incremental(evidence: &Evidence) -> Value {
    catalog(given(evidence).map_or_else(
        || {
            let streams = evidence.chosen();
            streams
                .map(|stream| configured(stream, cursor(stream)))
                .collect()
        },
        <[Value]>::to_vec,
    ))
}

/// As a client sends it that knows only one way: everything incremental, with every absent field as null.
pub(super) fn forced(evidence: &Evidence) -> Value {
    let streams = evidence.chosen().map(|stream| {
        let mut stream = stream.clone();
        let optional = [
            "namespace",
            "source_defined_cursor",
            "default_cursor_field",
            "source_defined_primary_key",
            "is_resumable",
            "is_file_based",
        ];
        if let Some(fields) = stream.as_object_mut() {
            fill(fields, &optional);
        }
        let cursor = cursor(&stream);
        // What needs a cursor of the user's choice can't be read incrementally without one.
        let lacks_cursor = is_incremental(&stream) && cursor.is_none();
        let cursor = cursor.filter(|cursor| !cursor.is_empty());
        json!({
            "stream": stream,
            "sync_mode": if lacks_cursor { "full_refresh" } else { "incremental" },
            "destination_sync_mode": "overwrite",
            "cursor_field": cursor,
            "primary_key": null,
            "generation_id": null,
            "minimum_generation_id": null,
            "sync_id": null,
            "include_files": null,
            "destination_object_name": null,
        })
    });
    catalog(streams)
}

/// The stream that no source has.
pub(super) fn unknown() -> Value {
    let stream = json!({
        "name": "conformance_no_such_stream",
        "json_schema": {"type": "object", "properties": {"id": {"type": "integer"}}},
        "supported_sync_modes": ["full_refresh"],
    });
    catalog([configured(&stream, None)])
}

fn catalog(streams: impl IntoIterator<Item = Value>) -> Value {
    let streams: Vec<_> = streams.into_iter().collect();
    json!({ "streams": streams })
}

fn given(evidence: &Evidence) -> Option<&[Value]> {
    evidence.plan.catalog.as_ref()?["streams"]
        .as_array()
        .map(Vec::as_slice)
}

fn configured(stream: &Value, cursor: Option<Vec<String>>) -> Value {
    let mut configured = json!({
        "stream": stream,
        "sync_mode": if cursor.is_some() { "incremental" } else { "full_refresh" },
        "destination_sync_mode": "append",
    });
    if let Some(cursor) = cursor {
        configured["cursor_field"] = json!(cursor);
    }
    if !stream["source_defined_primary_key"].is_null() {
        configured["primary_key"] = stream["source_defined_primary_key"].clone();
    }
    configured
}

/// The cursor to read a stream by, if it can be read incrementally: the source's own, its default, or a field
/// that looks like one.
fn cursor(stream: &Value) -> Option<Vec<String>> {
    if !is_incremental(stream) {
        return None;
    }
    let default = list(&stream["default_cursor_field"]).filter_map(Value::as_str);
    let default: Vec<_> = default.map(str::to_owned).collect();
    if !default.is_empty() || stream["source_defined_cursor"] == true {
        return Some(default);
    }
    let fields = stream["json_schema"]["properties"].as_object()?;
    let is_time = |field: &&Value| matches!(field["format"].as_str(), Some("date" | "date-time"));
    let is_integer = |field: &&Value| {
        field["type"] == "integer" || list(&field["type"]).any(|kind| kind == "integer")
    };
    let time = fields.iter().find(|(_, field)| is_time(field));
    let found = time.or_else(|| fields.iter().find(|(_, field)| is_integer(field)));
    found.map(|(name, _)| vec![name.clone()])
}

/// Sets what is absent to null.
pub(super) fn fill(fields: &mut Map<String, Value>, names: &[&str]) {
    for name in names {
        fields.entry(*name).or_insert(Value::Null);
    }
}
