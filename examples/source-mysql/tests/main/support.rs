//! A database of its own for each test, the connector's runs, and configured catalogs.

use cdk_core::ReadSettings;
use cdk_testkit::servers::mariadb::MariaDbServer;
use cdk_testkit::{Files, Ran, Run};
use serde_json::{Value, json};
use source_mysql::MySqlSource;

/// The account of the connector.
pub(crate) const USER: &str = "airbyte";
pub(crate) const PASSWORD: &str = "it's a secret";

/// A database and the account that reads it.
pub(crate) struct Database<'a> {
    pub(crate) server: &'a MariaDbServer,
    pub(crate) name: String,
}

impl<'a> Database<'a> {
    /// An empty database at the server that all tests share.
    pub(crate) fn shared(name: &str) -> Database<'static> {
        Database::at(MariaDbServer::shared(), name)
    }

    /// An empty database at a server.
    pub(crate) fn at(server: &'a MariaDbServer, name: &str) -> Self {
        let name = server.database(name);
        let account = format!("'{USER}'@'%'");
        server.sql(
            "",
            &format!(
                "CREATE USER IF NOT EXISTS {account} IDENTIFIED BY 'it''s a secret';
                 GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {account};
                 GRANT SELECT ON `{name}`.* TO {account}"
            ),
        );
        Self { server, name }
    }

    /// Runs statements as root in the database, with dates of day 0 allowed and in UTC.
    pub(crate) fn sql(&self, statements: &str) -> String {
        let mode = "SET sql_mode = '', time_zone = '+00:00'; ";
        self.server.sql(&self.name, &format!("{mode}{statements}"))
    }

    pub(crate) fn config(&self, more: Value) -> Value {
        config(self.server.port(), &self.name, more)
    }

    /// The config of change data capture.
    pub(crate) fn cdc(&self) -> Value {
        self.config(json!({"replication_method": {"method": "CDC"}}))
    }

    /// The streams that `discover` finds.
    pub(crate) async fn discover(&self, config: &Value) -> Vec<Value> {
        let ran = run("discover", config, None, None, MySqlSource::default())
            .await
            .succeeded();
        let streams = &ran.catalog().streams;
        streams
            .iter()
            .map(|stream| serde_json::to_value(stream).unwrap())
            .collect()
    }

    /// A catalog of all streams in this mode, with these cursors by stream.
    pub(crate) async fn catalog(&self, config: &Value, mode: &str, cursor: Option<&str>) -> Value {
        let configured = |stream: Value| {
            let mut configured =
                json!({"stream": stream, "sync_mode": mode, "destination_sync_mode": "append"});
            if let Some(cursor) = cursor {
                configured["cursor_field"] = json!([cursor]);
            }
            configured
        };
        json!({"streams": self.discover(config).await.into_iter().map(configured).collect::<Vec<_>>()})
    }
}

pub(crate) fn config(port: u16, database: &str, more: Value) -> Value {
    let mut config = json!({
        "host": "127.0.0.1", "port": port, "username": USER, "password": PASSWORD, "database": database,
        "ssl_mode": {"mode": "preferred"}
    });
    let members = config.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    config
}

/// A source that saves its state at every chance, and reads few rows at a time.
pub(crate) fn eager(piece_rows: u64) -> MySqlSource {
    let mut settings = ReadSettings::default().with_checkpoint_rows(1);
    settings.checkpoint_interval = std::time::Duration::ZERO;
    settings.batch_bytes = 4096;
    MySqlSource::default()
        .with_read_settings(settings)
        .with_piece_rows(piece_rows)
}

pub(crate) async fn run(
    verb: &str,
    config: &Value,
    catalog: Option<&Value>,
    state: Option<&Value>,
    source: MySqlSource,
) -> Ran {
    prepared(verb, config, catalog, state, &Files::new())
        .source(source)
        .await
}

/// A run with its files, to be changed and started.
pub(crate) fn prepared(
    verb: &str,
    config: &Value,
    catalog: Option<&Value>,
    state: Option<&Value>,
    files: &Files,
) -> Run {
    let mut run = Run::new(verb)
        .at(1_700_000_000_000)
        .file(files, "config", config);
    for (option, content) in [("catalog", catalog), ("state", state)] {
        if let Some(content) = content {
            run = run.file(files, option, content);
        }
    }
    run
}

/// A read that must succeed.
pub(crate) async fn read(config: &Value, catalog: &Value, state: Option<&Value>) -> Ran {
    run("read", config, Some(catalog), state, MySqlSource::default())
        .await
        .succeeded()
}

/// What a host would save: of each kind, the last state that a run emitted.
pub(crate) fn saved(ran: &Ran) -> Value {
    let mut last: Vec<(Option<String>, Value)> = Vec::new();
    for state in ran.states() {
        let value = serde_json::to_value(state).unwrap();
        let name = state
            .stream
            .as_ref()
            .map(|stream| stream.stream_descriptor.name.clone());
        last.retain(|(other, _)| *other != name);
        last.push((name, value));
    }
    Value::Array(last.into_iter().map(|(_, state)| state).collect())
}

/// A number generator with a seed: tests are the same in every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}
