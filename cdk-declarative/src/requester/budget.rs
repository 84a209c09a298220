//! The budget of an API, as a manifest describes it.

use std::time::Duration;

use cdk_core::Result;
use cdk_http::Method;
use cdk_http::budget::{Budget, Policy, RequestMatcher};
use serde_json::Value;

use crate::component::Component;
use crate::template::{Scope, Template, python_text};
use crate::time;

/// Reads an `HTTPAPIBudget`.
pub(crate) fn build(component: &Component<'_>, scope: &Scope<'_>) -> Result<Budget> {
    let policies = component.children("policies")?;
    let policies = policies.iter().map(|at| policy(at, scope));
    let budget = Budget::new(policies.collect::<Result<Vec<_>>>()?);
    let statuses = component
        .get("status_codes_for_ratelimit_hit")
        .and_then(Value::as_array);
    let statuses: Vec<u16> = match statuses {
        Some(statuses) => statuses
            .iter()
            .filter_map(|status| u16::try_from(status.as_u64()?).ok())
            .collect(),
        None => vec![429],
    };
    Ok(budget.with_headers(
        component
            .text("ratelimit_remaining_header")?
            .unwrap_or("ratelimit-remaining"),
        component
            .text("ratelimit_reset_header")?
            .unwrap_or("ratelimit-reset"),
        statuses,
    ))
}

fn policy(component: &Component<'_>, scope: &Scope<'_>) -> Result<Policy> {
    let mut policy = match component.kind() {
        "FixedWindowCallRatePolicy" => Policy::fixed_window(
            limit(component, "call_limit", scope)?,
            period(component, "period", scope)?,
        ),
        "MovingWindowCallRatePolicy" => {
            let rates = component.children("rates")?;
            let rates = rates.iter().map(|rate| {
                Ok((
                    limit(rate, "limit", scope)?,
                    period(rate, "interval", scope)?,
                ))
            });
            Policy::moving_window(rates.collect::<Result<Vec<_>>>()?)
        }
        "UnlimitedCallRatePolicy" => Policy::unlimited(),
        other => {
            return Err(component.error(format!(
                "`{other}` is no call rate policy. Use FixedWindowCallRatePolicy, MovingWindowCallRatePolicy or \
                 UnlimitedCallRatePolicy."
            )));
        }
    };
    for matcher in component.children("matchers")? {
        policy = policy.matching(self::matcher(&matcher)?);
    }
    Ok(policy)
}

fn limit(component: &Component<'_>, key: &str, scope: &Scope<'_>) -> Result<u32> {
    let value = match component.need(key)? {
        Value::String(text) => Template::new(text, component)?.eval(scope)?,
        number => number.clone(),
    };
    let number: Option<f64> = python_text(&value).trim().parse().ok();
    let number = number.filter(|number| *number >= 1.0);
    number
        .map(|number| number as u32)
        .ok_or_else(|| component.error(format!("`{key}` must be a number of at least 1.")))
}

fn period(component: &Component<'_>, key: &str, scope: &Scope<'_>) -> Result<Duration> {
    let text = Template::new(component.need_text(key)?, component)?.text(scope)?;
    let span = time::Span::parse(&text).map(|span| span.after_us(0));
    let micros = span.and_then(|micros| u64::try_from(micros).ok());
    micros.map(Duration::from_micros).ok_or_else(|| {
        component.error(format!(
            "`{key}` is `{text}`, no ISO 8601 duration like PT1M."
        ))
    })
}

pub(crate) fn matcher(component: &Component<'_>) -> Result<RequestMatcher> {
    let mut matcher = RequestMatcher::new();
    if let Some(method) = component.text("method")? {
        let method = Method::from_bytes(method.as_bytes());
        matcher =
            matcher.method(method.map_err(|_| component.error("`method` is no HTTP method."))?);
    }
    if let Some(base) = component.text("url_base")? {
        matcher = matcher.base(base);
    }
    if let Some(path) = component.text("url_path_pattern")? {
        matcher = matcher
            .try_path(path)
            .map_err(|error| component.error(error.message()))?;
    }
    for (name, value) in members(component, "params") {
        matcher = matcher.param(name, value);
    }
    for (name, value) in members(component, "headers") {
        matcher = matcher.header(name, value);
    }
    if let Some(weight) = component.get("weight").and_then(Value::as_u64) {
        matcher = matcher.weight(u32::try_from(weight).unwrap_or(u32::MAX));
    }
    Ok(matcher)
}

fn members(component: &Component<'_>, key: &str) -> Vec<(String, String)> {
    let members = component.get(key).and_then(Value::as_object);
    let members = members.into_iter().flatten();
    members
        .map(|(name, value)| (name.clone(), python_text(value)))
        .collect()
}
