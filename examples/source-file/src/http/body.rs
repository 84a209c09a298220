//! The transfer itself: a task that fetches, and the reader on the parsing thread.

use std::io::{self, Read};

use cdk_core::ConnectorError;
use tokio::sync::mpsc;

use crate::fingerprint::Fingerprint;
use crate::http::{Answer, Failure, HttpFile, classify};

/// Chunks fetched ahead. The network gives up to a few hundred KiB in one.
const QUEUED_CHUNKS: usize = 4;

enum Message {
    Chunk(Vec<u8>),
    Failed(ConnectorError),
    /// The file ends here. Without it, the fetching task died.
    End,
}

/// Fetches on in the background what `answer` began at byte `from`. Stops when the reader is dropped.
pub(super) fn start(file: HttpFile, from: u64, answer: Answer) -> HttpBytes {
    let (chunks, received) = mpsc::channel(QUEUED_CHUNKS);
    let transfer = Transfer {
        file,
        at: from,
        origin: answer.fingerprint.clone(),
        chunks,
    };
    tokio::spawn(transfer.run(answer));
    HttpBytes {
        received,
        chunk: Vec::new(),
        at: 0,
        is_ended: false,
    }
}

struct Transfer {
    file: HttpFile,
    /// Bytes of the file before the next chunk.
    at: u64,
    /// The version of the file that is being fetched.
    origin: Fingerprint,
    chunks: mpsc::Sender<Message>,
}

impl Transfer {
    async fn run(mut self, answer: Answer) {
        let ended = self.fetch(answer).await;
        let last = match ended {
            Ok(()) => Message::End,
            Err(error) => Message::Failed(error),
        };
        // Nobody receives any more when the read was aborted.
        drop(self.chunks.send(last).await);
    }

    /// Fetches to the end, over as many requests as it takes.
    async fn fetch(&mut self, first: Answer) -> Result<(), ConnectorError> {
        let mut answer = Ok(first);
        let mut failures = 0;
        loop {
            let before = self.at;
            let ended = match answer {
                Ok(answer) => self.drain(answer).await,
                Err(failure) => Err(failure),
            };
            let Err(failure) = ended else { return Ok(()) };
            if self.at > before {
                failures = 0;
            }
            let file = self.file.clone();
            tokio::select! {
                () = self.chunks.closed() => return Err(ConnectorError::stopped()),
                waited = file.wait_to_retry(failure, &mut failures) => waited?,
            }
            answer = self.file.request(self.at, Some(&self.origin)).await;
        }
    }

    /// Hands on the chunks of one response.
    async fn drain(&mut self, answer: Answer) -> Result<(), Failure> {
        let Answer {
            mut response,
            mut skip,
            ..
        } = answer;
        if skip == u64::MAX {
            return Ok(());
        }
        loop {
            let chunk = tokio::select! {
                () = self.chunks.closed() => return Err(ConnectorError::stopped().into()),
                chunk = response.body.chunk() => chunk,
            };
            let chunk = chunk.map_err(|error| classify::transport(&error, self.file.display()))?;
            let Some(chunk) = chunk else {
                return self.check_length();
            };
            let skipped = chunk.len().min(usize::try_from(skip).unwrap_or(usize::MAX));
            skip -= skipped as u64;
            let chunk = Vec::from(chunk.slice(skipped..));
            if chunk.is_empty() {
                continue;
            }
            self.at += chunk.len() as u64;
            let sent = self.chunks.send(Message::Chunk(chunk)).await;
            sent.map_err(|_| ConnectorError::stopped())?;
        }
    }

    /// A response that simply stops is no proof that the file ends there.
    fn check_length(&self) -> Result<(), Failure> {
        match self.origin.size {
            Some(size) if self.at < size => {
                let text = format!("The transfer of {} broke off.", self.file.display());
                let cause = format!("{} of {size} bytes came", self.at);
                Err(ConnectorError::transient(text).with_internal(cause).into())
            }
            _ => Ok(()),
        }
    }
}

/// The bytes of a transfer, for a thread that may block.
pub(super) struct HttpBytes {
    received: mpsc::Receiver<Message>,
    chunk: Vec<u8>,
    at: usize,
    is_ended: bool,
}

impl Read for HttpBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.chunk.len() && !self.is_ended {
            match self.received.blocking_recv() {
                Some(Message::Chunk(chunk)) => (self.chunk, self.at) = (chunk, 0),
                Some(Message::End) => self.is_ended = true,
                Some(Message::Failed(error)) => return Err(io::Error::other(error)),
                None => return Err(io::Error::other(ConnectorError::stopped())),
            }
        }
        let mut rest = self.chunk.get(self.at..).unwrap_or_default();
        let bytes = rest.read(buffer)?;
        self.at += bytes;
        Ok(bytes)
    }
}
