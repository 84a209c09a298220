//! `cdk image build`: judged as a registry and a platform see it, without a container engine.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::Desk;

const METADATA: &str = "metadataSpecVersion: '1.0'\ndata:\n  name: Faker\n  \
                        dockerRepository: airbyte/source-any\n  dockerImageTag: 1.2.3\n";

fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(std::fs::File::open(path).unwrap());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().to_string_lossy().into_owned(), bytes)
    });
    entries.collect()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn an_image_has_layout_labels_and_an_entry_point_that_runs() {
    let desk = Desk::new();
    desk.write("metadata.yaml", METADATA);
    // Any program will do; this one answers `--version`.
    let program = env!("CARGO_BIN_EXE_cdk");
    let run = desk.cdk(&[
        "image",
        "build",
        "--program",
        program,
        "--output",
        "image.tar",
    ]);
    run.assert_ok();
    let files = files(&desk.path("image.tar"));
    assert_eq!(json(&files["oci-layout"])["imageLayoutVersion"], "1.0.0");
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"]
            .as_str()
            .unwrap()
            .replace("sha256:", "blobs/sha256/");
        let bytes = &files[&digest];
        assert_eq!(descriptor["size"], bytes.len());
        bytes
    };
    let manifest = json(blob(&json(&files["index.json"])["manifests"][0]));
    let config = json(blob(&manifest["config"]));
    let labels = &config["config"]["Labels"];
    assert_eq!(labels["io.airbyte.name"], "airbyte/source-any");
    assert_eq!(labels["io.airbyte.version"], "1.2.3");
    let entrypoint = config["config"]["Entrypoint"][0].as_str().unwrap();
    let env = config["config"]["Env"].as_array().unwrap();
    assert!(
        env.contains(&format!("AIRBYTE_ENTRYPOINT={entrypoint}").into()),
        "{env:?}"
    );
    assert_eq!(config["config"]["User"], "1000:1000");

    let root = desk.path("root");
    tar::Archive::new(&blob(&manifest["layers"][0])[..])
        .unpack(&root)
        .unwrap();
    let started = Command::new(root.join(entrypoint.trim_start_matches('/')))
        .arg("--version")
        .output();
    let printed = String::from_utf8(started.unwrap().stdout).unwrap();
    assert!(printed.starts_with("cdk "), "{printed}");
}

#[test]
fn a_directory_gets_the_layout_unpacked() {
    let desk = Desk::new();
    desk.write("metadata.yaml", METADATA);
    let program = env!("CARGO_BIN_EXE_cdk");
    desk.cdk(&[
        "image",
        "build",
        "--program",
        program,
        "--output",
        "layout/",
    ])
    .assert_ok();
    let layout = std::fs::read_to_string(desk.path("layout/oci-layout")).unwrap();
    assert!(layout.contains("1.0.0"), "{layout}");
}

#[test]
fn what_is_missing_is_named() {
    let desk = Desk::new();
    let run = desk.cdk(&["image", "build"]);
    run.assert_error(1, "metadata.yaml can't be read");
    desk.write("metadata.yaml", "data: {name: x}\n");
    desk.cdk(&["image", "build"])
        .assert_error(1, "no `data.dockerRepository`");
    desk.write("metadata.yaml", METADATA);
    desk.write("script", "#!/bin/sh\n");
    desk.cdk(&["image", "build", "--program", "script"])
        .assert_error(1, "no program for Linux");
}

#[test]
fn every_connector_of_the_workspace_says_what_its_image_is() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut ids = BTreeMap::new();
    for entry in std::fs::read_dir(examples).unwrap() {
        let folder = entry.unwrap();
        let name = folder.file_name().into_string().unwrap();
        let Ok(text) = std::fs::read_to_string(folder.path().join("metadata.yaml")) else {
            continue;
        };
        let metadata = cdk_declarative::yaml::parse(&text).unwrap();
        let data = &metadata["data"];
        assert_eq!(data["dockerRepository"], format!("rust-cdk/{name}"));
        let role = data["connectorType"].as_str().unwrap();
        assert!(name.starts_with(&format!("{role}-")), "{name} is no {role}");
        // Without it a platform sends a destination no generations.
        let is_destination = role == "destination";
        assert_eq!(
            data["supportsRefreshes"].as_bool(),
            is_destination.then_some(true),
            "{name}"
        );
        let id = data["definitionId"].as_str().unwrap();
        id.parse::<uuid::Uuid>().unwrap();
        let other = ids.insert(id.to_owned(), name.clone());
        assert!(other.is_none(), "{name} has the id of {other:?}");
    }
    assert!(ids.len() >= 12, "only {ids:?} were found");
}
