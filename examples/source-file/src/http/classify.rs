//! Who must act on a failed transfer.

use std::error::Error;
use std::time::Duration;

use cdk_core::ConnectorError;
use cdk_http::transport::TransportErrorKind as Kind;
use cdk_http::{Response, StatusCode, TransportError};

use crate::http::Failure;

/// A response that is not the file.
pub(super) fn status(response: &Response, file: &str) -> Failure {
    let status = response.status;
    let error = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ConnectorError::config(format!(
            "The server refuses access to {file} ({status}). Check user and password in the URL, or \
             whether a signed link has expired."
        )),
        StatusCode::NOT_FOUND | StatusCode::GONE => ConnectorError::config(format!(
            "There is no file at {file} ({status}). Check the URL."
        )),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => ConnectorError::transient(
            format!("The server of {file} asks to come back later ({status})."),
        ),
        _ if status.is_server_error() => ConnectorError::transient(format!(
            "The server of {file} failed ({status}). Run the sync again later."
        )),
        _ => ConnectorError::config(format!(
            "The server answers {status} instead of sending {file}. Check the URL."
        )),
    };
    let seconds = response.header("retry-after");
    let retry_after = seconds.and_then(|seconds| seconds.trim().parse().ok());
    Failure {
        error,
        retry_after: retry_after.map(Duration::from_secs),
    }
}

/// No response, or one that broke off.
pub(super) fn transport(error: &TransportError, file: &str) -> ConnectorError {
    let classified = match error.kind() {
        Kind::Redirect => ConnectorError::config(format!(
            "{file} redirects in a circle, more than ten times, or from https to an unprotected \
             address. Use the URL of the file itself."
        )),
        Kind::Certificate => ConnectorError::config(format!(
            "The certificate of the server of {file} is not trusted. Install its authority's \
             certificate on the machine that runs the connector, or name it in SSL_CERT_FILE or REQUESTS_CA_BUNDLE."
        )),
        Kind::Tls => ConnectorError::config(format!(
            "No encrypted connection to the server of {file} could be made. Check the port, and \
             whether the URL should start with http://."
        )),
        Kind::Timeout => {
            ConnectorError::transient(format!("The server of {file} did not answer in time."))
        }
        Kind::Dns => ConnectorError::transient(format!(
            "The host name in {file} could not be found. Check its spelling, and the network."
        )),
        Kind::Connect => ConnectorError::transient(format!(
            "No connection to the server of {file} could be made. Check host, port, network and proxy."
        )),
        _ => ConnectorError::transient(format!("The transfer of {file} broke off.")),
    };
    // The transport's errors name no URL.
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    classified.with_internal(causes.join(": "))
}
