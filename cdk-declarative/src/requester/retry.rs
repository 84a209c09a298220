//! The tries of one request.

use std::sync::Mutex;
use std::time::Duration;

use cdk_core::protocol::{
    AirbyteMessage, AirbyteStreamStatus, AirbyteStreamStatusReason,
    AirbyteStreamStatusTraceMessage, AirbyteTraceMessage, FailureType, StreamDescriptor,
};
use cdk_core::{ConnectorError, Result, RetryStatus};
use cdk_http::errors::{Resolution, ResponseAction};
use cdk_http::{Method, Outcome as CacheOutcome, Request, Response, TransportError};

use super::Sent;
use super::http::{Draft, HttpRequester};
use crate::errors::{self, Outcome};
use crate::requester::response::PageResponse;
use crate::slice::Additions;
use crate::test_read;

/// A strategy's wait gets this on top.
const EXTRA_WAIT: Duration = Duration::from_secs(1);
/// The wait when another token takes over.
const ROTATION_WAIT: Duration = Duration::from_millis(100);

/// Tries so far, by what made for another one.
#[derive(Default)]
struct Tries {
    by_strategy: u32,
    rate_limited: u32,
    by_default: u32,
    total: u32,
    has_refreshed: Option<bool>,
}

impl HttpRequester {
    pub(super) async fn send_draft(&self, draft: &Draft) -> Result<Sent> {
        let started = self.host.timer.now();
        let mut tries = Tries::default();
        loop {
            let config = self.host.config();
            let bare = match self.auth.looks_at_requests() {
                true => Some(self.request(draft, &Additions::default())?),
                false => None,
            };
            let scope = self.host.scope(&config);
            let auth = self.auth.additions(&scope, bare.as_ref()).await?;
            let request = self.request(draft, &auth)?;
            let shown = request.display();
            let recorded = self.host.recorder.as_deref();
            let recorded = recorded.map(|recorder| (recorder, test_read::shown(&request)));
            let mut outcome = self.exchange(request).await?;
            if let Ok(response) = &mut outcome {
                let mut headers = draft.headers.clone();
                headers.extend(auth.headers.clone());
                response.asked_with = Some(std::sync::Arc::new(headers));
            }
            let has_other_token = match (&outcome, &bare) {
                (Ok(response), Some(request)) => self.auth.saw(&auth, request, response),
                _ => false,
            };
            tries.total += 1;
            let scope = self.host.scope(&config);
            let resolution = self.errors.interpret(&outcome, &scope)?;
            if let Some((recorder, request)) = recorded {
                recorder.answered(&self.name, &request, &outcome);
            }
            match resolution.action {
                ResponseAction::ResetPagination => return Ok(Sent::ResetPagination),
                ResponseAction::Fail => return Err(errors::failed(&resolution, &outcome, &shown)),
                ResponseAction::Ignore => {
                    tracing::info!(
                        "{}",
                        resolution
                            .message
                            .unwrap_or_else(|| format!("The answer to {shown} is ignored."))
                    );
                    return outcome
                        .map(Sent::Response)
                        .map_err(|error| unanswered(&shown, error));
                }
                ResponseAction::Success => {
                    return outcome
                        .map(Sent::Response)
                        .map_err(|error| unanswered(&shown, error));
                }
                ResponseAction::RateLimited if self.reports_status => self.report_rate_limit()?,
                ResponseAction::RefreshTokenThenRetry => self.refresh(&mut tries).await?,
                _ => {}
            }
            let wait = if has_other_token && resolution.action == ResponseAction::RateLimited {
                Some(ROTATION_WAIT)
            } else {
                self.errors
                    .backoff(&outcome, tries.total, self.host.now_us() / 1000, &scope)?
            };
            let passed = self.host.timer.now().saturating_sub(started);
            let wait = self.next_wait(&mut tries, resolution.action, wait, passed);
            let Some(wait) = wait else {
                return Err(exhausted(&resolution, &outcome, &shown));
            };
            tracing::info!("{shown} is tried again in {} s.", wait.as_secs());
            self.host.sleep(wait).await?;
        }
    }

    /// How long to wait before the next try; none when there is none.
    fn next_wait(
        &self,
        tries: &mut Tries,
        action: ResponseAction,
        wait: Option<Duration>,
        passed: Duration,
    ) -> Option<Duration> {
        if self.host.limits.is_some() {
            return None;
        }
        let max_tries = self.errors.max_retries().saturating_add(1);
        let is_limited = action == ResponseAction::RateLimited;
        let doubling = |tries: u32| Duration::from_secs(1 << (tries - 1).min(20));
        let (count, wait) = match wait {
            Some(wait) => {
                tries.by_strategy += 1;
                (tries.by_strategy, wait + EXTRA_WAIT)
            }
            None if is_limited => {
                tries.by_strategy = 0;
                tries.rate_limited += 1;
                (tries.rate_limited, doubling(tries.rate_limited))
            }
            None => {
                (tries.by_strategy, tries.rate_limited) = (0, 0);
                tries.by_default += 1;
                (tries.by_default, doubling(tries.by_default))
            }
        };
        // Waits for a rate limit without a strategy may take as long as they take.
        let is_bounded = tries.by_strategy > 0 || !is_limited;
        if count >= max_tries || (is_bounded && passed >= self.errors.max_time()) {
            return None;
        }
        Some(wait)
    }

