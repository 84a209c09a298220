//! The connector's config, with the keys of Airbyte's source-postgres.

use std::time::Duration;

use cdk_core::{Result, SecretString};
use cdk_sql::TunnelMethod;
use cdk_sql_postgres::{ConnectSettings, SslMode};
use schemars::JsonSchema;
use serde::Deserialize;

/// Source PostgreSQL.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "Postgres Source Spec")]
#[non_exhaustive]
pub struct PostgresConfig {
    /// Host name or address of the server.
    #[schemars(title = "Host", extend("order" = 0))]
    pub host: String,

    /// Port of the server.
    #[serde(default = "default_port")]
    #[schemars(title = "Port", range(min = 1, max = 65535), example = 5432, extend("order" = 1))]
    pub port: u16,

    /// Name of the database.
    #[schemars(title = "Database Name", extend("order" = 2))]
    pub database: String,

    /// Schemas to read, case-sensitive. With an empty list, all that the user may use.
    #[serde(default = "default_schemas")]
    #[schemars(title = "Schemas", extend("order" = 3))]
    pub schemas: Vec<String>,

    /// Name of the user. SELECT rights suffice for everything but change data capture.
    #[schemars(title = "Username", extend("order" = 4))]
    pub username: String,

    /// Password of the user.
    #[serde(default)]
    #[schemars(title = "Password", extend("order" = 5, "always_show" = true))]
    pub password: Option<SecretString>,

    /// More settings of the connection as `key=value` pairs joined by `&`: `options`, `connectTimeout` (seconds) and
    /// `ApplicationName` of the JDBC driver.
    #[serde(default)]
    #[schemars(
        title = "JDBC URL Parameters (Advanced)",
        example = "options=-c%20statement_timeout%3D600000&connectTimeout=5",
        extend("order" = 6)
    )]
    pub jdbc_url_params: Option<String>,

    /// Encryption of the connection.
    #[serde(default)]
    #[schemars(title = "SSL Modes", extend("order" = 7))]
    pub ssl_mode: SslMode,

    /// How changes are found.
    #[serde(default)]
    #[schemars(title = "Update Method", extend("order" = 8, "display_type" = "radio"))]
    pub replication_method: ReplicationMethod,

    /// A way through an SSH server.
    #[serde(default)]
    #[schemars(title = "SSH Tunnel Method", extend("order" = 9))]
    pub tunnel_method: TunnelMethod,

    /// How many pieces of tables are read at the same time, each over a connection of its own. By default as many
    /// as this machine has processors, at most 4.
    #[serde(default)]
    #[schemars(title = "Concurrency", range(min = 1, max = 64), extend("order" = 10))]
    pub concurrency: Option<usize>,

    /// How often a state is emitted at least, in seconds, while rows arrive.
    #[serde(default)]
    #[schemars(title = "Checkpoint Target Time Interval", range(min = 1, max = 3600), extend("order" = 11))]
    pub checkpoint_target_interval_seconds: Option<u64>,

    /// Incremental reads by a cursor also look for rows that were committed late with a cursor value that was passed
    /// already. It costs the server one pass over the table in every sync; without it such rows are missed.
    #[serde(default = "default_true")]
    #[schemars(title = "Find Late Rows", extend("order" = 12))]
    pub find_late_rows: bool,
}

/// How changes are found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "method")]
#[schemars(inline)]
#[non_exhaustive]
pub enum ReplicationMethod {
    /// Reads the server's change log: inserts, updates and deletes, in order.
    #[serde(rename = "CDC")]
    #[schemars(title = "Read Changes using Write-Ahead Log (CDC)")]
    Cdc(CdcConfig),
    /// Finds new and changed rows by the transactions that wrote them; needs no cursor, sees no deletes.
    #[schemars(title = "Detect Changes with Xmin System Column")]
    Xmin {},
    /// Finds new and changed rows by a cursor column; sees no deletes.
    #[schemars(title = "Scan Changes with User Defined Cursor")]
    Standard {},
}

impl Default for ReplicationMethod {
    fn default() -> Self {
        Self::Standard {}
    }
}

