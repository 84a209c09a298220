//! Several interchangeable tokens: the one in use changes when its quota is used up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cdk_core::{ConnectorError, Result};
use cdk_http::budget::RequestMatcher;
use cdk_http::{Method, Request};
use serde_json::Value;

use super::header;
use crate::component::Component;
use crate::dpath;
use crate::host::Host;
use crate::requester::response::PageResponse;
use crate::requester::{budget, wire};
use crate::slice::Additions;
use crate::template::{Template, python_text};
use crate::time;

/// A reset that lies in the past does not make for a busy loop.
const MIN_WAIT: Duration = Duration::from_secs(5);
/// Logged this often while waiting.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// How far the clocks of the quota status and of the headers may lie apart.
const RESET_SKEW_US: i64 = 60_000_000;
/// The longest delay that spreads the last calls.
const MAX_DELAY: f64 = 10.0;

/// Rotates tokens by their quotas.
#[derive(Debug)]
pub(crate) struct Rotating {
    host: Arc<Host>,
    place: String,
    tokens: Vec<String>,
    quotas: Vec<Quota>,
    status: StatusSource,
    method: String,
    header: String,
    max_wait: Duration,
    reserve_fraction: f64,
    min_reserve: f64,
    state: Mutex<State>,
    seeding: tokio::sync::Mutex<bool>,
}

#[derive(Debug)]
struct Quota {
    name: String,
    /// The requests it counts; one without any counts what no other does.
    matchers: Vec<RequestMatcher>,
    remaining: Vec<String>,
    reset: Vec<String>,
    limit: Vec<String>,
    remaining_header: Option<String>,
    reset_header: Option<String>,
    limit_header: Option<String>,
    exhaustion: Vec<u64>,
}

#[derive(Debug)]
struct StatusSource {
    url: Template,
    method: Method,
    headers: Vec<(String, Template)>,
    unavailable: Vec<u64>,
}

#[derive(Debug, Default)]
struct State {
    active: usize,
    /// By token, then by quota.
    pools: Vec<Vec<Pool>>,
}

#[derive(Debug, Clone, Copy)]
struct Pool {
    remaining: i64,
    limit: i64,
    reset_us: i64,
    /// False when the server reports no quota.
    is_tracked: bool,
}

impl Rotating {
    pub(super) fn build(component: &Component<'_>, host: &Arc<Host>) -> Result<Self> {
        let tokens = tokens(component, host)?;
        if tokens.is_empty() {
            return Err(component.error("there is no token in the config."));
        }
        let quotas = component.children("quotas")?;
        let quotas: Vec<Quota> = quotas.iter().map(Quota::build).collect::<Result<_>>()?;
        if quotas.is_empty() {
            return Err(component.error("`quotas` must name at least one quota."));
        }
        let max_wait = component.text("max_wait_time")?.unwrap_or("PT2H");
        let max_wait = time::Span::parse(max_wait).ok_or_else(|| {
            component.error(format!(
                "`max_wait_time` is `{max_wait}`, no ISO 8601 duration."
            ))
        })?;
        let number = |key: &str, default: f64| {
            component
                .get(key)
                .and_then(Value::as_f64)
                .unwrap_or(default)
        };
        Ok(Self {
            host: Arc::clone(host),
            place: component.path().to_owned(),
            tokens,
            quotas,
            status: StatusSource::build(&component.need_child("quota_status_source")?)?,
            method: component
                .text("auth_method")?
                .unwrap_or("Bearer")
                .to_owned(),
            header: component
                .text("header")?
                .unwrap_or("Authorization")
                .to_owned(),
            max_wait: Duration::from_micros(u64::try_from(max_wait.after_us(0)).unwrap_or(0)),
            reserve_fraction: number("budget_reserve_fraction", 0.1),
            min_reserve: number("budget_min_reserve", 50.0),
            state: Mutex::default(),
            seeding: tokio::sync::Mutex::default(),
        })
    }

