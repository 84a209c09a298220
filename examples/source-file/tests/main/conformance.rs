use cdk_testkit::Suite;
use serde_json::json;

use crate::support::{Folder, source};

#[tokio::test]
async fn the_source_conforms() {
    let folder = Folder::new();
    let rows: String = (1..=90)
        .map(|id| format!("{id},name {id},2024-01-02\n"))
        .collect();
    let path = folder.write("rows.csv", format!("id,name,day\n{rows}"));
    let config = |url| json!({"dataset_name": "rows", "format": "csv", "url": url, "provider": {"storage": "local"}});
    let report = Suite::source(source(300))
        .config(config(path))
        .invalid_config(config(folder.0.path().join("missing.csv")))
        .expected_records(
            "rows",
            [json!({"id": 7, "name": "name 7", "day": "2024-01-02"})],
        )
        .run()
        .await;
    report.assert_passed();
    assert!(report.is_clean(), "{}", report.table());
}
