//! What a failure of a file system means for the user.

use std::io::ErrorKind;

use airbyte_protocol::FailureType::{self, ConfigError, SystemError, TransientError};

/// Who has to act after a failure of this kind, and what to do.
pub fn advice(kind: ErrorKind) -> (FailureType, &'static str) {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => (
            ConfigError,
            "The disk is full: free space and run the sync again. What was committed is safe.",
        ),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => (
            ConfigError,
            "It may not be written: let this user write there, or set another path.",
        ),
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists | ErrorKind::IsADirectory => (
            ConfigError,
            "Something else is in its place: remove it, or set another path.",
        ),
        ErrorKind::NotFound => (
            ConfigError,
            "It is gone: let nobody else change the destination's files during a sync.",
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
            let (found, text) = advice(kind);
            assert_eq!(found, failure_type, "{kind}");
            assert!(text.contains(remedy), "{kind}: {text}");
        }
    }
}
