//! `kill -9` in the middle of syncs, resumed until done: no row is lost, an overwrite shows all or nothing, and nothing
//! is left over. Appends may hold rows twice.
//!
//! `KILL_TESTS` sets the kills per mode (default 4).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cdk_core::WriteSettings;
use cdk_core::sync::{FileStateStore, Mode, StreamSelection, Sync};
use cdk_testkit::servers::s3::S3Server;
use serde_json::{Value, json};
use source_faker::SourceFaker;

use crate::support::{config, data_keys, ids_of, rows};

const VICTIM: &str = "S3_KILL_VICTIM";

/// The sync that is killed: this test program runs itself, with the config of the sync in a variable.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Ok(text) = std::env::var(VICTIM) else {
        return;
    };
    let args: Value = serde_json::from_str(&text).unwrap();
    let mode: Mode = args["mode"].as_str().unwrap().parse().unwrap();
    let sync = Sync::builder()
        .source(
            SourceFaker,
            json!({"count": args["count"], "records_per_slice": 100, "parallelism": 2}),
        )
        .destination(destination_s3::S3Destination, args["config"].clone())
        .state_store(FileStateStore::new(Path::new(
            args["state"].as_str().unwrap(),
        )))
        .stream(StreamSelection::new("users").with_mode(mode))
        .write_settings(WriteSettings::new(64 << 10, Duration::from_millis(100)))
        .memory_budget(1 << 20)
        .build()
        .unwrap();
    sync.run().await.unwrap();
}

struct Ordeal {
    server: S3Server,
    state: tempfile::TempDir,
    mode: &'static str,
    count: i64,
}

impl Ordeal {
    fn start(&self) -> Child {
        let args = json!({"mode": self.mode, "count": self.count, "config": config(&self.server), "state": self.state.path()});
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::victim", "--nocapture"])
            .env(VICTIM, args.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Kills the sync once it has made `objects` more objects; false if it was done before.
    fn kill_after(&self, objects: usize) -> bool {
        let mut child = self.start();
        let before = self.server.keys("").len();
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{}: the sync failed by itself", self.mode);
                return false;
            }
            if self.server.keys("").len() >= before + objects {
                child.kill().unwrap();
                child.wait().unwrap();
                return true;
            }
            assert!(
                Instant::now() < deadline,
                "{}: the sync made no objects",
                self.mode
            );
            std::thread::yield_now();
        }
    }

    /// Whether the sync was killed while its objects took the place of the old ones.
    fn is_swapping(&self) -> bool {
        let keys = self.server.keys("data/.airbyte/users/manifest.json");
        let manifests = keys
            .iter()
            .map(|key| serde_json::from_slice::<Value>(&self.server.read(key)).unwrap());
        manifests
            .into_iter()
            .any(|manifest| manifest["is_swap_decided"] == true)
    }

    fn ids(&self) -> Vec<i64> {
        ids_of(&rows(&self.server, "data/users/"))
    }
}

fn run(mode: &'static str) {
    let mut ordeal = Ordeal {
        server: S3Server::start(),
        state: tempfile::tempdir().unwrap(),
        mode,
        count: 1000,
    };
    let kills: usize = std::env::var("KILL_TESTS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(4);
    let overwrites = mode.ends_with("overwrite");
    let mut complete: Vec<i64> = Vec::new();
    for kill in 0..kills {
        let was_killed = ordeal.kill_after(kill % 4 + 1);
        let ids = ordeal.ids();
        let all: Vec<_> = (1..=ordeal.count).collect();
        if !was_killed {
            complete = all;
            ordeal.count += 500;
        } else if overwrites && ordeal.is_swapping() {
            // Objects have no common moment: new ones are published before old ones go.
            let sees = |rows: &[i64]| rows.iter().all(|id| ids.binary_search(id).is_ok());
            assert!(
                sees(&complete) || sees(&all),
                "rows are missing during a swap: {}",
                ids.len()
            );
        } else if overwrites {
            assert!(
                ids == complete || ids == all,
                "half an overwrite shows: {} rows",
                ids.len()
            );
        }
    }
    let mut last = ordeal.start();
    assert!(
        last.wait().unwrap().success(),
        "{mode}: the last sync failed"
    );
    let ids = ordeal.ids();
    let mut distinct = ids.clone();
    distinct.dedup();
    assert_eq!(distinct, (1..=ordeal.count).collect::<Vec<_>>(), "{mode}");
    if overwrites {
        assert_eq!(ids, distinct, "{mode}: rows are there twice");
    }
    let own: Vec<_> = ordeal.server.keys("data/.airbyte/");
    assert_eq!(
        own,
        ["data/.airbyte/users/manifest.json"],
        "{mode}: leftovers"
    );
    assert_eq!(ordeal.server.unfinished_uploads(), 0);
    let manifest: Value = serde_json::from_slice(&ordeal.server.read(&own[0])).unwrap();
    let known = manifest["visible"].as_array().unwrap().len();
    assert_eq!(
        data_keys(&ordeal.server).len(),
        known,
        "{mode}: objects that nobody knows"
    );
}

#[test]
fn full_refresh_overwrite_survives_kills() {
    run("full_refresh_overwrite");
}

#[test]
fn full_refresh_append_survives_kills() {
    run("full_refresh_append");
}

#[test]
fn incremental_append_survives_kills() {
    run("incremental_append");
}
