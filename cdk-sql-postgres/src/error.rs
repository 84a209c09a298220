//! What went wrong, and who has to act: SQLSTATE and I/O causes as connector errors.

use std::fmt;
use std::io;

use airbyte_protocol::FailureType;
use cdk_core::ConnectorError;

/// An error that the server reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerError {
    /// `ERROR`, `FATAL` or `PANIC`.
    pub severity: String,
    /// SQLSTATE, five characters.
    pub code: String,
    /// The primary message. Details are left out: they may quote row values.
    pub message: String,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity, self.code, self.message)
    }
}

impl std::error::Error for ServerError {}

impl ServerError {
    /// Reads the body of an ErrorResponse or NoticeResponse: fields of one type byte and text, each ended by NUL.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut error = Self::default();
        for field in body.split(|byte| *byte == 0) {
            let Some((kind, text)) = field.split_first() else {
                continue;
            };
            let text = String::from_utf8_lossy(text).into_owned();
            match kind {
                // The severity that is not translated, since 9.6, wins over the older field.
                b'V' => error.severity = text,
                b'S' if error.severity.is_empty() => error.severity = text,
                b'C' => error.code = text,
                b'M' => error.message = text,
                _ => {}
            }
        }
        error
    }

    /// The connector error of a failure while `doing` something, such as "reading table a.b".
    pub fn during(self, doing: &str) -> ConnectorError {
        let (kind, advice) = classify(&self.code);
        let text = match advice {
            "" => format!(
                "PostgreSQL reported an error while {doing} (SQLSTATE {}).",
                self.code
            ),
            advice => format!("PostgreSQL refused or ended the work while {doing}: {advice}"),
        };
        ConnectorError::new(kind, text).caused_by(self)
    }
}

use FailureType::{ConfigError, SystemError, TransientError};

/// SQLSTATE, or its class of two characters, with what it means for the user. The first that fits counts.
const STATES: &[(&str, FailureType, &str)] = &[
    (
        "28P01",
        ConfigError,
        "the password is wrong. Check `username` and `password`.",
    ),
    (
        "28",
        ConfigError,
        "the server does not let this user in. Check `username`, `password`, and the rules for this \
        user, database and address in the server's pg_hba.conf.",
    ),
    (
        "3D",
        ConfigError,
        "the database does not exist. Check `database`.",
    ),
    (
        "3F",
        ConfigError,
        "the schema does not exist. Check `schemas`.",
    ),
    (
        "42501",
        ConfigError,
        "the user lacks a right. Grant it, for tables with GRANT USAGE ON SCHEMA and GRANT SELECT.",
    ),
    (
        "42P01",
        ConfigError,
        "the table does not exist any more. Refresh the schema of the source.",
    ),
    (
        "42703",
        ConfigError,
        "a column does not exist any more. Refresh the schema of the source.",
    ),
    (
        "42704",
        ConfigError,
        "an object (such as a publication or replication slot) does not exist. Create it or check its name.",
    ),
    ("42", SystemError, ""),
    (
        "53300",
        TransientError,
        "the server has no connection free. Allow more, or lower the source's concurrency.",
    ),
    (
        "53400",
        ConfigError,
        "a limit in the server's configuration is reached, such as max_replication_slots. Raise it.",
    ),
    (
        "53",
        TransientError,
        "the server is out of memory, disk or connections.",
    ),
    (
        "55006",
        TransientError,
        "the object is in use, a replication slot perhaps by another sync. Only one reader may use a slot.",
    ),
    (
        "55000",
        ConfigError,
        "the server is not in the state this needs. The cause says more.",
    ),
    ("55P03", TransientError, "a lock was not free in time."),
    (
        "57014",
        TransientError,
        "the statement was cancelled, by its time limit or by an administrator. If the limit is too short, \
        raise it for this user: ALTER ROLE … SET statement_timeout = 0.",
    ),
    (
        "57P",
        TransientError,
        "the server is shutting down, restarting or was told to end the connection.",
    ),
    (
        "25006",
        ConfigError,
        "the server takes no writes: it is a read replica or the session is read-only.",
    ),
    (
        "40001",
        TransientError,
        "on this replica, applying the primary's changes takes precedence over long queries. Raise \
        max_standby_streaming_delay or set hot_standby_feedback = on.",
    ),
    (
        "40",
        TransientError,
        "the transaction collided with another one.",
    ),
    ("08", TransientError, "the connection broke."),
    (
        "58",
        TransientError,
        "the server has trouble with its disk.",
    ),
    (
        "XX001",
        ConfigError,
        "the server found damaged data. An administrator has to look at its log.",
    ),
    (
        "XX002",
        ConfigError,
        "the server found a damaged index. An administrator has to rebuild it.",
    ),
];

fn classify(code: &str) -> (FailureType, &'static str) {
    STATES
        .iter()
        .find(|(prefix, _, _)| code.starts_with(prefix))
        .map_or((SystemError, ""), |(_, kind, advice)| (*kind, *advice))
}

/// The connector error of an error of `tokio-postgres` while `doing` something.
pub fn client_error(error: tokio_postgres::Error, doing: &str) -> ConnectorError {
    match error.as_db_error() {
        Some(reported) => ServerError {
            severity: reported.severity().to_owned(),
            code: reported.code().code().to_owned(),
            message: reported.message().to_owned(),
        }
        .during(doing),
        None => {
            ConnectorError::transient(format!("The connection to PostgreSQL broke while {doing}."))
                .caused_by(error)
        }
    }
}

/// The connector error of a connection that broke while `doing` something.
pub(crate) fn broken(error: io::Error, doing: &str) -> ConnectorError {
    ConnectorError::transient(format!("The connection to PostgreSQL broke while {doing}."))
        .caused_by(error)
}

/// The server sent what the protocol does not allow here.
pub(crate) fn unexpected(what: &str) -> ConnectorError {
    ConnectorError::system("PostgreSQL sent a message that this connector does not understand.")
        .with_internal(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_classified_by_the_first_prefix_that_fits() {
        for (code, kind) in [
            ("28P01", ConfigError),
            ("28000", ConfigError),
            ("3D000", ConfigError),
            ("42501", ConfigError),
            ("42601", SystemError),
            ("53300", TransientError),
            ("57P01", TransientError),
            ("57P03", TransientError),
            ("57014", TransientError),
            ("40001", TransientError),
            ("55006", TransientError),
            ("22012", SystemError),
        ] {
            assert_eq!(classify(code).0, kind, "{code}");
        }
    }

    #[test]
    fn fields_of_an_error_are_read_and_details_left_out() {
        let body = b"SFEHLER\0VERROR\0C42P01\0Mrelation \"a\" does not exist\0Dsecret row\0\0";
        let error = ServerError::parse(body);
        assert_eq!(
            error.to_string(),
            "ERROR 42P01: relation \"a\" does not exist"
        );
        let error = error.during("reading table a");
        assert!(error.message().contains("Refresh the schema"), "{error}");
    }
}
