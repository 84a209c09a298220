//! The connector's config, with the keys of Airbyte's source-mysql.

use cdk_core::{ConnectorError, Result, SecretString};
use cdk_sql::TunnelMethod;
use cdk_sql::tls::{Trust, Verify};
use cdk_sql_mysql::Encryption;
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Deserialize;

/// MySQL Source Spec: tables of MySQL and MariaDB.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "MySQL Source Spec")]
#[non_exhaustive]
pub struct MySqlConfig {
    /// Host name or address of the server.
    #[schemars(title = "Host", length(min = 1), extend("order" = 1))]
    pub host: String,

    /// Port of the server.
    #[serde(default = "default_port")]
    #[schemars(title = "Port", range(min = 1, max = 65535), example = 3306, extend("order" = 2))]
    pub port: u16,

    /// User name. It needs SELECT on the tables, and for change data capture also REPLICATION SLAVE and REPLICATION CLIENT.
    #[schemars(title = "User", extend("order" = 4))]
    pub username: String,

    /// Password of the user.
    #[serde(default)]
    #[schemars(title = "Password", extend("order" = 5, "always_show" = true))]
    pub password: Option<SecretString>,

    /// Database whose tables are read.
    #[schemars(title = "Database", length(min = 1), extend("order" = 6, "always_show" = true))]
    pub database: String,

    /// Tables to offer; all tables of the database if there is no filter.
    #[serde(default)]
    #[schemars(title = "Table Filters", extend("order" = 7))]
    pub table_filters: Option<Vec<TableFilter>>,

    /// Settings of the JDBC driver, `key=value` pairs separated by `&`. Used are `connectTimeout` (milliseconds) and
    /// `sessionVariables`; the others have no meaning here.
    #[serde(default)]
    #[schemars(title = "JDBC URL Params", example = "sessionVariables=sort_buffer_size=1048576", extend("order" = 8))]
    pub jdbc_url_params: Option<String>,

    /// How the connection is encrypted.
    #[serde(default)]
    #[schemars(title = "Encryption", extend("order" = 9))]
    pub ssl_mode: SslMode,

    /// Whether to go through an SSH server, and how to log in there.
    #[serde(default)]
    #[schemars(title = "SSH Tunnel Method", extend("order" = 10))]
    pub tunnel_method: TunnelMethod,

    /// How changes are found after the first sync.
    #[serde(default)]
    #[schemars(title = "Update Method", extend("order" = 11, "display_type" = "radio"))]
    pub replication_method: ReplicationMethod,

    /// How often a stream should save its state, in seconds.
    #[serde(default = "default_checkpoint_interval")]
    #[schemars(title = "Checkpoint Target Time Interval", range(min = 1), extend("order" = 12))]
    pub checkpoint_target_interval_seconds: Option<u32>,

    /// Older name of `max_db_connections`.
    #[serde(default)]
    #[schemars(title = "Concurrency", range(min = 1), extend("order" = 13, "airbyte_hidden" = true))]
    pub concurrency: Option<u32>,

    /// Tables that are read at the same time, each over a connection of its own. By default as many as the machine has processors.
    #[serde(default)]
    #[schemars(title = "Max Concurrent Queries to Database", range(min = 1), extend("order" = 14))]
    pub max_db_connections: Option<u32>,

    /// Whether discovery tries every table and leaves out those that can't be read. In databases of very many tables this takes long.
    #[serde(default = "default_true")]
    #[schemars(title = "Check Table and Column Access Privileges", extend("order" = 15))]
    pub check_privileges: Option<bool>,
}

fn default_port() -> u16 {
    3306
}

fn default_checkpoint_interval() -> Option<u32> {
    Some(300)
}

fn default_true() -> Option<bool> {
    Some(true)
}

fn default_load_timeout() -> Option<u32> {
    Some(8)
}

/// Tables of one database.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(inline)]
#[non_exhaustive]
pub struct TableFilter {
    /// Name of the database, the same as in the field "Database".
    #[schemars(title = "Database Name", extend("order" = 1, "always_show" = true))]
    pub database_name: String,
    /// Patterns of table names, as in SQL's LIKE.
    #[schemars(title = "Table Filter Patterns", length(min = 1), extend("order" = 2, "always_show" = true))]
    pub table_name_patterns: Vec<String>,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "mode", rename_all = "snake_case")]
#[schemars(inline)]
#[non_exhaustive]
pub enum SslMode {
    /// Encrypts when the server can; trusts every server.
    #[schemars(title = "preferred")]
    Preferred {},
    /// Always encrypts; trusts every server.
    #[schemars(title = "required")]
    Required {},
    /// Always encrypts; the server's certificate must be signed by the given authority.
    #[schemars(title = "verify_ca")]
    VerifyCa(Trust),
    /// Always encrypts; the certificate must also be for the host name.
    #[schemars(title = "verify_identity")]
    VerifyIdentity(Trust),
}

impl Default for SslMode {
    fn default() -> Self {
        Self::Required {}
    }
}

