//! For every rule about sources, and those about connectors of both kinds, a source that breaks it.

use cdk_testkit::suite::{Call, Ended};
use serde_json::{Value, json};

use crate::edit::{Output, Spoil};
use crate::source::{TOKEN, now, record, state};

/// Changes a property of the spec's schema, or adds it.
macro_rules! property {
    ($name:literal, $schema:tt) => {
        |_, output| {
            output.edit("SPEC", |message| {
                message["spec"]["connectionSpecification"]["properties"][$name] = json!($schema);
            })
        }
    };
}

/// Sets something in the spec.
macro_rules! spec {
    ([$($key:literal),*], $value:tt) => {
        |_, output| output.edit("SPEC", |message| message["spec"]$([$key])* = json!($value))
    };
}

/// Sets something in the stream `items` of the catalog, or beside it.
macro_rules! items {
    ([$($key:literal),*], $value:tt) => {
        |_, output| {
            output.edit("CATALOG", |message| {
                message["catalog"]["streams"][0]$([$key])* = json!($value);
            })
        }
    };
}

/// Changes every record of a stream.
fn edit_records(output: &mut Output, stream: &str, change: impl Fn(&mut Value)) {
    output.edit("RECORD", |message| {
        if message["record"]["stream"] == stream {
            change(&mut message["record"]);
        }
    });
}

fn is(call: &Call, part: &str) -> bool {
    call.label.contains(part)
}

fn is_status(message: &Value, status: &str) -> bool {
    message["trace"]["stream_status"]["status"] == status
}

fn log(level: &str, text: &str) -> Value {
    json!({"type": "LOG", "log": {"level": level, "message": text}})
}

pub(crate) const RUN_AND_WIRE: &[(&str, Spoil)] = &[
    ("run.ends", |call, output| {
        if call.verb == "discover" {
            output.ended = Ended::TimedOut;
        }
    }),
    ("run.output-is-bounded", |call, output| {
        if call.verb == "discover" {
            output
                .lines
                .extend(std::iter::repeat_n("x".repeat(1_000_000), 31));
        }
    }),
    ("run.no-crash", |call, output| {
        if call.verb == "check" {
            output.ended = Ended::Signal(11);
        }
    }),
    ("run.failure-is-explained", |_, output| {
        output.edit("TRACE", |message| {
            if let Some(error) = message["trace"]["error"].as_object_mut() {
                error.insert("message".to_owned(), json!(" "));
            }
        });
    }),
    ("run.error-is-no-success", |call, output| {
        if is(call, "does not exist") {
            output.ended = Ended::Exit(0);
        }
    }),
    ("run.stops-when-told", |call, output| {
        if is(call, "read (stopped)") {
            output.ended = Ended::TimedOut;
        }
    }),
    ("run.secrets-stay-secret", |_, output| {
        output.push(&log("INFO", &format!("got {TOKEN}")))
    }),
    ("wire.json-lines", |_, output| {
        output.lines.push("Starting…".to_owned())
    }),
    ("wire.known-types", |_, output| {
        output.push(&json!({"type": "NEWS"}))
    }),
    ("wire.schema", |_, output| {
        output.push(&json!({"type": "LOG", "log": {"level": "LOUD", "message": "x"}}))
    }),
    ("wire.whole-lines", |_, output| output.is_whole = false),
    ("wire.line-size", |call, output| {
        if call.verb == "discover" {
            output.push(&log("INFO", &"x".repeat(20_000_000)));
        }
    }),
    ("wire.verb-messages", |call, output| {
        if call.verb == "check" {
            output.push(&record("items", &json!({"id": 1})));
        }
    }),
    ("wire.emitted-at", |_, output| {
        output.edit("RECORD", |message| {
            message["record"]["emitted_at"] = json!(now() / 1000)
        });
    }),
    ("wire.log-levels", |_, output| {
        output.push(&log("FATAL", "all is well"))
    }),
];

