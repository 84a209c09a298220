//! Streams that are read once for each record of another.

use std::sync::Arc;

use cdk_core::{ConnectorError, Result};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

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

    /// The values of each parent record. They are read by a task of their own, ahead of whoever takes them, so many
    /// slices at a time as `concurrency` says; it ends when nobody takes any more.
    pub(super) fn values(
        &self,
        now_ms: i64,
        concurrency: usize,
    ) -> BoxStream<'static, Result<Map<String, Value>>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let parent = self.clone();
        tokio::spawn(async move {
            let ended = parent.read(now_ms, concurrency, &sender).await;
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

    async fn read(
        &self,
        now_ms: i64,
        concurrency: usize,
        sender: &mpsc::Sender<Message>,
    ) -> Result<()> {
        let client = &self.stream.client();
        let slices = self.stream.slices(None, now_ms, concurrency)?;
        let read = slices.try_for_each_concurrent(concurrency.max(1), |slice| async move {
            let mut output = ParentOutput {
                wanted: &self.wanted,
                stream: &self.stream,
                slice: &slice,
                sender,
            };
            self.stream
                .read_into(client, &slice, None, &mut output)
                .await
        });
        read.await
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
            if !self.stream.keeps(record, self.slice) {
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
