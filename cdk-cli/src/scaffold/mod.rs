//! `cdk new`: a connector's folder out of a template that is built into this program.

mod names;
mod render;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cdk_core::{ConnectorError, ErrorContext, Result};

use render::Values;

use crate::args::NewArgs;
use crate::output::{Exit, Output};
use cdk_declarative::words;

/// The files of all templates: `<kind>/<path>`, and their text.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// The kinds of connectors there are templates for.
const KINDS: [&str; 5] = [
    "source-http",
    "source-declarative",
    "source-sql",
    "source-file",
    "destination",
];

/// For `cargo generate` only.
const QUESTIONS: &str = "cargo-generate.toml";
/// Becomes `secrets/config.json` too.
const SAMPLE: &str = "integration_tests/sample_config.json";

/// `cdk new`.
pub(crate) fn new(args: &NewArgs, output: &Output) -> Exit {
    match make(args) {
        Ok(folder) => {
            output.print(&next_steps(&folder));
            output.settle(Exit::Success)
        }
        Err(error) => {
            output.tell_error(&error);
            Exit::of(&error)
        }
    }
}

/// Makes the folder and returns it. All of it is there, or nothing.
fn make(args: &NewArgs) -> Result<PathBuf> {
    let kind = kind(&args.kind)?;
    let name = names::connector(kind, &args.name)?;
    let parent = args.directory.clone().unwrap_or_default();
    let folder = parent.join(&name);
    if folder.symlink_metadata().is_ok() {
        return Err(ConnectorError::config(format!(
            "{} exists already, and is left as it is. Choose another name, or another folder with --directory.",
            folder.display()
        )));
    }
    let values = values(args, &name)?;
    let inside = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        &parent
    };
    let cannot = || {
        format!(
            "No folder can be made in {}. Choose another one with --directory.",
            inside.display()
        )
    };
    let draft = tempfile::Builder::new()
        .prefix(".cdk-new-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in(inside)
        .config_error(cannot())?;
    fill(draft.path(), kind, &values)?;
    fs::rename(draft.path(), &folder).config_error(cannot())?;
    // What it was made as is gone.
    let _ = draft.keep();
    Ok(folder)
}

fn kind(text: &str) -> Result<&'static str> {
    if let Some(kind) = KINDS.iter().find(|kind| **kind == text) {
        return Ok(kind);
    }
    let guess = words::did_you_mean(text, KINDS);
    Err(ConnectorError::config(format!(
        "There is no kind of connector `{text}`.{guess} There are: {}.",
        KINDS.join(", ")
    )))
}

