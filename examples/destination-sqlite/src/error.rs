//! What an SQLite error means for the user.

use airbyte_protocol::FailureType::{self, ConfigError, SystemError, TransientError};
use cdk_core::{ConnectorError, Result};
use rusqlite::ErrorCode;

/// Turns an SQLite error into one that says who has to act.
pub(crate) trait SqliteContext<T> {
    /// `doing` completes "could not …" and names the table or file.
    fn sqlite(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> SqliteContext<T> for rusqlite::Result<T> {
    fn sqlite(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| explained(error, &doing()))
    }
}

/// The error of one that happened while `doing`, see [`SqliteContext::sqlite`].
pub(crate) fn explained(error: rusqlite::Error, doing: &str) -> ConnectorError {
    let (failure_type, advice) = advice(error.sqlite_error_code());
    let text = format!("SQLite could not {doing}. {advice}");
    ConnectorError::new(failure_type, text).caused_by(error)
}

/// Who has to act, and how. Result codes: <https://sqlite.org/rescode.html>.
fn advice(code: Option<ErrorCode>) -> (FailureType, &'static str) {
    match code {
        Some(ErrorCode::DiskFull) => (
            ConfigError,
            "The disk is full: free space and run the sync again. What was committed is safe.",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            TransientError,
            "Another program holds the database's lock: end it, or raise `lock_timeout_seconds`, and \
             run the sync again.",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (
            ConfigError,
            "The file or its directory is read-only: let this user write to both, or set another `path`.",
        ),
        Some(ErrorCode::CannotOpen) => (
            ConfigError,
            "The file can't be opened: check that `path` is a file in an existing directory that this \
             user may write to.",
        ),
        Some(ErrorCode::NotADatabase) => (
            ConfigError,
            "The file is not an SQLite database: set `path` to another file.",
        ),
        Some(ErrorCode::DatabaseCorrupt) => (
            ConfigError,
            "The database file is damaged: restore it from a backup, or set `path` to a new file.",
        ),
        Some(ErrorCode::TooBig) => (
            ConfigError,
            "A value is larger than SQLite allows (1 GB): leave the field out.",
        ),
        Some(ErrorCode::SystemIoFailure) => (
            TransientError,
            "The disk reported an error: check it, then run the sync again. What was committed is safe.",
        ),
        Some(ErrorCode::OutOfMemory) => (TransientError, "There is not enough memory left."),
        _ => (
            SystemError,
            "This is a bug, or a failure that nobody has classified yet.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn every_known_code_has_its_failure_type_and_remedy() {
        let cases = [
            (ffi::SQLITE_FULL, ConfigError, "free space"),
            (ffi::SQLITE_BUSY, TransientError, "lock_timeout_seconds"),
            (ffi::SQLITE_LOCKED, TransientError, "lock_timeout_seconds"),
            (ffi::SQLITE_READONLY, ConfigError, "read-only"),
            (ffi::SQLITE_PERM, ConfigError, "read-only"),
            (ffi::SQLITE_CANTOPEN, ConfigError, "`path`"),
            (ffi::SQLITE_NOTADB, ConfigError, "not an SQLite database"),
            (ffi::SQLITE_CORRUPT, ConfigError, "restore"),
            (ffi::SQLITE_TOOBIG, ConfigError, "1 GB"),
            (ffi::SQLITE_IOERR, TransientError, "run the sync again"),
            (ffi::SQLITE_NOMEM, TransientError, "memory"),
            (ffi::SQLITE_MISUSE, SystemError, "bug"),
        ];
        for (code, failure_type, remedy) in cases {
            let failed: rusqlite::Result<()> =
                Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            let error = failed
                .sqlite(|| "write to table `t`".to_owned())
                .unwrap_err();
            assert_eq!(error.failure_type(), failure_type, "{error}");
            assert!(error.message().contains(remedy), "{error}");
            assert!(error.message().contains("table `t`"), "{error}");
        }
    }
}
