//! Where the programs of the workspace are, built.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// The packages whose programs are tested.
const PACKAGES: [&str; 13] = [
    "cdk-cli",
    "source-declarative-manifest",
    "source-faker",
    "source-file",
    "source-mysql",
    "source-pokeapi",
    "source-postgres",
    "source-rest-api",
    "destination-dev-null",
    "destination-local",
    "destination-postgres",
    "destination-s3",
    "destination-sqlite",
];

/// Set by `scripts/test`, which has cargo build the whole workspace before it runs any test.
const ALL_BUILT: &str = "CDK_TESTS_ALL_BUILT";

/// The program called `name`, as the code stands now.
///
/// # Panics
/// If it can't be built, or the workspace has no program of that name.
pub fn program(name: &str) -> PathBuf {
    static PROGRAMS: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    if std::env::var_os(ALL_BUILT).is_some() {
        let path = beside_tests().join(name);
        assert!(path.is_file(), "{} was not built", path.display());
        return path;
    }
    let programs = PROGRAMS.get_or_init(build);
    let path = programs.get(name);
    path.unwrap_or_else(|| panic!("no package builds `{name}`"))
        .clone()
}

/// Cargo tells a test where the programs of its own package are (`CARGO_BIN_EXE_…`), but not those of
/// other packages, and doesn't build them either. So the same cargo does it here, once per test run.
fn build() -> HashMap<String, PathBuf> {
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(root())
        .args(["build", "--quiet", "--locked", "--bins"]);
    command.args(["--message-format", "json-render-diagnostics"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    let output = command.output().expect("cargo runs, as it runs this test");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo build failed: {errors}");
    let stdout = String::from_utf8(output.stdout).expect("cargo prints JSON");
    stdout.lines().filter_map(executable).collect()
}

fn executable(line: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = PathBuf::from(message.get("executable")?.as_str()?);
    let name = path.file_stem()?.to_str()?.to_owned();
    Some((name, path))
}

/// The directory of the programs that were built with this test: the one above `deps`.
fn beside_tests() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its file");
    let deps = test.parent().expect("a file has a directory");
    deps.parent().expect("deps is in a directory").to_owned()
}

/// The top of the repository.
pub fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("this crate is below the top")
}
