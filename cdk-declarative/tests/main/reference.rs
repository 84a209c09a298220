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
    assert_eq!(
        refused,
        [
            "CombinedExtractor",
            "PageSizeReduction",
            "ParentFieldPath",
            "RequestWindowSplitting",
            "WaitTimeFromResponse"
        ]
    );
    // The language's schema has 133 definitions beside the root. `CombineMode` belongs to `CombinedExtractor`.
    let root_and_refused = 1 + refused.len();
    let definitions = all.types().len() - root_and_refused + all.aliases().len() - 1;
    assert_eq!(definitions, 133);
}
