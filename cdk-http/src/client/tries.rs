//! The loop of tries.

use std::time::Duration;

use airbyte_protocol::{
    AirbyteMessage, AirbyteStreamStatus, AirbyteStreamStatusTraceMessage, AirbyteTraceMessage,
};
use bytes::Bytes;
use cdk_core::{ConnectorError, Result};
use futures::StreamExt;
use futures::stream;

use super::failure::Failure;
use super::{HttpClient, Outcome};
use crate::auth::Grant;
use crate::errors::{Answer, Attempt, Resolution, ResponseAction, RetryLimits};
use crate::request::Request;
use crate::response::{Response, ResponseBody};
use crate::transport::TransportError;

/// So much of an error's body is looked at.
const ERROR_BODY_BYTES: usize = 1 << 20;
/// So much of a success's body is shown to an error handler that inspects it.
const INSPECTED_BYTES: usize = 64 << 20;
/// The wait before a try with other credentials.
const SWITCH_WAIT: Duration = Duration::from_millis(100);

/// One try that is over.
struct Tried {
    ended: Result<Response, TransportError>,
    /// What of the body was read.
    body: Bytes,
    grant: Grant,
}

impl Tried {
    fn attempt(&self) -> Attempt<'_> {
        match &self.ended {
            Ok(response) => Attempt::Answered(Answer {
                status: response.status,
                headers: &response.headers,
                body: &self.body,
            }),
            Err(error) => Attempt::Failed(error),
        }
    }
}

/// How far the tries of one request are.
struct Tries<'a> {
    client: &'a HttpClient,
    limits: RetryLimits,
    started: Duration,
    retries: u32,
    has_renewed: bool,
}

impl HttpClient {
    pub(super) async fn try_until_done(&self, request: Request, limit: usize) -> Result<Outcome> {
        let mut tries = Tries {
            client: self,
            limits: self.errors.limits(),
            started: self.timer.now(),
            retries: 0,
            has_renewed: false,
        };
        loop {
            let tried = self.try_once(&request, limit).await?;
            let resolution = self.errors.resolve(&tried.attempt());
            if tries.renews(&request, &tried, &resolution) {
                continue;
            }
            match (resolution.action, tried.ended) {
                (ResponseAction::Success, Ok(response)) => return Ok(Outcome::Success(response)),
                (ResponseAction::Ignore, Ok(response)) => return Ok(Outcome::Ignored(response)),
                (ResponseAction::ResetPagination, Ok(response)) => {
                    return Ok(Outcome::ResetPagination(response));
                }
                (_, ended) => {
                    let tried = Tried { ended, ..tried };
                    tries.wait(&request, &tried, &resolution).await?;
                }
            }
        }
    }

    async fn try_once(&self, request: &Request, limit: usize) -> Result<Tried> {
        let mut request = request.clone();
        let grant = self.auth.authorize(&mut request, &self.bare()).await?;
        let mut permit = match &self.budget {
            Some(budget) => {
                let acquired = budget.acquire(&request, self.timer.as_ref(), |wait| {
                    if wait > Duration::from_secs(1) {
                        tracing::info!("Waiting {wait:.1?} to keep within the API's rate limit.");
                    }
                });
                Some(self.unless_stopped(acquired).await?)
            }
            None => None,
        };
        tracing::debug!("{request:?}");
        let mut ended = self.transport.send(request.clone()).await;
        if let Some(permit) = &mut permit {
            permit.answered(self.timer.now());
        }
        let mut body = Bytes::new();
        if let Ok(response) = &mut ended {
            let (status, headers) = (response.status, &response.headers);
            let now_ms = self.context.now_ms();
            if let Some(budget) = &self.budget {
                budget.observe(&request, status, headers, self.timer.as_ref(), now_ms);
            }
            self.auth.observe(grant, status, headers, now_ms);
            match self.read(response, limit).await {
                Ok(read) => body = read,
                Err(error) => ended = Err(error),
            }
        }
        if let (Ok(response), Some(permit)) = (&mut ended, permit) {
            response.body.hold(permit);
        }
        Ok(Tried { ended, body, grant })
    }

    /// Reads of the body what the error handler must see, or `limit` bytes of one that will be read anyway.
    async fn read(&self, response: &mut Response, limit: usize) -> Result<Bytes, TransportError> {
        let inspects = self.errors.inspects_success();
        let is_error = response.status.is_client_error() || response.status.is_server_error();
        let limit = match (is_error, inspects) {
            (true, _) => ERROR_BODY_BYTES.max(limit),
            (false, true) => INSPECTED_BYTES.max(limit),
            (false, false) => limit,
        };
        if limit == 0 {
            return Ok(Bytes::new());
        }
        let expected = response.expected_bytes();
        let (start, is_whole) = response.body.start(limit, expected).await?;
        let rest = std::mem::replace(&mut response.body, ResponseBody::whole(start.clone()));
        if !is_whole {
            let first = stream::iter([Ok(start.clone())]);
            response.body = ResponseBody::chunks(first.chain(rest.into_chunks()));
        }
        Ok(start)
    }

