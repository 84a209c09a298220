//! `kill -9` at random moments of faker → SQLite syncs, resumed until done: no row is lost, none is
//! doubled where the mode promises single rows, the old data stays until an overwrite is complete, and
//! the saved state is never ahead of the data.
//!
//! `KILL_TESTS` sets the kills per mode (default 50: 200 in all); `KILL_SEED` repeats a run.

#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// The stream's table, and a column by which its staging table is told from the other's.
const STREAMS: [(&str, &str); 2] = [("users", "email"), ("purchases", "user_id")];

#[test]
fn full_refresh_overwrite_survives_kills() {
    Ordeal::new("full_refresh_overwrite").run();
}

#[test]
fn full_refresh_append_survives_kills() {
    Ordeal::new("full_refresh_append").run();
}

#[test]
fn incremental_append_survives_kills() {
    Ordeal::new("incremental_append").run();
}

#[test]
fn incremental_deduped_survives_kills() {
    Ordeal::new("incremental_deduped").run();
}

/// Small and good enough to spread kills over a run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

struct Ordeal {
    mode: &'static str,
    directory: tempfile::TempDir,
    random: Random,
    /// Users asked for; grows after every complete sync.
    count: i64,
    /// Users of the last complete sync: what an overwrite must keep visible until the next is complete.
    complete: Option<i64>,
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
            directory: tempfile::tempdir().unwrap(),
            random: Random(seed | 1),
            count: 2000,
            complete: None,
            whole: Duration::from_millis(1500),
        }
    }

    fn run(mut self) {
        let wanted = from_env("KILL_TESTS", 50);
        let (mut kills, mut survived) = (0, 0);
        while kills < wanted {
            let within = u64::try_from(self.whole.as_millis()).unwrap() + 20;
            let delay = Duration::from_millis(self.random.below(within));
            let started = Instant::now();
            let mut victim = self.start();
            match wait(&mut victim, delay) {
                None => {
                    victim.kill().unwrap();
                    victim.wait().unwrap();
                    kills += 1;
                }
                Some(is_success) => {
                    assert!(is_success, "{}: the sync failed by itself", self.mode);
                    survived += 1;
                    self.whole = started.elapsed();
                    self.check_complete();
                    self.complete = Some(self.count);
                    self.count += 500;
                }
            }
            self.check_any_time();
        }
        let mut last = self.start();
        assert!(
            last.wait().unwrap().success(),
            "{}: the last sync failed",
            self.mode
        );
        self.check_complete();
        eprintln!(
            "{}: {kills} kills, {survived} complete syncs in between",
            self.mode
        );
    }

    fn start(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_kill-victim"))
            .args([self.mode, &self.count.to_string()])
            .arg(self.directory.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// What holds at every moment, also right after a kill.
    fn check_any_time(&self) {
        let Some(database) = open(self.directory.path()) else {
            return;
        };
        for (stream, column) in STREAMS {
            let tables = Tables::of(&database, stream, column);
            if let Some(id) = saved_id(self.directory.path(), stream) {
                let durable = tables.distinct_ids_up_to(&database, id);
                assert_eq!(
                    durable, id,
                    "{}: the state of {stream} is ahead of its data",
                    self.mode
                );
            }
            if self.mode == "full_refresh_overwrite" && stream == "users" {
                let visible = tables.visible_rows(&database);
                let allowed = [self.complete.unwrap_or(0), self.count];
                assert!(
                    allowed.contains(&visible),
                    "{visible} users are visible, expected {allowed:?}: half an overwrite shows"
                );
            }
            if self.mode.ends_with("deduped") {
                tables.check_no_doubles(&database, self.mode);
            }
        }
    }

    /// What holds after a complete sync.
    fn check_complete(&self) {
        let database = open(self.directory.path()).expect("a complete sync leaves a database");
        for (stream, column) in STREAMS {
            let tables = Tables::of(&database, stream, column);
            assert_eq!(
                tables.staging, None,
                "{}: a staging table is left over",
                self.mode
            );
            let (distinct, highest) = tables.distinct_and_highest(&database);
            // Ids are given without gaps, so as many distinct ids as the highest one means all of them.
            assert_eq!(
                distinct, highest,
                "{}: rows of {stream} are missing",
                self.mode
            );
            if stream == "users" {
                assert_eq!(
                    highest, self.count,
                    "{}: users are missing at the end",
                    self.mode
                );
            }
            if self.mode.ends_with("overwrite") || self.mode.ends_with("deduped") {
                tables.check_no_doubles(&database, self.mode);
            }
        }
    }
}

/// True or false when the child ended in time, `None` when it still runs.
fn wait(child: &mut Child, time: Duration) -> Option<bool> {
    let deadline = Instant::now() + time;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status.success());
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::yield_now();
    }
}

