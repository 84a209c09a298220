//! What `cdk new` makes, used as its author would: in folders outside the workspace.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use cdk_testkit::http::{MockServer, Reply};
use cdk_tests::built;
use cdk_tests::markdown::blocks;
use serde_json::{Value, json};

use crate::support::{Desk, messages};

/// What the integration guide's script makes of `MyCustomAPI`.
const GUIDES: &str = "source-my-custom-api";

/// The other kinds, and the folders that come out.
const KINDS: [(&str, &str); 4] = [
    ("source-declarative", "source-trial-declarative"),
    ("source-sql", "source-trial-sql"),
    ("source-file", "source-trial-file"),
    ("destination", "destination-trial"),
];

/// Where the builds go: they share their dependencies, and stay for the next run.
fn target() -> PathBuf {
    let program = built::program("cdk");
    program
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("templates")
}

/// All kinds side by side, in one workspace so that dependencies are built once.
fn generate(desk: &Desk) {
    let root = built::root().to_str().unwrap();
    let script = Command::new(built::root().join("templates/create_connector.sh"))
        .args(["MyCustomAPI", "--cdk-path", root])
        .env("CDK", built::program("cdk"))
        .current_dir(desk.path("."))
        .output()
        .unwrap();
    assert!(script.status.success(), "{script:?}");
    for (kind, folder) in KINDS {
        let name = folder.split_once('-').unwrap().1;
        let made = desk.run("cdk", &["new", kind, name, "--cdk-path", root]);
        assert!(made.status.success(), "{kind}: {made:?}");
    }
    let folders = KINDS.map(|(_, folder)| folder);
    let folders = folders.iter().chain([&GUIDES]);
    for folder in folders.clone() {
        let manifest = desk.path(folder).join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        let alone = "\n# No part of a workspace that happens to lie above.\n[workspace]\n";
        let (package, profiles) = text.split_once("\n# Backtraces").unwrap();
        assert!(package.contains(alone), "{text}");
        assert!(profiles.contains("\n[profile.release]\n"), "{text}");
        // Both are for the root of a workspace only, which these are no more.
        fs::write(manifest, package.replace(alone, "")).unwrap();
    }
    let members: Vec<_> = folders.map(|folder| format!("{folder:?}")).collect();
    let workspace = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{}]\n\n[profile.dev]\ndebug = false\nincremental = false\n",
        members.join(", ")
    );
    fs::write(desk.path("Cargo.toml"), workspace).unwrap();
    // What is built already elsewhere need not be looked for.
    fs::copy(built::root().join("Cargo.lock"), desk.path("Cargo.lock")).unwrap();
}

fn cargo(desk: &Desk, args: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO"))
        .args(args)
        .current_dir(desk.path("."))
        .env("CARGO_TARGET_DIR", target())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[tokio::test]
async fn every_kind_builds_and_passes_its_tests_outside_the_workspace() {
    let desk = Desk::new();
    generate(&desk);
    let (is_formatted, said) = cargo(&desk, &["fmt", "--all", "--check"]);
    assert!(is_formatted, "{said}");
    let (is_fine, said) = cargo(&desk, &["test", "--offline", "--quiet", "--workspace"]);
    assert!(is_fine, "{said}");
    let conforming = said.matches("1 passed").count();
    assert_eq!(conforming, KINDS.len() + 1, "{said}");

    the_guides_three_lines_work(&desk).await;
}

/// `python main.py check|discover|read`, as the guide has them, in what its script made.
async fn the_guides_three_lines_work(desk: &Desk) {
    let item = json!({"id": 1, "name": "one", "updated_at": "2024-03-01T00:00:00Z"});
    let answer = json!({"items": [&item]});
    let api = MockServer::serve(move |request| match request.number("page") {
        Some(2..) => Reply::json(&json!({"items": []})),
        _ => Reply::json(&answer),
    })
    .await;
    let folder = desk.path(GUIDES);
    let config = json!({"api_url": api.url(), "access_token": "t0ken"});
    fs::write(folder.join("secrets/config.json"), config.to_string()).unwrap();
    // The guide's `python`, where only `python3` is to be had.
    fs::create_dir(desk.path("bin")).unwrap();
    let python = Command::new("sh")
        .args(["-c", "command -v python3"])
        .output()
        .unwrap();
    let python = String::from_utf8(python.stdout).unwrap();
    symlink(python.trim(), desk.path("bin/python")).unwrap();

    let page = fs::read_to_string(built::root().join("docs/new-connector.md")).unwrap();
    let lines: Vec<_> = blocks(&page)
        .into_iter()
        .filter(|block| block.language == "sh")
        .flat_map(|block| block.text.lines())
        .filter(|line| line.starts_with("python main.py"))
        .map(str::to_owned)
        .collect();
    let answers = ["CONNECTION_STATUS", "CATALOG", "RECORD"];
    assert_eq!(lines.len(), answers.len(), "{lines:?}");
    for (line, wanted) in lines.into_iter().zip(answers) {
        let printed = run_line(&line, &folder, &desk.path("bin")).await;
        let found = printed.iter().find(|message| message["type"] == wanted);
        let found = found.unwrap_or_else(|| panic!("{line}: {printed:?}"));
        match wanted {
            "CONNECTION_STATUS" => assert_eq!(found["connectionStatus"]["status"], "SUCCEEDED"),
            "CATALOG" => assert_eq!(found["catalog"]["streams"][0]["name"], "items"),
            _ => assert_eq!(found["record"]["data"], item),
        }
    }
}

async fn run_line(line: &str, folder: &Path, bin: &Path) -> Vec<Value> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("CARGO_TARGET_DIR", target())
        .env("CARGO_NET_OFFLINE", "true")
        .env("NO_PROXY", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    messages(&output.stdout)
}
