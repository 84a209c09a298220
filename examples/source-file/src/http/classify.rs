//! Who must act on a failed transfer.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use cdk_core::ConnectorError;
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};

use crate::http::Failure;

/// A response that is not the file.
pub(super) fn status(response: &Response, file: &str) -> Failure {
    let status = response.status();
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
    let seconds = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let retry_after = seconds.and_then(|seconds| seconds.trim().parse().ok());
    Failure {
        error,
        retry_after: retry_after.map(Duration::from_secs),
    }
}

/// No response, or one that broke off.
pub(super) fn transport(error: reqwest::Error, file: &str) -> ConnectorError {
    let classified = if error.is_redirect() {
        ConnectorError::config(format!(
            "{file} redirects in a circle, more than ten times, or from https to an unprotected \
             address. Use the URL of the file itself."
        ))
    } else if let Some(tls) = find_tls(&error) {
        match tls {
            rustls::Error::InvalidCertificate(_) => ConnectorError::config(format!(
                "The certificate of the server of {file} is not trusted. Install its authority's \
                 certificate on the machine that runs the connector."
            )),
            _ => ConnectorError::config(format!(
                "No encrypted connection to the server of {file} could be made. Check the port, and \
                 whether the URL should start with http://."
            )),
        }
    } else if error.is_timeout() {
        ConnectorError::transient(format!("The server of {file} did not answer in time."))
    } else if is_unresolved(&error) {
        ConnectorError::transient(format!(
            "The host name in {file} could not be found. Check its spelling, and the network."
        ))
    } else if error.is_connect() {
        ConnectorError::transient(format!(
            "No connection to the server of {file} could be made. Check host, port and network."
        ))
    } else {
        ConnectorError::transient(format!("The transfer of {file} broke off."))
    };
    // The URL in the error's text would show what our own display leaves out.
    classified.caused_by(error.without_url())
}

/// The errors below `error`, also those that an [`io::Error`] wraps without naming them its source.
fn chain<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let first: &'a (dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |error| {
        let error: &'a (dyn StdError + 'static) = *error;
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        wrapped
            .map(|inner| inner as &(dyn StdError + 'static))
            .or_else(|| error.source())
    })
}

fn find_tls(error: &reqwest::Error) -> Option<&rustls::Error> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

/// The resolver's error has no type of its own.
fn is_unresolved(error: &reqwest::Error) -> bool {
    chain(error).any(|cause| cause.to_string().starts_with("dns error"))
}
