//! Manifests of public connectors, where the folder with them is there.

use std::path::PathBuf;

use cdk_declarative::manifest::{Manifest, Severity};

/// The folder of the conformance cases: beside the repository, or where `CDK_SHARED` says.
fn cases() -> Option<PathBuf> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let shared =
        std::env::var_os("CDK_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let cases = shared.join("conformance/cases");
    cases.is_dir().then_some(cases)
}

#[test]
fn public_manifests_have_no_errors() {
    let Some(cases) = cases() else {
        println!("The conformance cases are not here; nothing to do.");
        return;
    };
    let mut wrong = Vec::new();
    for case in std::fs::read_dir(cases).unwrap() {
        let path = case.unwrap().path().join("manifest.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let findings = Manifest::inspect(&text);
        let errors = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error);
        wrong.extend(errors.map(|finding| format!("{}: {finding}", path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
