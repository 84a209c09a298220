//! The body of a response: in memory while it is short, in a temporary file when it is long.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use cdk_core::{ConnectorError, ErrorContext, Result};
use cdk_http::transport::TransportErrorKind;
use cdk_http::{Response, TransportError};
use serde_json::Value;

/// Longer bodies go to a file.
const MAX_IN_MEMORY: usize = 16 << 20;
/// A body that can only be read as a whole may have this many bytes.
pub(crate) const MAX_WHOLE: u64 = 512 << 20;
/// So much of a long body is looked at for messages.
const HEAD: usize = 64 << 10;

/// A body that is there.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Memory(Bytes),
    File(Arc<Spilled>),
}

/// The file has no name: it is gone with the process.
#[derive(Debug)]
pub(crate) struct Spilled {
    file: Mutex<std::fs::File>,
    len: u64,
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Memory(bytes)
    }
}

impl Body {
    /// Receives the body of a response.
    pub(crate) async fn receive(
        response: &mut Response,
    ) -> std::result::Result<Self, TransportError> {
        let expected = response.header("content-length");
        let expected = expected.and_then(|text| text.parse().ok()).unwrap_or(0);
        let (start, is_whole) = response.body.start(MAX_IN_MEMORY, expected).await?;
        if is_whole {
            return Ok(Self::Memory(start));
        }
        let no_room = |error: io::Error| {
            let text =
                format!("the answer is long, and can't be kept in a temporary file: {error}");
            TransportError::new(TransportErrorKind::Body, text)
        };
        let mut file = tempfile::tempfile().map_err(no_room)?;
        file.write_all(&start).map_err(no_room)?;
        let mut len = start.len() as u64;
        drop(start);
        while let Some(chunk) = response.body.chunk().await? {
            file.write_all(&chunk).map_err(no_room)?;
            len += chunk.len() as u64;
        }
        let file = Mutex::new(file);
        Ok(Self::File(Arc::new(Spilled { file, len })))
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(spilled) => spilled.len,
        }
    }

    /// All of it at once.
    pub(crate) fn whole(&self) -> Result<Bytes> {
        match self {
            Self::Memory(bytes) => Ok(bytes.clone()),
            Self::File(spilled) if spilled.len > MAX_WHOLE => Err(ConnectorError::system(format!(
                "An answer of {} MB is too long for its decoder, which needs all of it at once. Ask for smaller pages, or \
                     use JsonItemsDecoder, JsonlDecoder or CsvDecoder.",
                spilled.len / 1_000_000
            ))),
            Self::File(_) => {
                let mut bytes = Vec::new();
                self.reader()
                    .read_to_end(&mut bytes)
                    .transient_error("A long answer can't be read from its temporary file.")?;
                Ok(Bytes::from(bytes))
            }
        }
    }

    /// What messages and conditions on texts look at: the start of a long body.
    pub(crate) fn head(&self) -> Bytes {
        match self {
            Self::Memory(bytes) => bytes.clone(),
            Self::File(_) => {
                let mut bytes = Vec::new();
                // A message can do without what can't be read.
                drop(self.reader().take(HEAD as u64).read_to_end(&mut bytes));
                Bytes::from(bytes)
            }
        }
    }

    /// The body as JSON; `None` when it is none.
    pub(crate) fn json(&self) -> Option<Value> {
        match self {
            Self::Memory(bytes) => serde_json::from_slice(bytes).ok(),
            Self::File(spilled) if spilled.len > MAX_WHOLE => None,
            #[allow(clippy::disallowed_methods)] // The reader is buffered.
            Self::File(_) => serde_json::from_reader(BufReader::new(self.reader())).ok(),
        }
    }

    /// Reads it from its start.
    pub(crate) fn reader(&self) -> BodyReader {
        BodyReader {
            body: self.clone(),
            at: 0,
        }
    }
}

/// Reads a body. Several may read the same one.
#[derive(Debug)]
pub(crate) struct BodyReader {
    body: Body,
    at: u64,
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &self.body {
            Body::Memory(bytes) => {
                let at = usize::try_from(self.at).unwrap_or(usize::MAX);
                bytes.get(at..).unwrap_or_default().read(buffer)?
            }
            Body::File(spilled) => {
                let mut file = spilled.file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(self.at))?;
                file.read(buffer)?
            }
        };
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cdk_http::header::HeaderMap;
    use cdk_http::{ResponseBody, StatusCode, Url};

    async fn received(chunks: Vec<Bytes>) -> Body {
        let url = Url::parse("http://x.invalid/").unwrap();
        let mut response = Response::new(StatusCode::OK, HeaderMap::new(), url, Bytes::new());
        let chunks = chunks.into_iter().map(Ok);
        response.body = ResponseBody::chunks(futures::stream::iter(chunks));
        Body::receive(&mut response).await.unwrap()
    }

    #[tokio::test]
    async fn long_bodies_are_read_from_a_file_as_short_ones_from_memory() {
        let short = received(vec![Bytes::from_static(b"[1,"), Bytes::from_static(b"2]")]).await;
        assert!(matches!(short, Body::Memory(_)));
        let blanks = Bytes::from(vec![b' '; 5 << 20]);
        let chunks = [b"[1", &blanks[..], &blanks, &blanks, &blanks, b",2]"];
        let chunks = chunks.map(Bytes::copy_from_slice);
        let long = received(chunks.to_vec()).await;
        assert!(matches!(long, Body::File(_)));
        assert_eq!(long.len(), (20 << 20) + 5);
        assert_eq!(long.whole().unwrap(), chunks.concat());
        assert_eq!(long.json(), short.json());
        assert_eq!(long.head().len(), HEAD);
        let (mut one, mut other) = (long.reader(), long.reader());
        let mut letters = [0; 2];
        one.read_exact(&mut letters).unwrap();
        other.read_exact(&mut letters).unwrap();
        assert_eq!(&letters, b"[1");
    }
}
