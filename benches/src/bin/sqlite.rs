//! source-faker → destination-sqlite in process, beside a hand-written rusqlite loop over the same rows.
//!
//! The loop makes each user natively and inserts it, with the same metadata columns, through one prepared
//! statement in one transaction. The sync does what a user gets: catalog, state, commits, typed columns.

use std::path::Path;

use cdk_benches::{Contender, print, race, records_or};
use cdk_core::sync::{MemoryStateStore, Mode, StreamSelection, Sync};
use destination_sqlite::SqliteDestination;
use rusqlite::{Connection, params};
use serde_json::json;
use source_faker::{SourceFaker, rows};

const CREATE: &str = "CREATE TABLE users (_airbyte_raw_id TEXT, _airbyte_extracted_at TEXT,
    _airbyte_meta TEXT, _airbyte_generation_id INTEGER, id INTEGER, created_at TEXT, updated_at TEXT,
    name TEXT, title TEXT, age INTEGER, email TEXT, telephone TEXT, gender TEXT, language TEXT,
    academic_degree TEXT, nationality TEXT, occupation TEXT, height TEXT, blood_type TEXT,
    weight INTEGER, address TEXT)";

fn by_hand(path: &Path, journal: &str, count: i64) -> rusqlite::Result<()> {
    let mut database = Connection::open(path)?;
    database.pragma_update(None, "journal_mode", journal)?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch(CREATE)?;
    let transaction = database.transaction()?;
    {
        let marks = vec!["?"; 21].join(",");
        let mut insert = transaction.prepare(&format!("INSERT INTO users VALUES ({marks})"))?;
        for id in 1..=count {
            let user = rows::user(-1, id);
            let address = serde_json::to_string(&user.address).unwrap_or_default();
            insert.execute(params![
                uuid::Uuid::now_v7().to_string(),
                "2026-01-02T03:04:05.000Z",
                r#"{"sync_id":1,"changes":[]}"#,
                1,
                user.id,
                user.created_at.text().as_str(),
                user.updated_at.text().as_str(),
                user.name.as_str(),
                user.title,
                user.age,
                user.email.as_str(),
                user.telephone.as_str(),
                user.gender,
                user.language,
                user.academic_degree,
                user.nationality,
                user.occupation,
                user.height.as_str(),
                user.blood_type,
                user.weight,
                address,
            ])?;
        }
    }
    transaction.commit()
}

fn by_sync(runtime: &tokio::runtime::Runtime, path: &Path, count: u64) {
    let sync = Sync::builder()
        .source(SourceFaker, json!({"count": count}))
        .destination(SqliteDestination::default(), json!({"path": path}))
        .state_store(MemoryStateStore::default())
        .stream(StreamSelection::new("users").with_mode(Mode::FullRefreshAppend))
        .build()
        .expect("source and destination are set");
    let report = runtime.block_on(sync.run()).expect("the sync succeeds");
    assert_eq!(report.streams[0].records_written, count);
}

fn main() -> std::io::Result<()> {
    let count = records_or(300_000);
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let path = directory.path().join("bench.sqlite");
    let fresh = || {
        for suffix in ["", "-wal", "-shm"] {
            // The first round finds nothing to remove.
            let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
        }
    };
    let by_hand = |journal: &'static str, count: u64| {
        fresh();
        let count = i64::try_from(count).expect("a small count");
        by_hand(&path, journal, count).expect("rows are inserted");
    };
    let hand = Contender::new("hand-written rusqlite loop", |count| {
        by_hand("DELETE", count);
    });
    let wal = Contender::new("the same with a write-ahead log", |count| {
        by_hand("WAL", count);
    });
    let ours = Contender::new("cdk sync, faker → SQLite", |count| {
        fresh();
        by_sync(&runtime, &path, count);
    });
    print(&race(
        "Users from source-faker into SQLite",
        count,
        5,
        &mut [hand, wal, ours],
    ));
    Ok(())
}
