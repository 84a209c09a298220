//! What the connector says of itself, and `check`.

use airbyte_protocol::{FailureType, MessageType};
use cdk_testkit::servers::free_port;
use cdk_testkit::{Files, Run};
use destination_postgres::PostgresDestination;
use serde_json::json;

use crate::support::Warehouse;

#[tokio::test]
async fn the_spec_has_the_keys_of_airbyte_and_its_modes() {
    let ran = Run::new("spec")
        .destination(PostgresDestination)
        .await
        .succeeded();
    let spec = ran.printed(MessageType::Spec).remove(0);
    let properties = spec["connectionSpecification"]["properties"]
        .as_object()
        .unwrap();
    for key in [
        "host",
        "port",
        "database",
        "schema",
        "username",
        "password",
        "ssl",
        "ssl_mode",
        "jdbc_url_params",
        "tunnel_method",
        "raw_data_schema",
        "cdc_deletion_mode",
        "disable_type_dedupe",
        "drop_cascade",
        "unconstrained_number",
    ] {
        assert!(properties.contains_key(key), "{key}");
    }
    assert_eq!(properties["password"]["airbyte_secret"], true);
    let required = &spec["connectionSpecification"]["required"];
    assert_eq!(*required, json!(["host", "database", "username"]));
    let modes = &spec["supported_destination_sync_modes"];
    assert_eq!(*modes, json!(["append", "overwrite", "append_dedup"]));
}

#[tokio::test]
async fn a_check_leaves_nothing_behind() {
    let warehouse = Warehouse::new();
    let ran = warehouse.check().await.succeeded();
    assert_eq!(
        ran.printed(MessageType::ConnectionStatus)[0]["status"],
        "SUCCEEDED"
    );
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'airbyte_internal'";
    assert_eq!(warehouse.value(schemas), "0");
}

#[tokio::test]
async fn a_check_tells_what_is_wrong() {
    let warehouse = Warehouse::new();
    let guest = format!("guest_of_{}", warehouse.database);
    warehouse.execute(&format!(
        "CREATE ROLE {guest} LOGIN; REVOKE ALL ON SCHEMA public FROM PUBLIC"
    ));
    for (options, text) in [
        (json!({"database": "nowhere"}), "`database`"),
        (json!({"username": "nobody_at_all"}), "`username`"),
        (json!({"port": free_port()}), "`port`"),
        (json!({"username": guest}), "CREATE"),
    ] {
        let failing = Warehouse {
            database: warehouse.database.clone(),
            ..Warehouse::new()
        };
        let ran = failing.with(options).check().await;
        let status = ran.printed(MessageType::ConnectionStatus).remove(0);
        assert_eq!(status["status"], "FAILED", "{text}");
        let message = status["message"].as_str().unwrap_or_default();
        assert!(message.contains(text), "{message}");
    }
}

#[tokio::test]
async fn the_config_of_the_guide_is_enough() {
    let warehouse = Warehouse::new();
    let files = Files::new();
    let config = json!({
        "Host": "127.0.0.1", "Port": warehouse.port, "Database": warehouse.database, "Username": "postgres",
        "Password": "not asked for", "Default Schema": "public", "Normalization": {"Mode": "Basic"},
    });
    let check = Run::new("check").file(&files, "config", &config);
    let ran = check.destination(PostgresDestination).await.succeeded();
    assert_eq!(
        ran.printed(MessageType::ConnectionStatus)[0]["status"],
        "SUCCEEDED"
    );
}

#[tokio::test]
async fn a_missing_key_is_a_config_error() {
    let files = Files::new();
    let write = Run::new("write").file(&files, "config", &json!({"host": "x"}));
    let write = write.file(&files, "catalog", &json!({"streams": []}));
    let ran = write.destination(PostgresDestination).await;
    assert_eq!(ran.error().failure_type, Some(FailureType::ConfigError));
    assert!(
        ran.error().message.contains("database"),
        "{}",
        ran.error().message
    );
}
