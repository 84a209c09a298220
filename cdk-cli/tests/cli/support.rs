//! A directory to run `cdk` in, and connectors made of a few lines of shell.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A directory of its own, with `cdk` run in it.
pub(crate) struct Desk {
    dir: TempDir,
}

/// What a run printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The lines of stdout, each of which must be a JSON object with a `type`.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines().map(|line| {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| {
                panic!("{error} in {line}");
            });
            assert!(value["type"].is_string(), "no type in {line}");
            value
        });
        lines.collect()
    }

    /// The last line of `--json`.
    pub(crate) fn report(&self) -> Value {
        let last = self.lines().pop();
        let last = last.unwrap_or_else(|| panic!("nothing on stdout; stderr: {}", self.stderr));
        assert_eq!(last["type"], "report", "the last line is no report: {last}");
        last
    }

    /// Asserts exit code and a text on stderr.
    #[track_caller]
    pub(crate) fn assert_error(&self, code: i32, text: &str) {
        assert!(self.stderr.contains(text), "{text:?} is not in {self:?}");
        assert_eq!(self.code, Some(code), "{self:?}");
    }

    /// Asserts exit code 0.
    #[track_caller]
    pub(crate) fn assert_ok(&self) {
        assert_eq!(self.code, Some(0), "{self:?}");
    }
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// With a connection from the faker to SQLite in `connection.yaml`; `more` is added to it.
    pub(crate) fn with_faker(count: u64, more: &str) -> Self {
        let desk = Self::new();
        let source = format!("source: {{name: faker, config: {{count: {count}}}}}\n");
        let destination = "destination: {name: sqlite, config: {path: out.sqlite}}\n";
        desk.write("connection.yaml", &format!("{source}{destination}{more}"));
        desk
    }

    /// The same with dev-null in one of its kinds.
    pub(crate) fn with_dev_null(count: u64, kind: &str, more: &str) -> Self {
        let desk = Self::new();
        let source = format!("source: {{name: faker, config: {{count: {count}}}}}\n");
        let destination =
            format!("destination: {{name: dev-null, config: {{test_destination: {{{kind}}}}}}}\n");
        desk.write("connection.yaml", &format!("{source}{destination}{more}"));
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Writes an executable shell script.
    pub(crate) fn script(&self, name: &str, text: &str) {
        self.write(name, &format!("#!/bin/sh\n{text}"));
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// `cdk` with these arguments, not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cdk"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("LOG_LEVEL");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn cdk(&self, args: &[&str]) -> Run {
        finish(&mut self.command(args))
    }

    /// `cdk sync connection.yaml` with further arguments.
    pub(crate) fn sync(&self, args: &[&str]) -> Run {
        self.cdk(&[&["sync", "connection.yaml"], args].concat())
    }

    /// One number out of `out.sqlite`.
    pub(crate) fn query(&self, sql: &str) -> i64 {
        let database = rusqlite::Connection::open(self.path("out.sqlite")).unwrap();
        database.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

pub(crate) fn finish(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The verbs of a source with the stream `items` (`id`, cursor and key); `read` is the body of that verb,
/// in which `record N` and `state N` print messages.
pub(crate) fn source(read: &str) -> String {
    format!(
        r#"
record() {{ echo '{{"type":"RECORD","record":{{"stream":"items","emitted_at":1,"data":{{"id":'$1'}}}}}}'; }}
state() {{ echo '{{"type":"STATE","state":{{"type":"STREAM","stream":{{"stream_descriptor":{{"name":"items"}},"stream_state":{{"id":'$1'}}}}}}}}'; }}
case "$1" in
spec) echo '{{"type":"SPEC","spec":{{"connectionSpecification":{{"type":"object","properties":{{"token":{{"type":"string","airbyte_secret":true}}}}}}}}}}' ;;
check) echo '{{"type":"CONNECTION_STATUS","connectionStatus":{{"status":"SUCCEEDED"}}}}' ;;
discover) echo '{{"type":"CATALOG","catalog":{{"streams":[{{"name":"items","json_schema":{{"type":"object","properties":{{"id":{{"type":"integer"}}}}}},"supported_sync_modes":["full_refresh","incremental"],"source_defined_cursor":true,"default_cursor_field":["id"],"source_defined_primary_key":[["id"]]}}]}}}}' ;;
read) {read} ;;
esac
"#
    )
}
