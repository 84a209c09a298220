//! The smallest connectors, which the crate's documentation shows, do what they say.

use std::io;
use std::sync::Arc;

use airbyte_protocol::{AirbyteCatalog, AirbyteMessage};
use cdk_core::entrypoint::{Connector, Exit};
use serde_json::json;

use crate::support::counting::catalog;
use crate::support::lines::{record, state};
use crate::support::run::{Files, Ran, args, read_args, run, run_with};

#[allow(dead_code)]
#[path = "../examples/smallest_destination.rs"]
mod smallest_destination;
#[allow(dead_code)]
#[path = "../examples/smallest_source.rs"]
mod smallest_source;

async fn source(verb: &[&str]) -> Ran {
    let connector = Connector::Source(Arc::new(smallest_source::Counter));
    run(connector, args(verb.iter().copied())).await
}

#[tokio::test]
async fn the_smallest_source_answers_every_verb() {
    let files = Files::new();
    let config = files.write("config.json", json!({"to": 3}));
    let config = config.to_str().unwrap();
    let spec = source(&["spec"]).await;
    assert!(
        spec.text
            .contains(r#""description":"Count up to this number.""#),
        "{}",
        spec.text
    );
    assert!(
        source(&["check", "--config", config])
            .await
            .text
            .contains("SUCCEEDED")
    );

    let discovered = source(&["discover", "--config", config]).await;
    let [AirbyteMessage::Catalog(AirbyteCatalog { streams, .. })] = discovered.messages.as_slice()
    else {
        panic!("{}", discovered.text);
    };
    let stream = serde_json::to_value(&streams[0]).unwrap();
    let wanted = json!({"streams": [
        {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}
    ]});
    let wanted = files.write("catalog.json", wanted);
    let read = source(&[
        "read",
        "--config",
        config,
        "--catalog",
        wanted.to_str().unwrap(),
    ])
    .await;
    assert_eq!(read.exit, Exit::Success);
    assert_eq!(
        read.records("numbers"),
        [json!({"n": 1}), json!({"n": 2}), json!({"n": 3})]
    );
    assert_eq!(read.states().len(), 1);
}

#[test]
fn the_smallest_source_has_at_most_40_lines() {
    assert!(
        include_str!("../examples/smallest_source.rs")
            .lines()
            .count()
            <= 40
    );
}

#[tokio::test]
async fn the_smallest_destination_appends_and_gives_the_state_back() {
    let (files, target) = (Files::new(), tempfile::tempdir().unwrap());
    let config = json!({"directory": target.path()});
    let wanted = catalog(["a"], airbyte_protocol::SyncMode::FullRefresh);
    let mut arguments = read_args(&files, &config, &wanted, None);
    arguments[0] = "write".into();
    let connector = Connector::Destination(Arc::new(smallest_destination::Files));
    let stdin = [record("a", 0), record("a", 1), state("a", 2)].join("\n");
    for _ in 0..2 {
        let stdin = io::Cursor::new(stdin.clone());
        let ran = run_with(connector.clone(), arguments.clone(), |call| {
            call.stdin = Box::new(stdin);
        })
        .await;
        assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
        assert_eq!(ran.states().len(), 1);
    }
    let text = std::fs::read_to_string(target.path().join("a.jsonl")).unwrap();
    assert_eq!(text, "{\"id\":0}\n{\"id\":1}\n".repeat(2));
}
