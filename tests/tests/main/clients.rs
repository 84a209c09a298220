//! Clients that no one here wrote: PyAirbyte, Airbyte's models of the protocol, Airbyte's standard tests, a source of PyPI.
//!
//! They are Python packages, in the virtual environment that `scripts/setup` makes at `target/python`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cdk_tests::built;
use serde_json::{Value, json};

use crate::support::{Desk, faker_catalog};

/// The Python with the packages, from the environment if it is somewhere else.
fn python() -> PathBuf {
    let usual = built::root().join("target/python/bin/python");
    let python = std::env::var_os("CDK_PYTHON").map_or(usual, PathBuf::from);
    assert!(
        python.exists(),
        "{} does not exist. Run scripts/setup, which makes it.",
        python.display()
    );
    python
}

/// Adds the options of the standard tests to pytest.
const HOOKS: &str = "airbyte_cdk.test.standard_tests.pytest_hooks";

fn script(name: &str) -> PathBuf {
    built::root().join("tests/python").join(name)
}

/// A script of `tests/python` with these arguments, run in a desk.
fn run(desk: &Desk, name: &str, args: &[&str]) -> Output {
    let output = Command::new(python())
        .arg(script(name))
        .args(args)
        .current_dir(desk.path("."))
        // No telemetry, no look-ups in a registry.
        .env("DO_NOT_TRACK", "1")
        .env("AIRBYTE_OFFLINE_MODE", "1")
        .env("HOME", desk.path("."))
        .stdin(Stdio::null())
        .output();
    output.unwrap()
}

#[track_caller]
fn assert_prints(output: &Output, text: &str) {
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{printed}\n{errors}",
        output.status
    );
    assert!(
        printed.contains(text),
        "{text} is not in\n{printed}\n{errors}"
    );
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn pyairbyte_reads_a_source_and_goes_on_from_its_state() {
    let desk = Desk::new();
    let source = built::program("source-faker");
    let config = json!({"count": 50}).to_string();
    let output = run(
        &desk,
        "pyairbyte_source.py",
        &[text(&source), &config, "users", "50"],
    );
    assert_prints(&output, "read 50");
}

#[test]
fn pyairbyte_writes_into_a_destination() {
    let desk = Desk::new();
    let (source, destination) = (
        built::program("source-faker"),
        built::program("destination-sqlite"),
    );
    let database = desk.path("out.sqlite");
    let output = run(
        &desk,
        "pyairbyte_destination.py",
        &[
            text(&source),
            &json!({"count": 50}).to_string(),
            "users",
            text(&destination),
            &json!({ "path": database }).to_string(),
        ],
    );
    assert_prints(&output, "written 50");
    let database = rusqlite::Connection::open(database).unwrap();
    let count: i64 = database
        .query_row("SELECT count(*) FROM users", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 50);
}

