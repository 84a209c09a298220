//! `kill -9` at random moments of faker → PostgreSQL syncs, resumed until done: no row is lost, none is doubled where the
//! mode promises single rows, and the old rows stay until an overwrite is complete.
//!
//! `KILL_TESTS` sets the kills per mode (default 8); `KILL_SEED` repeats a run.

#![allow(missing_docs, clippy::unwrap_used)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cdk_testkit::servers::postgres::PostgresServer;
use serde_json::json;

#[test]
fn full_refresh_overwrite_survives_kills() {
    Ordeal::new("full_refresh_overwrite").run();
}

#[test]
fn full_refresh_overwrite_deduped_survives_kills() {
    Ordeal::new("full_refresh_overwrite_deduped").run();
}

#[test]
fn incremental_append_survives_kills() {
    Ordeal::new("incremental_append").run();
}

#[test]
fn incremental_deduped_survives_kills() {
    Ordeal::new("incremental_deduped").run();
}

struct Ordeal {
    mode: &'static str,
    database: String,
    directory: tempfile::TempDir,
    random: u64,
    /// Users asked for; grows after every complete sync.
    count: u64,
    /// Users of the last complete sync.
    complete: u64,
    /// How long a whole sync takes, to spread the kills over it.
    whole: Duration,
}

impl Ordeal {
    fn new(mode: &'static str) -> Self {
        let seed = from_env(
            "KILL_SEED",
            u64::from(std::process::id()) << 16 | mode.len() as u64,
        );
        eprintln!("{mode}: KILL_SEED={seed}");
        Self {
            mode,
            database: PostgresServer::shared().database("ordeal"),
            directory: tempfile::tempdir().unwrap(),
            random: seed | 1,
            count: 1000,
            complete: 0,
            whole: Duration::from_millis(1500),
        }
    }

    fn run(mut self) {
        let wanted = from_env("KILL_TESTS", 8);
        let mut kills = 0;
        while kills < wanted {
            let delay = self.random_below(u64::try_from(self.whole.as_millis()).unwrap() + 20);
            let started = Instant::now();
            let mut victim = self.start();
            if wait(&mut victim, Duration::from_millis(delay)) {
                self.whole = started.elapsed();
                self.check_complete();
            } else {
                victim.kill().unwrap();
                victim.wait().unwrap();
                kills += 1;
                self.check_any_time();
            }
        }
        assert!(
            self.start().wait().unwrap().success(),
            "{}: the last sync failed",
            self.mode
        );
        self.check_complete();
    }

    fn start(&self) -> Child {
        let config = json!({
            "host": "127.0.0.1", "port": PostgresServer::shared().port(), "database": self.database,
            "username": "postgres", "ssl_mode": {"mode": "disable"},
        });
        Command::new(env!("CARGO_BIN_EXE_kill-victim"))
            .args([self.mode, &self.count.to_string()])
            .arg(self.directory.path())
            .arg(config.to_string())
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn random_below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    /// Rows and different ids of a stream's table; nothing when it is not there.
    fn table(&self, stream: &str) -> Option<(u64, u64)> {
        let server = PostgresServer::shared();
        let there = server.sql(
            &self.database,
            &format!("SELECT to_regclass('public.{stream}') IS NOT NULL"),
        );
        if there != "t" {
            return None;
        }
        let counts = server.sql(
            &self.database,
            &format!("SELECT count(*), count(DISTINCT id) FROM {stream}"),
        );
        let (rows, ids) = counts.split_once('|').unwrap();
        Some((rows.parse().unwrap(), ids.parse().unwrap()))
    }

    fn check_any_time(&self) {
        let Some((rows, ids)) = self.table("users") else {
            return;
        };
        if self.mode.ends_with("deduped") {
            assert_eq!(rows, ids, "{}: rows are there twice", self.mode);
        }
        if self.mode.starts_with("full_refresh") {
            let is_whole = ids == self.complete || ids == self.count;
            assert!(
                is_whole,
                "{}: {ids} rows are visible, {} or {} should be",
                self.mode, self.complete, self.count
            );
        }
    }

    fn check_complete(&mut self) {
        let (rows, ids) = self.table("users").expect("a complete sync has a table");
        assert_eq!(ids, self.count, "{}: rows are lost", self.mode);
        if self.mode != "incremental_append" {
            assert_eq!(rows, ids, "{}: rows are there twice", self.mode);
        }
        let purchases = self
            .table("purchases")
            .expect("a complete sync has both tables");
        assert!(
            purchases.1 >= self.count / 2,
            "{}: purchases are lost",
            self.mode
        );
        let staged = "SELECT count(*) FROM pg_class WHERE relname LIKE '\\_airbyte\\_tmp%'";
        assert_eq!(
            PostgresServer::shared().sql(&self.database, staged),
            "0",
            "{}",
            self.mode
        );
        self.complete = self.count;
        self.count += 300;
    }
}

/// Waits for the process to end by itself; whether it did in this time.
fn wait(victim: &mut Child, delay: Duration) -> bool {
    let until = Instant::now() + delay;
    loop {
        if let Some(status) = victim.try_wait().unwrap() {
            assert!(status.success(), "the sync failed by itself");
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}
