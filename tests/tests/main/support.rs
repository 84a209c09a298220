//! A directory to run connectors in.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use cdk_testkit::schema;
use cdk_tests::built;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Every connector the workspace builds.
pub(crate) const CONNECTORS: [&str; 12] = [
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

/// Longer than anything here takes: what needs more time hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Desk {
    dir: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &Value) {
        std::fs::write(self.path(name), content.to_string()).unwrap();
    }

    /// `program` with these arguments in this directory, its output piped; not started yet.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(built::program(program));
        command.args(args).current_dir(self.dir.path());
        command.env_remove("LOG_LEVEL").stdin(Stdio::null());
        // Retries wait no time worth mentioning, and a proxy of the machine has no way to it.
        command
            .env("CDK_SLEEP_SCALE", "0.001")
            .env("NO_PROXY", "127.0.0.1");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Output {
        self.command(program, args).output().unwrap()
    }
}

/// The messages of an output, each judged by the protocol's schema.
pub(crate) fn messages(stdout: &[u8]) -> Vec<Value> {
    let lines = stdout.split_inclusive(|byte| *byte == b'\n');
    let messages = lines.map(|line| {
        let text = String::from_utf8_lossy(line);
        assert_eq!(schema::check(line), Ok(()), "{text}");
        assert!(line.ends_with(b"\n"), "the line has no end: {text}");
        serde_json::from_slice(line).unwrap()
    });
    messages.collect()
}

/// Waits for the end of a process that should end by itself; kills it and fails if it doesn't.
pub(crate) fn finish(child: Child) -> Output {
    let pid = rustix::process::Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    let waiter = thread::spawn(move || sender.send(child.wait_with_output()));
    let ended = receiver.recv_timeout(PATIENCE);
    if ended.is_err() {
        // The waiter still holds the process: the id is not used again yet.
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    waiter.join().unwrap().ok();
    ended.expect("the process ends by itself").unwrap()
}

/// One stream of source-faker, to be read incrementally, as a configured catalog.
pub(crate) fn faker_catalog(stream: &str, destination_mode: &str) -> Value {
    let desk = Desk::new();
    desk.write("config.json", &json!({"count": 1}));
    let output = desk.run("source-faker", &["discover", "--config", "config.json"]);
    let messages = messages(&output.stdout);
    let catalog = messages.iter().find(|message| message["type"] == "CATALOG");
    let streams = catalog.expect("discover prints a catalog")["catalog"]["streams"].clone();
    let streams = streams.as_array().unwrap().iter();
    let found = streams
        .clone()
        .find(|found| found["name"] == stream)
        .unwrap();
    json!({"streams": [{
        "stream": found, "sync_mode": "incremental", "destination_sync_mode": destination_mode,
        "cursor_field": ["updated_at"], "primary_key": [["id"]],
        "generation_id": 1, "minimum_generation_id": 0, "sync_id": 1,
    }]})
}