    /// `request` is what the token is for, as far as it is known.
    pub(super) async fn additions(&self, request: Option<&Request>) -> Result<Additions> {
        {
            let mut is_seeded = self.seeding.lock().await;
            if !*is_seeded {
                self.seed().await?;
                *is_seeded = true;
            }
        }
        let token = self.acquire(self.quota_of(request)).await?;
        Ok(header(&self.header, self.value(token)))
    }

    /// The first quota whose matchers know the request, or else the first without matchers, or else the first.
    fn quota_of(&self, request: Option<&Request>) -> usize {
        let counts = |quota: &Quota| {
            let mut matchers = quota.matchers.iter();
            request.is_some_and(|request| matchers.any(|it| it.weight_of(request).is_some()))
        };
        let own = self.quotas.iter().position(counts);
        let open = || {
            self.quotas
                .iter()
                .position(|quota| quota.matchers.is_empty())
        };
        own.or_else(open).unwrap_or(0)
    }

    /// What a response says about the quota of its request; true when a used-up token has a fresh one beside it.
    pub(super) fn saw(&self, sent: &Additions, request: &Request, response: &PageResponse) -> bool {
        let used = sent.headers.get(&self.header).and_then(Value::as_str);
        let Some(token) =
            (0..self.tokens.len()).find(|token| Some(self.value(*token).as_str()) == used)
        else {
            return false;
        };
        let mut state = self.lock();
        let at = self.quota_of(Some(request));
        let pool = state.pools.get_mut(token);
        if let (Some(pool), Some(quota)) = (
            pool.and_then(|pools| pools.get_mut(at)),
            self.quotas.get(at),
        ) {
            quota.learn(pool, response);
        }
        let pool = |token: usize| state.pools.get(token).and_then(|pools| pools.get(at));
        let is_spent = pool(token).is_some_and(|pool| pool.is_tracked && pool.remaining <= 0);
        is_spent
            && (0..self.tokens.len())
                .any(|other| pool(other).is_some_and(|pool| pool.remaining > 0))
    }

    fn value(&self, token: usize) -> String {
        let token = self
            .tokens
            .get(token)
            .map(String::as_str)
            .unwrap_or_default();
        format!("{} {token}", self.method).trim().to_owned()
    }

    /// A token with a call left, charged for it.
    async fn acquire(&self, quota: usize) -> Result<usize> {
        let mut waited = Duration::ZERO;
        loop {
            let wait = match self.try_acquire(quota) {
                Ok((token, delay)) => {
                    if delay >= 0.1 {
                        self.host.sleep(Duration::from_secs_f64(delay)).await?;
                    }
                    return Ok(token);
                }
                Err(wait) => wait,
            };
            let left = self.max_wait.saturating_sub(waited);
            if left.is_zero() || wait >= left {
                return Err(ConnectorError::transient(
                    "The rate limits of all tokens are used up. Run the sync again later, or add tokens.",
                ));
            }
            let wait = wait.max(MIN_WAIT).min(left);
            self.wait(wait).await?;
            waited += wait;
            let _turn = self.seeding.lock().await;
            if self.try_acquire_is_spent(quota) {
                self.seed().await?;
            }
        }
    }

    fn try_acquire_is_spent(&self, quota: usize) -> bool {
        let state = self.lock();
        state.pools.iter().all(|pools| {
            pools
                .get(quota)
                .is_some_and(|pool| pool.is_tracked && pool.remaining <= 0)
        })
    }

    /// The token to use and a delay that spreads the last calls, or how long all are used up.
    fn try_acquire(&self, quota: usize) -> std::result::Result<(usize, f64), Duration> {
        let now = self.host.now_us();
        let mut state = self.lock();
        for _ in 0..self.tokens.len() {
            let active = state.active;
            let next = (active + 1) % self.tokens.len();
            let Some(pool) = state
                .pools
                .get_mut(active)
                .and_then(|pools| pools.get_mut(quota))
            else {
                return Ok((active, 0.0));
            };
            if !pool.is_tracked {
                state.active = next;
                return Ok((active, 0.0));
            }
            if pool.remaining > 0 {
                pool.remaining -= 1;
                return Ok((active, self.delay(&state, quota, now)));
            }
            state.active = next;
        }
        let resets = state.pools.iter().filter_map(|pools| pools.get(quota));
        let first = resets.map(|pool| pool.reset_us).min().unwrap_or(now);
        Err(Duration::from_micros(
            u64::try_from(first - now).unwrap_or(0),
        ))
    }

