//! A database of one test, and runs of the connector on it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use cdk_core::protocol::AirbyteStateMessage;
use cdk_sql::PieceSettings;
use cdk_testkit::servers::postgres::PostgresServer;
use cdk_testkit::{Files, Ran, Run};
use serde_json::{Value, json};
use source_postgres::PostgresSource;

/// The server that tests share, for as long as one of them runs.
fn shared() -> Arc<PostgresServer> {
    static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(PostgresServer::start());
        *shared = Arc::downgrade(&server);
        server
    })
}

/// A database of one test.
pub(crate) struct Db {
    pub(crate) server: Arc<PostgresServer>,
    pub(crate) name: String,
    files: Files,
    /// Merged into the config of every run.
    pub(crate) config: Value,
    pub(crate) pages: u64,
}

impl Db {
    /// A database on a server that tests share.
    pub(crate) fn new(statements: &str) -> Self {
        Self::on(shared(), statements)
    }

    /// A database on a server of its own: transactions elsewhere hold back what this one can tell apart.
    pub(crate) fn alone(statements: &str) -> Self {
        Self::on(Arc::new(PostgresServer::start()), statements)
    }

    pub(crate) fn on(server: Arc<PostgresServer>, statements: &str) -> Self {
        let name = server.database("test");
        server.sql(&name, statements);
        let config = config(server.port(), &name);
        Self {
            server,
            name,
            files: Files::new(),
            config,
            pages: 4096,
        }
    }

    pub(crate) fn sql(&self, statements: &str) -> String {
        self.server.sql(&self.name, statements)
    }

    pub(crate) fn with(mut self, key: &str, value: Value) -> Self {
        self.config[key] = value;
        self
    }

    pub(crate) fn source(&self) -> PostgresSource {
        let mut pieces = PieceSettings::default();
        // Small pieces, so that small tables have several.
        pieces.rows = 10;
        pieces.large_table_rows = 50;
        PostgresSource::default()
            .with_pages(self.pages)
            .with_pieces(pieces)
    }

    pub(crate) async fn verb(&self, verb: &str) -> Ran {
        Run::new(verb)
            .file(&self.files, "config", &self.config)
            .source(self.source())
            .await
    }

    pub(crate) async fn read(&self, catalog: &Value, state: &Value) -> Ran {
        self.read_with(catalog, state, |run| run).await
    }

    pub(crate) async fn read_with(
        &self,
        catalog: &Value,
        state: &Value,
        with: impl FnOnce(Run) -> Run,
    ) -> Ran {
        let run = Run::new("read")
            .file(&self.files, "config", &self.config)
            .file(&self.files, "catalog", catalog)
            .file(&self.files, "state", state);
        with(run).source(self.source()).await
    }

    /// A read that is told to stop at this text. It holds next to nothing in memory, so that it can't run far ahead of what
    /// it printed.
    pub(crate) async fn read_until(&self, text: &str, catalog: &Value, state: &Value) -> Ran {
        let small = |name: &str| (name == "CDK_MEMORY_BUDGET_BYTES").then(|| "16384".to_owned());
        self.read_with(catalog, state, |run| run.env(small).stop_at(text))
            .await
    }

    /// The configured catalog of these streams as they are discovered: name, sync mode, cursor.
    pub(crate) async fn catalog(&self, streams: &[(&str, &str, Option<&str>)]) -> Value {
        let discovered = self.verb("discover").await.succeeded();
        let found = serde_json::to_value(discovered.catalog()).unwrap();
        let stream = |name: &str| {
            let all = found["streams"].as_array().unwrap();
            all.iter()
                .find(|stream| stream["name"] == name)
                .unwrap_or_else(|| panic!("no stream {name}"))
                .clone()
        };
        let configured: Vec<_> = streams
            .iter()
            .map(|(name, mode, cursor)| {
                json!({"stream": stream(name), "sync_mode": mode, "destination_sync_mode": "append",
                    "cursor_field": cursor.map(|cursor| vec![cursor])})
            })
            .collect();
        json!({ "streams": configured })
    }
}

pub(crate) fn config(port: u16, database: &str) -> Value {
    json!({"host": "127.0.0.1", "port": port, "database": database, "username": "postgres", "password": "unused",
        "ssl_mode": {"mode": "disable"}, "jdbc_url_params": "connectTimeout=120", "concurrency": 2})
}

/// The states of a run as the next run gets them: the last of each stream.
pub(crate) fn states(ran: &Ran) -> Value {
    let states: Vec<&AirbyteStateMessage> = ran.states();
    match states.last() {
        Some(last) if last.global.is_some() => json!([last]),
        _ => json!(states),
    }
}

/// One column of all records of a stream, sorted.
pub(crate) fn sorted(ran: &Ran, stream: &str, column: &str) -> Vec<i64> {
    let mut values: Vec<i64> = ran
        .data(stream)
        .iter()
        .map(|record| record[column].as_i64().unwrap())
        .collect();
    values.sort_unstable();
    values
}

pub(crate) fn no_state() -> Value {
    json!([])
}
