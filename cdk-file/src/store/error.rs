//! What a failure of a store means for the user.

use std::error::Error as StdError;

use airbyte_protocol::FailureType::{self, ConfigError, SystemError, TransientError};
use cdk_core::ConnectorError;

use crate::disk;

/// The error of a store. `doing` completes "could not … <place>".
pub(crate) fn classified(doing: &str, place: &str, error: &object_store::Error) -> ConnectorError {
    let (failure_type, advice) = advice(error);
    let text = format!("Could not {doing} {place}. {advice}");
    ConnectorError::new(failure_type, text).with_internal(chain(error))
}

/// The error of a file system. `doing` completes "could not … ".
pub(super) fn of_io(doing: &str, error: std::io::Error) -> ConnectorError {
    let (failure_type, advice) = disk::advice(error.kind());
    ConnectorError::new(failure_type, format!("Could not {doing}. {advice}")).caused_by(error)
}

fn advice(error: &object_store::Error) -> (FailureType, String) {
    if let Some(code) = code(error)
        && let Some((failure_type, advice)) = of_code(&code)
    {
        return (failure_type, advice.to_owned());
    }
    let text = chain(error);
    if let Some(io) = find::<std::io::Error>(error)
        && let (failure_type @ (ConfigError | TransientError), advice) = disk::advice(io.kind())
    {
        return (failure_type, advice.to_owned());
    }
    let (failure_type, advice) = of_connection(&text).unwrap_or((
        SystemError,
        "The store reported a failure that nobody has classified yet.",
    ));
    (failure_type, advice.to_owned())
}

/// The codes of Amazon S3 and of stores like it ("Error responses" of its API reference).
fn of_code(code: &str) -> Option<(FailureType, &'static str)> {
    Some(match code {
        "NoSuchBucket" => (
            ConfigError,
            "There is no such bucket: check `s3_bucket_name`, and `s3_endpoint` if it is not Amazon's, or create it.",
        ),
        "InvalidBucketName" => (
            ConfigError,
            "No bucket can have that name: check `s3_bucket_name`.",
        ),
        "InvalidAccessKeyId" | "NotSignedUp" => (
            ConfigError,
            "The store does not know the access key: check `access_key_id`.",
        ),
        "SignatureDoesNotMatch" => (
            ConfigError,
            "The secret key does not belong to the access key: check `secret_access_key`.",
        ),
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => (
            ConfigError,
            "The session token is not valid any more: get a new one.",
        ),
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => (
            ConfigError,
            "The credentials may not do this: they need the rights to list the bucket (s3:ListBucket) and to get, \
             put and delete objects in it (s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload).",
        ),
        "PermanentRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException"
        | "IncorrectEndpoint"
        | "TemporaryRedirect" => (
            ConfigError,
            "The bucket is in another region: check `s3_bucket_region`.",
        ),
        "RequestTimeTooSkewed" => (
            ConfigError,
            "The clock of this machine is wrong by more than 15 minutes: set it.",
        ),
        "QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage" => (
            ConfigError,
            "The store is full: free space and run the sync again. What was committed is safe.",
        ),
        "SlowDown" | "ServiceUnavailable" | "InternalError" | "RequestTimeout" | "503" | "500"
        | "502" | "504" | "429" => (
            TransientError,
            "The store is overloaded or not available: run the sync again later.",
        ),
        "301" | "307" => (
            ConfigError,
            "The bucket is in another region: check `s3_bucket_region`.",
        ),
        "401" | "403" => (
            ConfigError,
            "The store refused the credentials: check `access_key_id` and `secret_access_key` and what they may do.",
        ),
        _ => return None,
    })
}

