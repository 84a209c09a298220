//! Files behind a URL, streamed; a transfer that is cut in the middle goes on where it was.

mod body;
mod classify;
mod client;
mod range;

use std::time::Duration;

use cdk_core::RetryStatus;
use cdk_core::{ConnectorError, Result, Secrets};
use cdk_http::{HttpTransport, Response, Url};

use crate::fingerprint::Fingerprint;
use crate::location::Opened;

/// Timeouts and retries of transfers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpSettings {
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the server may send nothing.
    pub read_timeout: Duration,
    /// Failures in a row before giving up; a transfer that got further starts to count anew.
    pub max_retries: u32,
    /// The wait before the first retry; it doubles each time.
    pub first_delay: Duration,
    /// No wait is longer, also when the server asks for it.
    pub max_delay: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(60),
            max_retries: 5,
            first_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(60),
        }
    }
}

impl HttpSettings {
    /// Sets the wait before the first retry.
    #[must_use]
    pub fn with_first_delay(mut self, delay: Duration) -> Self {
        self.first_delay = delay;
        self
    }

    /// Sets the failures in a row before giving up.
    #[must_use]
    pub fn with_max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// Sets how long the server may send nothing.
    #[must_use]
    pub fn with_read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }
}

/// A file behind a URL. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct HttpFile {
    url: Url,
    /// The URL without user, password and query, for messages.
    display: String,
    transport: HttpTransport,
    settings: HttpSettings,
}

/// An answered request, and how many of its first bytes come before those asked for.
pub(crate) struct Answer {
    response: Response,
    skip: u64,
    fingerprint: Fingerprint,
}

/// Why a request failed, and how long the server wants us to wait.
pub(crate) struct Failure {
    error: ConnectorError,
    retry_after: Option<Duration>,
}

impl From<ConnectorError> for Failure {
    fn from(error: ConnectorError) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

impl HttpFile {
    /// The file behind `url`; `https` if it names no scheme.
    pub(crate) fn new(url: &str, has_user_agent: bool, settings: HttpSettings) -> Result<Self> {
        let url = client::parse_url(url)?;
        let display = cdk_http::url::display(&url);
        let transport = client::build(has_user_agent, &settings)?;
        Ok(Self {
            url,
            display,
            transport,
            settings,
        })
    }

    /// The URL without credentials.
    pub(crate) fn display(&self) -> &str {
        &self.display
    }

    /// Registers what in the URL may be secret: the password, and a query that may hold a signature.
    pub(crate) fn register_secrets(&self, secrets: &Secrets) {
        const SHORTEST_SIGNATURE: usize = 16;
        let query = self
            .url
            .query()
            .filter(|query| query.len() >= SHORTEST_SIGNATURE);
        self.url
            .password()
            .into_iter()
            .chain(query)
            .for_each(|secret| secrets.add(secret));
    }

    /// Opens the file at byte `from`, in the version `expected` if that is given. The transfer runs ahead of the reader by a few chunks.
    pub(crate) async fn open(&self, from: u64, expected: Option<&Fingerprint>) -> Result<Opened> {
        let mut failures = 0;
        let answer = loop {
            match self.request(from, expected).await {
                Ok(answer) => break answer,
                Err(failure) => self.wait_to_retry(failure, &mut failures).await?,
            }
        };
        let fingerprint = answer.fingerprint.clone();
        Ok(Opened {
            fingerprint,
            bytes: Box::new(body::start(self.clone(), from, answer)),
        })
    }

    /// Waits if another try makes sense; else returns the error.
    async fn wait_to_retry(&self, failure: Failure, failures: &mut u32) -> Result<()> {
        let Failure { error, retry_after } = failure;
        if error.is_stop() || error.retry() != RetryStatus::Temporary {
            return Err(error);
        }
        if *failures >= self.settings.max_retries {
            return Err(error.with_retry(RetryStatus::Persistent));
        }
        let backoff = self
            .settings
            .first_delay
            .saturating_mul(1 << (*failures).min(16));
        let wait = retry_after.unwrap_or(backoff).min(self.settings.max_delay);
        *failures += 1;
        tracing::info!("{error} Trying again in {wait:?} ({failures}).");
        tokio::time::sleep(wait).await;
        Ok(())
    }
}