/// Change data capture by logical replication.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
#[non_exhaustive]
pub struct CdcConfig {
    /// Output plugin of the slot.
    #[serde(default)]
    #[schemars(title = "Plugin", extend("order" = 1))]
    pub plugin: Plugin,
    /// Name of the replication slot. Each connection needs a slot of its own.
    #[schemars(title = "Replication Slot", extend("order" = 2))]
    pub replication_slot: String,
    /// Name of the publication that holds the tables.
    #[schemars(title = "Publication", extend("order" = 3))]
    pub publication: String,
    /// Creates the slot and the publication when they are missing. The publication then holds the tables of the
    /// configured schemas that the user owns; the user needs the right to create in the database.
    #[serde(default)]
    #[schemars(title = "Create Slot and Publication", extend("order" = 4))]
    pub create_if_missing: bool,
    /// How long to wait for the server to decode the log, in seconds, before giving up.
    #[serde(default = "default_waiting")]
    #[schemars(title = "Initial Waiting Time in Seconds (Advanced)", range(min = 1, max = 7200), extend("order" = 5))]
    pub initial_waiting_seconds: u64,
    /// When the server may forget the log.
    #[serde(default)]
    #[schemars(title = "LSN Commit Behaviour", extend("order" = 6))]
    pub lsn_commit_behaviour: LsnCommit,
    /// A statement that writes something small, so that the position moves on while the tables are quiet. By default
    /// the connector writes a message into the log, which needs no table.
    #[serde(default)]
    #[schemars(
        title = "Debezium Heartbeat Query (Advanced)",
        example = "INSERT INTO heartbeat (at) VALUES (now())",
        extend("order" = 7)
    )]
    pub heartbeat_action_query: Option<String>,
    /// What to do when the log behind the saved position is gone.
    #[serde(default)]
    #[schemars(title = "Invalid CDC Position Behavior (Advanced)", extend("order" = 8))]
    pub invalid_cdc_cursor_position_behavior: LostPosition,
    /// Follows the log until the run is stopped, instead of ending where it stood at the start.
    #[serde(default)]
    #[schemars(title = "Follow Continuously", extend("order" = 9))]
    pub follow: bool,
}

/// Output plugin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Plugin {
    /// The server's own, since version 10.
    #[default]
    Pgoutput,
}

/// When the server may forget the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum LsnCommit {
    /// As soon as changes were read: a state that is lost then loses changes.
    #[serde(rename = "While reading Data")]
    WhileReading,
    /// When the state that covers them was given back, at the start of the next sync.
    #[default]
    #[serde(rename = "After loading Data in the destination")]
    AfterLoading,
}

/// What to do when the log behind the saved position is gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum LostPosition {
    /// Fails, and says how to go on.
    #[default]
    #[serde(rename = "Fail sync")]
    Fail,
    /// Reads all tables again.
    #[serde(rename = "Re-sync data")]
    Resync,
}

fn default_port() -> u16 {
    5432
}

fn default_schemas() -> Vec<String> {
    vec!["public".to_owned()]
}

fn default_waiting() -> u64 {
    1200
}

fn default_true() -> bool {
    true
}

impl PostgresConfig {
    /// How to connect.
    ///
    /// # Errors
    /// A config error when `jdbc_url_params` can't be read.
    pub fn connect_settings(&self) -> Result<ConnectSettings> {
        let mut settings =
            ConnectSettings::new(self.host.trim(), self.port, &self.database, &self.username);
        settings.password.clone_from(&self.password);
        settings.ssl_mode = self.ssl_mode.clone();
        settings.tunnel = self.tunnel_method.clone();
        settings.application_name = "cdk-source-postgres".to_owned();
        settings.apply_jdbc_params(self.jdbc_url_params.as_deref().unwrap_or_default())?;
        Ok(settings)
    }

    /// How many pieces are read at the same time.
    pub fn concurrency(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        self.concurrency.unwrap_or(processors.min(4)).max(1)
    }

    /// How often a state is emitted at least.
    pub fn checkpoint_interval(&self) -> Option<Duration> {
        self.checkpoint_target_interval_seconds
            .map(Duration::from_secs)
    }

    /// The settings of change data capture, if that is the method.
    pub fn cdc(&self) -> Option<&CdcConfig> {
        match &self.replication_method {
            ReplicationMethod::Cdc(cdc) => Some(cdc),
            _ => None,
        }
    }
}
