//! A sound source, and what is wrong with it.

use async_trait::async_trait;
use cdk_core::{Clock, SystemClock};
use cdk_testkit::Suite;
use cdk_testkit::suite::{Call, Ended, Next, Role, SharedTape, Signal, Subject};
use serde_json::{Value, json};

use crate::edit::{Output, Spoil};

/// The config's secret.
pub(crate) const TOKEN: &str = "s3cret-t0ken";
const ITEMS: i64 = 6;

/// A source of two streams: `items` by cursor, `notes` in full.
pub(crate) struct Items {
    pub(crate) spoil: Spoil,
}

#[async_trait]
impl Subject for Items {
    async fn run(&self, call: &Call, tape: &SharedTape) -> Ended {
        let mut output = answer(call);
        (self.spoil)(call, &mut output);
        print(output, tape).await
    }

    fn name(&self) -> String {
        "items".to_owned()
    }
}

/// Prints what was made up, and follows the tape.
pub(crate) async fn print(output: Output, tape: &SharedTape) -> Ended {
    let last = output.lines.len();
    for (at, line) in output.lines.iter().enumerate() {
        let end = if at + 1 == last && !output.is_whole {
            ""
        } else {
            "\n"
        };
        match tape.push(format!("{line}{end}").as_bytes()) {
            Next::GoOn => {}
            Next::Interrupt(Signal::Kill) => return Ended::Killed,
            Next::Interrupt(Signal::Term) if output.ended == Ended::Exit(0) => {
                return Ended::Exit(143);
            }
            Next::Interrupt(Signal::Term) => break,
            Next::Flooded => return Ended::Flooded,
        }
    }
    if output.ended == Ended::TimedOut {
        std::future::pending::<()>().await;
    }
    output.ended
}

/// The suite over this source, with everything an author can give.
pub(crate) fn suite(spoil: Spoil) -> Suite {
    let state = |id: i64| {
        json!([{"type": "STREAM", "stream": {
            "stream_descriptor": {"name": "items"}, "stream_state": {"id": id}}}])
    };
    Suite::subject(Items { spoil }, Some(Role::Source))
        .config(json!({"token": TOKEN, "day": "2024-01-02", "auth": {"kind": "oauth", "client_secret": "hush-hush"}}))
        .invalid_config(json!({"token": "wrong-token"}))
        .previous_spec(spec())
        .previous_catalog(catalog())
        .future_state(state(1000))
        .expected_records("items", [json!({"id": 3, "name": "item 3"})])
        .limits(|limits| {
            limits.run = std::time::Duration::from_secs(20);
            limits.output = 30_000_000;
        })
}

fn answer(call: &Call) -> Output {
    match call.verb {
        "spec" => Output::new([json!({"type": "SPEC", "spec": spec()})]),
        "check" => check(call),
        "discover" => Output::new([json!({"type": "CATALOG", "catalog": catalog()})]),
        "read" => read(call),
        other => panic!("no verb {other}"),
    }
}

fn spec() -> Value {
    json!({
        "protocol_version": "0.18.0",
        "connectionSpecification": {
            "type": "object",
            "required": ["token"],
            "properties": {
                "token": {"type": "string", "airbyte_secret": true, "order": 0},
                "day": {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "order": 1},
                "level": {"type": "string", "enum": ["low", "high"]},
                "tags": {"type": "array", "items": {"type": "string"}},
                "auth": {"type": "object", "display_type": "radio", "oneOf": [
                    {"properties": {"kind": {"type": "string", "const": "oauth"},
                        "client_secret": {"type": "string", "airbyte_secret": true}}},
                    {"properties": {"kind": {"type": "string", "const": "key"}}},
                ]},
            },
        },
        "advanced_auth": {
            "auth_flow_type": "oauth2.0",
            "predicate_key": ["auth", "kind"],
            "predicate_value": "oauth",
            "oauth_config_specification": {"complete_oauth_output_specification": {
                "type": "object",
                "properties": {"client_secret": {"type": "string",
                    "path_in_connector_config": ["auth", "client_secret"]}}}},
        },
    })
}

