//! Answers kept for the time of a run: streams that need the same pages fetch them once.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use cdk_core::{ErrorContext, Result};
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};
use tokio::sync::OnceCell;

use crate::client::Outcome;
use crate::request::Request;
use crate::response::Response;

/// Successful answers by request: method, URL, headers and body. Cheap to clone; clones share the answers.
///
/// Bodies lie in one temporary file without a name; memory holds where. A request that is asked for twice at the same
/// time is sent once. Bodies beyond [`MAX_BODY_BYTES`](Self::MAX_BODY_BYTES) are not kept.
#[derive(Clone, Default)]
pub struct ResponseCache(Arc<Inner>);

#[derive(Default)]
struct Inner {
    entries: Mutex<HashMap<Key, Arc<OnceCell<Option<Entry>>>>>,
    file: Mutex<Option<Store>>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    method: String,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
}

#[derive(Clone)]
struct Entry {
    status: StatusCode,
    headers: HeaderMap,
    url: Url,
    at: u64,
    len: usize,
}

struct Store {
    file: File,
    end: u64,
}

impl ResponseCache {
    /// Longer bodies are not kept.
    pub const MAX_BODY_BYTES: usize = 64 << 20;

    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// The kept answer to `request`, or the one that `fetch` brings, which is kept if it is a success whose body was
    /// read.
    pub async fn get_or_fetch<F>(
        &self,
        request: Request,
        fetch: impl Fn(Request) -> F + Send + Sync,
    ) -> Result<Outcome>
    where
        F: Future<Output = Result<Outcome>> + Send,
    {
        let cell = self.cell(&request);
        let mut fresh = None;
        let entry = cell
            .get_or_try_init(|| async {
                let outcome = fetch(request.clone()).await?;
                let entry = self.keep(&outcome)?;
                fresh = Some(outcome);
                Ok(entry)
            })
            .await?;
        match (fresh, entry) {
            (Some(outcome), _) => Ok(outcome),
            (None, Some(entry)) => self.read(entry).map(Outcome::Success),
            // Another caller found out that this answer can't be kept.
            (None, None) => fetch(request).await,
        }
    }

    fn cell(&self, request: &Request) -> Arc<OnceCell<Option<Entry>>> {
        let mut sent = request.clone();
        let body = sent.encoded_body().unwrap_or_default();
        let mut headers: Vec<(String, Vec<u8>)> = sent
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect();
        headers.sort_unstable();
        let key = Key {
            method: sent.method.to_string(),
            url: sent.url.to_string(),
            headers,
            body,
        };
        let mut entries = self
            .0
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(entries.entry(key).or_default())
    }

    fn keep(&self, outcome: &Outcome) -> Result<Option<Entry>> {
        let Outcome::Success(response) = outcome else {
            return Ok(None);
        };
        let Some(body) = response.body.ready() else {
            return Ok(None);
        };
        if body.len() > Self::MAX_BODY_BYTES {
            return Ok(None);
        }
        let at = self.with_store(|store| {
            let at = store.end;
            store.file.seek(SeekFrom::Start(at))?;
            store.file.write_all(body)?;
            store.end += body.len() as u64;
            Ok(at)
        })?;
        Ok(Some(Entry {
            status: response.status,
            headers: response.headers.clone(),
            url: response.url.clone(),
            at,
            len: body.len(),
        }))
    }

    fn read(&self, entry: &Entry) -> Result<Response> {
        let mut body = vec![0; entry.len];
        self.with_store(|store| {
            store.file.seek(SeekFrom::Start(entry.at))?;
            store.file.read_exact(&mut body)
        })?;
        let (headers, url) = (entry.headers.clone(), entry.url.clone());
        Ok(Response::new(entry.status, headers, url, body))
    }

    /// Short and local: the page cache of the operating system answers.
    fn with_store<T>(&self, work: impl FnOnce(&mut Store) -> std::io::Result<T>) -> Result<T> {
        const FAILED: &str = "The response cache, a temporary file, could not be used. Free some space in the folder \
            of temporary files (TMPDIR).";
        let mut store = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        if store.is_none() {
            let file = tempfile::tempfile().transient_error(FAILED)?;
            *store = Some(Store { file, end: 0 });
        }
        match store.as_mut() {
            Some(store) => work(store).transient_error(FAILED),
            None => Err(cdk_core::ConnectorError::system(FAILED)),
        }
    }
}

impl fmt::Debug for ResponseCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseCache")
    }
}
