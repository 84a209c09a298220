//! Error handlers: what a response, or the lack of one, means.

mod backoff;
mod filter;

use std::sync::Arc;
use std::time::Duration;

use cdk_core::protocol::FailureType;
use cdk_core::{ConnectorError, Result};
use cdk_http::TransportError;
use cdk_http::errors::{Resolution, ResponseAction, status_default, transport_default};
use serde_json::Value;

use crate::component::Component;
use crate::custom::{CustomErrorHandler, Registry};
use crate::requester::response::PageResponse;
use crate::template::{Scope, Template};

pub(crate) use backoff::Backoff;
use filter::ResponseFilter;

/// One try of a request.
pub(crate) type Outcome = std::result::Result<PageResponse, TransportError>;

/// Retries after the first try, unless a handler says otherwise.
const MAX_RETRIES: u32 = 5;
/// All tries of a request together.
const MAX_TIME: Duration = Duration::from_secs(600);

/// Interprets outcomes.
#[derive(Clone)]
pub(crate) enum ErrorHandler {
    Default(DefaultHandler),
    Composite(Vec<ErrorHandler>),
    Custom(Arc<dyn CustomErrorHandler>),
}

impl std::fmt::Debug for ErrorHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Default(_) => "DefaultErrorHandler",
            Self::Composite(_) => "CompositeErrorHandler",
            Self::Custom(_) => "CustomErrorHandler",
        })
    }
}

/// Filters in order, then the table of statuses.
#[derive(Debug, Clone)]
pub(crate) struct DefaultHandler {
    filters: Vec<ResponseFilter>,
    max_retries: u32,
    backoffs: Vec<Backoff>,
}

impl Default for ErrorHandler {
    fn default() -> Self {
        Self::Default(DefaultHandler {
            filters: Vec::new(),
            max_retries: MAX_RETRIES,
            backoffs: Vec::new(),
        })
    }
}

impl ErrorHandler {
    pub(crate) fn build(
        component: Option<&Component<'_>>,
        scope: &Scope<'_>,
        registry: &Registry,
    ) -> Result<Self> {
        let Some(component) = component else {
            return Ok(Self::default());
        };
        match component.kind() {
            "DefaultErrorHandler" => {
                DefaultHandler::build(component, scope, registry).map(Self::Default)
            }
            "CompositeErrorHandler" => {
                let handlers = component.children("error_handlers")?;
                if handlers.is_empty() {
                    return Err(component.error("`error_handlers` must name at least one handler."));
                }
                let handlers = handlers.iter();
                let handlers = handlers.map(|handler| Self::build(Some(handler), scope, registry));
                Ok(Self::Composite(handlers.collect::<Result<_>>()?))
            }
            "CustomErrorHandler" => Ok(Self::Custom(registry.error_handler(component)?)),
            other => Err(component.error(format!(
                "`{other}` is no error handler. Use DefaultErrorHandler or CompositeErrorHandler."
            ))),
        }
    }

    /// What an outcome means.
    pub(crate) fn interpret(&self, outcome: &Outcome, scope: &Scope<'_>) -> Result<Resolution> {
        match self {
            Self::Default(handler) => handler.interpret(outcome, scope),
            Self::Composite(handlers) => {
                let mut last = None;
                for handler in handlers {
                    let resolution = handler.interpret(outcome, scope)?;
                    if matches!(
                        resolution.action,
                        ResponseAction::Success
                            | ResponseAction::Retry
                            | ResponseAction::Ignore
                            | ResponseAction::ResetPagination
                    ) {
                        return Ok(resolution);
                    }
                    last = Some(resolution);
                }
                Ok(last.unwrap_or_else(|| default_resolution(outcome)))
            }
            Self::Custom(custom) => {
                let response = outcome.as_ref().ok();
                let body = response.map(|response| response.body.head());
                let custom = custom.interpret(
                    response.map(|response| response.status.as_u16()),
                    body.as_deref(),
                )?;
                Ok(custom.unwrap_or_else(|| default_resolution(outcome)))
            }
        }
    }

    /// Retries after the first try.
    pub(crate) fn max_retries(&self) -> u32 {
        match self {
            Self::Default(handler) => handler.max_retries,
            Self::Composite(handlers) => handlers.first().map_or(MAX_RETRIES, Self::max_retries),
            Self::Custom(custom) => custom.max_retries().unwrap_or(MAX_RETRIES),
        }
    }

    /// The time all tries may take.
    pub(crate) fn max_time(&self) -> Duration {
        MAX_TIME
    }

