//! What a connection remembers.

use serde_json::Value;

use crate::support::Desk;

#[test]
fn a_connection_that_was_never_synced_has_no_state() {
    let desk = Desk::with_faker(5, "");
    let shown = desk.cdk(&["state", "show", "connection.yaml"]);
    shown.assert_ok();
    assert!(shown.stdout.contains("never synced"), "{shown:?}");
    assert_eq!(
        desk.cdk(&["state", "show", "connection.yaml", "--json"])
            .stdout,
        "[]\n"
    );
}

#[test]
fn state_is_shown_for_people_and_as_the_file_a_source_takes() {
    let desk = Desk::with_faker(5, "");
    desk.sync(&["-q"]).assert_ok();
    let shown = desk.cdk(&["state", "show", "connection.yaml"]);
    let row = shown
        .stdout
        .lines()
        .find(|line| line.contains("users"))
        .unwrap();
    assert!(row.contains(r#""id":5"#), "{row}");
    let json = desk.cdk(&[
        "state",
        "show",
        "connection.yaml",
        "--json",
        "--stream",
        "users",
    ]);
    let states: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(states.len(), 1);
    assert_eq!(states[0]["stream"]["stream_descriptor"]["name"], "users");
}

#[test]
fn a_reset_stream_is_read_again_and_the_others_are_not() {
    let desk = Desk::with_faker(5, "");
    desk.sync(&["-q"]).assert_ok();
    desk.cdk(&["state", "reset", "connection.yaml", "--stream", "users"])
        .assert_ok();
    let run = desk.sync(&["--json"]);
    let report = run.report();
    for stream in report["streams"].as_array().unwrap() {
        let expected = if stream["stream"]["name"] == "users" {
            5
        } else {
            0
        };
        assert_eq!(stream["records_read"], expected, "{stream}");
    }
    assert_eq!(desk.query("SELECT count(*) FROM users"), 5);
}

#[test]
fn generations_go_on_after_a_reset() {
    let desk = Desk::with_faker(
        5,
        "streams: [{name: users, mode: full_refresh_overwrite}]\n",
    );
    let generation = || desk.query("SELECT max(_airbyte_generation_id) FROM users");
    desk.sync(&["-q"]).assert_ok();
    let first = generation();
    desk.sync(&["-q"]).assert_ok();
    desk.cdk(&["state", "reset", "connection.yaml"]).assert_ok();
    desk.sync(&["-q"]).assert_ok();
    assert_eq!(generation(), first + 2);
}

#[test]
fn an_overwrite_replaces_what_another_connection_or_a_lost_state_left() {
    let desk = Desk::with_faker(
        5,
        "streams: [{name: users, mode: full_refresh_overwrite}]\n",
    );
    for _ in 0..3 {
        desk.sync(&["-q"]).assert_ok();
        std::fs::remove_dir_all(desk.path(".cdk")).unwrap();
    }
    assert_eq!(desk.query("SELECT count(*) FROM users"), 5);
}

#[test]
fn an_unknown_stream_is_refused() {
    let desk = Desk::with_faker(5, "streams: [users]\n");
    desk.sync(&["-q"]).assert_ok();
    let reset = desk.cdk(&["state", "reset", "connection.yaml", "--stream", "orders"]);
    reset.assert_error(1, "no state of a stream orders. It has: users.");
}

#[test]
fn state_is_kept_where_the_file_or_the_option_says() {
    for (more, options, place) in [
        ("", &[][..], ".cdk/state/connection.json"),
        ("state: {dir: here}\n", &[], "here/connection.json"),
        ("state: {sqlite: state.sqlite}\n", &[], "state.sqlite"),
        (
            "state: {dir: here}\n",
            &["--state-dir", "there"],
            "there/connection.json",
        ),
    ] {
        let desk = Desk::with_faker(5, more);
        desk.sync(options).assert_ok();
        assert!(desk.path(place).exists(), "{place}");
        let args = [&["state", "show", "connection.yaml"], options].concat();
        assert!(desk.cdk(&args).stdout.contains("1 syncs so far"), "{place}");
    }
}

#[test]
fn state_is_shown_without_the_secrets_of_the_connection() {
    let desk = Desk::new();
    desk.write(
        "connection.yaml",
        "source: faker\ndestination: {name: sqlite, config: {path: '${CDK_TEST_NOT_SET}'}}\n",
    );
    desk.cdk(&["state", "show", "connection.yaml"]).assert_ok();
}
