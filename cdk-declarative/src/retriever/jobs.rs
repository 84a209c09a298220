//! Jobs of an API: created, polled until they are done, their results downloaded.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cdk_core::protocol::FailureType;
use cdk_core::{ConnectorError, Result};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use serde_json::{Map, Value};
use tokio_util::task::AbortOnDropHandle;
use tracing::instrument::WithSubscriber;

use crate::component::Component;
use crate::decoder::Decoder;
use crate::extract::Extractor;
use crate::feed::feed;
use crate::host::Host;
use crate::paginator::Paginator;
use crate::record::Record;
use crate::requester::response::PageResponse;
use crate::requester::{Requester, Sent};
use crate::retriever::simple::{CursorSettings, Pager, SimpleRetriever};
use crate::select::Selector;
use crate::slice::{Additions, StreamSlice};
use crate::template::{Template, python_text};
use crate::transform::Transformation;

/// Between two looks at a job.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// A job that fails is created again, up to this many times altogether.
const MAX_ATTEMPTS: u32 = 3;
const DEFAULT_TIMEOUT_MINUTES: u64 = 60;
const TEST_TIMEOUT_MINUTES: u64 = 15;

/// Reads a slice by a job of the API.
#[derive(Debug)]
pub(crate) struct AsyncRetriever {
    name: String,
    host: Arc<Host>,
    creation: Requester,
    polling: Requester,
    abort: Option<Requester>,
    delete: Option<Requester>,
    target_requester: Option<Requester>,
    target_extractor: Option<Extractor>,
    status_extractor: Extractor,
    statuses: HashMap<String, JobStatus>,
    download: Arc<SimpleRetriever>,
    selector: Selector,
    timeout: Duration,
    retry_wait: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JobStatus {
    Running,
    Completed,
    Failed,
    TimedOut,
    Skipped,
}

/// The names of what rides along with a slice whose job is done.
const CREATION: &str = "creation_response";
const POLLING: &str = "polling_response";
const TARGET: &str = "download_target";

impl AsyncRetriever {
    pub(crate) fn build(
        component: &Component<'_>,
        name: &str,
        transformations: Vec<Transformation>,
        settings: &CursorSettings,
        host: &Arc<Host>,
    ) -> Result<Self> {
        let decoder = Decoder::build(component.child("decoder")?.as_ref(), host.registry())?;
        let config = host.config();
        let scope = host.scope(&config);
        let requester = |key: &str, what: &str| -> Result<Option<Requester>> {
            let at = component.child(key)?;
            at.map(|at| Requester::build(&at, &format!("job {what} - {name}"), host))
                .transpose()
        };
        let needed = |key: &str, what: &str| -> Result<Requester> {
            component.need_child(key)?;
            requester(key, what)?
                .ok_or_else(|| component.error(format!("the field `{key}` is missing.")))
        };
        let extractor = |key: &str| -> Result<Option<Extractor>> {
            let at = component.child(key)?;
            at.map(|at| Extractor::build(&at, &decoder, &scope, host.registry()))
                .transpose()
        };
        let target_extractor = extractor("download_target_extractor")?;
        let target_requester = requester("download_target_requester", "extract_url")?;
        if target_requester.is_some() && target_extractor.is_none() {
            return Err(
                component.error("`download_target_requester` needs a `download_target_extractor`.")
            );
        }
        let selector = Selector::build(
            &component.need_child("record_selector")?,
            &decoder,
            transformations,
            settings.cursor.as_ref(),
            settings.is_client_side,
            host,
        )?;
        let number = |key: &str| -> Result<Option<u64>> {
            let text = component.text_like(key);
            let text = text
                .map(|text| Template::new(&text, component)?.text(&scope))
                .transpose()?;
            text.map(|text| {
                text.trim()
                    .parse()
                    .map_err(|_| component.error(format!("`{key}` is not a whole number.")))
            })
            .transpose()
        };
        let default_minutes = match host.limits {
            Some(_) => TEST_TIMEOUT_MINUTES,
            None => DEFAULT_TIMEOUT_MINUTES,
        };
        let minutes = number("polling_job_timeout")?.unwrap_or(default_minutes);
        Ok(Self {
            name: name.to_owned(),
            host: Arc::clone(host),
            creation: needed("creation_requester", "creation")?,
            polling: needed("polling_requester", "polling")?,
            abort: requester("abort_requester", "abort")?,
            delete: requester("delete_requester", "delete")?,
            target_requester,
            target_extractor,
            status_extractor: extractor("status_extractor")?
                .ok_or_else(|| component.error("the field `status_extractor` is missing."))?,
            statuses: statuses(&component.need_child("status_mapping")?)?,
            download: Arc::new(download(component, name, host, &selector)?),
            selector,
            timeout: Duration::from_secs(minutes.saturating_mul(60)),
            retry_wait: number("failed_retry_wait_time_in_seconds")?.map(Duration::from_secs),
        })
    }

