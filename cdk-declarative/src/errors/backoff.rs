//! Backoff strategies: how long to wait before another try.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use cdk_core::{ConnectorError, Result, RetryStatus};
use fancy_regex::Regex;
use serde_json::Value;

use crate::component::Component;
use crate::custom::{CustomBackoff, Registry};
use crate::requester::response::PageResponse;
use crate::template::{Scope, Template};

/// One strategy. All fields were evaluated when the stream was made: they see the config only.
#[derive(Clone)]
pub(crate) enum Backoff {
    Constant {
        seconds: f64,
        jitter: f64,
    },
    Exponential {
        factor: f64,
        jitter: f64,
    },
    /// The header holds seconds.
    Header(HeaderValue),
    /// The header holds a time in seconds since the Unix epoch.
    UntilHeader {
        value: HeaderValue,
        min: Option<f64>,
    },
    /// A template over the answer gives seconds.
    Response(ResponseValue),
    Custom(Arc<dyn CustomBackoff>),
}

/// A number out of the answer.
#[derive(Debug, Clone)]
pub(crate) struct ResponseValue {
    seconds: Template,
    max: Option<f64>,
}

/// A number out of a header.
#[derive(Debug, Clone)]
pub(crate) struct HeaderValue {
    header: String,
    regex: Option<Arc<Regex>>,
    max: Option<f64>,
}

impl std::fmt::Debug for Backoff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Constant { .. } => "ConstantBackoffStrategy",
            Self::Exponential { .. } => "ExponentialBackoffStrategy",
            Self::Header(_) => "WaitTimeFromHeader",
            Self::UntilHeader { .. } => "WaitUntilTimeFromHeader",
            Self::Response(_) => "WaitTimeFromResponse",
            Self::Custom(_) => "CustomBackoffStrategy",
        })
    }
}

impl Backoff {
    pub(crate) fn build(
        component: &Component<'_>,
        scope: &Scope<'_>,
        registry: &Registry,
    ) -> Result<Self> {
        let seconds = |key| number(component, key, scope);
        let jitter = || Ok::<_, ConnectorError>(seconds("jitter_range_in_seconds")?.unwrap_or(0.0));
        Ok(match component.kind() {
            "ConstantBackoffStrategy" => {
                component.need("backoff_time_in_seconds")?;
                Self::Constant {
                    seconds: seconds("backoff_time_in_seconds")?.unwrap_or(0.0),
                    jitter: jitter()?,
                }
            }
            "ExponentialBackoffStrategy" => Self::Exponential {
                factor: seconds("factor")?.unwrap_or(5.0),
                jitter: jitter()?,
            },
            "WaitTimeFromHeader" => Self::Header(HeaderValue::build(component, scope)?),
            "WaitUntilTimeFromHeader" => Self::UntilHeader {
                value: HeaderValue::build(component, scope)?,
                min: seconds("min_wait")?,
            },
            "WaitTimeFromResponse" => Self::Response(ResponseValue::build(component, scope)?),
            "CustomBackoffStrategy" => Self::Custom(registry.backoff(component)?),
            other => {
                return Err(component.error(format!(
                    "`{other}` is no backoff strategy. Use ConstantBackoffStrategy, ExponentialBackoffStrategy, \
                     WaitTimeFromHeader, WaitTimeFromResponse or WaitUntilTimeFromHeader."
                )));
            }
        })
    }

