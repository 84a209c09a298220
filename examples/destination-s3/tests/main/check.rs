//! What `check` finds out.

use airbyte_protocol::Status;
use cdk_testkit::servers::free_port;
use serde_json::{Value, json};

use crate::support::Lake;

async fn failure(change: impl FnOnce(&mut Value)) -> String {
    let mut lake = Lake::new();
    change(&mut lake.config);
    let ran = lake.check().await;
    let status = ran.connection_status().clone();
    assert_eq!(status.status, Status::Failed, "{}", ran.text);
    assert!(!ran.text.contains("minio-secret"), "{}", ran.text);
    status.message.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_config_is_tried_and_leaves_nothing_behind() {
    for path in ["data/${NAMESPACE}/x", ""] {
        let mut lake = Lake::new();
        lake.config["s3_bucket_path"] = json!(path);
        let ran = lake.check().await.succeeded();
        assert_eq!(
            ran.connection_status().status,
            Status::Succeeded,
            "{}",
            ran.text
        );
        assert_eq!(lake.server.keys(""), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_told_apart() {
    let message = failure(|config| config["s3_bucket_name"] = json!("nobody-s")).await;
    assert!(message.contains("`s3_bucket_name`"), "{message}");
    let message = failure(|config| config["access_key_id"] = json!("somebody")).await;
    assert!(message.contains("`access_key_id`"), "{message}");
    let message = failure(|config| config["secret_access_key"] = json!("guessed")).await;
    assert!(message.contains("`secret_access_key`"), "{message}");
    let message = failure(|config| config["access_key_id"] = json!("reader")).await;
    assert!(message.contains("s3:PutObject"), "{message}");
    let port = free_port();
    let message =
        failure(|config| config["s3_endpoint"] = json!(format!("http://127.0.0.1:{port}"))).await;
    assert!(message.contains("`s3_endpoint`"), "{message}");
    let message =
        failure(|config| config["s3_endpoint"] = json!("http://no-such-host.invalid")).await;
    assert!(
        message.contains("host name") && message.contains("`s3_endpoint`"),
        "{message}"
    );
    let message = failure(|config| config["s3_endpoint"] = json!("127.0.0.1:9000")).await;
    assert!(message.contains("http://"), "{message}");
    let message = failure(|config| config["secret_access_key"] = json!("")).await;
    assert!(message.contains("belong together"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_no_tls_is_named_as_such() {
    let mut lake = Lake::new();
    let endpoint = lake.server.endpoint().replace("http://", "https://");
    lake.config["s3_endpoint"] = json!(endpoint);
    let ran = lake.check().await;
    let message = ran.connection_status().message.clone().unwrap_or_default();
    assert!(message.contains("https://"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lzo_is_refused_with_the_codecs_that_there_are() {
    let message = failure(|config| config["format"]["compression_codec"] = json!("LZO")).await;
    assert!(
        message.contains("compression_codec") && message.contains("ZSTD"),
        "{message}"
    );
}
