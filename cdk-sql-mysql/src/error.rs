//! What failures mean for the user: one table of the server's errors.

use std::io::ErrorKind;

use airbyte_protocol::{FailureType, StreamDescriptor};
use cdk_core::ConnectorError;

use crate::wire::Failure;

/// Where something failed.
#[derive(Debug, Clone)]
pub enum Place {
    /// At the server with this address.
    Server(String),
    /// Reading a table.
    Table(StreamDescriptor),
    /// Following the binary log.
    Log,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server(address) => write!(f, "The server {address}"),
            Self::Table(stream) => write!(f, "Stream {stream}"),
            Self::Log => f.write_str("The binary log"),
        }
    }
}

use FailureType::{ConfigError, TransientError};

/// Error number, who must act, and what to tell them. The server's own text follows as the cause.
const MEANINGS: &[(u16, FailureType, &str)] = &[
    (
        1040,
        TransientError,
        "the server has no connection left. Raise `max_connections`, or run fewer syncs at once",
    ),
    (
        1042,
        ConfigError,
        "the server can't resolve the name of this machine, which it wants to know",
    ),
    (
        1044,
        ConfigError,
        "the user has no right to the database. Grant SELECT on it, or check `database`",
    ),
    (
        1045,
        ConfigError,
        "the login was refused. Check `username` and `password`, and that the account may log in from this machine",
    ),
    (
        1698,
        ConfigError,
        "the login was refused. Check `username` and `password`, and that the account may log in with a password",
    ),
    (
        1049,
        ConfigError,
        "there is no such database. Check `database`",
    ),
    (1053, TransientError, "the server is shutting down"),
    (
        1054,
        ConfigError,
        "a column of the catalog is not there any more. Refresh the schema",
    ),
    (
        1129,
        ConfigError,
        "the server blocks this machine after too many failed connections. Run FLUSH HOSTS there",
    ),
    (
        1130,
        ConfigError,
        "the server takes no connections from this machine. Create the account for its address, as in 'user'@'%'",
    ),
    (1142, ConfigError, "the user may not read it. Grant SELECT"),
    (
        1143,
        ConfigError,
        "the user may not read one of its columns. Grant SELECT on the table",
    ),
    (
        1146,
        ConfigError,
        "the table is not there any more. Refresh the schema",
    ),
    (1152, TransientError, "the server broke the connection"),
    (1158, TransientError, "the server lost the connection"),
    (
        1159,
        TransientError,
        "the server waited too long for this machine",
    ),
    (1160, TransientError, "the server lost the connection"),
    (
        1161,
        TransientError,
        "the server waited too long for this machine",
    ),
    (1184, TransientError, "the server broke the connection"),
    (
        1203,
        TransientError,
        "the user has no connection left. Raise `max_user_connections`, or run fewer syncs at once",
    ),
    (1205, TransientError, "a lock was not released in time"),
    (
        1213,
        TransientError,
        "the server ended the statement to resolve a deadlock",
    ),
    (
        1226,
        TransientError,
        "the user has used up what the server allows in a time",
    ),
    (
        1227,
        ConfigError,
        "the user lacks a right. The server's text names it",
    ),
    (
        1251,
        ConfigError,
        "the account logs in with a method of old servers. Change its authentication plugin",
    ),
    (
        1290,
        ConfigError,
        "an option of the server forbids it. The server's text names the option",
    ),
    (1317, TransientError, "somebody ended the statement"),
    (
        1356,
        ConfigError,
        "the view does not work: something it selects is missing, or its definer may not read it. Mend the view or take it out",
    ),
    (
        1381,
        ConfigError,
        "the server writes no binary log. Start it with `log_bin`, or choose another update method",
    ),
    (
        1412,
        TransientError,
        "the table was changed while it was read",
    ),
    (1820, ConfigError, "the password has expired. Set a new one"),
    (1862, ConfigError, "the password has expired. Set a new one"),
    (1927, TransientError, "somebody ended the connection"),
    (
        1969,
        TransientError,
        "the statement took longer than the server allows",
    ),
    (
        3024,
        TransientError,
        "the statement took longer than the server allows",
    ),
    (3118, ConfigError, "the account is locked. Unlock it"),
    (
        3159,
        ConfigError,
        "the server takes only encrypted connections. Set the SSL mode to `required`",
    ),
    (4151, ConfigError, "the account is locked. Unlock it"),
];