    /// The wait after try number `attempt` (from 1); an error when it is longer than the manifest allows.
    pub(super) fn wait(
        &self,
        response: Option<&PageResponse>,
        attempt: u32,
        now_ms: i64,
        scope: &Scope<'_>,
    ) -> Result<Option<Duration>> {
        let seconds = match self {
            Self::Constant { seconds, jitter } => Some(seconds + spread(*jitter)),
            Self::Exponential { factor, jitter } => {
                let doubled = 2_f64.powi(i32::try_from(attempt).unwrap_or(i32::MAX).min(40));
                Some(factor * doubled + spread(*jitter))
            }
            Self::Header(value) => match value.of(response) {
                Some(wait) if wait != 0.0 => Some(allowed(wait, value.max)?),
                none => none,
            },
            Self::UntilHeader { value, min } => {
                let until = value.of(response).filter(|until| *until != 0.0);
                let wait = until.map(|until| until - now_ms as f64 / 1000.0);
                let wait = match (wait, min) {
                    (None, None) => None,
                    (None, Some(min)) => Some(*min),
                    (Some(wait), Some(min)) => Some(wait.max(*min)),
                    (Some(wait), None) => (wait >= 0.0).then_some(wait),
                };
                wait.map(|wait| allowed(wait, value.max)).transpose()?
            }
            Self::Response(value) => match value.of(response, scope) {
                Some(wait) if wait > 0.0 => Some(allowed(wait, value.max)?),
                _ => None,
            },
            Self::Custom(custom) => {
                let status = response.map(|response| response.status.as_u16());
                return Ok(custom.wait(status, attempt));
            }
        };
        Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
    }
}

/// A random part between nothing and twice the jitter.
fn spread(jitter: f64) -> f64 {
    // The standard library's hash keys are random; nothing here needs better.
    let random = RandomState::new().build_hasher().finish();
    jitter * 2.0 * (random as f64 / u64::MAX as f64)
}

impl HeaderValue {
    fn build(component: &Component<'_>, scope: &Scope<'_>) -> Result<Self> {
        let text = |key: &str| match component.text(key)? {
            None => Ok(None),
            Some(text) => Template::new(text, component)?.text(scope).map(Some),
        };
        let regex = text("regex")?.filter(|regex| !regex.is_empty());
        let regex = regex.map(|regex| {
            Regex::new(&format!("^(?:{regex})"))
                .map(Arc::new)
                .map_err(|error| {
                    component.error(format!("`regex` is no regular expression: {error}"))
                })
        });
        component.need("header")?;
        Ok(Self {
            header: text("header")?.unwrap_or_default(),
            regex: regex.transpose()?,
            max: number(component, "max_waiting_time_in_seconds", scope)?,
        })
    }

    fn of(&self, response: Option<&PageResponse>) -> Option<f64> {
        let value = response?.headers.get(&self.header)?.to_str().ok()?;
        let matched = self
            .regex
            .as_ref()
            .and_then(|regex| regex.find(value).ok()?);
        let value = matched.map_or(value, |matched| matched.as_str());
        value
            .trim()
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
    }
}

impl ResponseValue {
    fn build(component: &Component<'_>, scope: &Scope<'_>) -> Result<Self> {
        const KNOWN: [&str; 4] = ["config", "parameters", "response", "headers"];
        let seconds = Template::new(component.need_text("wait_time_in_seconds")?, component)?;
        let error = |what: &str| {
            let text = seconds.source();
            component.error(format!("`wait_time_in_seconds` is `{text}`: {what}."))
        };
        if let Some(what) = seconds.syntax_error() {
            return Err(error(what));
        }
        if let Some(other) = seconds.variables().find(|name| !KNOWN.contains(name)) {
            let known = KNOWN.join(", ");
            return Err(error(&format!(
                "there is no variable `{other}` here, only {known}"
            )));
        }
        Ok(Self {
            max: number(component, "max_waiting_time_in_seconds", scope)?,
            seconds,
        })
    }

    /// `None` for what is no number: it sees every answer that is tried again, also those of another shape.
    fn of(&self, response: Option<&PageResponse>, scope: &Scope<'_>) -> Option<f64> {
        let empty = || Value::Object(serde_json::Map::new());
        let body = response.map_or_else(empty, PageResponse::json);
        let headers = response.map_or_else(empty, PageResponse::headers);
        let scope = scope.only_config();
        let scope = scope.with("response", &body);
        let found = match self.seconds.eval(&scope.with("headers", &headers)) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(
                    "The answer does not tell how long to wait; the next strategy decides. {error}"
                );
                return None;
            }
        };
        let seconds = match &found {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => crate::python::float_of_text(text),
            Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
            _ => None,
        };
        seconds.filter(|seconds| seconds.is_finite())
    }
}

