//! `cdk new`. That what comes out builds is tested in `tests/`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::Desk;

const KINDS: [&str; 5] = [
    "source-http",
    "source-declarative",
    "source-sql",
    "source-file",
    "destination",
];
/// Those of APIs, which take choices.
const API_KINDS: [&str; 2] = ["source-http", "source-declarative"];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn every_kind_and_choice_is_filled_in() {
    let desk = Desk::new();
    let choices = |option: &'static str, values: &[&'static str]| -> Vec<[&'static str; 2]> {
        values.iter().map(|value| [option, *value]).collect()
    };
    let auths = choices("--auth", &["none", "api-key", "bearer", "basic"]);
    let pages = choices("--pagination", &["none", "page", "offset", "cursor"]);
    let mut runs: Vec<Vec<&str>> = KINDS.iter().map(|kind| vec![*kind]).collect();
    for kind in API_KINDS {
        let choices = auths.iter().chain(&pages);
        runs.extend(choices.map(|choice| [&[kind], &choice[..]].concat()));
    }
    for (at, run) in runs.iter().enumerate() {
        let (kind, options) = run.split_first().unwrap();
        let name = format!("Trial{at}");
        desk.cdk(&[&["new", kind, &name], options].concat())
            .assert_ok();
        let role = kind.split('-').next().unwrap();
        let folder = desk.path(&format!("{role}-trial{at}"));
        for file in files(&folder) {
            let text = fs::read_to_string(&file).unwrap();
            let shown = file.display();
            // Templates of its own are what a manifest is made of.
            let is_manifest = file.ends_with("manifest.yaml");
            assert!(
                !text.contains("{%") && (is_manifest || !text.contains("{{ ")),
                "{shown}: {text}"
            );
            if is_manifest {
                let path = file.to_str().unwrap();
                let checked = desk.cdk(&["manifest", "validate", path]);
                checked.assert_ok();
                assert!(checked.stdout.contains("without faults"), "{checked:?}");
            }
            assert!(text.is_empty() || text.ends_with('\n'), "{shown}");
            if file.extension().is_some_and(|ending| ending == "json") {
                serde_json::from_str::<Value>(&text)
                    .unwrap_or_else(|error| panic!("{shown}: {error}"));
            }
        }
        assert!(
            folder.join("secrets/config.json").is_file(),
            "{}",
            folder.display()
        );
    }
}

#[test]
fn an_existing_folder_is_left_as_it_is() {
    let desk = Desk::new();
    fs::create_dir(desk.path("source-mine")).unwrap();
    let run = desk.cdk(&["new", "source-file", "Mine"]);
    run.assert_error(1, "exists already");
    assert_eq!(fs::read_dir(desk.path("source-mine")).unwrap().count(), 0);
    assert_eq!(
        fs::read_dir(desk.path(".")).unwrap().count(),
        1,
        "nothing else is left behind"
    );
}

#[test]
fn what_can_not_be_made_is_explained() {
    let desk = Desk::new();
    desk.cdk(&["new", "source-htp", "x"])
        .assert_error(1, "Did you mean `source-http`?");
    desk.cdk(&["new", "source-http", "../x"])
        .assert_error(1, "is no name for a connector");
    desk.cdk(&["new", "source-http", "x", "--directory", "missing"])
        .assert_error(1, "No folder can be made");
    // Nobody may write there, not even root.
    desk.cdk(&["new", "source-http", "x", "--directory", "/proc"])
        .assert_error(1, "No folder can be made in /proc");
    desk.write("a-file", "");
    desk.cdk(&["new", "source-http", "x", "--directory", "a-file"])
        .assert_error(1, "No folder can be made");
    desk.cdk(&["new", "source-http", "x", "--api-base", "a\"b"])
        .assert_error(1, "--api-base");
    desk.cdk(&["new", "source-http", "x", "--cdk-path", "."])
        .assert_error(1, "no checkout");
}

#[test]
fn the_cdk_comes_from_git_or_a_checkout() {
    let desk = Desk::new();
    let git = [
        "new",
        "destination",
        "One",
        "--cdk-git",
        "https://git.example.com/cdk",
    ];
    desk.cdk(&git).assert_ok();
    let manifest = fs::read_to_string(desk.path("destination-one/Cargo.toml")).unwrap();
    assert!(
        manifest.contains(r#"cdk-core = { git = "https://git.example.com/cdk" }"#),
        "{manifest}"
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    desk.cdk(&[
        "new",
        "destination",
        "Two",
        "--cdk-path",
        root.to_str().unwrap(),
    ])
    .assert_ok();
    let manifest = fs::read_to_string(desk.path("destination-two/Cargo.toml")).unwrap();
    assert!(manifest.contains(r#"/cdk-core" }"#), "{manifest}");
}

#[test]
fn the_script_of_the_guide_makes_a_source() {
    let desk = Desk::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates/create_connector.sh");
    let run = std::process::Command::new(script)
        .arg("MyCustomAPI")
        .env("CDK", env!("CARGO_BIN_EXE_cdk"))
        .current_dir(desk.path("."))
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    assert!(desk.path("source-my-custom-api/main.py").is_file());
}
