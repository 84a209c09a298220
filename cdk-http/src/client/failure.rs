//! What the user is told when a request fails for good.

use airbyte_protocol::FailureType;
use cdk_core::{ConnectorError, RetryStatus};
use reqwest::StatusCode;

use super::HttpClient;
use crate::errors::{Attempt, Resolution, ResponseAction};
use crate::request::Request;
use crate::transport::{TransportError, TransportErrorKind as Kind};

pub(super) struct Failure<'a> {
    pub(super) client: &'a HttpClient,
    pub(super) request: &'a Request,
    pub(super) attempt: &'a Attempt<'a>,
    pub(super) resolution: &'a Resolution,
}

impl Failure<'_> {
    /// The error of an answer that is not tried again.
    pub(super) fn error(&self) -> ConnectorError {
        let advice = match &self.resolution.message {
            Some(message) => message.clone(),
            None => self.advice().to_owned(),
        };
        let text = format!("{} {advice}", self.what_happened());
        self.finish(self.resolution.failure_type, text)
            .with_retry(RetryStatus::Permanent)
    }

    /// The error after the last try.
    pub(super) fn exhausted(&self, tries: u32) -> ConnectorError {
        let is_limit = self.resolution.action == ResponseAction::RateLimited;
        let failure_type = match is_limit {
            true => FailureType::TransientError,
            false => self.resolution.failure_type,
        };
        let advice = match &self.resolution.message {
            Some(message) => message.as_str(),
            None if is_limit => {
                "API rate limit exceeded: run the sync again later, or lower its concurrency."
            }
            None => self.advice(),
        };
        let text = format!("{} {tries} tries were made. {advice}", self.what_happened());
        self.finish(failure_type, text)
            .with_retry(RetryStatus::Persistent)
    }

    /// The error of a strategy, with the place named.
    pub(super) fn named(&self, error: ConnectorError) -> ConnectorError {
        let text = format!("{} {}", self.what_happened(), error.message());
        self.finish(error.failure_type(), text)
            .with_retry(error.retry())
            .caused_by(error)
    }

    /// Stream, request, status and the API's own words.
    pub(super) fn what_happened(&self) -> String {
        let stream = match &self.client.stream {
            Some(stream) => format!("Stream {stream}: "),
            None => String::new(),
        };
        let request = self.request.display();
        match self.attempt {
            Attempt::Failed(error) => format!("{stream}{request} failed: {error}."),
            Attempt::Answered(answer) => {
                let words = match answer.api_message() {
                    Some(words) => format!(": {}", words.trim_end_matches('.')),
                    None => String::new(),
                };
                // A message may repeat what it was sent.
                let words = self.client.context.secrets().mask(&words).into_owned();
                format!("{stream}{request} answered {}{words}.", answer.status)
            }
        }
    }

    fn advice(&self) -> &'static str {
        match self.attempt {
            Attempt::Failed(error) => advice_of_transport(error),
            Attempt::Answered(answer) => advice_of_status(answer.status),
        }
    }

    fn finish(&self, failure_type: FailureType, text: String) -> ConnectorError {
        let mut error = ConnectorError::new(failure_type, text);
        if let Some(stream) = &self.client.stream {
            error = error.with_stream(stream);
        }
        match self.attempt {
            Attempt::Failed(cause) => error.with_internal(technical(cause)),
            Attempt::Answered(_) => error,
        }
    }
}

/// The causes of a failed exchange; they name no URL.
fn technical(error: &TransportError) -> String {
    let mut text = String::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let part = cause.to_string();
        if !text.contains(&part) {
            let separator = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{separator}{part}");
        }
        next = cause.source();
    }
    text
}

fn advice_of_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "Check the credentials in the config.",
        403 => "Check that the credentials may read this, and that they have the scopes it needs.",
        404 | 405 => {
            "Check the URL in the config; if it is right, the API or the connector has changed."
        }
        429 => "Run the sync again later.",
        400..=499 => "The API does not accept the request: check the config.",
        500..=599 => "The server fails: run the sync again later.",
        _ => "The connector can't read this answer.",
    }
}

fn advice_of_transport(error: &TransportError) -> &'static str {
    match error.kind() {
        Kind::Dns => "Check the spelling of the host, and the network.",
        Kind::Connect => "Check host, port, network and proxy.",
        Kind::Certificate => {
            "Install the certificate of its authority on the machine that runs the connector, or name it in \
             SSL_CERT_FILE or REQUESTS_CA_BUNDLE."
        }
        Kind::Tls => "Check the port, and whether the URL should start with http://.",
        Kind::Redirect => "Use the URL that it leads to in the end.",
        Kind::Request => "Check the URL, the headers and the parameters in the config.",
        Kind::Timeout | Kind::Body | Kind::Other => "Run the sync again later.",
    }
}
