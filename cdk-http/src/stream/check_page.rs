//! Pages that can't be what they should be: broken, failed in their body, or the same for ever.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use airbyte_protocol::{FailureType, StreamDescriptor};
use cdk_core::{ConnectorError, Result, RetryStatus};
use serde_json::Value;

use crate::client::HttpClient;
use crate::decode::{DecodeError, DecodeErrorKind as Kind};
use crate::errors::api_message;
use crate::request::Request;

/// So many pages in a row may look alike.
const MAX_ALIKE: u32 = 10;
/// So many tokens are remembered.
const MAX_TOKENS: usize = 1 << 16;

/// The error of a body that can't be decoded.
pub(super) fn undecodable(
    client: &HttpClient,
    request: &Request,
    error: &DecodeError,
) -> ConnectorError {
    let (failure_type, advice) = match error.kind() {
        Kind::WebPage => (
            FailureType::ConfigError,
            "Check the URL and the credentials in the config: this looks like a page for people.",
        ),
        Kind::Truncated => (FailureType::TransientError, "Run the sync again later."),
        Kind::Machine => (
            FailureType::TransientError,
            "Free some space in the folder of temporary files (TMPDIR).",
        ),
        _ => (
            FailureType::SystemError,
            "If the URL in the config is right, the API or the connector has changed.",
        ),
    };
    let stream = place(client.stream());
    let text = format!("{stream}{}: {error}. {advice}", request.display());
    named(ConnectorError::new(failure_type, text), client.stream())
}

/// The error of an answer that says success and holds a failure instead of records.
pub(super) fn failed_in_body(
    client: &HttpClient,
    request: &Request,
    envelope: Option<&str>,
) -> Option<ConnectorError> {
    let body: Value = serde_json::from_str(envelope?).ok()?;
    let keys = ["error", "errors", "failure", "failures"];
    let mut found = keys.iter().filter_map(|key| body.get(key));
    let failure = found.find(|value| !is_nothing(value))?;
    let words = api_message(failure.to_string().as_bytes());
    let words = words.map_or_else(
        || "no message".to_owned(),
        |words| client.context().secrets().mask(&words).into_owned(),
    );
    let stream = place(client.stream());
    let text = format!(
        "{stream}{} answered a success that holds an error: {words}. Check the config; if it is right, the API or the \
         connector has changed.",
        request.display()
    );
    Some(named(ConnectorError::system(text), client.stream()))
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Bool(true) => false,
    }
}

fn place(stream: Option<&StreamDescriptor>) -> String {
    stream.map_or_else(String::new, |stream| format!("Stream {stream}: "))
}

fn named(error: ConnectorError, stream: Option<&StreamDescriptor>) -> ConnectorError {
    match stream {
        Some(stream) => error.with_stream(stream),
        None => error,
    }
}

/// Ends a read whose pages come again and again.
#[derive(Debug, Default)]
pub(super) struct RepeatGuard {
    tokens: HashSet<u64>,
    last: Option<u64>,
    alike: u32,
}

impl RepeatGuard {
    /// Notes a page: `print` stands for its records (none for a page without), `next` for the way on.
    pub(super) fn note(
        &mut self,
        print: Option<u64>,
        next: Option<&Value>,
        has_unique_tokens: bool,
        client: &HttpClient,
        request: &Request,
    ) -> Result<()> {
        let Some(next) = next else { return Ok(()) };
        self.alike = match print {
            Some(print) if self.last == Some(print) => self.alike + 1,
            _ => 0,
        };
        self.last = print;
        if self.tokens.len() >= MAX_TOKENS {
            self.tokens.clear();
        }
        let is_known = has_unique_tokens && !self.tokens.insert(hash_of(&next.to_string()));
        if !is_known && self.alike < MAX_ALIKE {
            return Ok(());
        }
        let what = match is_known {
            true => "names a next page that it named before".to_owned(),
            false => format!("gives the same page {} times in a row", self.alike + 1),
        };
        let text = format!(
            "{}{} {what}: its pages would never end. The API ignores the way pages are asked for, or the connector has \
             it wrong.",
            place(client.stream()),
            request.display()
        );
        let error = ConnectorError::system(text).with_retry(RetryStatus::Permanent);
        Err(named(error, client.stream()))
    }
}

/// Stands for a text.
pub(super) fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