    fn delay(&self, state: &State, quota: usize, now: i64) -> f64 {
        let pools: Vec<&Pool> = state
            .pools
            .iter()
            .filter_map(|pools| pools.get(quota))
            .collect();
        let is_low = |pool: &&Pool| {
            let reserve = self
                .min_reserve
                .max(pool.limit as f64 * self.reserve_fraction);
            pool.is_tracked && pool.remaining as f64 <= reserve
        };
        let Some(active) = state
            .pools
            .get(state.active)
            .and_then(|pools| pools.get(quota))
        else {
            return 0.0;
        };
        let total: i64 = pools.iter().map(|pool| pool.remaining.max(0)).sum();
        let seconds = (active.reset_us - now) as f64 / 1e6;
        if !pools.iter().all(is_low) || total <= 0 || seconds <= 0.0 {
            return 0.0;
        }
        (seconds / total as f64).min(MAX_DELAY)
    }

    async fn wait(&self, total: Duration) -> Result<()> {
        let mut left = total;
        while !left.is_zero() {
            tracing::info!("All tokens are used up; going on in {} s.", left.as_secs());
            let part = left.min(HEARTBEAT);
            self.host.sleep(part).await?;
            left -= part;
        }
        Ok(())
    }

    async fn seed(&self) -> Result<()> {
        let mut all = Vec::with_capacity(self.tokens.len());
        for token in 0..self.tokens.len() {
            all.push(self.pools_of(token).await?);
        }
        self.lock().pools = all;
        Ok(())
    }

    async fn pools_of(&self, token: usize) -> Result<Vec<Pool>> {
        let config = self.host.config();
        let scope = self.host.scope(&config);
        let mut request = Request::new(
            self.status.method.clone(),
            wire::url(&self.status.url.text(&scope)?)?,
        );
        for (name, value) in &self.status.headers {
            request.set_header(name, &value.text(&scope)?)?;
        }
        request.set_header(&self.header, &self.value(token))?;
        let response = self.host.exchange(request).await.map_err(|error| {
            ConnectorError::transient("The quota of a token could not be asked for.")
                .caused_by(error)
        })?;
        let status = response.status.as_u16();
        if self.status.unavailable.contains(&u64::from(status)) {
            let untracked = Pool {
                remaining: 0,
                limit: 0,
                reset_us: 0,
                is_tracked: false,
            };
            return Ok(vec![untracked; self.quotas.len()]);
        }
        if !response.is_ok() {
            let kind = cdk_http::errors::status_default(response.status).failure_type;
            return Err(ConnectorError::new(
                kind,
                format!("The quota of a token could not be asked for: status {status}."),
            ));
        }
        let body = response.json();
        self.quotas
            .iter()
            .map(|quota| self.pool(quota, &body))
            .collect()
    }