    /// The slices whose jobs are done, in the order in which they get done.
    ///
    /// Jobs run side by side as the budget allows. Jobs that fail for good make an error at the end; an error of the
    /// config ends everything at once.
    pub(crate) fn completed(
        self: Arc<Self>,
        slices: BoxStream<'static, Result<Arc<StreamSlice>>>,
    ) -> BoxStream<'static, Result<Arc<StreamSlice>>> {
        let budget = self.host.jobs.available_permits().max(1);
        let this = Arc::clone(&self);
        // Each job is a task of its own: it goes on, and gives its place back, also while nobody waits for it.
        let runs = slices.map(move |slice| {
            let run = Arc::clone(&this).run(slice).with_current_subscriber();
            let task = AbortOnDropHandle::new(tokio::spawn(run));
            task.map(|ended| {
                ended.unwrap_or_else(|error| {
                    Err(
                        ConnectorError::system("A job crashed. This is a bug of the connector.")
                            .caused_by(error),
                    )
                })
            })
        });
        let mut runs = runs.buffer_unordered(budget);
        feed(move |mut out| async move {
            let mut failed = None;
            while let Some(run) = runs.next().await {
                match run {
                    Ok(Some(slice)) => out.send(Ok(slice)).await,
                    Ok(None) => {}
                    Err(error)
                        if error.failure_type() == FailureType::ConfigError || error.is_stop() =>
                    {
                        return out.send(Err(error)).await;
                    }
                    Err(error) => {
                        tracing::warn!("A job of stream {} failed: {error}", self.name);
                        failed.get_or_insert(error);
                    }
                }
            }
            if let Some(error) = failed {
                let all = ConnectorError::system(format!(
                    "Jobs of stream {} failed, also after several attempts. The last: {error}",
                    self.name
                ));
                out.send(Err(all.caused_by(error))).await;
            }
        })
    }

