//! The source by the protocol, over files of a test.

use cdk_testkit::{Files, Suite};
use serde_json::json;
use {{ crate_name }}::{{ crate_name | pascal_case }};

#[tokio::test]
async fn the_source_conforms() {
    let files = Files::new();
    files.write("a.jsonl", "{\"id\": 1}\n{\"id\": 2}\n");
    files.write("b.jsonl", "{\"id\": 3}\n");
    files.write("notes.txt", "not to be read");
    let report = Suite::source({{ crate_name | pascal_case }})
        .config(json!({"directory": files.path()}))
        .invalid_config(json!({"directory": files.path().join("missing")}))
        .expected_records(
            "records",
            [json!({"file": "b.jsonl", "line": 1, "data": {"id": 3}})],
        )
        .run()
        .await;
    report.assert_passed();
}
