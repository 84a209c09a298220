//! A sound destination in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cdk_testkit::Suite;
use cdk_testkit::suite::{Call, Ended, Next, Role, SharedTape, Signal, Subject};
use serde_json::{Value, json};

use crate::destination_faults::Fault;
use crate::edit::Output;
use crate::source::{failure, print};

/// What a stream is called: namespace and name.
pub(crate) type Name = (String, String);

/// A row, and the generation it came with.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) generation: i64,
    pub(crate) data: Value,
}

/// What the destination holds.
pub(crate) type Tables = BTreeMap<Name, Vec<Row>>;

struct Memory {
    tables: Arc<Mutex<Tables>>,
    fault: Fault,
}

/// The suite over this destination, with everything an author can give.
pub(crate) fn suite(fault: Fault) -> Suite {
    let tables = Arc::new(Mutex::new(Tables::new()));
    let read = Arc::clone(&tables);
    Suite::subject(Memory { tables, fault }, Some(Role::Destination))
        .config(json!({"password": "hush-hush"}))
        .invalid_config(json!({"password": "wrong-word"}))
        .read_back(move |namespace, name| {
            let tables = read.lock().unwrap();
            let rows = tables.get(&(namespace.unwrap_or_default(), name));
            let rows = rows
                .into_iter()
                .flatten()
                .map(|row| row.data.clone())
                .collect();
            async move { Ok(rows) }
        })
}

#[async_trait]
impl Subject for Memory {
    async fn run(&self, call: &Call, tape: &SharedTape) -> Ended {
        let mut output = match call.verb {
            "spec" => Output::new([json!({"type": "SPEC", "spec": spec()})]),
            "check" => check(call),
            _ => {
                let before = self.tables.lock().unwrap().clone();
                let mut after = before.clone();
                let output = write(call, &mut after);
                (self.fault.corrupt)(call, &before, &mut after);
                *self.tables.lock().unwrap() = after;
                if let Next::Interrupt(Signal::Term) = tape.stdin_taken() {
                    return Ended::Exit(143);
                }
                output
            }
        };
        (self.fault.spoil)(call, &mut output);
        print(output, tape).await
    }

    fn name(&self) -> String {
        "memory".to_owned()
    }
}

fn spec() -> Value {
    json!({
        "protocol_version": "0.18.0",
        "supported_destination_sync_modes": ["append", "overwrite", "append_dedup"],
        "connectionSpecification": {
            "type": "object",
            "required": ["password"],
            "properties": {"password": {"type": "string", "airbyte_secret": true}},
        },
    })
}

fn check(call: &Call) -> Output {
    let Some(config) = &call.config else {
        return failure("There is no config file.");
    };
    let status = if config["password"] == "hush-hush" {
        json!({"status": "SUCCEEDED"})
    } else {
        json!({"status": "FAILED", "message": "The password is wrong."})
    };
    Output::new([json!({"type": "CONNECTION_STATUS", "connectionStatus": status})])
}

fn name_in(value: &Value, field: &str) -> Name {
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text(field))
}

/// A line as a message; half a pair of surrogates is no text of this language.
fn message(line: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(line).replace("\\ud800", "?");
    serde_json::from_str(&text).ok()
}

fn write(call: &Call, tables: &mut Tables) -> Output {
    let streams = call.catalog.as_ref().unwrap()["streams"]
        .as_array()
        .unwrap();
    let streams: BTreeMap<_, _> = streams
        .iter()
        .map(|it| (name_in(&it["stream"], "name"), it))
        .collect();
    let known = ["append", "overwrite", "append_dedup"];
    if streams
        .values()
        .any(|it| !known.contains(&it["destination_sync_mode"].as_str().unwrap()))
    {
        return failure("There is no such mode.");
    }
    let mut new: BTreeMap<Name, Vec<Value>> = BTreeMap::new();
    let mut unreported: BTreeMap<Name, usize> = BTreeMap::new();
    let mut states = Vec::new();
    let mut complete = Vec::new();
    for message in call.stdin.split(|byte| *byte == b'\n').filter_map(message) {
        match message["type"].as_str() {
            Some("RECORD") => {
                let name = name_in(&message["record"], "stream");
                if !streams.contains_key(&name) {
                    return failure("There is no such stream.");
                }
                *unreported.entry(name.clone()).or_default() += 1;
                new.entry(name)
                    .or_default()
                    .push(message["record"]["data"].clone());
            }
            Some("STATE") => {
                let mut message = message.clone();
                let state = &mut message["state"];
                let count = if state["type"] == "GLOBAL" {
                    std::mem::take(&mut unreported).into_values().sum()
                } else {
                    let name = name_in(&state["stream"]["stream_descriptor"], "name");
                    unreported.remove(&name).unwrap_or_default()
                };
                state["destinationStats"] = json!({"recordCount": count as f64});
                states.push(json!({"type": "STATE", "state": state}));
            }
            Some("TRACE") if message["trace"]["stream_status"]["status"] == "COMPLETE" => {
                complete.push(name_in(
                    &message["trace"]["stream_status"]["stream_descriptor"],
                    "name",
                ));
            }
            _ => {}
        }
    }
    for (name, configured) in streams {
        let rows = new.remove(&name).unwrap_or_default();
        let is_complete = complete.contains(&name);
        load(
            tables.entry(name).or_default(),
            rows,
            configured,
            is_complete,
        );
    }
    Output::new(states)
}

fn load(table: &mut Vec<Row>, rows: Vec<Value>, configured: &Value, is_complete: bool) {
    let generation = configured["generation_id"].as_i64().unwrap();
    let minimum = configured["minimum_generation_id"].as_i64().unwrap();
    if configured["destination_sync_mode"] == "overwrite" && !is_complete {
        return;
    }
    table.extend(rows.into_iter().map(|data| Row { generation, data }));
    if is_complete {
        table.retain(|row| row.generation >= minimum);
    }
    if configured["destination_sync_mode"] == "append_dedup" {
        let mut kept: BTreeMap<String, Row> = BTreeMap::new();
        for row in table.drain(..) {
            let key = row.data["id"].to_string();
            let is_older = kept
                .get(&key)
                .is_some_and(|it| it.data["at"].as_i64() > row.data["at"].as_i64());
            if !is_older {
                kept.insert(key, row);
            }
        }
        table.extend(kept.into_values());
    }
}