    /// Runs the job of a slice; none when the API has nothing for it.
    async fn run(
        self: Arc<Self>,
        slice: Result<Arc<StreamSlice>>,
    ) -> Result<Option<Arc<StreamSlice>>> {
        let slice = slice?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let problem = match self.attempt(&slice).await {
                Ok(Attempt::Done(slice)) => return Ok(Some(Arc::new(slice))),
                Ok(Attempt::Skipped) => return Ok(None),
                Ok(Attempt::Failed) => {
                    if let Some(wait) = self.retry_wait.filter(|_| attempt < MAX_ATTEMPTS) {
                        self.host.sleep(wait).await?;
                    }
                    ConnectorError::system("The API reports that a job has failed.")
                }
                Ok(Attempt::TimedOut) => ConnectorError::system(format!(
                    "A job was not done within {} minutes.",
                    self.timeout.as_secs() / 60
                )),
                Err(error)
                    if error.failure_type() == FailureType::ConfigError || error.is_stop() =>
                {
                    return Err(error);
                }
                Err(error) => error,
            };
            if attempt >= MAX_ATTEMPTS {
                return Err(problem);
            }
            tracing::warn!("A job of stream {} is created again: {problem}", self.name);
        }
    }

    async fn attempt(&self, slice: &StreamSlice) -> Result<Attempt> {
        let permit = self.host.jobs.acquire().await;
        let _permit = permit.map_err(|_| ConnectorError::stopped())?;
        let created = answered(
            self.creation
                .send(slice, None, Additions::default(), None)
                .await?,
        )?;
        if !created.is_ok() {
            return Err(ConnectorError::system(
                "The API ignores the creation of a job.",
            ));
        }
        let job = with_extra(slice, &[(CREATION, created.context())]);
        let started = self.host.timer.now();
        loop {
            let polled = answered(
                self.polling
                    .send(&job, None, Additions::default(), None)
                    .await?,
            )?;
            match self.status(&polled)? {
                JobStatus::Completed => {
                    return Ok(Attempt::Done(with_extra(
                        &job,
                        &[(POLLING, polled.context())],
                    )));
                }
                JobStatus::Skipped => return Ok(Attempt::Skipped),
                JobStatus::Failed => return Ok(Attempt::Failed),
                JobStatus::TimedOut => {
                    self.abort(&job).await?;
                    return Ok(Attempt::TimedOut);
                }
                JobStatus::Running => {}
            }
            if self.host.timer.now().saturating_sub(started) >= self.timeout {
                self.abort(&job).await?;
                return Ok(Attempt::TimedOut);
            }
            self.host.sleep(POLL_INTERVAL).await?;
        }
    }

    async fn abort(&self, job: &StreamSlice) -> Result<()> {
        if let Some(abort) = &self.abort
            && let Err(error) = abort.send(job, None, Additions::default(), None).await
        {
            tracing::warn!(
                "A job of stream {} could not be aborted: {error}",
                self.name
            );
        }
        Ok(())
    }

    fn status(&self, polled: &PageResponse) -> Result<JobStatus> {
        let found = first_text(&self.status_extractor, polled)?;
        let shown = found.unwrap_or_else(|| "None".to_owned());
        self.statuses.get(&shown).copied().ok_or_else(|| {
            ConnectorError::system(format!(
                "The API reports the job status `{shown}`, which `status_mapping` of stream {} does not have.",
                self.name
            ))
        })
    }

    /// The records of a slice whose job is done.
    pub(crate) fn records(
        self: Arc<Self>,
        slice: Arc<StreamSlice>,
        schema: Option<Arc<Value>>,
    ) -> JobRecords {
        JobRecords {
            retriever: self,
            slice,
            schema,
            targets: None,
            pager: None,
        }
    }

    /// Where the results are: none named means one download without a target.
    async fn targets(&self, slice: &StreamSlice) -> Result<Vec<Value>> {
        let Some(extractor) = &self.target_extractor else {
            return Ok(vec!["".into()]);
        };
        let response = match &self.target_requester {
            Some(requester) => {
                let polling = slice
                    .extra_fields()
                    .get(POLLING)
                    .cloned()
                    .unwrap_or(Value::Null);
                let slice = with_extra(&StreamSlice::default(), &[(POLLING, polling)]);
                answered(
                    requester
                        .send(&slice, None, Additions::default(), None)
                        .await?,
                )?
            }
            None => {
                let polled = slice.extra_fields().get(POLLING).unwrap_or(&Value::Null);
                PageResponse::of_json(polled)?
            }
        };
        values(extractor, &response)
    }

    async fn delete(&self, slice: &StreamSlice) -> Result<()> {
        match &self.delete {
            Some(delete) => delete
                .send(slice, None, Additions::default(), None)
                .await
                .map(drop),
            None => Ok(()),
        }
    }
}

#[allow(clippy::large_enum_variant)] // One per job.
enum Attempt {
    Done(StreamSlice),
    Skipped,
    Failed,
    TimedOut,
}

/// The records of one job.
pub(crate) struct JobRecords {
    retriever: Arc<AsyncRetriever>,
    slice: Arc<StreamSlice>,
    schema: Option<Arc<Value>>,
    targets: Option<std::vec::IntoIter<Value>>,
    pager: Option<Pager>,
}