    fn pool(&self, quota: &Quota, body: &Value) -> Result<Pool> {
        let missing = |path: &[String]| {
            ConnectorError::system(format!(
                "RateLimitedMultipleTokenAuthenticator at `{}`: the quota status has no usable `{}` for quota `{}`.",
                self.place,
                path.join("."),
                quota.name
            ))
        };
        let number = |path: &[String]| {
            let value = dpath::get(body, path).map(python_text);
            let number: Option<f64> = value.and_then(|text| text.parse().ok());
            number
                .map(|number| number as i64)
                .ok_or_else(|| missing(path))
        };
        let remaining = number(&quota.remaining)?;
        let reset = dpath::get(body, &quota.reset).map(python_text);
        Ok(Pool {
            remaining,
            limit: if quota.limit.is_empty() {
                remaining
            } else {
                number(&quota.limit)?
            },
            reset_us: reset
                .and_then(|text| time::parse_airbyte(&text))
                .ok_or_else(|| missing(&quota.reset))?,
            is_tracked: true,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Quota {
    fn build(component: &Component<'_>) -> Result<Self> {
        let text = |key: &str| component.text(key).map(|text| text.map(str::to_owned));
        let codes = component
            .get("exhaustion_status_codes")
            .and_then(Value::as_array);
        Ok(Self {
            name: component.need_text("name")?.to_owned(),
            matchers: component
                .children("matchers")?
                .iter()
                .map(budget::matcher)
                .collect::<Result<_>>()?,
            remaining: component.texts("remaining_path")?,
            reset: component.texts("reset_path")?,
            limit: component.texts("limit_path")?,
            remaining_header: text("remaining_header")?,
            reset_header: text("reset_header")?,
            limit_header: text("limit_header")?,
            exhaustion: codes
                .into_iter()
                .flatten()
                .filter_map(Value::as_u64)
                .collect(),
        })
    }

    fn learn(&self, pool: &mut Pool, response: &PageResponse) {
        if !pool.is_tracked {
            return;
        }
        let text = |name: &Option<String>| {
            let value = response.headers.get(name.as_ref()?)?;
            value.to_str().ok().map(str::to_owned)
        };
        let number =
            |name: &Option<String>| text(name).and_then(|text| text.trim().parse::<i64>().ok());
        let is_exhausted = self
            .exhaustion
            .contains(&u64::from(response.status.as_u16()));
        let remaining = number(&self.remaining_header).or(is_exhausted.then_some(0));
        let reset_us = text(&self.reset_header).and_then(|text| time::parse_airbyte(&text));
        // A late answer from a window that is over says nothing about this one.
        let is_at_least = |from: i64| reset_us.is_none_or(|reset_us| reset_us >= from);
        if let Some(limit) = number(&self.limit_header).filter(|limit| *limit > 0)
            && is_at_least(pool.reset_us)
        {
            pool.limit = limit;
        }
        match (reset_us, remaining) {
            (Some(reset_us), remaining) if reset_us > pool.reset_us => {
                pool.reset_us = reset_us;
                pool.remaining = remaining.unwrap_or(pool.limit);
            }
            (_, Some(remaining))
                if (remaining <= 0 && is_exhausted)
                    || is_at_least(pool.reset_us.saturating_sub(RESET_SKEW_US)) =>
            {
                pool.remaining = pool.remaining.min(remaining);
            }
            _ => {}
        }
    }
}

impl StatusSource {
    fn build(component: &Component<'_>) -> Result<Self> {
        let method = component.text("http_method")?.unwrap_or("GET");
        let headers = component.get("request_headers").and_then(Value::as_object);
        let headers = headers.into_iter().flatten().map(|(name, value)| {
            Ok((name.clone(), Template::new(&python_text(value), component)?))
        });
        let unavailable = component
            .get("unavailable_status_codes")
            .and_then(Value::as_array);
        Ok(Self {
            url: Template::new(component.need_text("url")?, component)?,
            method: Method::from_bytes(method.as_bytes())
                .map_err(|_| component.error(format!("`{method}` is no HTTP method.")))?,
            headers: headers.collect::<Result<_>>()?,
            unavailable: unavailable
                .into_iter()
                .flatten()
                .filter_map(Value::as_u64)
                .collect(),
        })
    }
}

/// A list of templates, or one that gives all of them between delimiters.
fn tokens(component: &Component<'_>, host: &Host) -> Result<Vec<String>> {
    let config = host.config();
    let scope = host.scope(&config);
    let given: Vec<String> = match component.need("tokens")? {
        Value::String(text) => {
            let all = Template::new(text, component)?.text(&scope)?;
            let delimiter = component.text("token_delimiter")?.unwrap_or(",");
            all.split(delimiter).map(str::to_owned).collect()
        }
        _ => {
            let texts = component.texts("tokens")?;
            let texts = texts
                .iter()
                .map(|text| Template::new(text, component)?.text(&scope));
            texts.collect::<Result<_>>()?
        }
    };
    let trimmed = given.iter().map(|token| token.trim().to_owned());
    Ok(trimmed.filter(|token| !token.is_empty()).collect())
}
