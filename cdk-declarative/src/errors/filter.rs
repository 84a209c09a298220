//! Response filters: conditions on a response, and what it means when they hold.

use cdk_core::Result;
use cdk_core::protocol::FailureType;
use cdk_http::errors::{Resolution, ResponseAction, api_message, status_default};
use serde_json::Value;

use super::failure_type;
use crate::component::Component;
use crate::requester::response::PageResponse;
use crate::template::{Condition, Scope, Template, python_text};

#[derive(Debug, Clone)]
pub(super) struct ResponseFilter {
    action: Option<ResponseAction>,
    failure_type: Option<FailureType>,
    statuses: Vec<u16>,
    contains: Option<String>,
    predicate: Option<Condition>,
    message: Option<Template>,
}

impl ResponseFilter {
    pub(super) fn build(component: &Component<'_>) -> Result<Self> {
        let message = component
            .text("error_message")?
            .filter(|text| !text.is_empty());
        Ok(Self {
            action: component
                .text("action")?
                .map(|action| self::action(component, action))
                .transpose()?,
            failure_type: failure_type(component)?,
            statuses: statuses(component)?,
            contains: component.text("error_message_contains")?.map(str::to_owned),
            predicate: Condition::optional(component, "predicate")?,
            message: message
                .map(|text| Template::new(text, component))
                .transpose()?,
        })
    }

    /// The resolution, when the filter matches.
    pub(super) fn resolve(
        &self,
        response: &PageResponse,
        scope: &Scope<'_>,
    ) -> Result<Option<Resolution>> {
        let Some(action) = self.action else {
            return Ok(None);
        };
        if !self.matches(response, scope)? {
            return Ok(None);
        }
        let default = status_default(response.status);
        let has_default = matches!(
            response.status.as_u16(),
            400 | 401 | 403 | 404 | 405 | 408 | 429 | 500 | 502 | 503 | 504
        );
        let failure_type = match self.failure_type {
            Some(failure_type) if action == ResponseAction::Fail => failure_type,
            _ if has_default => default.failure_type,
            _ => FailureType::SystemError,
        };
        let mut resolution = Resolution::new(action, failure_type);
        if let Some(message) = &self.message {
            let text = self.evaluated(response, scope, |scope| message.eval(scope))?;
            resolution.message = Some(python_text(&text)).filter(|text| !text.is_empty());
        }
        Ok(Some(resolution))
    }

    fn matches(&self, response: &PageResponse, scope: &Scope<'_>) -> Result<bool> {
        if self.statuses.contains(&response.status.as_u16()) {
            return Ok(true);
        }
        if let Some(predicate) = &self.predicate
            && self.evaluated(response, scope, |scope| predicate.holds(scope))?
        {
            return Ok(true);
        }
        Ok(self.contains.as_ref().is_some_and(|wanted| {
            !wanted.is_empty()
                && api_message(&response.body.head()).is_some_and(|said| said.contains(wanted))
        }))
    }

    fn evaluated<T>(
        &self,
        response: &PageResponse,
        scope: &Scope<'_>,
        eval: impl FnOnce(&Scope<'_>) -> Result<T>,
    ) -> Result<T> {
        let (body, headers) = (response.json(), response.headers());
        let scope = scope.only_config();
        let scope = scope.with("response", &body);
        eval(&scope.with("headers", &headers))
    }
}

fn action(component: &Component<'_>, name: &str) -> Result<ResponseAction> {
    Ok(match name {
        "SUCCESS" => ResponseAction::Success,
        "FAIL" => ResponseAction::Fail,
        "RETRY" => ResponseAction::Retry,
        "IGNORE" => ResponseAction::Ignore,
        "RESET_PAGINATION" => ResponseAction::ResetPagination,
        "RATE_LIMITED" => ResponseAction::RateLimited,
        "REFRESH_TOKEN_THEN_RETRY" => ResponseAction::RefreshTokenThenRetry,
        other => {
            return Err(component.error(format!(
                "`action` must be SUCCESS, FAIL, RETRY, IGNORE, RESET_PAGINATION, RATE_LIMITED or \
                 REFRESH_TOKEN_THEN_RETRY, not `{other}`."
            )));
        }
    })
}

fn statuses(component: &Component<'_>) -> Result<Vec<u16>> {
    let wrong = || component.error("`http_codes` must be a list of statuses.");
    let status = |value: &Value| {
        let number = match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_u64(),
        };
        number
            .and_then(|number| u16::try_from(number).ok())
            .ok_or_else(wrong)
    };
    match component.get("http_codes") {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(status).collect(),
        Some(one) => Ok(vec![status(one)?]),
    }
}
