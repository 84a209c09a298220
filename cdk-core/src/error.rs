//! The one error of the CDK: who has to act, what the user reads, and the technical cause beside it.

use std::error::Error as StdError;
use std::fmt;

use airbyte_protocol::{
    AirbyteErrorTraceMessage, AirbyteTraceMessage, FailureType, StreamDescriptor,
};

/// Result of everything a connector does.
pub type Result<T, E = ConnectorError> = std::result::Result<T, E>;

type Cause = Box<dyn StdError + Send + Sync>;

/// Whether trying the same again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryStatus {
    /// The same call fails again.
    Permanent,
    /// The same call may work later.
    Temporary,
    /// It was temporary, and the retries of an inner layer are used up: outer layers do not retry.
    Persistent,
}

/// An error of a source, a destination or the engine.
///
/// `message` is for the user: what failed, on which stream, what to do next. The cause chain goes to
/// `internal_message`. Neither may hold secrets, row values or response bodies.
///
/// ```
/// use cdk_core::{ConnectorError, ErrorContext};
///
/// let parsed: Result<i64, _> = "abc".parse::<i64>();
/// let error = parsed.config_error("Set `port` to a number between 1 and 65535.").unwrap_err();
/// assert_eq!(error.message(), "Set `port` to a number between 1 and 65535.");
/// assert_eq!(error.internal_message().unwrap(), "invalid digit found in string");
/// ```
pub struct ConnectorError(Box<Inner>);

struct Inner {
    failure_type: FailureType,
    message: String,
    internal: Option<String>,
    stream: Option<StreamDescriptor>,
    retry: RetryStatus,
    is_stop: bool,
    cause: Option<Cause>,
}

impl ConnectorError {
    /// An error of the given type.
    pub fn new(failure_type: FailureType, message: impl Into<String>) -> Self {
        let retry = match failure_type {
            FailureType::TransientError => RetryStatus::Temporary,
            FailureType::ConfigError | FailureType::SystemError => RetryStatus::Permanent,
        };
        Self(Box::new(Inner {
            failure_type,
            message: message.into(),
            internal: None,
            stream: None,
            retry,
            is_stop: false,
            cause: None,
        }))
    }

    /// The user must change something; the same call never works.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(FailureType::ConfigError, message)
    }

    /// The same call may work later.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(FailureType::TransientError, message)
    }

    /// A bug of ours, or a failure that nobody has classified yet.
    pub fn system(message: impl Into<String>) -> Self {
        Self::new(FailureType::SystemError, message)
    }

    /// The run was asked to stop (signal, cancellation, closed output). Not a failure by itself.
    pub fn stopped() -> Self {
        let mut error = Self::transient("The run was stopped before it was complete.");
        error.0.is_stop = true;
        error
    }

    /// Adds the technical cause.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Adds a technical text, shown in front of the cause chain.
    #[must_use]
    pub fn with_internal(mut self, text: impl Into<String>) -> Self {
        self.0.internal = Some(text.into());
        self
    }

    /// Names the stream, unless an inner layer already did.
    #[must_use]
    pub fn with_stream(mut self, stream: &StreamDescriptor) -> Self {
        self.0.stream.get_or_insert_with(|| stream.clone());
        self
    }

    /// Sets whether another try may help; set by layers that retried themselves.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryStatus) -> Self {
        self.0.retry = retry;
        self
    }

    /// Who has to act.
    pub fn failure_type(&self) -> FailureType {
        self.0.failure_type
    }

    /// The text for the user.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The stream that failed, when one did.
    pub fn stream(&self) -> Option<&StreamDescriptor> {
        self.0.stream.as_ref()
    }

    /// Whether another try may help.
    pub fn retry(&self) -> RetryStatus {
        self.0.retry
    }

    /// True when the run was asked to stop, see [`ConnectorError::stopped`].
    pub fn is_stop(&self) -> bool {
        self.0.is_stop
    }

    /// The technical text and the cause chain, joined with `: `.
    pub fn internal_message(&self) -> Option<String> {
        let mut parts: Vec<String> = self.0.internal.iter().cloned().collect();
        let mut next: Option<&(dyn StdError + 'static)> = match &self.0.cause {
            Some(cause) => Some(cause.as_ref()),
            None => None,
        };
        while let Some(cause) = next {
            let text = cause.to_string();
            // Many errors repeat their cause in their own text.
            if !parts.last().is_some_and(|last| last.contains(&text)) {
                parts.push(text);
            }
            next = cause.source();
        }
        (!parts.is_empty()).then(|| parts.join(": "))
    }

    /// The error as an Airbyte ERROR trace.
    pub fn to_trace(&self, emitted_at_ms: f64) -> AirbyteTraceMessage {
        let mut body = AirbyteErrorTraceMessage::new(self.message(), self.failure_type());
        body.internal_message = self.internal_message();
        body.stream_descriptor = self.0.stream.clone();
        AirbyteTraceMessage::error(emitted_at_ms, body)
    }

    /// The error that an ERROR trace of another connector reports.
    pub fn from_trace(trace: &AirbyteErrorTraceMessage) -> Self {
        let kind = trace.failure_type.unwrap_or(FailureType::SystemError);
        let mut error = Self::new(kind, trace.message.clone());
        error.0.internal = trace.internal_message.clone();
        error.0.stream = trace.stream_descriptor.clone();
        error
    }
}