/// The wait, unless the manifest does not allow it.
fn allowed(wait: f64, max: Option<f64>) -> Result<f64> {
    match max {
        Some(max) if wait >= max => Err(ConnectorError::transient(format!(
            "The API asks to wait {wait:.0} s, longer than the {max:.0} s that are allowed. Run the sync again later."
        ))
        .with_retry(RetryStatus::Persistent)),
        _ => Ok(wait),
    }
}

/// A number, or a template that gives one.
pub(super) fn number(
    component: &Component<'_>,
    key: &str,
    scope: &Scope<'_>,
) -> Result<Option<f64>> {
    let value = match component.get(key) {
        None => return Ok(None),
        Some(Value::String(text)) => Template::new(text, component)?.eval(scope)?,
        Some(number) => number.clone(),
    };
    let number = match &value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .map(Some)
        .ok_or_else(|| component.error(format!("`{key}` is not a number.")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::PinnedClock;
    use bytes::Bytes;
    use cdk_http::header::{HeaderMap, HeaderValue as Header};
    use cdk_http::{StatusCode, Url};
    use serde_json::json;

    fn answer(body: &'static str) -> PageResponse {
        let mut headers = HeaderMap::new();
        headers.insert("retry-ms", Header::from_static("2500"));
        PageResponse {
            status: StatusCode::TOO_MANY_REQUESTS,
            headers,
            url: Url::parse("https://api.example.com/").unwrap(),
            body: Bytes::from(body).into(),
            asked_with: None,
        }
    }

    /// The wait in milliseconds.
    fn waits(template: &str, response: Option<&PageResponse>) -> Result<Option<u128>> {
        let definition = json!({"type": "WaitTimeFromResponse", "wait_time_in_seconds": template,
            "max_waiting_time_in_seconds": "{{ config.max }}"});
        let clock = PinnedClock::new(0);
        let config = json!({"max": 60});
        let scope = Scope::new(&config, &clock);
        let component = Component::new(&definition, "strategy").unwrap();
        let strategy = Backoff::build(&component, &scope, &Registry::default())?;
        let wait = strategy.wait(response, 1, 0, &scope)?;
        Ok(wait.map(|wait| wait.as_millis()))
    }

    #[test]
    fn the_wait_is_what_a_template_finds_in_the_answer() {
        let told = answer(r#"{"error": {"wait": "7.5", "past": -3, "text": "soon", "list": [1]}}"#);
        for (template, expected) in [
            ("{{ response.error.wait }}", Some(7500)),
            ("{{ response['error']['wait'] | float * 2 }}", Some(15_000)),
            ("{{ headers['retry-ms'] | int / 1000 }}", Some(2500)),
            ("12", Some(12_000)),
            ("{{ response.error.past }}", None),
            ("{{ response.error.text }}", None),
            ("{{ response.error.list }}", None),
            ("{{ response.nope }}", None),
            ("{{ response.nope.deep }}", None),
            ("{{ response.error.text + 1 }}", None),
            ("{{ 0 }}", None),
        ] {
            assert_eq!(
                waits(template, Some(&told)).unwrap(),
                expected,
                "{template}"
            );
        }
        let of_headers = "{{ headers['retry-ms'] | int / 1000 }}";
        assert_eq!(
            waits(of_headers, Some(&answer("no JSON"))).unwrap(),
            Some(2500)
        );
        assert_eq!(
            waits("{{ response.error.wait }}", Some(&answer("[1]"))).unwrap(),
            None
        );
        assert_eq!(waits("{{ response.error.wait }}", None).unwrap(), None);
    }

    #[test]
    fn a_wait_beyond_the_limit_ends_the_stream() {
        let error = waits("60", None).unwrap_err();
        assert!(error.message().contains("longer than the 60 s"), "{error}");
        assert_eq!(waits("59", None).unwrap(), Some(59_000));
    }

    #[test]
    fn a_template_that_can_never_have_a_value_is_refused() {
        for (template, expected) in [("{{ resposne.wait }}", "`resposne`"), ("{{ 1 + }}", "1 +")] {
            let error = waits(template, None).unwrap_err();
            assert!(error.message().contains("strategy"), "{error}");
            assert!(error.message().contains(expected), "{error}");
        }
    }
}
