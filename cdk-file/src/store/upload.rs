//! An object in the making, sent in parts while it is written.

use std::collections::VecDeque;
use std::io::{self, Write};

use bytes::Bytes;
use cdk_core::{ConnectorError, Result};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};
use tokio::task::JoinHandle;

use crate::store::Store;

/// Bytes of a part. Stores want at least 5 MiB and at most 10,000 parts.
const PART_BYTES: usize = 8 << 20;
/// Parts on their way at the same time.
const PARTS_IN_FLIGHT: usize = 3;

/// Takes an object's bytes and sends them in parts. Holds four parts at most.
///
/// The object is there, whole, once [`Upload::finish`] returned; before, and after [`Upload::abort`], there is none.
pub struct Upload {
    store: Store,
    path: Path,
    buffer: Vec<u8>,
    parts: Parts,
    bytes: u64,
    /// Called with the upload's id before the first part is sent.
    on_begin: Option<Box<NoteId>>,
    /// What went wrong, since [`Write`] has no room for it.
    failure: Option<ConnectorError>,
}

type NoteId = dyn FnOnce(&str) -> Result<()> + Send;

/// How the object is sent.
enum Parts {
    /// It is small yet: one request will do.
    None,
    Any(
        Box<dyn MultipartUpload>,
        VecDeque<JoinHandle<object_store::Result<()>>>,
    ),
    #[cfg(feature = "s3")]
    S3(S3Parts),
}

