//! Jobs that an API works on while the reader waits: create, poll, download.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cdk_core::{ConnectorError, Result, RetryStatus};
use reqwest::Method;
use serde_json::{Map, Value};

use crate::client::HttpClient;
use crate::json;
use crate::request::{Request, text_of};
use crate::stream::check_page::undecodable;
use crate::stream::fetch::Fetched;
use crate::stream::output::Output;
use crate::stream::{HttpStream, Slice};

/// Answers about jobs are small.
const ANSWER_BYTES: usize = 16 << 20;

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobStatus {
    /// The API works on it.
    Running,
    /// The results are ready.
    Completed,
    /// It failed; another may succeed.
    Failed,
    /// There is nothing to download.
    Skipped,
}

type Statuses = Vec<(String, JobStatus)>;

/// How a stream's records come out of a job.
///
/// The stream's own request creates the job. Its answer's values, by the names given in [`created`](Self::created),
/// stand for `{name}` in the path that is polled and in those that are downloaded.
///
/// ```
/// use cdk_http::stream::{AsyncJob, JobStatus};
///
/// let job = AsyncJob::new("/jobs/{id}", "status")
///     .created([("id", "job.id")])
///     .status("done", JobStatus::Completed)
///     .status("error", JobStatus::Failed)
///     .download_urls_at("files");
/// ```
#[derive(Clone)]
pub struct AsyncJob {
    poll_path: String,
    status_path: Vec<String>,
    created: Vec<(String, Vec<String>)>,
    statuses: Statuses,
    urls: Vec<String>,
    download_path: Option<String>,
    wait: Duration,
    timeout: Duration,
    max_attempts: u32,
    has_auth: bool,
    slots: Arc<tokio::sync::Semaphore>,
}

impl AsyncJob {
    /// Polls this path; its JSON answer holds the job's status at `status_path`. A status that is not named otherwise
    /// means that the job is running.
    pub fn new(poll_path: impl Into<String>, status_path: &str) -> Self {
        Self {
            poll_path: poll_path.into(),
            status_path: json::path(status_path),
            created: Vec::new(),
            statuses: Vec::new(),
            urls: Vec::new(),
            download_path: None,
            wait: Duration::from_secs(5),
            timeout: Duration::from_secs(3600),
            max_attempts: 3,
            has_auth: false,
            slots: Arc::new(tokio::sync::Semaphore::new(1)),
        }
    }

