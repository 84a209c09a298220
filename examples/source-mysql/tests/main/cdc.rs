//! Change data capture: inserts, updates, deletes, and everything that can come in between.

use std::collections::BTreeMap;

use cdk_testkit::Ran;
use cdk_testkit::servers::mariadb::MariaDbServer;
use serde_json::{Value, json};
use source_mysql::MySqlSource;

use crate::support::{Database, Random, eager, read, run, saved};

/// The rows that a destination which merges by `id` and takes the largest cursor would hold.
#[derive(Default)]
struct Merged(BTreeMap<i64, Value>);

impl Merged {
    fn add(&mut self, ran: &Ran, stream: &str) {
        for row in ran.data(stream) {
            let (id, cursor) = (
                row["id"].as_i64().unwrap(),
                row["_ab_cdc_cursor"].as_u64().unwrap(),
            );
            let older = self
                .0
                .get(&id)
                .map(|old| old["_ab_cdc_cursor"].as_u64().unwrap());
            if older.is_none_or(|older| older <= cursor) {
                self.0.insert(id, row);
            }
        }
    }

    /// `id<TAB>column` of the rows that are not deleted.
    fn rows(&self, column: &str) -> Vec<String> {
        let alive = self
            .0
            .iter()
            .filter(|(_, row)| row["_ab_cdc_deleted_at"].is_null());
        alive
            .map(|(id, row)| format!("{id}\t{}", row[column].to_string().trim_matches('"')))
            .collect()
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn inserts_updates_deletes_and_moved_keys_are_told_with_their_place_in_the_log() {
    let database = Database::shared("changes");
    database.sql("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10)); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    let config = database.cdc();
    let catalog = database.catalog(&config, "incremental", None).await;
    let first = read(&config, &catalog, None).await;
    assert_eq!(first.data("t").len(), 3);
    database.sql("INSERT INTO t VALUES (4, 'd'); UPDATE t SET v = 'B' WHERE id = 2; DELETE FROM t WHERE id = 3; UPDATE t SET id = 9 WHERE id = 1");
    let second = read(&config, &catalog, Some(&saved(&first))).await;
    let told: Vec<_> = second
        .data("t")
        .iter()
        .map(|row| {
            (
                row["id"].as_i64().unwrap(),
                row["v"].as_str().unwrap().to_owned(),
                !row["_ab_cdc_deleted_at"].is_null(),
            )
        })
        .collect();
    let expected = [
        (4, "d", false),
        (2, "B", false),
        (3, "c", true),
        (1, "a", true),
        (9, "a", false),
    ];
    assert_eq!(
        told,
        expected.map(|(id, v, is_deleted)| (id, v.to_owned(), is_deleted))
    );
    let all: Vec<_> = first
        .data("t")
        .into_iter()
        .chain(second.data("t"))
        .collect();
    let cursors: Vec<_> = all
        .iter()
        .map(|row| row["_ab_cdc_cursor"].as_u64().unwrap())
        .collect();
    assert!(cursors.is_sorted(), "{cursors:?}");
    for row in second.data("t") {
        assert!(
            row["_ab_cdc_log_file"]
                .as_str()
                .unwrap()
                .starts_with("binlog.")
        );
        assert!(row["_ab_cdc_log_pos"].as_u64().unwrap() > 4);
        assert!(
            row["_ab_cdc_updated_at"]
                .as_str()
                .unwrap()
                .ends_with(".000000Z")
        );
    }
    // One GLOBAL state, and never two of a stream's own.
    assert!(second.states().iter().all(|state| state.global.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_during_load_and_log_lose_nothing() {
    let database = Database::shared("writers");
    database.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t SELECT seq, 0 FROM seq_1_to_500",
    );
    let config = database.cdc();
    let catalog = database.catalog(&config, "incremental", None).await;
    let (name, port) = (database.name.clone(), database.server);
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_done = std::sync::Arc::clone(&done);
    let writer = std::thread::spawn(move || {
        let mut random = Random::new(3);
        while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
            let mut statements = String::from("SET sql_mode = '';");
            for _ in 0..20 {
                let (id, other) = (random.below(600), random.below(600));
                statements.push_str(&match random.below(5) {
                    0 => format!("INSERT IGNORE INTO t VALUES ({id}, 1);"),
                    1 => format!("DELETE FROM t WHERE id = {id};"),
                    2 => format!("UPDATE IGNORE t SET id = {other} WHERE id = {id};"),
                    3 => format!("BEGIN; UPDATE t SET v = v + 1 WHERE id BETWEEN {id} AND {id} + 50; ROLLBACK;"),
                    _ => format!("BEGIN; UPDATE t SET v = v + 1 WHERE id >= {id}; DELETE FROM t WHERE id = {other}; COMMIT;"),
                });
            }
            port.sql(&name, &statements);
        }
    });
    let mut merged = Merged::default();
    let mut state = json!([]);
    for _ in 0..4 {
        let ran = run("read", &config, Some(&catalog), Some(&state), eager(50))
            .await
            .succeeded();
        merged.add(&ran, "t");
        state = saved(&ran);
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().unwrap();
    let last = read(&config, &catalog, Some(&state)).await;
    merged.add(&last, "t");
    assert_eq!(
        merged.rows("v"),
        lines(&database.sql("SELECT id, v FROM t ORDER BY id"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_renamed_and_recreated_tables_keep_their_values() {
    let database = Database::shared("ddl");
    database.sql("CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(10)); INSERT INTO t VALUES (1, 1, 'x')");
    let config = database.cdc();
    let catalog = database.catalog(&config, "incremental", None).await;
    let first = read(&config, &catalog, None).await;
    database.sql(
        "INSERT INTO t VALUES (2, 2, 'y');
         ALTER TABLE t ADD COLUMN n INT FIRST;
         INSERT INTO t (n, id, a, b) VALUES (7, 3, 3, 'z');
         ALTER TABLE t MODIFY a BIGINT UNSIGNED, DROP COLUMN n;
         INSERT INTO t VALUES (4, 18446744073709551615, 'w');
         RENAME TABLE t TO old; CREATE TABLE t LIKE old; INSERT INTO t SELECT * FROM old;
         ALTER TABLE t ADD COLUMN later INT, CHANGE b b VARCHAR(20) CHARACTER SET latin1;
         UPDATE t SET b = 'ü', later = 1 WHERE id = 1",
    );
    let second = read(&config, &catalog, Some(&saved(&first))).await;
    let rows: Vec<_> = second
        .data("t")
        .iter()
        .map(|row| format!("{} {} {}", row["id"], row["a"], row["b"]))
        .collect();
    let expected = [
        "2 2 \"y\"",
        "3 3 \"z\"",
        "4 18446744073709551615 \"w\"",
        "1 1 \"x\"",
        "2 2 \"y\"",
        "3 3 \"z\"",
        "4 18446744073709551615 \"w\"",
        "1 1 \"ü\"",
    ];
    assert_eq!(rows, expected);
    assert!(
        second
            .data("t")
            .iter()
            .all(|row| row.get("later").is_none()),
        "only columns of the catalog"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_joins_later_is_loaded_and_takes_no_older_changes() {
    let database = Database::shared("joins");
    database.sql("CREATE TABLE a (id INT PRIMARY KEY); CREATE TABLE b (id INT PRIMARY KEY, v INT); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1)");
    let config = database.cdc();
    let both = database.catalog(&config, "incremental", None).await;
    let mut only = both.clone();
    only["streams"]
        .as_array_mut()
        .unwrap()
        .retain(|stream| stream["stream"]["name"] == "a");
    let first = read(&config, &only, None).await;
    database.sql("UPDATE b SET v = 2; INSERT INTO a VALUES (2)");
    let second = read(&config, &both, Some(&saved(&first))).await;
    assert_eq!(second.data("a").len(), 1);
    let values: Vec<_> = second
        .data("b")
        .iter()
        .map(|row| row["v"].clone())
        .collect();
    assert_eq!(
        values,
        [2],
        "the row as it was loaded, and not the change before that"
    );
    database.sql("UPDATE b SET v = 3");
    let third = read(&config, &both, Some(&saved(&second))).await;
    assert_eq!(
        third
            .data("b")
            .iter()
            .map(|row| row["v"].clone())
            .collect::<Vec<_>>(),
        [3]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_log_fails_with_a_remedy_or_starts_over() {
    // Newer servers keep their log until a replica has connected.
    let server = MariaDbServer::builder()
        .setting("--loose-slave-connections-needed-for-purge=0")
        .start();
    let database = Database::at(&server, "purged");
    database.sql("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    let config = database.cdc();
    let catalog = database.catalog(&config, "incremental", None).await;
    let first = read(&config, &catalog, None).await;
    database.sql("INSERT INTO t VALUES (3); FLUSH BINARY LOGS; FLUSH BINARY LOGS");
    // A file is kept while the server still serves a reader of it.
    let purge = || database.sql("PURGE BINARY LOGS TO 'binlog.000003'; SHOW BINARY LOGS");
    assert!(
        (0..2000).any(|_| purge().starts_with("binlog.000003")),
        "the server keeps its log"
    );
    let failed = run(
        "read",
        &config,
        Some(&catalog),
        Some(&saved(&first)),
        MySqlSource::default(),
    )
    .await;
    let error = failed.error();
    assert_eq!(error.failure_type.unwrap().as_str(), "config_error");
    assert!(
        error.message.contains("binlog.000001 was removed")
            && error.message.contains("Refresh the streams"),
        "{}",
        error.message
    );
    let resync = json!({"replication_method": {"method": "CDC", "invalid_cdc_cursor_position_behavior": "Re-sync data"}});
    let again = read(
        &database.config(resync.clone()),
        &catalog,
        Some(&saved(&first)),
    )
    .await;
    assert_eq!(again.data("t").len(), 3);
    // The log was thrown away: its new file has the old name.
    database.sql("RESET MASTER; INSERT INTO t VALUES (4)");
    let reset = run(
        "read",
        &config,
        Some(&catalog),
        Some(&saved(&again)),
        MySqlSource::default(),
    )
    .await;
    assert_eq!(
        reset.error().failure_type.unwrap().as_str(),
        "config_error",
        "{}",
        reset.text
    );
    let again = read(&database.config(resync), &catalog, Some(&saved(&again))).await;
    assert_eq!(again.data("t").len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_of_another_server_is_found_by_its_gtids() {
    let server = MariaDbServer::start();
    let database = Database::at(&server, "failover");
    database.sql("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)");
    let config = database.cdc();
    let catalog = database.catalog(&config, "incremental", None).await;
    let first = read(&config, &catalog, None).await;
    database.sql("INSERT INTO t VALUES (2); FLUSH BINARY LOGS; INSERT INTO t VALUES (3)");
    // As it is after a failover: the files and positions are another server's.
    let mut state = saved(&first);
    let log = &mut state[0]["global"]["shared_state"]["log"];
    assert!(log["gtids"].as_str().unwrap().starts_with("1-1-"), "{log}");
    (log["server"], log["file"], log["pos"]) = (json!("99"), json!("other.000077"), json!(12345));
    let second = read(&config, &catalog, Some(&state)).await;
    let ids: Vec<_> = second
        .data("t")
        .iter()
        .map(|row| row["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, [2, 3]);
    let cursor = |ran: &Ran| {
        ran.data("t")
            .iter()
            .map(|row| row["_ab_cdc_cursor"].as_u64())
            .max()
    };
    assert!(
        cursor(&second) > cursor(&first),
        "later changes have larger cursors, whatever their file is called"
    );
    let log: Value = saved(&second)[0]["global"]["shared_state"]["log"].clone();
    assert_eq!(
        (
            &log["server"],
            log["file"].as_str().unwrap().starts_with("binlog.")
        ),
        (&json!("1"), true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_names_of_columns_is_read_by_their_order() {
    let server = MariaDbServer::builder()
        .setting("--binlog-row-metadata=NO_LOG")
        .setting("--log-bin-compress=ON")
        .start();
    let database = Database::at(&server, "nameless");
    let text = "repeat('long text ', 100)";
    database.sql(&format!("CREATE TABLE t (id INT UNSIGNED PRIMARY KEY, v TEXT, e ENUM('a','b')); INSERT INTO t VALUES (1, {text}, 'a')"));
    let config = database.cdc();
    let catalog = database.catalog(&config, "incremental", None).await;
    let first = read(&config, &catalog, None).await;
    // Compressed by the server: the texts are long enough.
    database.sql(&format!("INSERT INTO t VALUES (4294967295, {text}, 'b'); ALTER TABLE t ADD COLUMN x INT; UPDATE t SET x = 1, v = CONCAT(v, '!')"));
    let second = read(&config, &catalog, Some(&saved(&first))).await;
    let rows: Vec<_> = second
        .data("t")
        .iter()
        .map(|row| {
            format!(
                "{} {} {}",
                row["id"],
                row["v"].as_str().unwrap().len(),
                row["e"]
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            "4294967295 1000 \"b\"",
            "1 1001 \"a\"",
            "4294967295 1001 \"b\""
        ]
    );
    database.sql("UPDATE t SET x = 2 WHERE id = 1; ALTER TABLE t DROP COLUMN x; ALTER TABLE t ADD COLUMN y DATE; ALTER TABLE t ADD COLUMN z DATE");
    let mut state = saved(&second);
    // As if the table had been altered before: no definition fits those rows any more.
    let columns = &mut state[0]["global"]["stream_states"][0]["stream_state"]["columns"];
    columns.as_array_mut().unwrap().pop();
    let failed = run(
        "read",
        &config,
        Some(&catalog),
        Some(&state),
        MySqlSource::default(),
    )
    .await;
    assert!(
        failed.error().message.contains("`binlog_row_metadata`"),
        "{}",
        failed.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_the_log_tells_only_in_part_are_refused() {
    let database = Database::shared("partial");
    database
        .sql("CREATE TABLE t (id INT PRIMARY KEY, v INT, w INT); INSERT INTO t VALUES (1, 1, 1)");
    let config = database.cdc();
    let catalog = database.catalog(&config, "incremental", None).await;
    let first = read(&config, &catalog, None).await;
    database.sql("SET SESSION binlog_row_image = 'MINIMAL'; UPDATE t SET v = 2");
    let minimal = run(
        "read",
        &config,
        Some(&catalog),
        Some(&saved(&first)),
        MySqlSource::default(),
    )
    .await;
    assert!(
        minimal.error().message.contains("`binlog_row_image`"),
        "{}",
        minimal.text
    );
    let again = read(&config, &catalog, None).await;
    database.sql("SET SESSION binlog_format = 'STATEMENT'; UPDATE t SET v = 3");
    let statement = run(
        "read",
        &config,
        Some(&catalog),
        Some(&saved(&again)),
        MySqlSource::default(),
    )
    .await;
    assert!(
        statement.error().message.contains("`binlog_format`"),
        "{}",
        statement.text
    );
    assert_eq!(
        statement.error().failure_type.unwrap().as_str(),
        "config_error"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_following_source_tells_changes_until_it_is_stopped() {
    let database = Database::shared("follow");
    database.sql("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)");
    let config = database.cdc();
    let catalog = database.catalog(&config, "incremental", None).await;
    let first = read(&config, &catalog, None).await;
    database.sql("INSERT INTO t VALUES (2)");
    let files = cdk_testkit::Files::new();
    let run = crate::support::prepared(
        "read",
        &config,
        Some(&catalog),
        Some(&saved(&first)),
        &files,
    );
    let ran = run.stop_at("\"id\":2").source(eager(10).following()).await;
    assert_eq!(ran.data("t").len(), 1);
    database.sql("INSERT INTO t VALUES (3)");
    let after = read(&config, &catalog, Some(&saved(&ran))).await;
    let ids: Vec<_> = after
        .data("t")
        .iter()
        .map(|row| row["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, [3], "the state of the stop covers what was told");
}