pub(crate) const SPEC: &[(&str, Spoil)] = &[
    ("spec.one-answer", |_, output| output.double("SPEC")),
    ("spec.early", |call, output| {
        if call.verb == "spec" {
            let noise = (0..10).map(|_| log("INFO", "starting").to_string());
            output.lines.splice(0..0, noise);
        }
    }),
    (
        "spec.valid-schema",
        spec!(["connectionSpecification", "type"], "array"),
    ),
    (
        "spec.config-fits",
        property!("token", {"type": "integer", "airbyte_secret": true}),
    ),
    (
        "spec.required-exists",
        spec!(
            ["connectionSpecification", "required"],
            ["token", "nowhere"]
        ),
    ),
    (
        "spec.refs-resolve",
        property!("more", {"$ref": "#/definitions/nowhere"}),
    ),
    (
        "spec.accepts-more",
        spec!(["connectionSpecification", "additionalProperties"], false),
    ),
    ("spec.protocol-version", spec!(["protocol_version"], null)),
    ("spec.oauth-paths", |_, output| {
        output.edit("SPEC", |message| {
            let path = "/spec/advanced_auth/oauth_config_specification/complete_oauth_output_specification\
                        /properties/client_secret/path_in_connector_config";
            *message.pointer_mut(path).unwrap() = json!(["auth", "nowhere"]);
        });
    }),
    (
        "spec.oauth-predicate",
        spec!(["advanced_auth", "predicate_key"], ["auth", "nowhere"]),
    ),
    (
        "spec.oauth-default",
        spec!(["advanced_auth", "predicate_value"], "key"),
    ),
    (
        "spec.secrets-are-marked",
        property!("api_key", {"type": "string"}),
    ),
    (
        "spec.secrets-are-text",
        property!("hidden", {"type": "boolean", "airbyte_secret": true}),
    ),
    (
        "spec.one-type",
        property!("more", {"type": ["string", "integer"]}),
    ),
    (
        "spec.enums-are-unique",
        property!("level", {"type": "string", "enum": ["low", "low", "high"]}),
    ),
    (
        "spec.one-of",
        property!("auth", {"type": "object", "oneOf": [
        {"properties": {"kind": {"const": "a"}, "client_secret": {"type": "string", "airbyte_secret": true}}},
        {"properties": {"kind": {"const": "a"}}}]}),
    ),
    (
        "spec.const-alone",
        property!("fixed", {"type": "string", "const": "a", "default": "b"}),
    ),
    (
        "spec.objects-have-properties",
        property!("more", {"type": "object"}),
    ),
    (
        "spec.arrays-have-items",
        property!("more", {"type": "array", "items": {"type": "boolean"}}),
    ),
    (
        "spec.no-forbidden-keywords",
        property!("more", {"anyOf": [{"type": "string"}]}),
    ),
    (
        "spec.dates-have-patterns",
        property!("until", {"type": "string", "format": "date"}),
    ),
    (
        "spec.patterns-of-dates-have-formats",
        property!("until", {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}),
    ),
    (
        "spec.order-is-unique",
        property!("more", {"type": "string", "order": 0}),
    ),
    (
        "spec.groups-are-top-level",
        property!("more", {"type": "object",
        "properties": {"a": {"type": "string", "group": "g"}}}),
    ),
    (
        "spec.display-type",
        property!("more", {"type": "string", "display_type": "radio"}),
    ),
    ("check.one-answer", |_, output| {
        output.double("CONNECTION_STATUS")
    }),
    ("check.succeeds", |_, output| {
        output.edit("CONNECTION_STATUS", |message| {
            message["connectionStatus"]["status"] = json!("FAILED")
        });
    }),
    ("check.refuses", |_, output| {
        output.edit("CONNECTION_STATUS", |message| {
            message["connectionStatus"]["status"] = json!("SUCCEEDED")
        });
    }),
    ("check.says-why", |_, output| {
        output.edit("CONNECTION_STATUS", |message| {
            message["connectionStatus"]["message"] = json!("")
        });
    }),
    ("check.failed-is-an-answer", |call, output| {
        if is(call, "invalid") {
            output.fail();
        }
    }),
    ("check.validates", |call, output| {
        if is(call, "config without") {
            output.edit("CONNECTION_STATUS", |message| {
                message["connectionStatus"]["status"] = json!("SUCCEEDED")
            });
        }
    }),
    ("check.missing-file", |call, output| {
        if is(call, "missing") {
            output.lines.clear();
            output.ended = Ended::Exit(0);
        }
    }),
];