/// How changes are found after the first sync.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "method")]
#[schemars(inline)]
#[non_exhaustive]
pub enum ReplicationMethod {
    /// By a cursor column that the user chooses for each stream.
    #[serde(rename = "STANDARD")]
    #[schemars(title = "Scan Changes with User Defined Cursor")]
    Standard {},
    /// By the server's binary log: inserts, updates and deletes.
    #[serde(rename = "CDC")]
    #[schemars(title = "Read Changes using Change Data Capture (CDC)")]
    Cdc {
        /// Time zone of the server. Not needed: the log holds instants in UTC, and local times of no zone.
        #[serde(default)]
        #[schemars(title = "Configured server timezone for the MySQL source (Advanced)", extend("order" = 1))]
        server_timezone: Option<String>,
        /// What to do when the server no longer has the part of the log to go on from.
        #[serde(default)]
        #[schemars(title = "Invalid CDC Position Behavior (Advanced)", extend("order" = 2))]
        invalid_cdc_cursor_position_behavior: InvalidPosition,
        /// After this many hours the first load of the tables is interrupted, changes are read, and the next sync goes on with it.
        #[serde(default = "default_load_timeout")]
        #[schemars(title = "Initial Load Timeout in Hours (Advanced)", range(min = 4, max = 24), extend("order" = 3))]
        initial_load_timeout_hours: Option<u32>,
    },
}

impl Default for ReplicationMethod {
    fn default() -> Self {
        Self::Standard {}
    }
}

/// What to do when the server no longer has the part of the log to go on from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
#[non_exhaustive]
pub enum InvalidPosition {
    /// Fail, and ask for a refresh.
    #[default]
    #[serde(rename = "Fail sync")]
    Fail,
    /// Read all tables again.
    #[serde(rename = "Re-sync data")]
    Resync,
}

/// What is used of the JDBC settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JdbcParams {
    pub(crate) connect_timeout_ms: Option<u64>,
    pub(crate) variables: Vec<String>,
}

impl MySqlConfig {
    pub(crate) fn encryption(&self) -> Result<Encryption> {
        match &self.ssl_mode {
            SslMode::Preferred {} => Encryption::preferred(),
            SslMode::Required {} => Encryption::required(Verify::Nothing, &Trust::default()),
            SslMode::VerifyCa(trust) => Encryption::required(Verify::Authority, trust),
            SslMode::VerifyIdentity(trust) => Encryption::required(Verify::AuthorityAndHost, trust),
        }
    }

    /// Patterns of the tables to offer.
    pub(crate) fn patterns(&self) -> Result<Vec<String>> {
        let filters = self.table_filters.as_deref().unwrap_or_default();
        let foreign = filters
            .iter()
            .find(|filter| filter.database_name != self.database);
        match foreign {
            Some(foreign) => Err(ConnectorError::config(format!(
                "`table_filters` has a filter for database `{}`, but `database` is `{}`. Make them the same.",
                foreign.database_name, self.database
            ))),
            None => Ok(filters
                .iter()
                .flat_map(|filter| filter.table_name_patterns.clone())
                .collect()),
        }
    }

    pub(crate) fn jdbc_params(&self) -> Result<JdbcParams> {
        let mut params = JdbcParams::default();
        let text = self.jdbc_url_params.as_deref().unwrap_or_default();
        for pair in text.split('&').filter(|pair| !pair.trim().is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8_lossy();
            match key.trim() {
                "connectTimeout" => params.connect_timeout_ms = Some(milliseconds(&value)?),
                "sessionVariables" => {
                    params.variables.extend(
                        value
                            .split([',', ';'])
                            .map(str::trim)
                            .filter(|one| !one.is_empty())
                            .map(str::to_owned),
                    );
                }
                other => tracing::warn!(
                    "`jdbc_url_params` sets {other}, which has no meaning for this connector."
                ),
            }
        }
        Ok(params)
    }
}

fn milliseconds(value: &str) -> Result<u64> {
    value.trim().parse().map_err(|error| {
        ConnectorError::config(
            "`connectTimeout` in `jdbc_url_params` is not a number of milliseconds.",
        )
        .caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(mut config: serde_json::Value) -> MySqlConfig {
        for (key, value) in [("host", "h"), ("username", "u"), ("database", "shop")] {
            config[key] = json!(value);
        }
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn the_smallest_config_encrypts_and_checks_access() {
        let config = config(json!({}));
        assert_eq!(config.port, 3306);
        assert_eq!(config.ssl_mode, SslMode::Required {});
        assert_eq!(config.check_privileges, Some(true));
        assert_eq!(config.replication_method, ReplicationMethod::Standard {});
    }

    #[test]
    fn jdbc_settings_that_matter_are_read() {
        let text = "useSSL=true&connectTimeout=1500&sessionVariables=a=1,b=%27x%27";
        let params = config(json!({"jdbc_url_params": text}))
            .jdbc_params()
            .unwrap();
        let variables = vec!["a=1".to_owned(), "b='x'".to_owned()];
        assert_eq!(
            params,
            JdbcParams {
                connect_timeout_ms: Some(1500),
                variables
            }
        );
        assert!(
            config(json!({"jdbc_url_params": "connectTimeout=soon"}))
                .jdbc_params()
                .is_err()
        );
    }

    #[test]
    fn a_filter_of_another_database_is_refused() {
        let filter = |database: &str| json!({"table_filters": [{"database_name": database, "table_name_patterns": ["a%"]}]});
        assert_eq!(config(filter("shop")).patterns().unwrap(), ["a%"]);
        let error = config(filter("other")).patterns().unwrap_err();
        assert!(error.message().contains("`other`"), "{error}");
    }
}