fn open(directory: &Path) -> Option<Connection> {
    let path = directory.join("data.sqlite");
    // Read-write, so that SQLite may roll a killed transaction back as the next sync would.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    path.exists()
        .then(|| Connection::open_with_flags(path, flags).unwrap())
}

/// The id that the saved state of a stream claims to be durable, with all before it.
fn saved_id(directory: &Path, stream: &str) -> Option<i64> {
    let text = std::fs::read_to_string(directory.join("state/default.json")).ok()?;
    let saved: Value =
        serde_json::from_str(&text).expect("the state file is whole at every moment");
    let states = saved["state"].as_array()?;
    let state = states
        .iter()
        .find(|state| state["stream"]["stream_descriptor"]["name"] == stream)?;
    state["stream"]["stream_state"]["id"].as_i64()
}

/// The tables that hold rows of one stream.
struct Tables {
    visible: Option<String>,
    staging: Option<String>,
}

impl Tables {
    fn of(database: &Connection, stream: &str, column: &str) -> Self {
        let names = |sql: &str, parameter: &str| -> Option<String> {
            let mut statement = database.prepare(sql).unwrap();
            let mut rows = statement.query([parameter]).unwrap();
            rows.next().unwrap().map(|row| row.get(0).unwrap())
        };
        let visible = names(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?1",
            stream,
        );
        let staging = names(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '\\_airbyte\\_tmp%' ESCAPE '\\'
             AND EXISTS (SELECT 1 FROM pragma_table_info(sqlite_master.name) WHERE name = ?1)",
            column,
        );
        Self { visible, staging }
    }

    /// What the state speaks of: the rows aside while there are any, else those that are visible.
    fn current(&self) -> Option<&str> {
        self.staging.as_deref().or(self.visible.as_deref())
    }

    fn distinct_ids_up_to(&self, database: &Connection, id: i64) -> i64 {
        let Some(table) = self.current() else {
            return 0;
        };
        let sql = format!("SELECT COUNT(DISTINCT id) FROM \"{table}\" WHERE id <= ?1");
        database.query_row(&sql, [id], |row| row.get(0)).unwrap()
    }

    fn visible_rows(&self, database: &Connection) -> i64 {
        let Some(table) = &self.visible else { return 0 };
        database
            .query_row(&format!("SELECT COUNT(*) FROM \"{table}\""), [], |row| {
                row.get(0)
            })
            .unwrap()
    }

    fn distinct_and_highest(&self, database: &Connection) -> (i64, i64) {
        let table = self
            .visible
            .as_ref()
            .expect("the table of a complete sync is there");
        let sql = format!("SELECT COUNT(DISTINCT id), MAX(id) FROM \"{table}\"");
        database
            .query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
    }

    fn check_no_doubles(&self, database: &Connection, mode: &str) {
        let Some(table) = &self.visible else { return };
        let sql = format!("SELECT COUNT(*) - COUNT(DISTINCT id) FROM \"{table}\"");
        let doubles: i64 = database.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(doubles, 0, "{mode}: {table} has doubled rows");
    }
}

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}