pub(crate) const DISCOVER: &[(&str, Spoil)] = &[
    ("discover.one-answer", |_, output| output.double("CATALOG")),
    ("discover.has-streams", |_, output| {
        output.edit("CATALOG", |message| {
            message["catalog"]["streams"] = json!([])
        });
    }),
    ("discover.unique-names", |_, output| {
        output.edit("CATALOG", |message| {
            message["catalog"]["streams"][1]["name"] = json!("items")
        });
    }),
    ("discover.is-repeatable", |call, output| {
        if is(call, "again") {
            output.edit("CATALOG", |message| {
                message["catalog"]["streams"][1]["namespace"] = json!("new")
            });
        }
    }),
    (
        "discover.valid-schemas",
        items!(["json_schema", "properties", "id", "type"], "whole number"),
    ),
    (
        "discover.refs-resolve",
        items!(["json_schema", "properties", "id"], {"$ref": "#/definitions/nowhere"}),
    ),
    (
        "discover.no-forbidden-keywords",
        items!(["json_schema", "allOf"], [{"type": "object"}]),
    ),
    (
        "discover.known-types",
        items!(
            ["json_schema", "properties", "at", "airbyte_type"],
            "fortnight"
        ),
    ),
    ("discover.sync-modes", items!(["supported_sync_modes"], [])),
    (
        "discover.cursor-exists",
        items!(["default_cursor_field"], ["nowhere"]),
    ),
    (
        "discover.key-exists",
        items!(["source_defined_primary_key"], [["nowhere"]]),
    ),
    (
        "discover.key-is-scalar",
        items!(["json_schema", "properties", "id", "type"], "object"),
    ),
    (
        "discover.resumable-streams-have-cursors",
        items!(["source_defined_cursor"], null),
    ),
    (
        "compatible.spec-required",
        spec!(["connectionSpecification", "required"], ["token", "day"]),
    ),
    (
        "compatible.spec-types",
        property!("level", {"type": "integer"}),
    ),
    (
        "compatible.spec-enums",
        property!("level", {"type": "string", "enum": ["low"]}),
    ),
    ("compatible.streams", |_, output| {
        output.edit("CATALOG", |message| {
            message["catalog"]["streams"][1]["name"] = json!("other")
        });
    }),
    (
        "compatible.fields",
        items!(["json_schema", "properties"], {"id": {"type": "integer"}}),
    ),
    (
        "compatible.field-types",
        items!(["json_schema", "properties", "id", "type"], "string"),
    ),
    (
        "compatible.cursors",
        items!(["default_cursor_field"], ["at"]),
    ),
    (
        "compatible.keys",
        items!(["source_defined_primary_key"], [["at"]]),
    ),
];

