use cdk_testkit::Suite;
use destination_dev_null::DestinationDevNull;
use serde_json::json;

#[tokio::test]
async fn the_destination_conforms() {
    let report = Suite::destination(DestinationDevNull::new())
        .invalid_config(json!({"test_destination": {"test_destination_type": "NONE"}}))
        .run()
        .await;
    report.assert_passed();
    assert!(report.is_clean(), "{}", report.table());
}
