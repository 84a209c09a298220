use cdk_testkit::Suite;
use serde_json::json;
use source_faker::SourceFaker;

#[tokio::test]
async fn the_source_conforms() {
    let report = Suite::source(SourceFaker)
        .config(json!({"count": 60, "records_per_slice": 20}))
        .invalid_config(json!({"count": -1}))
        .run()
        .await;
    report.assert_passed();
    assert!(report.is_clean(), "{}", report.table());
}
