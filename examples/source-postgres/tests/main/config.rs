//! Spec, check and discovery.

use cdk_testkit::Run;
use serde_json::{Value, json};
use source_postgres::{PostgresConfig, PostgresSource};

use crate::support::Db;

#[tokio::test]
async fn the_spec_has_the_keys_of_airbytes_source_postgres() {
    let ran = Run::new("spec")
        .source(PostgresSource::default())
        .await
        .succeeded();
    let message: Value = serde_json::from_str(ran.text.trim()).unwrap();
    let spec = &message["spec"]["connectionSpecification"];
    for key in [
        "host",
        "port",
        "database",
        "schemas",
        "username",
        "password",
        "jdbc_url_params",
        "ssl_mode",
        "replication_method",
        "tunnel_method",
    ] {
        assert!(spec["properties"].get(key).is_some(), "{key}");
    }
    assert_eq!(spec["required"], json!(["host", "database", "username"]));
    let consts = |property: &str, tag: &str| -> Vec<String> {
        let options = spec["properties"][property]["oneOf"].as_array().unwrap();
        options
            .iter()
            .map(|option| {
                option["properties"][tag]["const"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(
        consts("ssl_mode", "mode"),
        [
            "disable",
            "allow",
            "prefer",
            "require",
            "verify-ca",
            "verify-full"
        ]
    );
    assert_eq!(
        consts("replication_method", "method"),
        ["CDC", "Xmin", "Standard"]
    );
    assert_eq!(
        consts("tunnel_method", "tunnel_method"),
        ["NO_TUNNEL", "SSH_KEY_AUTH", "SSH_PASSWORD_AUTH"]
    );
}

#[test]
fn the_sample_config_of_the_readme_is_read() {
    let readme = include_str!("../../README.md");
    let json = readme
        .split("```json")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let config: PostgresConfig = serde_json::from_str(json).unwrap();
    assert_eq!(config.port, 5432);
}

#[tokio::test]
async fn check_succeeds_for_a_user_who_may_only_read_and_names_what_is_missing() {
    let db = Db::new(
        "CREATE TABLE open (id int); CREATE TABLE closed (id int); CREATE SCHEMA empty; \
         CREATE SCHEMA hidden; CREATE TABLE hidden.secret (id int)",
    );
    let role = format!("reader_of_{}", db.name);
    db.sql(&format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT ON open TO {role}"
    ));
    let db = db.with("username", json!(role));
    let status = |ran: &cdk_testkit::Ran| {
        let status = ran.connection_status();
        (
            status.status.as_str().to_owned(),
            status.message.clone().unwrap_or_default(),
        )
    };
    let ran = db.verb("check").await;
    assert_eq!(status(&ran).0, "SUCCEEDED", "{}", ran.text);
    assert!(
        ran.logs().iter().any(|log| log.contains("public.closed")),
        "{}",
        ran.text
    );
    let discovered = db.verb("discover").await.succeeded();
    let names: Vec<_> = discovered
        .catalog()
        .streams
        .iter()
        .map(|stream| stream.name.as_str())
        .collect();
    assert_eq!(names, ["open"]);

    let db = db.with("schemas", json!(["hidden", "nowhere", "empty"]));
    let (kind, text) = status(&db.verb("check").await);
    assert_eq!(kind, "FAILED");
    assert!(text.contains("Schema nowhere does not exist"), "{text}");
    assert!(
        text.contains("hidden.secret") && text.contains("GRANT USAGE ON SCHEMA \"hidden\""),
        "{text}"
    );
}

#[tokio::test]
async fn discovery_finds_keys_types_and_what_can_be_read_how() {
    let db = Db::new(
        "CREATE TABLE keyed (b int, a text, note json, PRIMARY KEY (a, b)); CREATE VIEW looked AS SELECT * FROM keyed; \
         CREATE MATERIALIZED VIEW kept AS SELECT * FROM keyed; \
         CREATE TABLE parted (id int PRIMARY KEY, at timestamptz) PARTITION BY RANGE (id); \
         CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM (0) TO (10); \
         CREATE TABLE nothing (); CREATE TABLE \"Odd \"\"name\" (\"a b\" int)",
    );
    let ran = db.verb("discover").await.succeeded();
    let found = serde_json::to_value(ran.catalog()).unwrap();
    let streams = found["streams"].as_array().unwrap();
    let names: Vec<_> = streams
        .iter()
        .map(|stream| stream["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Odd \"name", "kept", "keyed", "looked", "parted"]);
    let keyed = &streams[2];
    assert_eq!(keyed["namespace"], "public");
    assert_eq!(keyed["source_defined_primary_key"], json!([["a"], ["b"]]));
    assert_eq!(keyed["is_resumable"], true);
    assert_eq!(
        keyed["json_schema"]["properties"]["b"],
        json!({"type": "integer"})
    );
    assert_eq!(streams[3]["is_resumable"], false);
}
