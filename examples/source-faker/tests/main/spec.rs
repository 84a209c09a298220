//! `spec` and `check`.

use airbyte_protocol::{AirbyteMessage, Status};
use cdk_testkit::Run;
use serde_json::{Value, json};
use source_faker::SourceFaker;

use crate::harness;

async fn spec() -> Value {
    let output = Run::new("spec").source(SourceFaker).await;
    match output.messages.as_slice() {
        [AirbyteMessage::Spec(spec)] => spec.connection_specification.clone(),
        other => panic!("expected one SPEC, got {other:?}"),
    }
}

async fn check(config: &Value) -> (Status, String) {
    let ran = harness::check(config).await;
    let status = ran.connection_status();
    (status.status, status.message.clone().unwrap_or_default())
}

#[tokio::test]
async fn the_spec_has_the_keys_of_airbytes_source_faker_with_defaults() {
    let spec = spec().await;
    let properties = spec["properties"].as_object().unwrap();
    let defaults: Vec<_> = properties
        .iter()
        .map(|(key, value)| (key.as_str(), &value["default"]))
        .collect();
    let expected = [
        ("count", &json!(1000)),
        ("seed", &json!(-1)),
        ("records_per_slice", &json!(1000)),
        ("always_updated", &json!(false)),
        ("parallelism", &json!(4)),
    ];
    assert_eq!(defaults, expected);
    for (key, property) in properties {
        assert!(property["title"].is_string(), "{key} has no title");
        assert!(
            property["description"].as_str().unwrap().ends_with('.'),
            "{key}"
        );
    }
}

#[tokio::test]
async fn the_sample_config_of_the_readme_passes_the_check() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```json\n").unwrap();
    let (config, _) = rest.split_once("```").unwrap();
    let config: Value = serde_json::from_str(config).unwrap();
    assert_eq!(check(&config).await.0, Status::Succeeded);
}

#[tokio::test]
async fn a_config_outside_the_limits_fails_the_check_by_name() {
    let (status, message) = check(&json!({"count": -5})).await;
    assert_eq!(status, Status::Failed);
    assert!(message.contains("count"), "{message}");
}