#[cfg(feature = "s3")]
struct S3Parts {
    store: std::sync::Arc<object_store::aws::AmazonS3>,
    id: String,
    tasks: VecDeque<JoinHandle<object_store::Result<object_store::multipart::PartId>>>,
    sent: Vec<object_store::multipart::PartId>,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload")
            .field("path", &self.path)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Upload {
    pub(super) fn new(store: Store, key: &str) -> Self {
        Self {
            store,
            path: super::path_of(key),
            buffer: Vec::new(),
            parts: Parts::None,
            bytes: 0,
            on_begin: None,
            failure: None,
        }
    }

    /// Has `note` keep the id under which an unfinished upload can be aborted later.
    #[must_use]
    pub fn on_begin(mut self, note: impl FnOnce(&str) -> Result<()> + Send + 'static) -> Self {
        self.on_begin = Some(Box::new(note));
        self
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The failure behind an error of [`Write`].
    pub fn take_failure(&mut self) -> Option<ConnectorError> {
        self.failure.take()
    }

    /// Sends the rest. When it returns, the object is there and survives a crash.
    pub fn finish(mut self) -> Result<()> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.check_limit()?;
        if matches!(self.parts, Parts::None) {
            let payload = PutPayload::from(std::mem::take(&mut self.buffer));
            let put = self
                .store
                .runtime
                .block_on(self.store.objects.put(&self.path, payload));
            return put.map(drop).map_err(|error| self.failed(&error));
        }
        if !self.buffer.is_empty() {
            self.send_part()?;
        }
        let completed = self.complete();
        completed.map_err(|error| self.failed(&error))
    }

    /// Takes back what was sent.
    pub fn abort(mut self) {
        let parts = std::mem::replace(&mut self.parts, Parts::None);
        let aborted = match parts {
            Parts::None => Ok(()),
            Parts::Any(mut upload, tasks) => {
                tasks.iter().for_each(JoinHandle::abort);
                self.store.runtime.block_on(upload.abort())
            }
            #[cfg(feature = "s3")]
            Parts::S3(parts) => {
                use object_store::multipart::MultipartStore as _;
                parts.tasks.iter().for_each(JoinHandle::abort);
                self.store
                    .runtime
                    .block_on(parts.store.abort_multipart(&self.path, &parts.id))
            }
        };
        if let Err(error) = aborted {
            tracing::warn!(
                "The upload of `{}` could not be aborted; the next run does it: {error}",
                self.path
            );
        }
    }

    fn check_limit(&self) -> Result<()> {
        match self.store.file_limit {
            Some(limit) if self.bytes > limit => {
                let full = io::Error::from(io::ErrorKind::StorageFull);
                Err(super::error::of_io(
                    &format!("write `{}` in {}", self.path, self.store.name),
                    full,
                ))
            }
            _ => Ok(()),
        }
    }

    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(64 << 10);
        }
        self.buffer.extend_from_slice(bytes);
        self.bytes += bytes.len() as u64;
        while self.buffer.len() >= PART_BYTES {
            self.send_part()?;
        }
        self.check_limit()
    }

    fn send_part(&mut self) -> Result<()> {
        if matches!(self.parts, Parts::None) {
            self.begin()?;
        }
        let rest = self.buffer.split_off(self.buffer.len().min(PART_BYTES));
        let mut next = Vec::with_capacity(PART_BYTES);
        next.extend_from_slice(&rest);
        let part = Bytes::from(std::mem::replace(&mut self.buffer, next));
        let sent = self.queue(part.into());
        sent.map_err(|error| self.failed(&error))
    }

    fn begin(&mut self) -> Result<()> {
        let runtime = self.store.runtime.clone();
        #[cfg(feature = "s3")]
        if let Some(s3) = &self.store.s3 {
            use object_store::multipart::MultipartStore as _;
            let id = runtime
                .block_on(s3.create_multipart(&self.path))
                .map_err(|error| self.failed(&error))?;
            let (tasks, sent) = (VecDeque::new(), Vec::new());
            self.parts = Parts::S3(S3Parts {
                store: std::sync::Arc::clone(s3),
                id: id.clone(),
                tasks,
                sent,
            });
            return self.on_begin.take().map_or(Ok(()), |note| note(&id));
        }
        let upload = runtime.block_on(self.store.objects.put_multipart(&self.path));
        self.parts = Parts::Any(
            upload.map_err(|error| self.failed(&error))?,
            VecDeque::new(),
        );
        Ok(())
    }

    /// Sends a part once there are few enough on their way.
    fn queue(&mut self, part: PutPayload) -> object_store::Result<()> {
        let runtime = &self.store.runtime;
        match &mut self.parts {
            Parts::None => {}
            Parts::Any(upload, tasks) => {
                if tasks.len() >= PARTS_IN_FLIGHT
                    && let Some(first) = tasks.pop_front()
                {
                    joined(runtime.block_on(first))?;
                }
                tasks.push_back(runtime.spawn(upload.put_part(part)));
            }
            #[cfg(feature = "s3")]
            Parts::S3(parts) => {
                use object_store::multipart::MultipartStore as _;
                if parts.tasks.len() >= PARTS_IN_FLIGHT
                    && let Some(first) = parts.tasks.pop_front()
                {
                    parts.sent.push(joined(runtime.block_on(first))?);
                }
                let number = parts.sent.len() + parts.tasks.len();
                let (store, path, id) = (
                    std::sync::Arc::clone(&parts.store),
                    self.path.clone(),
                    parts.id.clone(),
                );
                let put = async move { store.put_part(&path, &id, number, part).await };
                parts.tasks.push_back(runtime.spawn(put));
            }
        }
        Ok(())
    }

    fn complete(&mut self) -> object_store::Result<()> {
        let runtime = &self.store.runtime;
        match &mut self.parts {
            Parts::None => Ok(()),
            Parts::Any(upload, tasks) => {
                for task in tasks.drain(..) {
                    joined(runtime.block_on(task))?;
                }
                runtime.block_on(upload.complete()).map(drop)
            }
            #[cfg(feature = "s3")]
            Parts::S3(parts) => {
                use object_store::multipart::MultipartStore as _;
                for task in parts.tasks.drain(..) {
                    parts.sent.push(joined(runtime.block_on(task))?);
                }
                let sent = std::mem::take(&mut parts.sent);
                runtime
                    .block_on(parts.store.complete_multipart(&self.path, &parts.id, sent))
                    .map(drop)
            }
        }
    }

    fn failed(&self, error: &object_store::Error) -> ConnectorError {
        self.store.failed("write", self.path.as_ref(), error)
    }
}

fn joined<T>(
    task: std::result::Result<object_store::Result<T>, tokio::task::JoinError>,
) -> object_store::Result<T> {
    task.unwrap_or_else(|source| Err(object_store::Error::JoinError { source }))
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.add(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                let text = error.to_string();
                self.failure.get_or_insert(error);
                Err(io::Error::other(text))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