    /// The value of `wait`, or a stop when the run is asked to stop before.
    pub(crate) async fn unless_stopped<T>(&self, wait: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.context.stop().cancelled() => Err(ConnectorError::stopped()),
            value = wait => Ok(value),
        }
    }
}

impl Tries<'_> {
    /// Credentials that were refused are renewed once, whatever the handler makes of that status. The try with new
    /// ones comes at once and is none of the retries: nothing is wrong with the request.
    fn renews(&mut self, request: &Request, tried: &Tried, resolution: &Resolution) -> bool {
        let attempt = tried.attempt();
        let is_refused = attempt
            .answer()
            .is_some_and(|answer| answer.status.as_u16() == 401);
        let wants = resolution.action == ResponseAction::RefreshTokenThenRetry
            || (resolution.action == ResponseAction::Fail && is_refused);
        if !wants || self.has_renewed || !self.client.auth.renew(tried.grant) {
            return false;
        }
        self.has_renewed = true;
        let failure = Failure {
            client: self.client,
            request,
            attempt: &attempt,
            resolution,
        };
        let what = failure.what_happened();
        tracing::info!("{what} Trying again with new credentials.");
        true
    }

    /// Waits for the next try, or says why there is none.
    async fn wait(
        &mut self,
        request: &Request,
        tried: &Tried,
        resolution: &Resolution,
    ) -> Result<()> {
        let client = self.client;
        let attempt = tried.attempt();
        let failure = Failure {
            client,
            request,
            attempt: &attempt,
            resolution,
        };
        if !resolution.action.is_retry() {
            return Err(failure.error());
        }
        self.retries += 1;
        if self.retries > self.limits.max_retries {
            return Err(failure.exhausted(self.retries));
        }
        let now_ms = client.context.now_ms();
        let mut wait = client.errors.wait(&attempt, self.retries, now_ms);
        match resolution.action {
            ResponseAction::RateLimited if client.auth.switch(tried.grant) => {
                wait = Ok(SWITCH_WAIT)
            }
            ResponseAction::RateLimited => client.say_rate_limited()?,
            ResponseAction::RefreshTokenThenRetry => wait = Ok(Duration::ZERO),
            _ => {}
        }
        let wait = wait.map_err(|error| failure.named(error))?;
        let elapsed = client.timer.now().saturating_sub(self.started);
        if self.limits.max_time.is_some_and(|max| elapsed + wait > max) {
            return Err(failure.exhausted(self.retries));
        }
        let (retry, what) = (self.retries, failure.what_happened());
        tracing::info!(
            "{what} Trying again in {wait:.1?} ({retry} of {}).",
            self.limits.max_retries
        );
        client.unless_stopped(client.timer.sleep(wait)).await
    }
}

impl HttpClient {
    /// Waits before an answer whose body broke off is asked for again; gives up after as many failures in a row as a
    /// request has retries.
    pub(crate) async fn wait_to_resume(
        &self,
        request: &Request,
        error: &TransportError,
        failures: u32,
    ) -> Result<()> {
        let attempt = Attempt::Failed(error);
        let resolution = self.errors.resolve(&attempt);
        let failure = Failure {
            client: self,
            request,
            attempt: &attempt,
            resolution: &resolution,
        };
        if !resolution.action.is_retry() || failures > self.errors.limits().max_retries {
            return Err(failure.exhausted(failures));
        }
        let wait = self.errors.wait(&attempt, failures, self.context.now_ms());
        let wait = wait.map_err(|error| failure.named(error))?;
        tracing::info!("{} Going on in {wait:.1?}.", failure.what_happened());
        self.unless_stopped(self.timer.sleep(wait)).await
    }

    /// Tells the platform that the stream waits for a rate limit.
    fn say_rate_limited(&self) -> Result<()> {
        let Some(stream) = &self.stream else {
            return Ok(());
        };
        let status =
            AirbyteStreamStatusTraceMessage::new(stream.clone(), AirbyteStreamStatus::Running);
        let trace = AirbyteTraceMessage::stream_status(
            self.context.now_ms() as f64,
            status.with_rate_limit(None),
        );
        self.context.emit(AirbyteMessage::Trace(trace))
    }
}