/// What the HTTP client says when there is no answer.
fn of_connection(text: &str) -> Option<(FailureType, &'static str)> {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&[
        "dns error",
        "failed to lookup address",
        "Name or service not known",
    ]) {
        return Some((
            ConfigError,
            "The host name is not known: check `s3_endpoint` and `s3_bucket_region`.",
        ));
    }
    if has(&[
        "certificate",
        "InvalidContentType",
        "corrupt message",
        "HandshakeFailure",
        "handshake",
    ]) {
        return Some((
            ConfigError,
            "The encrypted connection could not be set up: check whether `s3_endpoint` begins with http:// or \
             https://, and the server's certificate.",
        ));
    }
    if has(&["Connection refused", "connection refused"]) {
        return Some((
            TransientError,
            "Nobody answers there: check `s3_endpoint` and its port, and that the server runs.",
        ));
    }
    if has(&[
        "timed out",
        "connection closed",
        "reset by peer",
        "connection error",
        "error sending request",
        "broken pipe",
    ]) {
        return Some((
            TransientError,
            "The connection broke: run the sync again, and check `s3_endpoint` if it stays so.",
        ));
    }
    None
}

/// The store's code for the error, or else the number of the HTTP status.
pub(super) fn code(error: &object_store::Error) -> Option<String> {
    let text = chain(error);
    let code = text
        .split_once("<Code>")
        .and_then(|(_, rest)| Some(rest.split_once("</Code>")?.0));
    if let Some(code) = code {
        return Some(code.to_owned());
    }
    let status = text
        .split_once("status ")
        .map(|(_, rest)| rest.trim_start_matches("code: "))?;
    let digits: String = status.chars().take_while(char::is_ascii_digit).collect();
    (digits.len() == 3).then_some(digits)
}

/// A store answers 404 for an object as for a bucket.
pub(super) fn is_missing_bucket<T>(result: &object_store::Result<T>) -> bool {
    result.as_ref().err().and_then(code).as_deref() == Some("NoSuchBucket")
}

fn chain(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text
}

fn find<T: StdError + 'static>(error: &object_store::Error) -> Option<&T> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        source = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic {
            store: "S3",
            source: text.to_owned().into(),
        }
    }

    #[test]
    fn the_store_s_answer_says_who_has_to_act() {
        let cases = [
            (
                "status 404: <Error><Code>NoSuchBucket</Code></Error>",
                ConfigError,
                "s3_bucket_name",
            ),
            (
                "<Code>InvalidAccessKeyId</Code>",
                ConfigError,
                "access_key_id",
            ),
            (
                "<Code>SignatureDoesNotMatch</Code>",
                ConfigError,
                "secret_access_key",
            ),
            (
                "<Code>AuthorizationHeaderMalformed</Code>",
                ConfigError,
                "s3_bucket_region",
            ),
            ("<Code>AccessDenied</Code>", ConfigError, "s3:PutObject"),
            ("<Code>XMinioStorageFull</Code>", ConfigError, "full"),
            (
                "Client error with status 403 Forbidden: ",
                ConfigError,
                "credentials",
            ),
            ("Server error with status 503", TransientError, "later"),
            (
                "error sending request: dns error",
                ConfigError,
                "s3_endpoint",
            ),
            (
                "tcp connect error: Connection refused",
                TransientError,
                "port",
            ),
            (
                "received corrupt message of type InvalidContentType",
                ConfigError,
                "https://",
            ),
            ("operation timed out", TransientError, "again"),
            ("what is this", SystemError, "nobody has classified"),
        ];
        for (text, failure_type, remedy) in cases {
            let error = classified("write", "`a`", &generic(text));
            assert_eq!(error.failure_type(), failure_type, "{text}");
            assert!(error.message().contains(remedy), "{text}: {error}");
        }
    }

    #[test]
    fn a_full_disk_is_found_below_the_store() {
        let full = object_store::Error::Generic {
            store: "Local",
            source: Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull)),
        };
        let error = classified("write", "`a`", &full);
        assert_eq!(error.failure_type(), ConfigError);
        assert!(error.message().contains("free space"), "{error}");
    }
}