#[test]
fn a_source_of_pypi_feeds_our_destination_through_cdk_sync() {
    let desk = Desk::new();
    // The script that pip makes of the package airbyte-source-faker.
    let source = python().with_file_name("source-faker");
    assert!(
        source.exists(),
        "{} does not exist. Run scripts/setup, which installs tests/python/connectors.txt.",
        source.display()
    );
    // Rows are made of a seed; without `always_updated` a second run has nothing to say about users.
    let config = json!({"count": 50, "seed": 7, "records_per_slice": 10, "always_updated": false});
    desk.write(
        "connection.yaml",
        &json!({
            "source": {"path": source, "config": config},
            "destination": {"name": "sqlite", "config": {"path": "out.sqlite"}},
            "streams": [
                {"name": "users", "mode": "incremental_deduped"},
                {"name": "products", "mode": "full_refresh_overwrite"},
            ],
        }),
    );
    let sync = || {
        let output = desk.run("cdk", &["sync", "connection.yaml", "--json"]);
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        let report: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        let streams = report["streams"].as_array().unwrap().iter();
        let read = streams.map(|stream| {
            assert_eq!(stream["records_read"], stream["records_written"]);
            (
                stream["stream"]["name"].clone(),
                stream["records_read"].clone(),
            )
        });
        read.collect::<Vec<_>>()
    };
    assert_eq!(
        sync(),
        [("products".into(), 50.into()), ("users".into(), 50.into())]
    );
    let database = rusqlite::Connection::open(desk.path("out.sqlite")).unwrap();
    let one = |query: &str| {
        database
            .query_row(query, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    // Whole rows arrived, not only their number.
    assert_eq!(
        one("SELECT count(DISTINCT id) FROM users WHERE email LIKE '%@%' AND age > 0"),
        50
    );
    assert_eq!(
        one("SELECT count(*) FROM products WHERE make <> '' AND price > 0"),
        50
    );
    // The state that we kept is one that it goes on from.
    assert_eq!(
        sync(),
        [("products".into(), 50.into()), ("users".into(), 0.into())]
    );
    assert_eq!(one("SELECT count(*) FROM users"), 50);
    assert_eq!(one("SELECT count(*) FROM products"), 50);
}

#[test]
fn airbytes_models_read_every_message() {
    let desk = Desk::new();
    desk.write("config.json", &json!({"count": 20}));
    desk.write("catalog.json", &faker_catalog("users", "append"));
    let with_config = ["--config", "config.json"];
    let with_catalog = [&with_config[..], &["--catalog", "catalog.json"]].concat();
    let mut lines = Vec::new();
    for (verb, args) in [
        ("spec", &[][..]),
        ("check", &with_config),
        ("discover", &with_config),
        ("read", &with_catalog),
    ] {
        lines.extend(desk.run("source-faker", &[&[verb], args].concat()).stdout);
    }
    fs::write(desk.path("messages"), lines).unwrap();
    let output = Command::new(python())
        .arg(script("validate.py"))
        .stdin(fs::File::open(desk.path("messages")).unwrap())
        .output()
        .unwrap();
    assert_prints(&output, "'RECORD': 20");
    assert_prints(&output, "'SPEC': 1");
}

#[test]
fn airbytes_standard_tests_pass() {
    let desk = Desk::new();
    let folder = desk.path("source-faker");
    fs::create_dir_all(folder.join("secrets")).unwrap();
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::copy(script("docker"), folder.join("bin/docker")).unwrap();
    fs::copy(script("test_standard.py"), folder.join("test_standard.py")).unwrap();
    fs::write(
        folder.join("secrets/config.json"),
        json!({"count": 20}).to_string(),
    )
    .unwrap();
    fs::write(
        folder.join("metadata.yaml"),
        "metadataSpecVersion: '1.0'\ndata:\n  name: Faker\n  definitionId: dfd88b22-b603-4c3d-aad7-3701784586b1\n  \
         connectorType: source\n  connectorSubtype: api\n  dockerRepository: airbyte/source-faker\n  dockerImageTag: 0.1.0\n  \
         documentationUrl: https://docs.airbyte.com\n  githubIssueLabel: source-faker\n  license: MIT\n  releaseStage: alpha\n  \
         supportLevel: community\n",
    )
    .unwrap();
    let section = "tests:\n      - config_path: secrets/config.json\n";
    let sections = ["spec", "connection", "discovery", "basic_read"].map(|name| {
        let status = if name == "connection" {
            "        status: succeed\n"
        } else {
            ""
        };
        format!("  {name}:\n    {section}{status}")
    });
    let config = format!(
        "connector_image: airbyte/source-faker:dev\nacceptance_tests:\n{}",
        sections.concat()
    );
    fs::write(folder.join("acceptance-test-config.yml"), config).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(python())
        .args([
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            HOOKS,
            "test_standard.py",
        ])
        .args(["--connector-image", "local:dev", "--read-from-streams=all"])
        // It would look the connector up in a public registry.
        .args(["-k", "not backward_compatibility"])
        .current_dir(&folder)
        .env("PATH", format!("{}:{path}", folder.join("bin").display()))
        .env("LOCAL_CONNECTOR", built::program("source-faker"))
        .env("DO_NOT_TRACK", "1")
        .output()
        .unwrap();
    assert_prints(&output, "5 passed");
}
