//! The connector's config. Its keys are those of Airbyte's destination-postgres, and a few more.

use cdk_core::{Result, SecretString};
use cdk_normalize::Normalization;
use cdk_sql::TunnelMethod;
use cdk_sql_postgres::{ConnectSettings, SslMode};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::layout::Layout;

/// Where and how to write.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "Postgres Destination Spec")]
pub struct Config {
    /// Host name of the database server.
    #[schemars(title = "Host", extend("order" = 0), example = &"db.example.com")]
    pub host: String,
    /// Port of the database server.
    #[serde(default = "default_port")]
    #[schemars(title = "Port", extend("order" = 1), range(min = 1, max = 65535))]
    pub port: u16,
    /// Name of the database.
    #[schemars(title = "DB Name", extend("order" = 2), example = &"analytics_db")]
    pub database: String,
    /// Schema of the tables of streams that have no namespace. It is created if it does not exist.
    #[serde(default = "default_schema")]
    #[schemars(title = "Default Schema", extend("order" = 3), example = &"public")]
    pub schema: String,
    /// Role to log in as.
    #[schemars(title = "User", extend("order" = 4), example = &"analytics_user")]
    pub username: String,
    /// Password of that role.
    #[serde(default)]
    #[schemars(title = "Password", extend("order" = 5))]
    pub password: Option<SecretString>,
    /// Older switch for encryption; `ssl_mode` counts.
    #[serde(default)]
    #[schemars(title = "SSL Connection", extend("order" = 6, "airbyte_hidden" = true))]
    pub ssl: bool,
    /// How the connection is encrypted and whom it trusts.
    #[serde(default)]
    #[schemars(title = "SSL modes", extend("order" = 7))]
    pub ssl_mode: SslMode,
    /// Settings of the session in the words of the JDBC driver (`key1=value1&key2=value2`): `options`,
    /// `connectTimeout` and `ApplicationName`.
    #[serde(default)]
    #[schemars(title = "JDBC URL Params", extend("order" = 8))]
    pub jdbc_url_params: Option<String>,
    /// Whether to go through an SSH server.
    #[serde(default)]
    #[schemars(title = "SSH Tunnel Method", extend("order" = 9))]
    pub tunnel_method: TunnelMethod,
    /// Schema for what is not the user's: staged rows, raw tables of version 2, the list of streams.
    #[serde(default = "default_raw_schema")]
    #[schemars(title = "Raw Table Schema Name", extend("order" = 10))]
    pub raw_data_schema: String,
    /// What a deletion in a change log does: remove the row, or keep it with `_ab_cdc_deleted_at` set.
    #[serde(default)]
    #[schemars(title = "CDC deletion mode", extend("order" = 11))]
    pub cdc_deletion_mode: DeletionMode,
    /// Write raw tables only, and no typed ones.
    #[serde(default)]
    #[schemars(title = "Disable Final Tables", extend("order" = 12))]
    pub disable_type_dedupe: bool,
    /// Drop the views on a table, and what hangs on them, where they stand in the way of a new column type or of
    /// replacing the table.
    #[serde(default)]
    #[schemars(title = "Drop tables with CASCADE", extend("order" = 13))]
    pub drop_cascade: bool,
    /// Without effect: numbers are always `numeric` without a limit, so that they keep every digit.
    #[serde(default)]
    #[schemars(title = "Unconstrained numeric columns", extend("order" = 14, "airbyte_hidden" = true))]
    pub unconstrained_number: bool,
    /// Which raw tables to write instead of typed ones.
    #[serde(default)]
    #[schemars(title = "Raw tables", extend("order" = 15))]
    pub raw_tables: RawTables,
    /// Normalize the raw tables after each sync. Switches raw tables of version 1 on, unless version 2 is asked for.
    #[serde(default)]
    #[schemars(title = "Normalization", extend("order" = 16))]
    pub normalization: Normalization,
    /// Connections that may write at the same time. Streams beyond that wait for each other.
    #[serde(default = "default_connections")]
    #[schemars(title = "Connections", extend("order" = 17), range(min = 1, max = 100))]
    pub max_connections: u16,
}

/// What a deletion does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum DeletionMode {
    /// The row goes.
    #[default]
    #[serde(rename = "Hard delete")]
    Hard,
    /// The row stays, marked.
    #[serde(rename = "Soft delete")]
    Soft,
}

/// Raw tables of Airbyte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawTables {
    /// None: rows go straight to typed tables.
    #[default]
    None,
    /// `_airbyte_raw_<stream>` beside the typed tables: `_airbyte_ab_id`, `_airbyte_emitted_at`, `_airbyte_data`.
    V1,
    /// `<namespace>_raw__stream_<stream>` in `raw_data_schema`, with metadata.
    V2,
}

fn default_port() -> u16 {
    5432
}

fn default_schema() -> String {
    "public".to_owned()
}

fn default_raw_schema() -> String {
    "airbyte_internal".to_owned()
}

fn default_connections() -> u16 {
    8
}

impl Config {
    /// How to get to the server.
    pub(crate) fn connect_settings(&self) -> Result<ConnectSettings> {
        let mut settings =
            ConnectSettings::new(&self.host, self.port, &self.database, &self.username);
        settings.password.clone_from(&self.password);
        settings.ssl_mode = self.ssl_mode.clone();
        settings.tunnel = self.tunnel_method.clone();
        settings.application_name = "destination-postgres".to_owned();
        if let Some(params) = &self.jdbc_url_params {
            settings.apply_jdbc_params(params)?;
        }
        Ok(settings)
    }

    /// How rows are laid out.
    pub(crate) fn layout(&self) -> Layout {
        match (self.raw_tables, self.normalization.settings()) {
            (RawTables::V1, _) | (RawTables::None, Some(_)) => Layout::RawV1,
            (RawTables::V2, _) => Layout::RawV2,
            (RawTables::None, None) if self.disable_type_dedupe => Layout::RawV2,
            (RawTables::None, None) => Layout::Typed,
        }
    }

    /// The same config with raw tables of this layout.
    pub(crate) fn with_layout(&self, layout: Layout) -> Self {
        let raw_tables = match layout {
            Layout::Typed => RawTables::None,
            Layout::RawV1 => RawTables::V1,
            Layout::RawV2 => RawTables::V2,
        };
        Self {
            raw_tables,
            ..self.clone()
        }
    }

    /// Whether rows that are marked as deleted go.
    pub(crate) fn removes_deleted(&self) -> bool {
        self.cdc_deletion_mode == DeletionMode::Hard
    }
}