impl JobRecords {
    pub(crate) async fn next(&mut self) -> Result<Option<Record>> {
        loop {
            if let Some(pager) = &mut self.pager {
                match pager.next().await? {
                    Some(record) => {
                        if let Some(record) = self.finished(record)? {
                            return Ok(Some(record));
                        }
                        continue;
                    }
                    None => self.pager = None,
                }
            }
            let targets = match &mut self.targets {
                Some(targets) => targets,
                None => {
                    let targets = self.retriever.targets(&self.slice).await?;
                    self.targets.insert(targets.into_iter())
                }
            };
            let Some(target) = targets.next() else {
                self.retriever.delete(&self.slice).await?;
                return Ok(None);
            };
            let slice = Arc::new(with_extra(&self.slice, &[(TARGET, target)]));
            self.pager = Some(Arc::clone(&self.retriever.download).pager(slice));
        }
    }

    fn finished(&self, record: Record) -> Result<Option<Record>> {
        let host = &self.retriever.host;
        let config = host.config();
        let scope = host.scope(&config);
        let scope = scope.of_slice(&self.slice);
        let none = Value::Null;
        let scope = scope.with("next_page_token", &none);
        let schema = self.schema.as_deref();
        self.retriever
            .selector
            .finished(record, &self.slice, &scope, schema)
    }
}

fn with_extra(slice: &StreamSlice, more: &[(&str, Value)]) -> StreamSlice {
    let mut extra = slice.extra_fields().clone();
    for (name, value) in more {
        extra.insert((*name).to_owned(), value.clone());
    }
    StreamSlice::new(slice.partition().clone(), slice.cursor().clone()).with_extra_fields(extra)
}

fn answered(sent: Sent) -> Result<PageResponse> {
    match sent {
        Sent::Response(response) => Ok(response),
        Sent::ResetPagination => Err(ConnectorError::system(
            "A request of a job asks for pages to be read anew, but it has no pages.",
        )),
    }
}

fn values(extractor: &Extractor, response: &PageResponse) -> Result<Vec<Value>> {
    extractor.extract(&response.body)?.into_values().collect()
}

fn first_text(extractor: &Extractor, response: &PageResponse) -> Result<Option<String>> {
    Ok(values(extractor, response)?.first().map(python_text))
}

fn statuses(component: &Component<'_>) -> Result<HashMap<String, JobStatus>> {
    let mut statuses = HashMap::new();
    for (key, status) in [
        ("running", JobStatus::Running),
        ("completed", JobStatus::Completed),
        ("failed", JobStatus::Failed),
        ("timeout", JobStatus::TimedOut),
        ("skipped", JobStatus::Skipped),
    ] {
        for name in component.texts(key)? {
            if statuses
                .insert(name.clone(), status)
                .is_some_and(|before| before != status)
            {
                return Err(component.error(format!("the status `{name}` stands in two lists.")));
            }
        }
    }
    Ok(statuses)
}

/// The retriever of results: no filter, no transformations, they come after it.
fn download(
    component: &Component<'_>,
    name: &str,
    host: &Arc<Host>,
    finisher: &Selector,
) -> Result<SimpleRetriever> {
    let decoder = component.child("download_decoder")?;
    let decoder = Decoder::build(decoder.as_ref(), host.registry())?;
    let config = host.config();
    let scope = host.scope(&config);
    let mut selector = Map::new();
    selector.insert("type".to_owned(), "RecordSelector".into());
    let extractor = component.get("download_extractor").cloned();
    let whole = || serde_json::json!({"type": "DpathExtractor", "field_path": []});
    selector.insert("extractor".to_owned(), extractor.unwrap_or_else(whole));
    let selector = Value::Object(selector);
    let selector = Component::new(&selector, component.path())?;
    let paginator = component.child("download_paginator")?;
    let requester = component.need_child("download_requester")?;
    Ok(SimpleRetriever {
        name: name.to_owned(),
        host: Arc::clone(host),
        requester: Requester::build(&requester, &format!("job download - {name}"), host)?,
        selector: Selector::build(&selector, &decoder, Vec::new(), None, false, host)?
            .for_other(finisher),
        paginator: Paginator::build(paginator.as_ref(), &decoder, &scope, host.registry())?,
        properties: None,
        cursor: None,
        reset: None,
        first_page_only_options: false,
        is_data_feed: false,
        is_lazy: false,
    })
}
