//! What a sync moves.

use crate::support::{Desk, source};

#[test]
fn a_first_sync_moves_everything_and_a_second_one_nothing() {
    let desk = Desk::with_faker(50, "");
    let first = desk.sync(&["--json"]);
    first.assert_ok();
    assert_eq!(desk.query("SELECT count(*) FROM users"), 50);
    assert_eq!(desk.query("SELECT count(*) FROM products"), 100);
    let second = desk.sync(&["--json"]);
    second.assert_ok();
    let report = second.report();
    assert_eq!(report["sync_id"], 2);
    for stream in report["streams"].as_array().unwrap() {
        assert_eq!(stream["records_read"], 0, "{stream}");
        assert_eq!(stream["is_complete"], true, "{stream}");
    }
    assert_eq!(desk.query("SELECT count(*) FROM users"), 50);
}

#[test]
fn only_selected_streams_are_synced_in_their_mode() {
    let streams = "streams:\n  - {name: users, mode: full_refresh_append}\n";
    let desk = Desk::with_faker(10, streams);
    desk.sync(&[]).assert_ok();
    desk.sync(&[]).assert_ok();
    assert_eq!(desk.query("SELECT count(*) FROM users"), 20);
    let tables = "SELECT count(*) FROM sqlite_master WHERE name IN ('products', 'purchases')";
    assert_eq!(desk.query(tables), 0);
}

#[test]
fn a_full_refresh_replaces_what_an_incremental_stream_has() {
    let streams = "streams: [{name: users, mode: incremental_append}]\n";
    let desk = Desk::with_faker(10, streams);
    desk.sync(&[]).assert_ok();
    let oldest = "SELECT min(_airbyte_generation_id) FROM users";
    let first = desk.query(oldest);
    let refreshed = desk.sync(&["--json", "--full-refresh", "users"]);
    refreshed.assert_ok();
    assert_eq!(refreshed.report()["streams"][0]["records_read"], 10);
    assert_eq!(desk.query("SELECT count(*) FROM users"), 10);
    assert_eq!(desk.query(oldest), first + 1);
}

#[test]
fn a_refresh_of_a_stream_that_is_not_listed_is_refused() {
    let desk = Desk::with_faker(10, "streams: [users]\n");
    desk.sync(&["--full-refresh", "orders"])
        .assert_error(1, "lists no such stream. It lists: users.");
    assert!(!desk.path("out.sqlite").exists());
}

#[test]
fn the_prefix_stands_before_every_table() {
    let desk = Desk::with_faker(5, "prefix: raw_\nstreams: [users]\n");
    desk.sync(&[]).assert_ok();
    assert_eq!(desk.query("SELECT count(*) FROM raw_users"), 5);
}

#[test]
fn an_executable_is_a_source_like_any_other() {
    let desk = Desk::new();
    desk.script("source-items", &source("record 1; record 2; state 2"));
    desk.write(
        "connection.yaml",
        "source: {path: ./source-items}\ndestination: {name: sqlite, config: {path: out.sqlite}}\n",
    );
    desk.sync(&[]).assert_ok();
    assert_eq!(desk.query("SELECT group_concat(id) = '1,2' FROM items"), 1);
    let shown = desk.cdk(&["state", "show", "connection.yaml", "--json"]);
    assert!(
        shown.stdout.contains(r#""stream_state":{"id":2}"#),
        "{shown:?}"
    );
}

#[test]
fn check_tries_both_ends_and_moves_nothing() {
    let desk = Desk::with_faker(5, "");
    let checked = desk.sync(&["--check"]);
    checked.assert_ok();
    assert!(
        checked.stdout.contains("Both checks succeeded"),
        "{checked:?}"
    );
    assert!(
        !desk.path(".cdk").exists()
            || desk
                .cdk(&["state", "show", "connection.yaml"])
                .stdout
                .contains("never synced")
    );
    desk.write(
        "connection.yaml",
        "source: faker\ndestination: {name: sqlite, config: {path: nowhere/out.sqlite}}\n",
    );
    desk.sync(&["--check"]).assert_error(1, "config_error");
}

#[test]
fn a_failure_that_may_pass_has_an_exit_code_of_its_own() {
    let fault =
        "test_destination_type: FAULTS, faults: [{operation: load, action: {type: reject_before}}]";
    let desk = Desk::with_dev_null(5, fault, "retries: 0\nstreams: [users]\n");
    desk.sync(&[]).assert_error(75, "transient_error");
    let config = fault.replace(
        "reject_before}",
        "reject_before}, failure_type: config_error",
    );
    let desk = Desk::with_dev_null(5, &config, "streams: [users]\n");
    desk.sync(&[]).assert_error(1, "config_error");
}

#[test]
fn a_transient_failure_is_retried_as_often_as_the_file_says() {
    let fault = "test_destination_type: FAULTS, faults: [{operation: commit, action: {type: reject_before}}]";
    let desk = Desk::with_dev_null(5, fault, "retries: 1\nstreams: [users]\n");
    let run = desk.sync(&["--json"]);
    run.assert_ok();
    assert_eq!(run.report()["attempts"], 2);
    assert!(
        run.lines().iter().any(|line| line["type"] == "retrying"),
        "{run:?}"
    );
}

#[test]
fn a_csv_file_becomes_json_lines() {
    let desk = Desk::new();
    desk.write("people.csv", "id,name\n1,Ann\n2,Bob\n");
    desk.write(
        "connection.yaml",
        "\
source:
  name: file
  config: {dataset_name: people, format: csv, url: people.csv, provider: {storage: local}}
destination:
  name: local
  config: {destination_path: out}
streams:
  - {name: people, mode: full_refresh_overwrite}
",
    );
    desk.sync(&[]).assert_ok();
    let files = std::fs::read_dir(desk.path("out/people")).unwrap();
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let text: String = texts.collect();
    assert!(text.contains("Ann") && text.contains("Bob"), "{text}");
}
