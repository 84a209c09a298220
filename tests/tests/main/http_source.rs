//! The program of the page on HTTP sources, against the API that the page shows.

use std::process::Command;

use cdk_testkit::http::{Expect, Fault, Faults, MockServer, Reply};
use cdk_testkit::{Files, StreamSpec};
use serde_json::{Value, json};

use crate::support::messages;

fn order() -> Value {
    json!({"id": 1, "total": 9.5, "updated_at": "2024-01-02T10:00:00Z"})
}

/// Reads the orders; records and the last state.
async fn read(url: String) -> (Vec<Value>, Value) {
    let output = tokio::task::spawn_blocking(move || {
        let files = Files::new();
        let config = json!({"url": url, "token": "t0ken", "start_date": "2024-01-01"});
        let catalog = StreamSpec::catalog(&[&StreamSpec::new("orders", "append", json!({}))]);
        let config = files.write("config.json", config.to_string());
        let catalog = files.write("catalog.json", catalog.to_string());
        let mut program = Command::new(env!("CARGO_BIN_EXE_first-http-source"));
        program
            .arg("read")
            .arg("--config")
            .arg(config)
            .arg("--catalog")
            .arg(catalog);
        // A proxy of the machine has no way to this process.
        program
            .env("NO_PROXY", "127.0.0.1")
            .env("CDK_SLEEP_SCALE", "0.001");
        program.output().unwrap()
    });
    let output = output.await.unwrap();
    let messages = messages(&output.stdout);
    assert!(output.status.success(), "{messages:?}");
    let records = messages.iter().filter(|it| it["type"] == "RECORD");
    let mut states = messages.iter().filter(|it| it["type"] == "STATE");
    let last = states.next_back().cloned().unwrap_or_default();
    (
        records.map(|it| it["record"]["data"].clone()).collect(),
        last["state"]["stream"]["stream_state"].clone(),
    )
}

#[tokio::test]
async fn the_pages_source_reads_the_pages_api() {
    let shop = MockServer::start().await;
    let first = Expect::get("/orders")
        .query("offset", "0")
        .query("limit", "100");
    let first = first.query("updated_since", "2024-01-01T00:00:00Z");
    let reply = Reply::json(&json!({"data": [order()]}));
    shop.expect(first.header("authorization", "Bearer t0ken"), reply);
    let (records, state) = read(shop.url()).await;
    assert_eq!(records, [order()]);
    assert_eq!(state, json!({"updated_at": "2024-01-02T10:00:00Z"}));
    shop.verify();
}

/// The promise of the HTTP layer; the other tests here show that the program keeps the rest of it.
#[test]
fn a_paged_incremental_authenticated_limited_source_is_under_60_lines() {
    let page = include_str!("../../../docs/http.md");
    let (_, program) = page.split_once("```rust,no_run\n").unwrap();
    let (program, _) = program.split_once("```").unwrap();
    for part in ["fn main", ".paginate(", ".cursor(", ".auth(", ".budget("] {
        assert!(program.contains(part), "{part}");
    }
    let lines = program.lines().map(str::trim);
    let code = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    assert!(code.count() < 60);
}

#[tokio::test]
async fn waits_of_whole_programs_can_be_made_shorter() {
    let mut faults = Faults::first([
        Fault::Status(503),
        Fault::CutBody,
        Fault::RateLimited(Some(60)),
    ]);
    let shop = MockServer::serve(move |request| {
        faults.apply(request, Reply::json(&json!({"data": [order()]})))
    })
    .await;
    let (records, _) = read(shop.url()).await;
    assert_eq!(records, [order()]);
    assert_eq!(shop.requests().len(), 4);
}