fn fill(folder: &Path, kind: &str, values: &Values) -> Result<()> {
    let files = FILES
        .iter()
        .filter_map(|(path, text)| Some((path.strip_prefix(kind)?.strip_prefix('/')?, text)));
    for (path, text) in files.filter(|(path, _)| *path != QUESTIONS) {
        let text = render::render(path, text, values)?;
        write(&folder.join(path), &text)?;
        if path == SAMPLE {
            write(&folder.join("secrets/config.json"), &text)?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new(""));
    let written = fs::create_dir_all(parent).and_then(|()| fs::write(path, text));
    written.config_error(format!(
        "{} can't be written. Make room on its disk.",
        path.display()
    ))
}

/// What the templates are filled in with.
fn values(args: &NewArgs, name: &str) -> Result<Vec<(&'static str, String)>> {
    let (path, git) = match (&args.cdk_path, &args.cdk_git) {
        (Some(path), _) => (checkout(path)?, String::new()),
        (None, Some(url)) => (String::new(), url.clone()),
        (None, None) => (own_checkout().unwrap_or_default(), String::new()),
    };
    // They end up in quotes.
    for (option, value) in [
        ("--api-base", &args.api_base),
        ("--license", &args.license),
        ("--cdk-git", &git),
    ] {
        if value
            .chars()
            .any(|c| c.is_control() || matches!(c, '"' | '\\'))
        {
            return Err(ConnectorError::config(format!(
                "{option} must not have quotes, backslashes or line breaks in it."
            )));
        }
    }
    Ok(vec![
        ("crate_name", name.replace('-', "_")),
        ("license", args.license.clone()),
        ("definition_id", uuid::Uuid::new_v4().to_string()),
        ("cdk_path", path),
        ("cdk_git", git),
        ("api_base", args.api_base.clone()),
        ("auth", args.auth.text().to_owned()),
        ("pagination", args.pagination.text().to_owned()),
    ])
}

/// The path of a checkout of the CDK, as it may stand in a manifest.
fn checkout(path: &Path) -> Result<String> {
    let full = fs::canonicalize(path)
        .ok()
        .filter(|path| path.join("cdk-core/Cargo.toml").is_file());
    let full = full.and_then(|path| path.to_str().map(str::to_owned));
    full.filter(|path| !path.contains(['"', '\\']))
        .ok_or_else(|| {
            ConnectorError::config(format!(
                "{} is no checkout of the Rust CDK: it has no cdk-core.",
                path.display()
            ))
        })
}

/// The checkout that this program was built from, if it is still there.
fn own_checkout() -> Option<String> {
    checkout(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).ok()
}

fn next_steps(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "{folder} is made. Next:\n  cd {folder}\n  cargo test              # it passes the conformance suite\n  \
         cat README.md           # what to edit, and how to try it with secrets/config.json"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use clap::{Args, FromArgMatches, ValueEnum};

    use super::*;
    use crate::args::{AuthKind, PagesKind};

    /// The files that are not about what a connector does.
    const SHARED: [&str; 6] = [
        ".github/workflows/ci.yml",
        ".gitignore",
        "Dockerfile",
        "icon.svg",
        "main.py",
        "secrets/.gitkeep",
    ];

    #[test]
    fn files_that_all_templates_share_are_the_same() {
        let mut texts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for kind in KINDS {
            for shared in SHARED {
                let path = format!("{kind}/{shared}");
                let found = FILES.iter().find(|(name, _)| *name == path);
                let (_, text) = found.unwrap_or_else(|| panic!("{path} is missing"));
                texts.entry(shared).or_default().insert(text);
            }
        }
        let different: Vec<_> = texts.iter().filter(|(_, texts)| texts.len() > 1).collect();
        assert!(different.is_empty(), "{different:?}");
    }

    /// What `cargo generate` sets by itself.
    const GIVEN: &str = "crate_name";

    /// Each placeholder that `cargo generate` asks for, and the choices it offers.
    fn questions(kind: &str) -> BTreeMap<&'static str, Option<Vec<&'static str>>> {
        let path = format!("{kind}/{QUESTIONS}");
        let (_, text) = FILES.iter().find(|(name, _)| *name == path).unwrap();
        let (_, placeholders) = text.split_once("[placeholders]\n").unwrap();
        let lines = placeholders
            .lines()
            .map(|line| line.split_once(" = ").unwrap());
        lines
            .map(|(name, question)| {
                let choices = question.split_once("choices = [");
                let choices = choices.map(|(_, rest)| rest.split_once(']').unwrap().0);
                let choices =
                    choices.map(|list| list.split(", ").map(|it| it.trim_matches('"')).collect());
                (name, choices)
            })
            .collect()
    }

    /// The placeholders in the files of a template.
    fn used(kind: &str) -> BTreeSet<String> {
        let environment = minijinja::Environment::new();
        let files = FILES.iter().filter(|(path, _)| {
            path.starts_with(&format!("{kind}/")) && !path.ends_with(QUESTIONS)
        });
        files
            .flat_map(|(path, text)| {
                let template = environment.template_from_named_str(path, text);
                let template = template.unwrap_or_else(|error| panic!("{path}: {error}"));
                template.undeclared_variables(false)
            })
            .collect()
    }

    #[test]
    fn every_placeholder_is_asked_for_by_cargo_generate_and_filled_by_cdk_new() {
        let command = NewArgs::augment_args(clap::Command::new("new"));
        let args = command.get_matches_from(["new", "source-http", "x"]);
        let args = NewArgs::from_arg_matches(&args).unwrap();
        let filled = values(&args, "source-x").unwrap();
        for kind in KINDS {
            let mut asked: BTreeSet<_> = questions(kind).into_keys().map(str::to_owned).collect();
            assert!(asked.insert(GIVEN.to_owned()), "{kind}: {GIVEN} is given");
            assert_eq!(used(kind), asked, "{kind}");
            let unfilled: Vec<_> = asked
                .iter()
                .filter(|name| !filled.iter().any(|(it, _)| it == name))
                .collect();
            assert!(unfilled.is_empty(), "{kind}: {unfilled:?}");
        }
    }

    #[test]
    fn cargo_generate_offers_the_choices_of_cdk_new() {
        for kind in ["source-http", "source-declarative"] {
            let questions = questions(kind);
            let auths = AuthKind::value_variants().iter().map(|it| it.text());
            assert_eq!(questions["auth"], Some(auths.collect()), "{kind}");
            let pages = PagesKind::value_variants().iter().map(|it| it.text());
            assert_eq!(questions["pagination"], Some(pages.collect()), "{kind}");
        }
    }

    #[test]
    fn every_template_has_what_a_connector_needs() {
        for kind in KINDS {
            for file in [
                "Cargo.toml",
                "README.md",
                "metadata.yaml",
                "src/main.rs",
                "tests/conformance.rs",
                "integration_tests/configured_catalog.json",
                SAMPLE,
                QUESTIONS,
            ] {
                let path = format!("{kind}/{file}");
                assert!(
                    FILES.iter().any(|(name, _)| *name == path),
                    "{path} is missing"
                );
            }
        }
    }
}
