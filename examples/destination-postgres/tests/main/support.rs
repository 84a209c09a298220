//! Runs the connector in process, exactly as its executable does, and asks the database what is there.

use cdk_testkit::servers::postgres::PostgresServer;
use cdk_testkit::{Files, Ran, Run, StreamSpec};
use destination_postgres::PostgresDestination;
use serde_json::{Value, json};

/// The time of the runs.
pub(crate) const NOW_MS: i64 = 1_735_689_600_000;

/// A database of its own, on the server that the tests share unless told otherwise.
pub(crate) struct Warehouse<'s> {
    pub(crate) server: &'s PostgresServer,
    pub(crate) database: String,
    pub(crate) port: u16,
    pub(crate) options: Value,
}

impl Warehouse<'static> {
    pub(crate) fn new() -> Self {
        Self::on(PostgresServer::shared())
    }
}

impl<'s> Warehouse<'s> {
    pub(crate) fn on(server: &'s PostgresServer) -> Self {
        Self {
            server,
            database: server.database("warehouse"),
            port: server.port(),
            options: json!({}),
        }
    }

    /// The same with these keys in the config.
    pub(crate) fn with(mut self, options: Value) -> Self {
        self.options = options;
        self
    }

    pub(crate) fn config(&self) -> Value {
        let mut config = json!({
            "host": "127.0.0.1", "port": self.port, "database": self.database, "username": "postgres",
            "ssl_mode": {"mode": "disable"},
        });
        for (name, value) in self.options.as_object().unwrap() {
            config[name] = value.clone();
        }
        config
    }

    /// Runs `write` over these messages.
    pub(crate) async fn write(&self, streams: &[&StreamSpec], messages: &[Value]) -> Ran {
        let files = Files::new();
        let write = self.verb(&files, "write").messages(messages);
        let write = write.file(&files, "catalog", &StreamSpec::catalog(streams));
        write.destination(PostgresDestination).await
    }

    /// The same over bytes.
    pub(crate) async fn write_raw(
        &self,
        streams: &[&StreamSpec],
        stdin: impl Into<Vec<u8>>,
    ) -> Ran {
        let files = Files::new();
        let write = self.verb(&files, "write").stdin(stdin);
        let write = write.file(&files, "catalog", &StreamSpec::catalog(streams));
        write.destination(PostgresDestination).await
    }

    /// Loads these rows, each with the time it was read at, and says that the stream is complete.
    pub(crate) async fn complete(&self, stream: &StreamSpec, rows: &[(i64, Value)]) -> Ran {
        let mut messages = records(stream, rows);
        messages.push(stream.complete());
        self.write(&[stream], &messages).await.succeeded()
    }

    /// A run whose source died: its state is given back, but nothing says COMPLETE.
    pub(crate) async fn interrupted(&self, stream: &StreamSpec, rows: &[(i64, Value)]) {
        let mut messages = records(stream, rows);
        messages.push(stream.state(1));
        let ran = self.write(&[stream], &messages).await;
        assert_eq!(ran.exit.code(), 1, "{}", ran.text);
        assert_eq!(ran.states().len(), 1, "{}", ran.text);
    }

    pub(crate) async fn check(&self) -> Ran {
        let files = Files::new();
        self.verb(&files, "check")
            .destination(PostgresDestination)
            .await
    }

    fn verb(&self, files: &Files, verb: &str) -> Run {
        Run::new(verb)
            .at(NOW_MS)
            .file(files, "config", &self.config())
    }

    /// Every row of a query: columns separated by `|`, null as nothing.
    pub(crate) fn query(&self, sql: &str) -> Vec<String> {
        self.value(sql).lines().map(str::to_owned).collect()
    }

    /// What a query prints.
    pub(crate) fn value(&self, sql: &str) -> String {
        self.server.sql(&self.database, sql)
    }

    pub(crate) fn execute(&self, sql: &str) {
        self.server.sql(&self.database, sql);
    }

    /// Tables in the internal schema that no one should see after a run.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        self.query(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
             WHERE nspname = 'airbyte_internal' AND relkind = 'r' AND relname LIKE '\\_airbyte\\_tmp%'",
        )
    }
}

pub(crate) fn records(stream: &StreamSpec, rows: &[(i64, Value)]) -> Vec<Value> {
    rows.iter()
        .map(|(at, data)| stream.record(*at, data.clone()))
        .collect()
}

/// A stream `t` of `id` and `v`.
pub(crate) fn small(mode: &str) -> StreamSpec {
    let properties = json!({"id": {"type": "integer"}, "v": {"type": "string"}});
    StreamSpec::new("t", mode, properties).key(&["id"])
}

/// A row of it.
pub(crate) fn row(at: i64, id: i64, v: &str) -> (i64, Value) {
    (at, json!({"id": id, "v": v}))
}
