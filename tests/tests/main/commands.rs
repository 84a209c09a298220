//! The documentation's files and commands, page by page: files are written, commands are run, and what
//! they print is compared.
//!
//! In a `console` block, `$ ` leads a command; the lines up to the next one are its output, in which
//! `…` stands for anything. A command without any output shown only has to succeed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use cdk_tests::built;
use cdk_tests::markdown::{Block, blocks};

/// The connectors that the pages write, and their programs here.
const WRITTEN: [(&str, &str, &str); 3] = [
    (
        "source-lines",
        env!("CARGO_BIN_EXE_first-source"),
        include_str!("../../src/bin/first-source.rs"),
    ),
    (
        "source-shop",
        env!("CARGO_BIN_EXE_first-http-source"),
        include_str!("../../src/bin/first-http-source.rs"),
    ),
    (
        "destination-lines",
        env!("CARGO_BIN_EXE_first-destination"),
        include_str!("../../src/bin/first-destination.rs"),
    ),
];

/// A directory that looks like the repository to the commands of one page.
struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("target/debug")).unwrap();
        for (name, program, _) in WRITTEN {
            symlink(program, at("target/debug").join(name)).unwrap();
        }
        symlink(built::program("cdk"), at("target/debug/cdk")).unwrap();
        // Everything is built already: what the pages tell to build is there, or the next command fails.
        fs::write(at("target/debug/cargo"), "#!/bin/sh\n").unwrap();
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(at("target/debug/cargo"), executable).unwrap();
        Self { dir }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs a command with stderr behind stdout, and returns what it printed.
    fn run(&self, command: &str) -> Result<String, String> {
        let path = std::env::var("PATH").unwrap_or_default();
        let programs = self.dir.path().join("target/debug");
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1\n{command}")])
            .current_dir(self.dir.path())
            .env("PATH", format!("{}:{path}", programs.display()))
            .env_remove("LOG_LEVEL")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        if output.status.success() {
            Ok(text)
        } else {
            Err(format!("{}: {text}", output.status))
        }
    }

    fn play(&self, page: &Path, block: &Block<'_>) {
        let page = page.display();
        if let Some(name) = block.file {
            self.write(name, block.text);
            let written = |(connector, _, _): &&(&str, _, _)| {
                name == format!("examples/{connector}/src/main.rs")
            };
            if let Some((_, _, program)) = WRITTEN.iter().find(written) {
                assert_eq!(&block.text, program, "{page}: {name} is not what is tested");
            }
        }
        if block.language != "console" {
            return;
        }
        let commands = block.text.strip_prefix("$ ");
        let commands = commands.unwrap_or_else(|| panic!("{page}: no `$ ` in {}", block.text));
        for command in commands.split("\n$ ") {
            let (command, expected) = command.split_once('\n').unwrap_or((command, ""));
            let printed = self.run(command);
            let printed = printed.unwrap_or_else(|error| panic!("{page}: `{command}`: {error}"));
            assert!(
                matches(expected.trim(), printed.trim()),
                "{page}: `{command}` prints\n{printed}"
            );
        }
    }
}

/// Whether `printed` is as `expected`, in which `…` stands for anything.
fn matches(expected: &str, printed: &str) -> bool {
    if expected.is_empty() {
        return true;
    }
    let mut parts = expected.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let found = if parts.peek().is_none() {
            rest.ends_with(part).then_some(rest.len() - part.len())
        } else {
            rest.find(part)
        };
        match found {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[test]
fn dots_stand_for_anything_and_nothing_else_does() {
    for (expected, printed, is_match) in [
        ("", "whatever", true),
        ("a b", "a b", true),
        ("a b", "a b c", false),
        ("a…c", "a b c", true),
        ("a…", "a b c", true),
        ("…c", "a b c", true),
        ("a…b…", "a c", false),
        ("b…", "a b", false),
    ] {
        assert_eq!(matches(expected, printed), is_match, "{expected} {printed}");
    }
}

/// The pages with commands.
pub(crate) fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(built::root().join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = docs
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    pages.push(built::root().join("README.md"));
    pages.sort();
    pages
}

#[test]
fn commands_print_what_the_pages_show() {
    let mut played = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let stage = Stage::new();
        for block in blocks(&text) {
            stage.play(&page, &block);
            played += usize::from(block.language == "console");
        }
    }
    assert!(played >= 10, "only {played} blocks of commands were found");
}

#[test]
fn manifests_name_dependencies_of_the_workspace() {
    let root = fs::read_to_string(built::root().join("Cargo.toml")).unwrap();
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for block in blocks(&text)
            .iter()
            .filter(|block| block.language == "toml")
        {
            let lines = block.text.lines();
            for name in lines.filter_map(|line| line.strip_suffix(".workspace = true")) {
                let is_known = root
                    .lines()
                    .any(|line| line.starts_with(&format!("{name} = ")));
                assert!(is_known, "{}: {name}", page.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 0, "no manifest was found");
}
