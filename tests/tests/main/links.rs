//! Links between the pages of the documentation.

use std::fs;
use std::path::{Path, PathBuf};

use cdk_tests::built;

fn markdown_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            markdown_below(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
}

fn book() -> Vec<PathBuf> {
    let mut found = Vec::new();
    markdown_below(&built::root().join("docs"), &mut found);
    found
}

/// The pages of the book, those at the top, and those of the examples.
fn pages() -> Vec<PathBuf> {
    let mut found = book();
    markdown_below(&built::root().join("examples"), &mut found);
    found.extend(top_pages());
    found
}

fn top_pages() -> [PathBuf; 3] {
    ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| built::root().join(name))
}

/// The targets of all `[text](target)` outside of code.
fn targets(text: &str) -> Vec<&str> {
    let mut in_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        in_code ^= line.starts_with("```");
        if !in_code {
            let after = line.split("](").skip(1);
            found.extend(after.filter_map(|rest| rest.split_once(')').map(|(target, _)| target)));
        }
    }
    found
}

/// The anchor a heading gets, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading
        .chars()
        .filter(|char| char.is_alphanumeric() || " -_".contains(*char));
    kept.map(|char| if char == ' ' { '-' } else { char })
        .collect()
}

fn is_outside(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

#[test]
fn every_link_leads_somewhere() {
    let mut followed = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in targets(&text) {
            if is_outside(target) {
                continue;
            }
            let (file, wanted) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap().join(file)
            };
            assert!(file.exists(), "{}: {target}", page.display());
            if !wanted.is_empty() {
                let text = fs::read_to_string(&file).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let is_there = headings.any(|heading| anchor(heading) == wanted);
                assert!(is_there, "{}: no heading for {target}", page.display());
            }
            followed += 1;
        }
    }
    assert!(followed >= 30, "only {followed} links were found");
}

#[test]
fn the_book_is_complete_and_links_only_to_itself() {
    let docs = built::root().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let chapters = targets(&summary);
    for page in book() {
        let name = page.strip_prefix(&docs).unwrap().to_str().unwrap();
        assert!(
            name == "SUMMARY.md" || chapters.contains(&name),
            "{name} is not in SUMMARY.md"
        );
        let text = fs::read_to_string(&page).unwrap();
        for target in targets(&text).into_iter().filter(|it| !is_outside(it)) {
            let (file, _) = target.split_once('#').unwrap_or((target, ""));
            let leads_out = page.parent().unwrap().join(file).canonicalize().unwrap();
            assert!(
                leads_out.starts_with(docs.canonicalize().unwrap()),
                "{name}: {target} is not there in the built book"
            );
        }
    }
}

/// Paths in backticks that begin with a folder of the repository.
fn named_paths(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|quoted| {
        let folder = quoted.split('/').next().unwrap_or_default();
        let is_path = quoted.contains('/') && !quoted.contains(char::is_whitespace);
        is_path && !folder.starts_with('.') && built::root().join(folder).is_dir()
    })
}

#[test]
fn every_path_that_is_named_exists() {
    // Made while following the tutorials, or by a build.
    let made = [
        "examples/source-lines",
        "examples/source-shop",
        "examples/destination-lines",
        "target/",
    ];
    let mut found = 0;
    for page in book().into_iter().chain(top_pages()) {
        let text = fs::read_to_string(&page).unwrap();
        for path in named_paths(&text) {
            if made.iter().any(|made| path.starts_with(made)) {
                continue;
            }
            let path = path.strip_suffix('*').unwrap_or(path);
            let is_there = built::root().join(path).exists();
            assert!(is_there, "{}: `{path}`", page.display());
            found += 1;
        }
    }
    assert!(found >= 20, "only {found} paths were found");
}
