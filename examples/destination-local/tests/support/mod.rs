//! Runs the connector in process, exactly as its executable does, and reads the files.

// Each test file uses its own share of this module.
#![allow(dead_code, unreachable_pub)]
// A failed step of a test fails the test; literals read best by value.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use std::path::PathBuf;

use cdk_testkit::{Files, Ran, Run, StreamSpec};
use destination_local::LocalDestination;
use serde_json::{Value, json};

/// A destination directory of its own.
pub struct Lake {
    pub directory: Files,
    pub file_limit: Option<u64>,
    pub options: Value,
}

impl Lake {
    pub fn new() -> Self {
        Self {
            directory: Files::new(),
            file_limit: None,
            options: json!({}),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    pub fn config(&self) -> Value {
        let mut config = json!({"destination_path": self.path()});
        for (name, value) in self.options.as_object().unwrap() {
            config[name] = value.clone();
        }
        config
    }

    /// Runs `write` over these messages; `now_ms` is when the run begins.
    pub async fn write(&self, now_ms: i64, streams: &[&StreamSpec], messages: &[Value]) -> Ran {
        let catalog = StreamSpec::catalog(streams);
        let write = self
            .verb("write")
            .file(&self.directory, "catalog", &catalog);
        self.run(now_ms, write.messages(messages)).await
    }

    /// Runs `write` over these bytes.
    pub async fn write_raw(
        &self,
        now_ms: i64,
        streams: &[&StreamSpec],
        stdin: impl Into<Vec<u8>>,
    ) -> Ran {
        let catalog = StreamSpec::catalog(streams);
        let write = self
            .verb("write")
            .file(&self.directory, "catalog", &catalog);
        self.run(now_ms, write.stdin(stdin)).await
    }

    /// Runs `check`.
    pub async fn check(&self) -> Ran {
        self.run(1, self.verb("check")).await
    }

    fn verb(&self, verb: &str) -> Run {
        Run::new(verb).file(&self.directory, "config", &self.config())
    }

    async fn run(&self, now_ms: i64, run: Run) -> Ran {
        let destination = match self.file_limit {
            Some(bytes) => LocalDestination::with_file_limit(bytes),
            None => LocalDestination::default(),
        };
        run.at(now_ms).destination(destination).await
    }

    /// The names of all files below a directory, hidden ones too, sorted.
    pub fn files(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path().join(directory)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The text of all visible files of a stream, in the order of their names.
    pub fn text(&self, directory: &str) -> String {
        let visible = self
            .files(directory)
            .into_iter()
            .filter(|name| !name.starts_with('.'));
        let text = visible
            .map(|name| std::fs::read_to_string(self.path().join(directory).join(name)).unwrap());
        text.collect()
    }

    /// The rows of a stream's JSONL files, without their random ids.
    pub fn rows(&self, directory: &str) -> Vec<Value> {
        let row = |line: &str| {
            let mut row: Value = serde_json::from_str(line).unwrap();
            let id = row
                .as_object_mut()
                .unwrap()
                .shift_remove("_airbyte_raw_id")
                .unwrap();
            assert_eq!(id.as_str().unwrap().len(), 36);
            row
        };
        self.text(directory).lines().map(row).collect()
    }
}
