//! spec, check, discover, and everything that is wrong before a verb begins.

use std::sync::Arc;

use airbyte_protocol::AirbyteMessage;
use cdk_core::entrypoint::{Connector, Exit};
use serde_json::json;

use crate::support::counting::CountingSource;
use crate::support::run::{Files, args, run, run_with};
use crate::support::tables::Tables;

fn source() -> Connector {
    Connector::Source(Arc::new(CountingSource::new(["a", "b"])))
}

#[tokio::test]
async fn spec_is_one_message_and_needs_no_config() {
    for verb in ["spec", "--spec"] {
        let ran = run(source(), args([verb])).await;
        assert_eq!(ran.exit, Exit::Success);
        let [AirbyteMessage::Spec(spec)] = ran.messages.as_slice() else {
            panic!("{}", ran.text);
        };
        let token = &spec.connection_specification["properties"]["token"];
        assert_eq!(token["airbyte_secret"], json!(true));
    }
}

#[tokio::test]
async fn a_failed_check_is_an_answer_with_exit_0_and_hides_secrets() {
    let files = Files::new();
    let good = files.write("good.json", json!({"count": 1}));
    let bad = files.write("bad.json", json!({"count": 0, "token": "hunter22"}));
    let check = |path: &std::path::Path| args(["check", "--config", path.to_str().unwrap()]);
    let ran = run(source(), check(&good)).await;
    assert!(ran.text.contains("SUCCEEDED"), "{}", ran.text);
    let ran = run(source(), check(&bad)).await;
    assert_eq!(ran.exit, Exit::Success);
    assert!(ran.text.contains(r#""status":"FAILED""#), "{}", ran.text);
    assert!(
        ran.text.contains("Nothing to count for ****."),
        "{}",
        ran.text
    );
    assert!(!ran.text.contains("hunter22"), "{}", ran.text);
}

#[tokio::test]
async fn a_config_that_breaks_the_spec_fails_the_check_and_names_every_place() {
    let files = Files::new();
    let config = files.write("c.json", json!({"count": "many", "partition": -1}));
    let ran = run(
        source(),
        args(["check", "--config", config.to_str().unwrap()]),
    )
    .await;
    assert_eq!(ran.exit, Exit::Success);
    assert!(ran.text.contains("FAILED"), "{}", ran.text);
    assert!(
        ran.text.contains("count") && ran.text.contains("partition"),
        "{}",
        ran.text
    );
}

#[tokio::test]
async fn discover_lists_the_streams() {
    let files = Files::new();
    let config = files.write("c.json", json!({}));
    let ran = run(
        source(),
        args(["discover", "--config", config.to_str().unwrap()]),
    )
    .await;
    let [AirbyteMessage::Catalog(catalog)] = ran.messages.as_slice() else {
        panic!("{}", ran.text);
    };
    let names: Vec<_> = catalog
        .streams
        .iter()
        .map(|stream| stream.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn what_is_wrong_with_arguments_and_files_is_a_config_error_that_names_it() {
    let files = Files::new();
    let broken = files.write("broken.json", "{\n  \"count\": 1,,\n}");
    let list = files.write("list.json", "[1]");
    let good = files.write("good.json", "{}");
    let (broken, list) = (broken.to_str().unwrap(), list.to_str().unwrap());
    let good = good.to_str().unwrap();
    for (arguments, exit, expected) in [
        (
            vec!["frobnicate"],
            Exit::Usage,
            "There is no verb `frobnicate`.",
        ),
        (vec!["check"], Exit::Usage, "--config FILE is missing."),
        (
            vec!["check", "--config", "/no/such/file"],
            Exit::Failure,
            "/no/such/file, can't be read",
        ),
        (
            vec!["check", "--config", broken],
            Exit::Failure,
            "line 2, column 14",
        ),
        (
            vec!["check", "--config", list],
            Exit::Failure,
            "must be a JSON object",
        ),
        (
            vec!["read", "--config", good, "--catalog", list],
            Exit::Failure,
            "not a configured Airbyte catalog",
        ),
        (
            vec!["write", "--config", good, "--catalog", good],
            Exit::Usage,
            "A source has no verb Write",
        ),
    ] {
        let ran = run(source(), args(arguments.clone())).await;
        assert_eq!(ran.exit, exit, "{arguments:?}");
        let errors = ran.errors();
        assert_eq!(errors.len(), 1, "{}", ran.text);
        assert_eq!(errors[0].0, "config_error", "{arguments:?}");
        assert!(
            errors[0].1.contains(expected),
            "{arguments:?}: {}",
            errors[0].1
        );
    }
}

#[tokio::test]
async fn a_destination_lists_its_modes_in_the_spec_and_has_no_read() {
    let destination = || Connector::Destination(Arc::new(Tables::default()));
    let ran = run(destination(), args(["spec"])).await;
    assert!(
        ran.text.contains(
            r#""supported_destination_sync_modes":["append","append_dedup","overwrite"]"#
        ),
        "{}",
        ran.text
    );
    let ran = run(
        destination(),
        args(["read", "--config", "c", "--catalog", "k"]),
    )
    .await;
    assert_eq!(ran.exit, Exit::Usage);
}

#[tokio::test]
async fn an_unreadable_memory_budget_is_refused() {
    let ran = run_with(source(), args(["spec"]), |invocation| {
        invocation.env = |name| (name == "CDK_MEMORY_BUDGET_BYTES").then(|| "64MB".to_owned());
    })
    .await;
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.errors()[0].1.contains("not `64MB`"), "{}", ran.text);
}
