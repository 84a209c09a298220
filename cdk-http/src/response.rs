//! A response whose body may still be on its way.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};

use crate::budget::Permit;
use crate::transport::TransportError;

/// The answer to a request.
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers. What the transport undid (`Content-Encoding`) is not among them.
    pub headers: HeaderMap,
    /// Where it came from, after redirects.
    pub url: Url,
    /// What it carries.
    pub body: ResponseBody,
}

/// The body of a response: chunks that come as they are asked for.
pub struct ResponseBody {
    source: Source,
    /// Dropped with the body: the exchange is over then.
    _permit: Option<Permit>,
}

enum Source {
    Whole(Bytes),
    /// The lock is never taken: it makes a response shareable between threads.
    Chunks(Mutex<BoxStream<'static, Result<Bytes, TransportError>>>),
}

/// A body was longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl ResponseBody {
    /// A body that is there.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::of(Source::Whole(bytes.into()))
    }

    /// A body that comes in chunks.
    pub fn chunks(
        chunks: impl futures::Stream<Item = Result<Bytes, TransportError>> + Send + 'static,
    ) -> Self {
        Self::of(Source::Chunks(Mutex::new(chunks.boxed())))
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            _permit: None,
        }
    }

    /// Holds a place among the requests in flight for as long as it is there, unless it has come whole.
    pub(crate) fn hold(&mut self, permit: Permit) {
        if matches!(self.source, Source::Chunks(_)) {
            self._permit = Some(permit);
        }
    }

    /// Makes `chunk` the next one.
    pub(crate) fn put_back(&mut self, chunk: Bytes) {
        let permit = self._permit.take();
        let rest = std::mem::replace(self, Self::whole(Bytes::new()));
        let first = stream::iter([Ok(chunk)]);
        *self = Self::chunks(first.chain(rest.into_chunks()));
        self._permit = permit;
    }

    /// The rest as a stream of chunks.
    pub fn into_chunks(self) -> BoxStream<'static, Result<Bytes, TransportError>> {
        stream::unfold(self, |mut body| async move {
            let chunk = body.chunk().await.transpose()?;
            Some((chunk, body))
        })
        .boxed()
    }

    /// The next chunk, never an empty one; `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        match &mut self.source {
            Source::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Ok((!bytes.is_empty()).then_some(bytes))
            }
            Source::Chunks(chunks) => loop {
                let chunks = chunks.get_mut().unwrap_or_else(PoisonError::into_inner);
                match chunks.next().await.transpose()? {
                    Some(chunk) if chunk.is_empty() => {}
                    chunk => return Ok(chunk),
                }
            },
        }
    }

    /// The rest of the body, if it is not longer than `limit`.
    pub async fn bytes(&mut self, limit: usize) -> Result<Result<Bytes, TooLong>, TransportError> {
        let (start, is_whole) = self.start(limit, 0).await?;
        Ok(if is_whole { Ok(start) } else { Err(TooLong) })
    }

    /// Reads until the end, or until more than `limit` bytes are there; says whether it was the end. `expected` bytes are
    /// likely to come.
    pub async fn start(
        &mut self,
        limit: usize,
        expected: usize,
    ) -> Result<(Bytes, bool), TransportError> {
        let Some(first) = self.chunk().await? else {
            return Ok((Bytes::new(), true));
        };
        if first.len() > limit {
            return Ok((first, false));
        }
        let Some(second) = self.chunk().await? else {
            return Ok((first, true));
        };
        let came = first.len() + second.len();
        let mut all = BytesMut::with_capacity(expected.min(limit).max(2 * came));
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while all.len() <= limit {
            match self.chunk().await? {
                Some(chunk) => all.extend_from_slice(&chunk),
                None => return Ok((all.freeze(), true)),
            }
        }
        Ok((all.freeze(), false))
    }

    /// The body if it is there already.
    pub fn ready(&self) -> Option<&Bytes> {
        match &self.source {
            Source::Whole(bytes) => Some(bytes),
            Source::Chunks(_) => None,
        }
    }
}

impl Response {
    /// A response whose body is there.
    pub fn new(status: StatusCode, headers: HeaderMap, url: Url, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers,
            url,
            body: ResponseBody::whole(body),
        }
    }

    /// The body, if it is not longer than `limit`.
    pub async fn bytes(&mut self, limit: usize) -> Result<Result<Bytes, TooLong>, TransportError> {
        let expected = self.expected_bytes();
        let (start, is_whole) = self.body.start(limit, expected).await?;
        Ok(if is_whole { Ok(start) } else { Err(TooLong) })
    }

    /// As many bytes as the server says it sends, or 0.
    pub(crate) fn expected_bytes(&self) -> usize {
        let length = self.header("content-length");
        length.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("url", &crate::url::display(&self.url))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.source {
            Source::Whole(_) => "ResponseBody(whole)",
            Source::Chunks(_) => "ResponseBody(chunks)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn chunks_are_joined_up_to_the_limit() {
        let body = || {
            ResponseBody::chunks(stream::iter(
                ["ab", "", "cd", "e"].map(|chunk| Ok(chunk.into())),
            ))
        };
        assert_eq!(body().bytes(5).await.unwrap(), Ok("abcde".into()));
        assert_eq!(body().bytes(4).await.unwrap(), Err(TooLong));
        assert_eq!(
            ResponseBody::whole("xy").bytes(1).await.unwrap(),
            Err(TooLong)
        );
    }
}
