//! Spec and config.

use serde_json::{Value, json};

use crate::support::{Folder, run, source};

#[tokio::test]
async fn the_spec_has_the_keys_of_airbytes_source_file() {
    let output = run("spec").source(source(1000)).await.succeeded();
    let message: Value = serde_json::from_str(output.text.trim()).unwrap();
    let spec = &message["spec"]["connectionSpecification"];
    let names: Vec<_> = spec["properties"].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "dataset_name",
            "format",
            "reader_options",
            "url",
            "provider"
        ]
    );
    assert_eq!(spec["required"], json!(["dataset_name", "url", "provider"]));
    assert_eq!(
        spec["properties"]["format"]["enum"],
        json!(["csv", "jsonl"]),
        "{spec:#}"
    );
    let options = spec["properties"]["provider"]["oneOf"].as_array().unwrap();
    let storages: Vec<_> = options
        .iter()
        .map(|option| &option["properties"]["storage"]["const"])
        .collect();
    assert_eq!(storages, ["HTTPS", "local"]);
}

#[tokio::test]
async fn the_guides_words_are_accepted() {
    let folder = Folder::new();
    let path = folder.write("file.csv", "a\n1\n").display().to_string();
    let config = json!({
        "Dataset Name": "data",
        "Format": "CSV",
        "Provider": {"Storage": "Local", "User Provided Storage": {"URL": path}}
    });
    assert_eq!(folder.check(&config).await.status().0, "SUCCEEDED");
    assert_eq!(
        folder.read(&config).await.expect_success().records(),
        [r#"{"a":1}"#]
    );
}

#[tokio::test]
async fn unknown_reader_options_fail_the_check_by_name() {
    let folder = Folder::new();
    let path = folder.write("file.csv", "a\n1\n");
    let config = crate::support::local(&path, "csv", &json!({"seperator": ";"}));
    let (status, message) = folder.check(&config).await.status();
    assert_eq!(status, "FAILED");
    assert!(message.contains("`seperator`"), "{message}");
}
