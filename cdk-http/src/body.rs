//! A body that goes on where it broke off.

use bytes::Bytes;
use cdk_core::{ConnectorError, Result, RetryStatus};
use flate2::Crc;

use crate::client::HttpClient;
use crate::request::Request;
use crate::response::ResponseBody;
use crate::transport::TransportError;

/// The body of an answer that is too long to be read before it is used.
///
/// When the transfer breaks off, the request is sent again and what was read before is passed over, after checking that
/// it is the same. So whoever reads it sees every byte once, or an error.
pub struct ResumingBody<'a> {
    client: &'a HttpClient,
    request: Request,
    body: ResponseBody,
    /// What was read: its length and checksum.
    read: Crc,
    read_bytes: u64,
    failures: u32,
}

impl<'a> ResumingBody<'a> {
    /// The body of the answer to `request`.
    pub fn new(client: &'a HttpClient, request: Request, body: ResponseBody) -> Self {
        Self {
            client,
            request,
            body,
            read: Crc::new(),
            read_bytes: 0,
            failures: 0,
        }
    }

    /// The next chunk; `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.body.chunk().await {
                Ok(Some(chunk)) => {
                    self.read.update(&chunk);
                    self.read_bytes += chunk.len() as u64;
                    self.failures = 0;
                    return Ok(Some(chunk));
                }
                Ok(None) => return Ok(None),
                Err(error) => self.resume(error).await?,
            }
        }
    }

    /// Opens the body again, behind what was read.
    async fn resume(&mut self, error: TransportError) -> Result<()> {
        let mut error = error;
        loop {
            self.failures += 1;
            self.client
                .wait_to_resume(&self.request, &error, self.failures)
                .await?;
            let outcome = self.client.send(self.request.clone()).await?;
            let Some(response) = outcome.success() else {
                return Err(self.changed());
            };
            self.body = response.body;
            match self.pass_over().await? {
                Ok(()) => return Ok(()),
                Err(again) => error = again,
            }
        }
    }

    /// Reads what was read before once more.
    async fn pass_over(&mut self) -> Result<Result<(), TransportError>> {
        let mut left = self.read_bytes;
        let mut seen = Crc::new();
        while left > 0 {
            let chunk = match self.body.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Err(self.changed()),
                Err(error) => return Ok(Err(error)),
            };
            let known = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            seen.update(chunk.get(..known).unwrap_or_default());
            left -= known as u64;
            if known < chunk.len() {
                self.body.put_back(chunk.slice(known..));
            }
        }
        if seen.sum() != self.read.sum() {
            return Err(self.changed());
        }
        Ok(Ok(()))
    }

    fn changed(&self) -> ConnectorError {
        let stream = match self.client.stream() {
            Some(stream) => format!("Stream {stream}: the"),
            None => "The".to_owned(),
        };
        let error = ConnectorError::transient(format!(
            "{stream} answer to {} broke off, and the API answers something else when it is asked again. Run the sync \
             again.",
            self.request.display()
        ))
        .with_retry(RetryStatus::Persistent);
        match self.client.stream() {
            Some(stream) => error.with_stream(stream),
            None => error,
        }
    }
}

impl std::fmt::Debug for ResumingBody<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResumingBody")
            .field("request", &self.request)
            .field("read_bytes", &self.read_bytes)
            .finish_non_exhaustive()
    }
}