    /// The wait a strategy asks for after try number `attempt` (from 1): the first that asks for one decides.
    pub(crate) fn backoff(
        &self,
        outcome: &Outcome,
        attempt: u32,
        now_ms: i64,
        scope: &Scope<'_>,
    ) -> Result<Option<Duration>> {
        let strategies: Vec<&Backoff> = match self {
            Self::Default(handler) => handler.backoffs.iter().collect(),
            Self::Composite(handlers) => handlers.iter().flat_map(Self::strategies).collect(),
            Self::Custom(custom) => return Ok(custom.backoff(attempt)),
        };
        for strategy in strategies {
            let wait = strategy.wait(outcome.as_ref().ok(), attempt, now_ms, scope)?;
            if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
                return Ok(Some(wait));
            }
        }
        Ok(None)
    }

    fn strategies(&self) -> Vec<&Backoff> {
        match self {
            Self::Default(handler) => handler.backoffs.iter().collect(),
            Self::Composite(handlers) => handlers.iter().flat_map(Self::strategies).collect(),
            Self::Custom(_) => Vec::new(),
        }
    }
}

impl DefaultHandler {
    fn build(component: &Component<'_>, scope: &Scope<'_>, registry: &Registry) -> Result<Self> {
        let filters = component.children("response_filters")?;
        let backoffs = component.children("backoff_strategies")?;
        let filters = filters.iter().map(ResponseFilter::build);
        let backoffs = backoffs
            .iter()
            .map(|at| Backoff::build(at, scope, registry));
        Ok(Self {
            filters: filters.collect::<Result<_>>()?,
            max_retries: max_retries(component, scope)?,
            backoffs: backoffs.collect::<Result<_>>()?,
        })
    }

    fn interpret(&self, outcome: &Outcome, scope: &Scope<'_>) -> Result<Resolution> {
        if let Ok(response) = outcome {
            for filter in &self.filters {
                if let Some(resolution) = filter.resolve(response, scope)? {
                    return Ok(resolution);
                }
            }
        }
        Ok(default_resolution(outcome))
    }
}

fn max_retries(component: &Component<'_>, scope: &Scope<'_>) -> Result<u32> {
    let number = match component.get("max_retries") {
        None => return Ok(MAX_RETRIES),
        Some(Value::String(text)) => Template::with_default(text, "5", component)?.eval(scope)?,
        Some(number) => number.clone(),
    };
    let number = match &number {
        Value::String(text) => text.trim().parse().ok(),
        number => number.as_f64().map(|number| number as i64),
    };
    let number = number.ok_or_else(|| component.error("`max_retries` is not a whole number."))?;
    Ok(u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

fn default_resolution(outcome: &Outcome) -> Resolution {
    match outcome {
        Ok(response) => status_default(response.status),
        Err(error) => transport_default(error),
    }
}

/// The type of failure a manifest names.
fn failure_type(component: &Component<'_>) -> Result<Option<FailureType>> {
    Ok(match component.text("failure_type")? {
        None => None,
        Some("config_error") => Some(FailureType::ConfigError),
        Some("system_error") => Some(FailureType::SystemError),
        Some("transient_error") => Some(FailureType::TransientError),
        Some(other) => {
            return Err(component.error(format!(
                "`failure_type` must be config_error, system_error or transient_error, not `{other}`."
            )));
        }
    })
}

/// The error of a request that failed for good.
pub(crate) fn failed(resolution: &Resolution, outcome: &Outcome, request: &str) -> ConnectorError {
    let what = match outcome {
        Ok(response) => {
            let said = cdk_http::errors::api_message(&response.body.head());
            let said = said.map(|said| {
                let stop = if said.ends_with(['.', '!', '?']) {
                    ""
                } else {
                    "."
                };
                format!(" The API says: {said}{stop}")
            });
            let said = said.unwrap_or_default();
            let remedy = match response.status.as_u16() {
                401 | 403 => " Check the credentials in the config, and what they may read.",
                404 => " Check the URL, and the config values it is made of.",
                _ => "",
            };
            let status = response.status.as_u16();
            format!("{request} failed with status {status}.{said}{remedy}")
        }
        Err(error) => format!("{request} failed: {error}."),
    };
    let message = resolution
        .message
        .clone()
        .filter(|message| !message.is_empty());
    let error = ConnectorError::new(
        resolution.failure_type,
        message.unwrap_or_else(|| what.clone()),
    );
    error.with_internal(what)
}