    /// Takes values out of the answer to the creation: names, and their paths.
    #[must_use]
    pub fn created<'a>(mut self, values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let values = values.into_iter();
        self.created = values
            .map(|(name, path)| (name.to_owned(), json::path(path)))
            .collect();
        self
    }

    /// Says what a status of the API means.
    #[must_use]
    pub fn status(mut self, text: impl Into<String>, status: JobStatus) -> Self {
        self.statuses.push((text.into(), status));
        self
    }

    /// Downloads the URLs at this path of the last answer about the job: one, or a list.
    #[must_use]
    pub fn download_urls_at(mut self, path: &str) -> Self {
        self.urls = json::path(path);
        self
    }

    /// Downloads this path below the API's base.
    #[must_use]
    pub fn download_path(mut self, path: impl Into<String>) -> Self {
        self.download_path = Some(path.into());
        self
    }

    /// Adds the API's credentials to the download of URLs. They are left out by default: such URLs often lie on other
    /// servers.
    #[must_use]
    pub fn download_with_auth(mut self) -> Self {
        self.has_auth = true;
        self
    }

    /// Sets how long to wait between two looks at the job; 5 s by default.
    #[must_use]
    pub fn poll_every(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Sets after which time a job is given up and created anew; an hour by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many jobs may be there at a time; one by default.
    #[must_use]
    pub fn concurrent(mut self, jobs: usize) -> Self {
        self.slots = Arc::new(tokio::sync::Semaphore::new(jobs.max(1)));
        self
    }

    /// Creates a job: the slice with its values.
    pub(super) async fn create(
        &self,
        stream: &HttpStream,
        client: &HttpClient,
        slice: &Slice,
    ) -> Result<Slice> {
        let request = stream.request(slice, None)?;
        let answer = self.ask(client, request.clone()).await?;
        let mut slice = slice.clone();
        for (name, path) in &self.created {
            let value = step_into(&answer, path).filter(|value| !value.is_null());
            let Some(value) = value else {
                let (place, path) = (request.display(), path.join("."));
                let text = format!("the answer to {place} holds no `{path}`");
                return Err(self.error(stream, &text));
            };
            slice.values.insert(name.clone(), value.clone());
        }
        Ok(slice)
    }

    /// Runs a job to its end and hands on its records.
    pub(super) async fn read(
        &self,
        stream: &HttpStream,
        client: &HttpClient,
        slice: &Slice,
        output: &mut impl Output,
    ) -> Result<()> {
        let mut attempts = 0;
        let (slice, done) = loop {
            // Never closed.
            let slot = client.unless_stopped(self.slots.acquire()).await?;
            let created = self.create(stream, client, slice).await?;
            let ended = self.wait_for(stream, client, &created).await?;
            drop(slot);
            match ended {
                Ended::Done(answer) => break (created, answer),
                Ended::Nothing => return output.page_end(None).await,
                Ended::Failed(why) => {
                    attempts += 1;
                    if attempts >= self.max_attempts {
                        let text = format!("{why}, {attempts} times");
                        return Err(self
                            .error(stream, &text)
                            .with_retry(RetryStatus::Persistent));
                    }
                    tracing::info!("Stream {}: {why}. It is created anew.", stream.name);
                }
            }
        };
        let download_client = match self.has_auth || self.download_path.is_some() {
            true => client.clone(),
            false => client.bare(),
        };
        for request in self.downloads(stream, &slice, &done)? {
            match stream.fetch_request(&download_client, request).await? {
                Fetched::Whole(_, records) => {
                    for records in &records {
                        output.records(records).await?;
                    }
                }
                Fetched::Long(mut head, mut page) => {
                    while let Some(records) = page.next(&mut head, &download_client).await? {
                        output.records(&records).await?;
                    }
                }
                Fetched::Nothing | Fetched::Reset => {}
            }
        }
        output.page_end(None).await
    }

    async fn wait_for(
        &self,
        stream: &HttpStream,
        client: &HttpClient,
        slice: &Slice,
    ) -> Result<Ended> {
        let started = client.timer().now();
        loop {
            let path = slice.render(&self.poll_path, true)?;
            let url = crate::url::join(&stream.api.base, &path)?;
            let answer = self.ask(client, Request::new(Method::GET, url)).await?;
            let status = step_into(&answer, &self.status_path).map(text_of);
            let known = status.as_ref().and_then(|status| {
                let mut statuses = self.statuses.iter();
                statuses.find(|(text, _)| text == status)
            });
            match known.map_or(JobStatus::Running, |(_, status)| *status) {
                JobStatus::Completed => return Ok(Ended::Done(answer)),
                JobStatus::Skipped => return Ok(Ended::Nothing),
                JobStatus::Failed => return Ok(Ended::Failed("the API's job failed".to_owned())),
                JobStatus::Running => {}
            }
            if client.timer().now().saturating_sub(started) > self.timeout {
                let minutes = self.timeout.as_secs() / 60;
                return Ok(Ended::Failed(format!(
                    "the API's job was not ready after {minutes} minutes"
                )));
            }
            client
                .unless_stopped(client.timer().sleep(self.wait))
                .await?;
        }
    }

    fn downloads(&self, stream: &HttpStream, slice: &Slice, done: &Value) -> Result<Vec<Request>> {
        if let Some(path) = &self.download_path {
            let url = crate::url::join(&stream.api.base, &slice.render(path, true)?)?;
            return Ok(vec![Request::get(url)]);
        }
        let found = match step_into(done, &self.urls) {
            Some(Value::Array(urls)) => urls.iter().map(text_of).collect(),
            Some(Value::String(url)) => vec![url.clone()],
            Some(Value::Null) | None => Vec::new(),
            Some(_) => {
                let place = self.urls.join(".");
                let text = format!("there is no URL at `{place}` of the job");
                return Err(self.error(stream, &text));
            }
        };
        let requests = found.iter().map(|url| {
            let url = crate::url::follow(&stream.api.base, url)?;
            Ok(Request::get(url))
        });
        requests.collect()
    }

    /// The JSON answer to a request about the job.
    async fn ask(&self, client: &HttpClient, request: Request) -> Result<Value> {
        let outcome = client.fetch(request.clone(), ANSWER_BYTES).await?;
        let Some(mut response) = outcome.success() else {
            return Ok(Value::Object(Map::new()));
        };
        let body = response.body.bytes(ANSWER_BYTES).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        serde_json::from_slice(&body).map_err(|_| {
            use crate::decode::{DecodeError, DecodeErrorKind};
            let error = DecodeError::new(DecodeErrorKind::Invalid, "expected JSON about a job");
            undecodable(client, &request, &error)
        })
    }

    fn error(&self, stream: &HttpStream, what: &str) -> ConnectorError {
        ConnectorError::system(format!(
            "Stream {}: {what}. If it happens again, the API or the connector has changed.",
            stream.name
        ))
        .with_stream(&stream.descriptor())
    }
}

enum Ended {
    Done(Value),
    Nothing,
    Failed(String),
}

fn step_into<'a>(json: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(json, |json, step| json.get(step))
}

impl fmt::Debug for AsyncJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncJob")
            .field("poll_path", &self.poll_path)
            .field("statuses", &self.statuses)
            .finish_non_exhaustive()
    }
}
