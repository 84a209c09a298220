//! Rules of one API about its own answers.

use std::fmt;
use std::sync::Arc;

use airbyte_protocol::FailureType;

use crate::errors::{Answer, Resolution, ResponseAction, status_default};

type Predicate = Arc<dyn Fn(&Answer<'_>) -> bool + Send + Sync>;
type Message = Arc<dyn Fn(&Answer<'_>) -> Option<String> + Send + Sync>;

/// Says what to do about the answers it matches: by status, by a predicate, or by a text in the API's message. Any of
/// the three is enough.
///
/// ```
/// use cdk_http::errors::{ResponseAction, ResponseFilter};
///
/// // This API says 200 and puts its failures into the body.
/// let filter = ResponseFilter::new(ResponseAction::Retry)
///     .when(|answer| answer.json().is_some_and(|body| body["ok"] == false));
/// ```
#[derive(Clone)]
pub struct ResponseFilter {
    action: ResponseAction,
    failure_type: Option<FailureType>,
    statuses: Vec<u16>,
    predicate: Option<Predicate>,
    text: Option<String>,
    message: Option<Message>,
}

impl ResponseFilter {
    /// A filter that matches nothing yet.
    pub fn new(action: ResponseAction) -> Self {
        Self {
            action,
            failure_type: None,
            statuses: Vec::new(),
            predicate: None,
            text: None,
            message: None,
        }
    }

    /// Matches these statuses.
    #[must_use]
    pub fn status(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.statuses.extend(statuses);
        self
    }

    /// Matches answers for which `predicate` holds. It sees the body.
    #[must_use]
    pub fn when(mut self, predicate: impl Fn(&Answer<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.predicate = Some(Arc::new(predicate));
        self
    }

    /// Matches answers whose message contains `text`.
    #[must_use]
    pub fn message_contains(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Sets who has to act. Without it, the default of the status counts.
    #[must_use]
    pub fn blame(mut self, failure_type: FailureType) -> Self {
        self.failure_type = Some(failure_type);
        self
    }

    /// Sets what the user is told.
    #[must_use]
    pub fn explain(self, message: impl Into<String>) -> Self {
        let message = message.into();
        self.explain_with(move |_| Some(message.clone()))
    }

    /// Sets how to find what the user is told; `None` leaves the default.
    #[must_use]
    pub fn explain_with(
        mut self,
        message: impl Fn(&Answer<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.message = Some(Arc::new(message));
        self
    }

    /// True if it can match an answer with a status of success by its body.
    pub fn inspects_success(&self) -> bool {
        self.predicate.is_some() || self.text.is_some()
    }

    /// What to do about `answer`, if it matches.
    pub fn resolve(&self, answer: &Answer<'_>) -> Option<Resolution> {
        let has_text = |text: &String| {
            let message = answer.api_message();
            message.is_some_and(|message| message.contains(text))
        };
        let matches = self.statuses.contains(&answer.status.as_u16())
            || self.predicate.as_ref().is_some_and(|holds| holds(answer))
            || self.text.as_ref().is_some_and(has_text);
        if !matches {
            return None;
        }
        let by_status = status_default(answer.status);
        Some(Resolution {
            action: self.action,
            failure_type: self.failure_type.unwrap_or(by_status.failure_type),
            message: self.message.as_ref().and_then(|message| message(answer)),
        })
    }
}

impl fmt::Debug for ResponseFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFilter")
            .field("action", &self.action)
            .field("statuses", &self.statuses)
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}
