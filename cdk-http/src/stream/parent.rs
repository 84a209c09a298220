//! Streams that are read once for each record of another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cdk_core::{ConnectorError, Result};
use futures::stream::{self, BoxStream, StreamExt};
use serde_json::{Map, Value};
use tokio::sync::{Notify, mpsc};

use crate::decode::Records;
use crate::json;
use crate::stream::output::{Output, values_of};
use crate::stream::{HttpStream, Slice};

/// Parent records that are read ahead of their children.
const AHEAD: usize = 1000;

/// The stream whose records are gone through, and which of their values children need.
#[derive(Clone)]
pub(super) struct Parent {
    stream: Arc<HttpStream>,
    wanted: Vec<(String, Vec<String>)>,
}

impl Parent {
    pub(super) fn new<'a>(
        stream: HttpStream,
        values: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let values = values.into_iter();
        Self {
            stream: Arc::new(stream),
            wanted: values
                .map(|(name, path)| (name.to_owned(), json::path(path)))
                .collect(),
        }
    }

    /// The values of each parent record. They are read by a task of their own, ahead of whoever takes them; it ends
    /// when nobody does any more.
    pub(super) fn values(&self, now_ms: i64) -> BoxStream<'static, Result<Map<String, Value>>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let parent = self.clone();
        tokio::spawn(async move {
            let ended = parent.read(now_ms, &sender).await;
            let last = match ended {
                Ok(()) => Message::End,
                Err(error) => Message::Failed(error),
            };
            // Nobody receives any more when the read was given up.
            drop(sender.send(last).await);
        });
        stream::unfold(Some(receiver), |receiver| async move {
            let mut receiver = receiver?;
            match receiver.recv().await {
                Some(Message::Values(values)) => Some((Ok(values), Some(receiver))),
                Some(Message::End) => None,
                Some(Message::Failed(error)) => Some((Err(error), None)),
                None => {
                    let error =
                        ConnectorError::system("The task that reads parent records crashed.");
                    Some((Err(error), None))
                }
            }
        })
        .boxed()
    }

    async fn read(&self, now_ms: i64, sender: &mpsc::Sender<Message>) -> Result<()> {
        let client = self.stream.client();
        let mut slices = self.stream.slices(None, now_ms)?;
        while let Some(slice) = slices.next().await {
            let slice = slice?;
            let mut output = ParentOutput {
                wanted: &self.wanted,
                stream: &self.stream,
                slice: &slice,
                sender,
            };
            self.stream
                .read_pages(&client, &slice, None, &mut output)
                .await?;
        }
        Ok(())
    }
}

enum Message {
    Values(Map<String, Value>),
    Failed(ConnectorError),
    /// Without it, the reading task died.
    End,
}

struct ParentOutput<'a> {
    wanted: &'a [(String, Vec<String>)],
    stream: &'a HttpStream,
    slice: &'a Slice,
    sender: &'a mpsc::Sender<Message>,
}

impl Output for ParentOutput<'_> {
    async fn records(&mut self, records: &Records) -> Result<()> {
        let name = &self.stream.name;
        let broken = |error| ConnectorError::system(format!("Stream {name}: {error}."));
        for record in records.iter().map_err(broken)? {
            if self.stream.keep.as_ref().is_some_and(|keep| !keep(record)) {
                continue;
            }
            let Some(values) = values_of(record, self.wanted, &self.slice.values) else {
                tracing::debug!("A record of stream {name} lacks what its children need.");
                continue;
            };
            let sent = self.sender.send(Message::Values(values)).await;
            sent.map_err(|_| ConnectorError::stopped())?;
        }
        Ok(())
    }

    async fn page_end(&mut self, _: Option<&Value>) -> Result<()> {
        Ok(())
    }
}

/// Partitions that were handed out and are not over.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    count: AtomicUsize,
    changed: Notify,
}

impl Outstanding {
    pub(super) fn add(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn done(&self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Waits until all are over.
    pub(super) async fn none_left(&self) {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if self.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            changed.await;
        }
    }
}
