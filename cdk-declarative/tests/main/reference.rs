//! The page of component types in the docs is what the engine's table says.

use std::path::Path;

use cdk_declarative::manifest::{Components, Coverage, reference};

#[test]
fn the_reference_of_components_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/manifest-components.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, reference()).unwrap();
    }
    let written = std::fs::read_to_string(&page).unwrap();
    assert!(
        written == reference(),
        "Write the page anew with UPDATE_DOCS=1."
    );
}

#[test]
fn all_definitions_of_the_language_but_the_newest_are_covered() {
    let all = Components::all();
    let refused = all
        .types()
        .iter()
        .filter(|kind| kind.coverage() == Coverage::Refused);
    let refused: Vec<&str> = refused.map(|kind| kind.name.as_str()).collect();
    assert_eq!(refused, ["PageSizeReduction", "RequestWindowSplitting"]);
    // The language's schema had 133 definitions beside the root; five and the named value `CombineMode` came after.
    let definitions = all.types().len() - 1 + all.aliases().len();
    assert_eq!(definitions, 133 + 6);
}
