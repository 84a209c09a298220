//! `spec` and `check`.

use airbyte_protocol::{AirbyteMessage, Status};
use cdk_testkit::{Files, Run};
use destination_dev_null::DestinationDevNull;
use serde_json::{Value, json};

async fn spec() -> Value {
    let output = Run::new("spec")
        .destination(DestinationDevNull::new())
        .await;
    match output.messages.as_slice() {
        [AirbyteMessage::Spec(spec)] => spec.connection_specification.clone(),
        other => panic!("expected one SPEC, got {other:?}"),
    }
}

async fn check(config: &Value) -> (Status, String) {
    let files = Files::new();
    let ran = Run::new("check")
        .file(&files, "config", config)
        .destination(DestinationDevNull::new())
        .await;
    let status = ran.connection_status();
    (status.status, status.message.clone().unwrap_or_default())
}

/// The configs of Airbyte's own destination-dev-null, the fault script, and no config at all.
fn good_configs() -> Vec<Value> {
    let logging = |logging_config| json!({"test_destination_type": "LOGGING", "logging_config": logging_config});
    let kinds = [
        json!({"test_destination_type": "SILENT"}),
        logging(json!({"logging_type": "FirstN", "max_entry_count": 100})),
        logging(json!({"logging_type": "EveryNth", "nth_entry_to_log": 3, "max_entry_count": 100})),
        logging(
            json!({"logging_type": "RandomSampling", "sampling_ratio": 0.001, "max_entry_count": 100}),
        ),
        json!({"test_destination_type": "FAILING", "num_messages": 100}),
        json!({"test_destination_type": "THROTTLED", "millis_per_record": 100}),
        json!({"test_destination_type": "FAULTS", "faults": [
            {"operation": "commit", "at": 2, "action": {"type": "fail_after"}},
            {"operation": "load", "stream": "a", "action": {"type": "slow", "millis": 5},
             "failure_type": "system_error"},
        ]}),
    ];
    let with_kind = kinds.map(|kind| json!({"test_destination": kind}));
    with_kind.into_iter().chain([json!({})]).collect()
}

#[tokio::test]
async fn good_configs_are_valid_by_the_spec_and_pass_the_check() {
    let schema = jsonschema::validator_for(&spec().await).unwrap();
    for config in good_configs() {
        let errors: Vec<_> = schema.iter_errors(&config).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{config}: {errors:?}");
        assert_eq!(
            check(&config).await,
            (Status::Succeeded, String::new()),
            "{config}"
        );
    }
}

#[tokio::test]
async fn an_unknown_kind_fails_the_check_by_its_key() {
    let (status, message) =
        check(&json!({"test_destination": {"test_destination_type": "LOUD"}})).await;
    assert_eq!(status, Status::Failed);
    assert!(message.contains("test_destination"), "{message}");
}

#[tokio::test]
async fn every_kind_has_a_title_and_a_constant_for_the_form() {
    let spec = spec().await;
    let kinds = spec["properties"]["test_destination"]["oneOf"]
        .as_array()
        .unwrap();
    let names: Vec<_> = kinds
        .iter()
        .map(|kind| {
            assert!(kind["title"].is_string(), "{kind}");
            kind["properties"]["test_destination_type"]["const"]
                .as_str()
                .unwrap()
        })
        .collect();
    assert_eq!(
        names,
        ["SILENT", "LOGGING", "FAILING", "THROTTLED", "FAULTS"]
    );
}

#[tokio::test]
async fn the_sample_config_of_the_readme_passes_the_check() {
    let (_, rest) = include_str!("../../README.md")
        .split_once("```json\n")
        .unwrap();
    let (config, _) = rest.split_once("```").unwrap();
    let config: Value = serde_json::from_str(config).unwrap();
    assert_eq!(check(&config).await.0, Status::Succeeded);
}
