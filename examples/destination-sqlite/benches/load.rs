//! Loads the same rows through the destination and by a hand-written loop, in the same run.
//!
//! `cargo bench -p destination-sqlite` prints rows per second of each and the ratio of the medians.
//! `ROWS` sets the number of rows, `ROUNDS` how often both run.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use airbyte_protocol::{
    AirbyteStream, ConfiguredAirbyteCatalog, ConfiguredAirbyteStream, DestinationSyncMode,
    StreamDescriptor, SyncMode,
};
use cdk_core::destination::{DynDestination, WriteArgs};
use cdk_core::event::{EventReceiver, channel};
use cdk_core::watchdog::Progress;
use cdk_core::{Context, JsonRows, MemoryBudget, RecordBatch};
use destination_sqlite::SqliteDestination;
use rusqlite::{Connection, params};
use serde::Serialize;
use serde_json::json;

/// About 400 bytes of JSON, of every kind of column.
#[derive(Serialize)]
struct User {
    id: i64,
    created_at: String,
    updated_at: String,
    name: String,
    title: &'static str,
    age: i64,
    email: String,
    telephone: String,
    gender: &'static str,
    language: &'static str,
    academic_degree: &'static str,
    nationality: &'static str,
    occupation: &'static str,
    height: f64,
    is_active: bool,
    address: Address,
}

#[derive(Serialize)]
struct Address {
    street: String,
    city: &'static str,
    postal_code: String,
}

fn user(id: i64) -> User {
    User {
        id,
        created_at: format!("2024-{:02}-{:02}T10:00:00.000Z", id % 12 + 1, id % 28 + 1),
        updated_at: format!("2025-{:02}-{:02}T12:34:56.789Z", id % 12 + 1, id % 28 + 1),
        name: format!("Reba Smith {id}"),
        title: "M.Sc.Tech.",
        age: id % 90,
        email: format!("user{id}+{}@example.com", id * 7919 % 10_007),
        telephone: format!("+1-{:03}-{:04}", id % 1000, id % 10_000),
        gender: "Female",
        language: "Norwegian",
        academic_degree: "PhD",
        nationality: "Panamanian",
        occupation: "Textile Technologist",
        height: 1.0 + (id % 100) as f64 / 100.0,
        is_active: id % 3 == 0,
        address: Address {
            street: format!("{} Main Street", id % 999),
            city: "Springfield",
            postal_code: format!("{:05}", id % 100_000),
        },
    }
}

fn stream(mode: DestinationSyncMode) -> ConfiguredAirbyteStream {
    let text = json!({"type": "string"});
    let schema = json!({"properties": {
        "id": {"type": "integer"}, "created_at": {"type": "string", "format": "date-time"},
        "updated_at": {"type": "string", "format": "date-time"}, "name": text, "title": text,
        "age": {"type": "integer"}, "email": text, "telephone": text, "gender": text,
        "language": text, "academic_degree": text, "nationality": text, "occupation": text,
        "height": {"type": "number"}, "is_active": {"type": "boolean"}, "address": {"type": "object"}}});
    let stream = AirbyteStream::new("users", schema, vec![SyncMode::FullRefresh]);
    ConfiguredAirbyteStream::new(stream, SyncMode::FullRefresh, mode)
        .with_primary_key(["id"])
        .with_cursor("updated_at")
}

