//! What a failure of the file system means for the user.

use std::io::{self, ErrorKind};
use std::path::Path;

use airbyte_protocol::FailureType::{self, ConfigError, SystemError, TransientError};
use cdk_core::{ConnectorError, Result};

/// Turns a file system error into one that says who has to act.
pub(crate) trait FileContext<T> {
    /// `doing` completes "could not … <path>".
    fn file(self, doing: &str, path: &Path) -> Result<T>;
}

impl<T> FileContext<T> for io::Result<T> {
    fn file(self, doing: &str, path: &Path) -> Result<T> {
        self.map_err(|error| {
            let (failure_type, advice) = advice(error.kind());
            let text = format!("Could not {doing} {}. {advice}", path.display());
            ConnectorError::new(failure_type, text).caused_by(error)
        })
    }
}

fn advice(kind: ErrorKind) -> (FailureType, &'static str) {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => (
            ConfigError,
            "The disk is full: free space and run the sync again. What was committed is safe.",
        ),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => (
            ConfigError,
            "It may not be written: let this user write there, or set another `destination_path`.",
        ),
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists | ErrorKind::IsADirectory => (
            ConfigError,
            "Something else is in its place: remove it, or set another `destination_path`.",
        ),
        ErrorKind::NotFound => (
            ConfigError,
            "It is gone: let nobody else change `destination_path` during a sync.",
        ),
        ErrorKind::Interrupted | ErrorKind::TimedOut | ErrorKind::ResourceBusy => {
            (TransientError, "Run the sync again.")
        }
        _ => (
            SystemError,
            "The file system reported a failure that nobody has classified yet.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_kind_has_its_failure_type_and_remedy() {
        let cases = [
            (ErrorKind::StorageFull, ConfigError, "free space"),
            (ErrorKind::QuotaExceeded, ConfigError, "free space"),
            (
                ErrorKind::PermissionDenied,
                ConfigError,
                "let this user write",
            ),
            (
                ErrorKind::ReadOnlyFilesystem,
                ConfigError,
                "let this user write",
            ),
            (ErrorKind::NotADirectory, ConfigError, "remove it"),
            (ErrorKind::NotFound, ConfigError, "nobody else"),
            (ErrorKind::TimedOut, TransientError, "Run the sync again"),
            (ErrorKind::Other, SystemError, "nobody has classified"),
        ];
        for (kind, failure_type, remedy) in cases {
            let failed: io::Result<()> = Err(kind.into());
            let error = failed.file("write", Path::new("a/b")).unwrap_err();
            assert_eq!(error.failure_type(), failure_type, "{error}");
            assert!(error.message().contains(remedy), "{error}");
            assert!(error.message().contains("a/b"), "{error}");
        }
    }
}
