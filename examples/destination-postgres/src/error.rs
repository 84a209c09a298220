//! What an error of the server means for who loads data.

use airbyte_protocol::FailureType::{self, ConfigError, TransientError};
use cdk_core::{ConnectorError, Result};
use cdk_sql_postgres::ServerError;
use cdk_sql_postgres::error::client_error;
use cdk_sql_postgres::tokio_postgres::Error;

/// Turns an error of the server or the connection into one that says who has to act.
pub(crate) trait PgContext<T> {
    /// `doing` completes "while …" and names the table.
    fn pg(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> PgContext<T> for std::result::Result<T, Error> {
    fn pg(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| explained(error, &doing()))
    }
}

/// SQLSTATE, or how it begins, with what it means when rows are written. The first that fits counts; what is not
/// here means the same as for a source.
const STATES: &[(&str, FailureType, &str)] = &[
    (
        "53100",
        ConfigError,
        "the server's disk is full. Free space and run the sync again; what was committed is safe.",
    ),
    (
        "42501",
        ConfigError,
        "the user lacks a right. It needs CREATE on the database or on the schemas (also on `raw_data_schema`), and \
         must own the tables it writes to.",
    ),
    (
        "3F",
        ConfigError,
        "the schema is gone. Somebody dropped it during the sync, or this user must not see it.",
    ),
    (
        "42P01",
        TransientError,
        "a table is gone: somebody dropped or renamed it during the sync. Run it again.",
    ),
    (
        "42P0",
        TransientError,
        "somebody else made an object of the same name at the same time. Run the sync again, and never two of the \
         same stream at once.",
    ),
    (
        "23505",
        ConfigError,
        "a unique index or constraint forbids these rows. Drop it unless the connector made it, or choose another \
         primary key for the stream.",
    ),
    (
        "23",
        ConfigError,
        "a constraint on the table forbids these rows. Drop the constraint, or mend the data at the source.",
    ),
    (
        "54011",
        ConfigError,
        "the stream has more fields than a PostgreSQL table can have columns (1600). Leave fields out.",
    ),
    (
        "54000",
        ConfigError,
        "a value is too long for an index, of the primary key perhaps. Choose another key for the stream.",
    ),
    (
        "54",
        ConfigError,
        "a limit of PostgreSQL is reached. The cause says which.",
    ),
    (
        "0A000",
        ConfigError,
        "a view or rule depends on what must change. Drop it and make it again after the sync, or set `drop_cascade`.",
    ),
    (
        "2BP01",
        ConfigError,
        "other objects depend on what must be replaced. Drop them, or set `drop_cascade`.",
    ),
    (
        "42846",
        ConfigError,
        "the column's existing values can't be converted to its new type. Rename or drop the column.",
    ),
    (
        "22",
        ConfigError,
        "existing values can't be converted to a column's new type. Rename or drop the column.",
    ),
    (
        "55P03",
        TransientError,
        "another session held a lock on the table for too long. End it, or run the sync when it is done.",
    ),
];

/// The error of one that happened while `doing`.
pub(crate) fn explained(error: Error, doing: &str) -> ConnectorError {
    let Some(reported) = error.as_db_error() else {
        return client_error(error, doing);
    };
    let code = reported.code().code();
    let Some((_, kind, advice)) = STATES
        .iter()
        .find(|(prefix, _, _)| code.starts_with(prefix))
    else {
        return client_error(error, doing);
    };
    let text = format!("PostgreSQL refused the work while {doing}: {advice}");
    // Without the details, which quote row values.
    let cause = ServerError {
        severity: reported.severity().to_owned(),
        code: code.to_owned(),
        message: reported.message().to_owned(),
    };
    ConnectorError::new(*kind, text).caused_by(cause)
}
