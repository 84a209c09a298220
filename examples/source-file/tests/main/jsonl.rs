//! JSONL from local files.

use cdk_core::entrypoint::Exit;
use serde_json::json;

use crate::support::{Folder, local};

#[tokio::test]
async fn objects_pass_untouched_and_their_types_are_discovered() {
    let folder = Folder::new();
    let lines = [
        "{\"a\": 1.10, \"b\":[1,{\"c\":null}]}",
        "{\"a\":12345678901234567890123,\"s\":\"\\ud83d\"}",
    ];
    let path = folder.write("file.jsonl", format!("{}\r\n\n{}", lines[0], lines[1]));
    let config = local(&path, "jsonl", &json!({}));
    let output = folder.read(&config).await.expect_success();
    assert_eq!(output.records(), lines);
    let path = folder.write(
        "typed.jsonl",
        "{\"a\":1,\"b\":[true]}\n{\"a\":2.5,\"c\":{\"d\":\"x\"}}\n",
    );
    let schema = folder
        .discover(&local(&path, "jsonl", &json!({})))
        .await
        .schema();
    assert_eq!(schema["properties"]["a"]["type"], json!(["null", "number"]));
    assert_eq!(schema["properties"]["b"]["items"]["type"], json!("boolean"));
    assert_eq!(
        schema["properties"]["c"]["properties"]["d"]["type"],
        json!(["null", "string"])
    );
}

#[tokio::test]
async fn a_broken_line_ends_the_read_but_keeps_what_came_before() {
    let folder = Folder::new();
    let path = folder.write("file.jsonl", "{\"a\":1}\n{\"a\":[1 2]}\n{\"a\":3}\n");
    let output = folder.read(&local(&path, "jsonl", &json!({}))).await;
    assert_eq!((output.exit, output.records().len()), (Exit::Failure, 1));
    let (kind, message) = output.error();
    assert_eq!(kind, "config_error");
    assert!(message.contains("file.jsonl, line 2 (byte 8"), "{message}");
    let skipping = local(&path, "jsonl", &json!({"on_bad_lines": "skip"}));
    let output = folder.read(&skipping).await.expect_success();
    assert_eq!(output.records(), [r#"{"a":1}"#, r#"{"a":3}"#]);
}

#[tokio::test]
async fn an_empty_file_has_no_records_and_completes() {
    let folder = Folder::new();
    let path = folder.write("file.jsonl", "");
    let output = folder
        .read(&local(&path, "jsonl", &json!({})))
        .await
        .expect_success();
    assert_eq!((output.records().len(), output.states().len()), (0, 1));
}
