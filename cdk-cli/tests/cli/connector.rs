//! The verbs of single connectors.

use serde_json::{Value, json};

use crate::support::{Desk, finish, source};

#[test]
fn built_ins_are_listed() {
    let listed = Desk::new().cdk(&["connectors", "--json"]);
    listed.assert_ok();
    let all: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
    assert!(
        all.iter()
            .any(|one| one["name"] == "source-faker" && one["role"] == "source")
    );
    for one in &all {
        let name = one["name"].as_str().unwrap();
        Desk::new().cdk(&["spec", "--connector", name]).assert_ok();
    }
}

#[test]
fn a_spec_is_a_schema_or_a_message() {
    let desk = Desk::new();
    let schema: Value =
        serde_json::from_str(&desk.cdk(&["spec", "--connector", "faker"]).stdout).unwrap();
    assert!(schema["properties"]["count"].is_object(), "{schema}");
    let message = desk.cdk(&["spec", "--connector", "faker", "--json"]);
    assert_eq!(
        message.lines()[0]["spec"]["connectionSpecification"],
        schema
    );
}

#[test]
fn a_check_is_a_verdict_and_an_exit_code() {
    let desk = Desk::new();
    let good = desk.cdk(&["check", "--connector", "faker"]);
    good.assert_ok();
    assert!(good.stdout.starts_with("The check succeeded"), "{good:?}");
    desk.write("bad.yaml", "count: many\n");
    let args = ["check", "--connector", "faker", "--config", "bad.yaml"];
    let bad = desk.cdk(&args);
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert!(bad.stdout.starts_with("The check failed: "), "{bad:?}");
    let protocol = desk.cdk(&[&args[..], &["--json"]].concat());
    protocol.assert_ok();
    let lines = protocol.lines();
    let status = lines
        .iter()
        .find(|line| line["type"] == "CONNECTION_STATUS")
        .unwrap();
    assert_eq!(status["connectionStatus"]["status"], "FAILED");
}

#[test]
fn streams_are_discovered_as_a_table_or_as_a_catalog() {
    let desk = Desk::new();
    let table = desk.cdk(&["discover", "--connector", "faker"]);
    table.assert_ok();
    let row = table
        .stdout
        .lines()
        .find(|line| line.contains("users"))
        .unwrap();
    assert!(
        row.contains("incremental") && row.contains("updated_at"),
        "{row}"
    );
    let json = desk.cdk(&["discover", "--connector", "faker", "--json"]);
    let lines = json.lines();
    let catalog = lines.iter().find(|line| line["type"] == "CATALOG").unwrap();
    assert_eq!(catalog["catalog"]["streams"].as_array().unwrap().len(), 3);
    desk.cdk(&["discover", "--connector", "sqlite"])
        .assert_error(1, "is a destination");
}

#[test]
fn read_prints_protocol_messages_and_goes_on_from_a_state() {
    let desk = Desk::new();
    desk.write("config.json", r#"{"count": 4}"#);
    let stream = json!({
        "stream": {"name": "users", "json_schema": {}, "supported_sync_modes": ["incremental"]},
        "sync_mode": "incremental", "destination_sync_mode": "append",
    });
    desk.write("catalog.json", &json!({"streams": [stream]}).to_string());
    let args = [
        "read",
        "--connector",
        "faker",
        "--config",
        "config.json",
        "--catalog",
        "catalog.json",
    ];
    let first = desk.cdk(&args);
    first.assert_ok();
    let count = |lines: &[Value]| lines.iter().filter(|line| line["type"] == "RECORD").count();
    assert_eq!(count(&first.lines()), 4);
    let state = first
        .lines()
        .into_iter()
        .rfind(|line| line["type"] == "STATE")
        .unwrap();
    desk.write("state.json", &json!([state["state"]]).to_string());
    let second = desk.cdk(&[&args[..], &["--state", "state.json"]].concat());
    second.assert_ok();
    assert_eq!(count(&second.lines()), 0);
}

#[test]
fn executables_have_the_same_verbs() {
    let desk = Desk::new();
    desk.script("source-items", &source("record 1"));
    desk.write("config.json", r#"{"token": "${TOKEN}"}"#);
    for args in [
        &["spec", "--connector", "./source-items"][..],
        &[
            "check",
            "--connector",
            "./source-items",
            "--config",
            "config.json",
        ],
        &[
            "discover",
            "--connector",
            "./source-items",
            "--config",
            "config.json",
        ],
    ] {
        finish(desk.command(args).env("TOKEN", "abc-def")).assert_ok();
    }
    let args = [
        "check",
        "--connector",
        "./source-items",
        "--config",
        "config.json",
    ];
    let unset = finish(desk.command(&args).env_remove("TOKEN"));
    unset.assert_error(
        1,
        "config.json:1:11: `config.token` refers to the environment variable TOKEN",
    );
}

#[test]
fn a_connector_that_does_not_exist_is_named() {
    let desk = Desk::new();
    desk.cdk(&["check", "--connector", "fakerr"])
        .assert_error(1, "Did you mean `faker`?");
    desk.cdk(&["discover", "--connector", "./nope"])
        .assert_error(1, "`./nope` can't be started");
}