pub(crate) const READ: &[(&str, Spoil)] = &[
    ("read.succeeds", |call, output| {
        if call.verb == "read" {
            output.fail();
        }
    }),
    ("read.only-configured-streams", |call, output| {
        if call.verb == "read" {
            output.push(&record("others", &json!({"id": 1})));
        }
    }),
    ("read.complete", |_, output| {
        output.drop(|message| is_status(message, "COMPLETE"))
    }),
    ("read.status-order", |_, output| {
        output.drop(|message| is_status(message, "STARTED"))
    }),
    ("read.has-states", |_, output| {
        output.drop(|message| message["state"]["stream"]["stream_descriptor"]["name"] == "notes");
    }),
    ("read.last-state-covers-all", |_, output| {
        output.drop(|message| message["state"]["stream"]["stream_state"]["id"] == 6);
    }),
    ("read.no-legacy-states", |_, output| {
        output.edit("STATE", |message| {
            message["state"]["type"] = json!("LEGACY")
        });
    }),
    ("read.one-kind-of-states", |_, output| {
        output.edit_last("STATE", |message| {
            let stream = message["state"]["stream"].clone();
            message["state"] = json!({"type": "GLOBAL", "global": {"stream_states": [stream]},
                "sourceStats": {"recordCount": 2.0}});
        });
    }),
    ("read.counts", |_, output| {
        output.edit_last("STATE", |message| {
            message["state"]["sourceStats"]["recordCount"] = json!(1.0)
        });
    }),
    ("read.states-move", |_, output| {
        output.edit("STATE", |message| {
            if message["state"]["stream"]["stream_descriptor"]["name"] == "items" {
                message["state"]["stream"]["stream_state"] = json!({"id": 6});
            }
        });
    }),
    ("read.estimates", |call, output| {
        for kind in ["STREAM", "SYNC"].iter().filter(|_| call.verb == "read") {
            output.push(
                &json!({"type": "TRACE", "trace": {"type": "ESTIMATE", "emitted_at": now(),
                "estimate": {"name": "items", "type": kind, "row_estimate": 6}}}),
            );
        }
    }),
    ("read.accepts-nulls", |call, output| {
        if is(call, "absent fields as null, empty state") {
            output.fail();
        }
    }),
    ("read.unknown-stream", |call, output| {
        if is(call, "does not exist") {
            output.lines.clear();
            output.ended = Ended::Exit(0);
        }
    }),
    ("read.no-empty-stream", |_, output| {
        output.drop(|message| message["record"]["stream"] == "notes")
    }),
    ("read.data-is-not-empty", |_, output| {
        output.edit_last("RECORD", |message| message["record"]["data"] = json!({}));
    }),
    ("read.matches-schema", |_, output| {
        output.edit_last("RECORD", |message| {
            message["record"]["data"]["text"] = json!(5)
        });
    }),
    ("read.formats", |_, output| {
        edit_records(output, "items", |record| {
            record["data"]["at"] = json!("2.1.2024")
        });
    }),
    ("read.declared-fields", |_, output| {
        edit_records(output, "notes", |record| record["data"]["more"] = json!(1));
    }),
    ("read.fields-are-seen", |_, output| {
        edit_records(output, "notes", |record| {
            record["data"] = json!({"other": 1})
        });
    }),
    ("read.has-key", |_, output| {
        edit_records(output, "items", |record| record["data"]["id"] = json!(null))
    }),
    ("read.unique-keys", |_, output| {
        edit_records(output, "items", |record| record["data"]["id"] = json!(1))
    }),
    ("read.has-cursor", |_, output| {
        edit_records(output, "items", |record| {
            record["data"].as_object_mut().unwrap().shift_remove("id");
        });
    }),
    ("read.is-repeatable", |call, output| {
        if is(call, "full refresh, again") {
            output.drop(|message| message["record"]["data"]["id"] == 5);
        }
    }),
    ("read.time-moves", |call, output| {
        if is(call, "full refresh, again") {
            output.edit("RECORD", |message| {
                message["record"]["emitted_at"] = json!(1_600_000_000_000_i64)
            });
        }
    }),
    ("read.expected-records", |_, output| {
        edit_records(output, "items", |record| {
            record["data"]["name"] = json!("some item")
        });
    }),
    ("state.is-accepted", |call, output| {
        if is(call, "from its last state") {
            output.fail();
        }
    }),
    ("state.moves-on", |call, output| {
        if is(call, "from its last state") {
            output
                .lines
                .extend((1..=6).map(|id| record("items", &json!({"id": id})).to_string()));
        }
    }),
    ("state.resumes-everywhere", |call, output| {
        if is(call, "from the state in line") {
            output.drop(|message| message["record"]["data"]["id"] == 3);
        }
    }),
    ("state.survives-kill", |call, output| {
        if is(call, "after it was killed") {
            output.drop(|message| message["record"]["data"]["id"] == 6);
        }
    }),
    ("state.survives-stop", |call, output| {
        if is(call, "after it was stopped") {
            output.drop(|message| message["record"]["data"]["id"] == 6);
        }
    }),
    ("state.ignores-what-is-gone", |call, output| {
        if is(call, "stream that is gone") {
            output.push(&record("items", &json!({"id": 3})));
        }
    }),
    ("state.ahead", |call, output| {
        if is(call, "ahead of all data") {
            output.push(&record("items", &json!({"id": 6})));
        }
    }),
    ("state.ahead-keeps-shape", |call, output| {
        if is(call, "ahead of all data") {
            output.push(&state("items", &json!({"id": "1000"}), 0));
        }
    }),
];
