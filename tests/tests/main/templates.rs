//! What `cdk new` makes, used as its author would: in folders outside the workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cdk_tests::built;

use crate::support::Desk;

/// Kinds, and the folders that come out.
const KINDS: [(&str, &str); 5] = [
    ("source-http", "source-trial-http"),
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
    for (kind, folder) in KINDS {
        let name = folder.split_once('-').unwrap().1;
        let made = desk.run(
            "cdk",
            &[
                "new",
                kind,
                name,
                "--cdk-path",
                built::root().to_str().unwrap(),
            ],
        );
        assert!(made.status.success(), "{kind}: {made:?}");
        let manifest = desk.path(folder).join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        let alone = "\n# No part of a workspace that happens to lie above.\n[workspace]\n";
        assert!(text.contains(alone), "{text}");
        fs::write(manifest, text.replace(alone, "")).unwrap();
    }
    let members = KINDS.map(|(_, folder)| format!("{folder:?}")).join(", ");
    let workspace = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{members}]\n\n[profile.dev]\ndebug = false\nincremental = false\n"
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

#[test]
fn every_kind_builds_and_passes_its_tests_outside_the_workspace() {
    let desk = Desk::new();
    generate(&desk);
    let (is_formatted, said) = cargo(&desk, &["fmt", "--all", "--check"]);
    assert!(is_formatted, "{said}");
    let (is_fine, said) = cargo(&desk, &["test", "--offline", "--quiet", "--workspace"]);
    assert!(is_fine, "{said}");
    let conforming = said.matches("1 passed").count();
    assert_eq!(conforming, KINDS.len(), "{said}");

    the_guides_three_lines_work(&desk.path("source-trial-file"));
}

/// `python main.py check|discover|read`, as for a connector in Python.
fn the_guides_three_lines_work(folder: &Path) {
    fs::create_dir(folder.join("data")).unwrap();
    fs::write(folder.join("data/a.jsonl"), "{\"id\": 1}\n").unwrap();
    let catalog = ["--catalog", "integration_tests/configured_catalog.json"];
    for (verb, more, wanted) in [
        ("check", &[][..], "SUCCEEDED"),
        ("discover", &[], "\"records\""),
        ("read", &catalog, "{\"id\":1}"),
    ] {
        let output = Command::new("python3")
            .args(["main.py", verb, "--config", "secrets/config.json"])
            .args(more)
            .current_dir(folder)
            .env("CARGO_TARGET_DIR", target())
            .env("CARGO_NET_OFFLINE", "true")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains(wanted), "{verb}: {output:?}");
        assert!(output.status.success(), "{verb}: {output:?}");
    }
}