/// The error for the user. What the server said is its cause.
pub fn explain(failure: Failure, place: &Place) -> ConnectorError {
    let (kind, meaning) = match &failure {
        Failure::Server(error) => match MEANINGS.iter().find(|(code, ..)| *code == error.code) {
            Some((_, kind, meaning)) => (*kind, (*meaning).to_owned()),
            None => (FailureType::SystemError, format!("the server answered with error {}", error.code)),
        },
        Failure::NoTls => (ConfigError, "the server does not offer TLS. Set it up there, or set the SSL mode to `preferred`".to_owned()),
        Failure::NeedsEncryption => (
            ConfigError,
            "the account's way to log in needs an encrypted connection. Set up TLS at the server, and the SSL mode to `required`".to_owned(),
        ),
        Failure::Plugin(name) => (
            ConfigError,
            format!("the account logs in with `{name}`, which is not supported. Give it another authentication plugin"),
        ),
        Failure::Tls(error) => tls(error),
        Failure::Io(error) => match error.kind() {
            ErrorKind::FileTooLarge => (
                ConfigError,
                "a row has more than 256 MiB. Take its largest column out of the stream".to_owned(),
            ),
            ErrorKind::InvalidData => (FailureType::SystemError, "the server's answer can't be read".to_owned()),
            _ => (TransientError, "the connection broke".to_owned()),
        },
    };
    let error = ConnectorError::new(kind, format!("{place}: {meaning}.")).caused_by(failure);
    match place {
        Place::Table(stream) => error.with_stream(stream),
        _ => error,
    }
}

fn tls(error: &std::io::Error) -> (FailureType, String) {
    let cause = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(cause)) => (
            ConfigError,
            format!(
                "its certificate is not accepted ({cause}). Check `ca_certificate`, and that the certificate is made for this host"
            ),
        ),
        Some(rustls::Error::AlertReceived(alert)) => (
            ConfigError,
            format!(
                "it ends the TLS handshake ({alert:?}). Check `client_certificate` and `client_key`"
            ),
        ),
        Some(_) => (ConfigError, "TLS can't be agreed on with it".to_owned()),
        None => (
            TransientError,
            "the connection broke during the TLS handshake".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ServerError;

    fn server(code: u16) -> Failure {
        Failure::Server(ServerError {
            code,
            state: "HY000".to_owned(),
            message: "x".to_owned(),
        })
    }

    #[test]
    fn every_row_of_the_table_is_found_and_says_who_must_act() {
        for (code, kind, meaning) in MEANINGS {
            let error = explain(server(*code), &Place::Server("db:3306".to_owned()));
            assert_eq!(error.failure_type(), *kind, "{code}");
            assert_eq!(error.message(), format!("The server db:3306: {meaning}."));
            assert_eq!(
                error.internal_message().unwrap(),
                format!("ERROR {code} (HY000): x")
            );
        }
    }

    #[test]
    fn numbers_stand_in_the_table_once() {
        let mut codes: Vec<_> = MEANINGS.iter().map(|(code, ..)| code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), MEANINGS.len());
    }

    #[test]
    fn an_unknown_error_is_a_system_error_that_keeps_the_text() {
        let stream = StreamDescriptor::new("t");
        let error = explain(server(9999), &Place::Table(stream.clone()));
        assert_eq!(error.failure_type(), FailureType::SystemError);
        assert_eq!(error.stream(), Some(&stream));
    }
}