fn check(call: &Call) -> Output {
    let Some(config) = &call.config else {
        return failure("There is no config file.");
    };
    let status = if config["token"] == TOKEN {
        json!({"status": "SUCCEEDED"})
    } else {
        json!({"status": "FAILED", "message": "The token is wrong."})
    };
    Output::new([json!({"type": "CONNECTION_STATUS", "connectionStatus": status})])
}

pub(crate) fn catalog() -> Value {
    json!({"streams": [
        {
            "name": "items",
            "json_schema": {"type": "object", "properties": {
                "id": {"type": "integer"},
                "name": {"type": ["null", "string"]},
                "at": {"type": "string", "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
            }},
            "supported_sync_modes": ["full_refresh", "incremental"],
            "source_defined_cursor": true,
            "default_cursor_field": ["id"],
            "source_defined_primary_key": [["id"]],
            "is_resumable": true,
        },
        {
            "name": "notes",
            "json_schema": {"type": "object", "properties": {"text": {"type": "string"}}},
            "supported_sync_modes": ["full_refresh"],
        },
    ]})
}

pub(crate) fn now() -> i64 {
    SystemClock.now_ms()
}

/// An ERROR trace, and exit code 1.
pub(crate) fn failure(message: &str) -> Output {
    let trace = json!({"type": "ERROR", "emitted_at": now(),
        "error": {"message": message, "failure_type": "config_error"}});
    let mut output = Output::new([json!({"type": "TRACE", "trace": trace})]);
    output.ended = Ended::Exit(1);
    output
}

fn status(stream: &str, status: &str) -> Value {
    json!({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": now(),
        "stream_status": {"stream_descriptor": {"name": stream}, "status": status}}})
}

pub(crate) fn state(stream: &str, state: &Value, count: usize) -> Value {
    json!({"type": "STATE", "state": {"type": "STREAM",
        "stream": {"stream_descriptor": {"name": stream}, "stream_state": state},
        "sourceStats": {"recordCount": count as f64}}})
}

pub(crate) fn record(stream: &str, data: &Value) -> Value {
    json!({"type": "RECORD", "record": {"stream": stream, "data": data, "emitted_at": now()}})
}

fn read(call: &Call) -> Output {
    let mut messages = Vec::new();
    for configured in call.catalog.as_ref().unwrap()["streams"]
        .as_array()
        .unwrap()
    {
        match configured["stream"]["name"].as_str() {
            Some("items") => messages.extend(items(call, configured["sync_mode"] == "incremental")),
            Some("notes") => messages.extend([
                status("notes", "STARTED"),
                record("notes", &json!({"text": "one"})),
                status("notes", "RUNNING"),
                record("notes", &json!({"text": "two"})),
                state("notes", &json!({"done": true}), 2),
                status("notes", "COMPLETE"),
            ]),
            Some(other) => {
                let mut output = failure("The stream does not exist.");
                output.push(&status(other, "INCOMPLETE"));
                return output;
            }
            None => panic!("a stream without name"),
        }
    }
    Output::new(messages)
}

fn items(call: &Call, is_incremental: bool) -> Vec<Value> {
    let states = call.state.as_ref().and_then(Value::as_array);
    let mut own = states
        .into_iter()
        .flatten()
        .filter(|state| state["stream"]["stream_descriptor"]["name"] == "items");
    let from = own
        .next_back()
        .and_then(|state| state["stream"]["stream_state"]["id"].as_i64());
    let from = from.filter(|_| is_incremental).unwrap_or(0);
    let mut messages = vec![status("items", "STARTED")];
    let mut open = 0;
    for id in from + 1..=ITEMS {
        let at = "2024-01-02T03:04:05Z";
        messages.push(record(
            "items",
            &json!({"id": id, "name": format!("item {id}"), "at": at}),
        ));
        open += 1;
        if id % 2 == 0 {
            messages.push(state("items", &json!({ "id": id }), open));
            open = 0;
        }
    }
    if from >= ITEMS {
        messages.push(state("items", &json!({ "id": from }), 0));
    }
    messages.push(status("items", "COMPLETE"));
    messages
}