impl fmt::Debug for ConnectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectorError")
            .field("failure_type", &self.0.failure_type)
            .field("message", &self.0.message)
            .field("internal_message", &self.internal_message())
            .field("stream", &self.0.stream)
            .field("retry", &self.0.retry)
            .finish()
    }
}

impl fmt::Display for ConnectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for ConnectorError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.cause {
            Some(cause) => Some(cause.as_ref()),
            None => None,
        }
    }
}

/// Turns a foreign error into a [`ConnectorError`] at the place where its meaning is known.
pub trait ErrorContext<T> {
    /// The user must change something.
    fn config_error(self, message: impl Into<String>) -> Result<T>;
    /// The same call may work later.
    fn transient_error(self, message: impl Into<String>) -> Result<T>;
    /// A bug of ours, or not classified.
    fn system_error(self, message: impl Into<String>) -> Result<T>;
}

impl<T, E: Into<Cause>> ErrorContext<T> for std::result::Result<T, E> {
    fn config_error(self, message: impl Into<String>) -> Result<T> {
        self.map_err(|cause| ConnectorError::config(message).caused_by(cause))
    }

    fn transient_error(self, message: impl Into<String>) -> Result<T> {
        self.map_err(|cause| ConnectorError::transient(message).caused_by(cause))
    }

    fn system_error(self, message: impl Into<String>) -> Result<T> {
        self.map_err(|cause| ConnectorError::system(message).caused_by(cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_message_joins_the_chain_without_repeats() {
        let inner = ConnectorError::system("disk says no");
        let outer = ConnectorError::transient("Could not save.")
            .with_internal("save_state")
            .caused_by(inner);
        assert_eq!(
            outer.internal_message().unwrap(),
            "save_state: disk says no"
        );
    }

    #[test]
    fn the_innermost_stream_is_kept() {
        let users = StreamDescriptor::new("users");
        let error = ConnectorError::system("x").with_stream(&users);
        let error = error.with_stream(&StreamDescriptor::new("orders"));
        assert_eq!(error.stream(), Some(&users));
    }

    #[test]
    fn a_trace_carries_type_stream_and_cause() {
        let error = ConnectorError::config("Wrong password.")
            .caused_by("28P01")
            .with_stream(&StreamDescriptor::new("users"));
        let trace = error.to_trace(1.0);
        let body = trace.error.expect("an error trace has an error body");
        assert_eq!(body.failure_type, Some(FailureType::ConfigError));
        let back = ConnectorError::from_trace(&body);
        assert_eq!(back.internal_message().unwrap(), "28P01");
        assert_eq!(back.stream().unwrap().name, "users");
    }
}