    /// One try, or an answer that was kept.
    async fn exchange(&self, request: Request) -> Result<Outcome> {
        if !self.is_cached || request.method != Method::GET {
            return self.exchange_now(request).await;
        }
        let lost: Mutex<Option<TransportError>> = Mutex::new(None);
        let kept = self.host.cache.get_or_fetch(request, |request| async {
            match self.exchange_now(request).await? {
                Ok(page) if page.status.as_u16() == 200 => whole(page).map(CacheOutcome::Success),
                Ok(page) => whole(page).map(CacheOutcome::Ignored),
                Err(error) => {
                    *lock(&lost) = Some(error);
                    Err(ConnectorError::transient("The request was not answered."))
                }
            }
        });
        let kept = kept.await;
        if let Some(error) = lock(&lost).take() {
            return Ok(Err(error));
        }
        let response = match kept? {
            CacheOutcome::Success(response)
            | CacheOutcome::Ignored(response)
            | CacheOutcome::ResetPagination(response) => response,
            _ => {
                return Err(ConnectorError::system(
                    "The response cache gave an unknown outcome.",
                ));
            }
        };
        let body = response.body.ready().cloned().unwrap_or_default();
        Ok(Ok(PageResponse {
            status: response.status,
            headers: response.headers,
            url: response.url,
            body: body.into(),
            asked_with: None,
        }))
    }

    async fn exchange_now(&self, mut request: Request) -> Result<Outcome> {
        self.cookies.add_to(&mut request);
        let outcome = self.exchange_in_budget(request).await?;
        if let Ok(response) = &outcome {
            self.cookies.learn(&response.headers, &response.url);
        }
        Ok(outcome)
    }

    async fn exchange_in_budget(&self, request: Request) -> Result<Outcome> {
        let timer = self.host.timer.as_ref();
        let Some(budget) = &self.host.budget else {
            return self.unless_stopped(request).await;
        };
        let waiting = |wait: Duration| {
            tracing::info!(
                "Stream {} waits {} s for its API budget.",
                self.name,
                wait.as_secs()
            );
        };
        let mut permit = budget.acquire(&request, timer, waiting).await;
        let sent = request.clone();
        let outcome = self.unless_stopped(request).await?;
        permit.answered(timer.now());
        if let Ok(response) = &outcome {
            let now_ms = self.host.now_us() / 1000;
            budget.observe(&sent, response.status, &response.headers, timer, now_ms);
        }
        Ok(outcome)
    }

    async fn unless_stopped(&self, request: Request) -> Result<Outcome> {
        tokio::select! {
            biased;
            () = self.host.context.stop().cancelled() => Err(ConnectorError::stopped()),
            outcome = self.host.exchange(request) => Ok(outcome),
        }
    }

    fn report_rate_limit(&self) -> Result<()> {
        let stream = StreamDescriptor::new(self.name.as_str());
        let mut body = AirbyteStreamStatusTraceMessage::new(stream, AirbyteStreamStatus::Running);
        body.reasons = Some(vec![AirbyteStreamStatusReason::rate_limited(None)]);
        let trace = AirbyteTraceMessage::stream_status(self.host.context.now_ms() as f64, body);
        self.host.context.emit(AirbyteMessage::Trace(trace))
    }

    /// Renews the token once per request; a request that is refused again fails.
    async fn refresh(&self, tries: &mut Tries) -> Result<()> {
        match tries.has_refreshed {
            Some(true) => {
                return Err(ConnectorError::config(
                    "The API rejects the access token also after it was renewed. Authenticate this source again.",
                ));
            }
            Some(false) => {
                return Err(ConnectorError::transient(
                    "The API rejects the access token, and it could not be renewed.",
                ));
            }
            None => {}
        }
        match self.auth.refresh().await {
            Ok(true) => tries.has_refreshed = Some(true),
            Ok(false) => tracing::warn!(
                "The token of stream {} is to be renewed, but its authenticator can't do that.",
                self.name
            ),
            Err(error) if error.failure_type() == FailureType::ConfigError => return Err(error),
            Err(error) => {
                tracing::warn!("The token could not be renewed: {error}");
                tries.has_refreshed = Some(false);
            }
        }
        Ok(())
    }
}

fn whole(page: PageResponse) -> Result<Response> {
    let body = page.body.whole()?;
    Ok(Response::new(page.status, page.headers, page.url, body))
}

fn lock(lost: &Mutex<Option<TransportError>>) -> std::sync::MutexGuard<'_, Option<TransportError>> {
    lost.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn unanswered(request: &str, error: TransportError) -> ConnectorError {
    ConnectorError::transient(format!("{request} was not answered.")).caused_by(error)
}

fn exhausted(resolution: &Resolution, outcome: &Outcome, request: &str) -> ConnectorError {
    let is_rate_limit = matches!(outcome, Ok(response) if response.status.as_u16() == 429);
    if is_rate_limit {
        return ConnectorError::transient("API rate limit exceeded. Run the sync again later.")
            .with_internal(request)
            .with_retry(RetryStatus::Persistent);
    }
    let what = match outcome {
        Ok(response) => format!("the last answer had status {}", response.status.as_u16()),
        Err(error) => error.to_string(),
    };
    let message = resolution.message.clone().unwrap_or_default();
    let message = format!("{request} failed also after several tries: {what}. {message}");
    ConnectorError::new(resolution.failure_type, message.trim()).with_retry(RetryStatus::Persistent)
}