/// All batches in a queue that never waits: only the destination's work is timed.
fn batches(rows: i64) -> EventReceiver {
    let (sender, receiver) = channel(MemoryBudget::new(usize::MAX >> 4), Progress::default());
    let name = Arc::new(StreamDescriptor::new("users"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let mut batch = JsonRows::default();
    for id in 0..rows {
        if batch.is_empty() {
            batch.stamp(1_735_689_600_000 + id);
        }
        batch.push(&user(id)).expect("a user is JSON");
        if batch.bytes() >= (1 << 20) - 1024 || id + 1 == rows {
            let full = std::mem::take(&mut batch);
            let sent = sender.records(RecordBatch::new(Arc::clone(&name), full));
            runtime.block_on(sent).expect("the receiver is there");
        }
    }
    receiver
}

fn destination(path: &Path, rows: i64, mode: DestinationSyncMode) -> f64 {
    let events = batches(rows);
    let (sender, _received) = channel(MemoryBudget::default(), Progress::default());
    let catalog = ConfiguredAirbyteCatalog::new(vec![stream(mode)]);
    let args = WriteArgs {
        config: json!({ "path": path }),
        catalog,
        settings: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .build()
        .expect("a runtime");
    let context = Context::new(sender);
    let started = Instant::now();
    let written = runtime.block_on(SqliteDestination::default().write_dyn(args, events, &context));
    let seconds = started.elapsed().as_secs_f64();
    let written = written
        .and_then(|report| report.into_result())
        .expect("written");
    assert_eq!(
        written
            .streams
            .iter()
            .map(|stream| stream.records)
            .sum::<u64>(),
        rows as u64
    );
    rows as f64 / seconds
}

fn by_hand(path: &Path, rows: i64, journal: &str) -> f64 {
    let users: Vec<_> = (0..rows).map(user).collect();
    let addresses: Vec<_> = users
        .iter()
        .map(|user| serde_json::to_string(&user.address).expect("JSON"))
        .collect();
    let started = Instant::now();
    let mut connection = Connection::open(path).expect("opened");
    connection
        .pragma_update_and_check(None, "journal_mode", journal, |_| Ok(()))
        .expect("set");
    connection
        .pragma_update(None, "synchronous", "FULL")
        .expect("set");
    let create = "CREATE TABLE users (_airbyte_raw_id TEXT, _airbyte_extracted_at TEXT, \
        _airbyte_meta TEXT, _airbyte_generation_id INTEGER, id INTEGER, created_at TEXT, \
        updated_at TEXT, name TEXT, title TEXT, age INTEGER, email TEXT, telephone TEXT, \
        gender TEXT, language TEXT, academic_degree TEXT, nationality TEXT, occupation TEXT, \
        height REAL, is_active BOOLEAN, address TEXT)";
    connection.execute_batch(create).expect("created");
    let transaction = connection.transaction().expect("begun");
    {
        let parameters = vec!["?"; 20].join(",");
        let sql = format!("INSERT INTO users VALUES ({parameters})");
        let mut insert = transaction.prepare(&sql).expect("prepared");
        let mut ids = cdk_core::destination::meta_columns::RawIds::new();
        ids.set_time(1_735_689_600_000);
        for (user, address) in users.iter().zip(&addresses) {
            let values = params![
                ids.next_id().to_string(),
                "2025-01-01T00:00:00.000Z",
                "{\"changes\":[]}",
                0,
                user.id,
                user.created_at,
                user.updated_at,
                user.name,
                user.title,
                user.age,
                user.email,
                user.telephone,
                user.gender,
                user.language,
                user.academic_degree,
                user.nationality,
                user.occupation,
                user.height,
                user.is_active,
                address
            ];
            insert.execute(values).expect("inserted");
        }
    }
    transaction.commit().expect("committed");
    connection.close().expect("closed");
    rows as f64 / started.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn setting(name: &str, default: i64) -> i64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn main() {
    let (rows, rounds) = (setting("ROWS", 300_000), setting("ROUNDS", 3));
    let mut results = vec![Vec::new(); 5];
    for _ in 0..rounds {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        let speeds = [
            by_hand(&path("hand"), rows, "DELETE"),
            by_hand(&path("hand-wal"), rows, "WAL"),
            destination(&path("append"), rows, DestinationSyncMode::Append),
            destination(&path("overwrite"), rows, DestinationSyncMode::Overwrite),
            destination(&path("dedup"), rows, DestinationSyncMode::AppendDedup),
        ];
        results
            .iter_mut()
            .zip(speeds)
            .for_each(|(list, speed)| list.push(speed));
    }
    let names = [
        "by hand",
        "by hand, WAL",
        "append",
        "overwrite",
        "append_dedup",
    ];
    let medians: Vec<_> = results.into_iter().map(median).collect();
    for (name, speed) in names.iter().zip(&medians) {
        eprintln!(
            "{name:>14}: {speed:>9.0} rows/s, {:.2} of by hand",
            speed / medians[0]
        );
    }
}
