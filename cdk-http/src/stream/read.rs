//! An HTTP stream as the runtime reads it.

use std::sync::Arc;

use airbyte_protocol::{AirbyteStream, SyncMode};
use cdk_core::{Context, Partitions, RecordSink, Result, Stream, StreamRequest};
use chrono::DateTime;
use futures::stream::{self, BoxStream, StreamExt};
use serde_json::Value;

use crate::stream::cursor::Seen;
use crate::stream::fetch::Fetched;
use crate::stream::output::{Sample, SinkOutput};
use crate::stream::{HttpStream, Slice};

impl HttpStream {
    /// The slices that are left to read.
    pub(super) fn slices(
        &self,
        saved: Option<&Seen>,
        now_ms: i64,
    ) -> Result<BoxStream<'static, Result<Slice>>> {
        let windows = match &self.cursor {
            Some(cursor) => cursor.windows(saved, now_ms)?,
            None => vec![None],
        };
        let Some(parent) = &self.parent else {
            let slices = windows.into_iter().map(|window| {
                Ok(Slice {
                    window,
                    ..Slice::default()
                })
            });
            return Ok(stream::iter(slices).boxed());
        };
        let slices = parent.values(now_ms).flat_map(move |values| {
            let slices: Vec<Result<Slice>> = match values {
                Err(error) => vec![Err(error)],
                Ok(values) => windows
                    .iter()
                    .map(|window| {
                        Ok(Slice {
                            values: values.clone(),
                            window: *window,
                            ..Slice::default()
                        })
                    })
                    .collect(),
            };
            stream::iter(slices)
        });
        Ok(slices.boxed())
    }

    /// The records of the first page, or some of them.
    pub(super) async fn first_page(&self, context: &Context) -> Result<Vec<String>> {
        let client = self.client();
        let mut slices = self.slices(None, context.now_ms())?;
        let mut sample = Sample::default();
        let Some(slice) = slices.next().await else {
            return Ok(sample.0);
        };
        let slice = slice?;
        if let Some(job) = &self.job {
            return job.create(self, &client, &slice).await.map(|_| sample.0);
        }
        let first = self.paginator.first();
        match self.fetch(&client, &slice, first.as_ref()).await? {
            Fetched::Whole(head, records) => {
                records.iter().for_each(|records| sample.add(records));
                self.prime(head, records);
            }
            Fetched::Long(mut head, mut page) => {
                if let Some(records) = page.next(&mut head, &client).await? {
                    sample.add(&records);
                }
            }
            Fetched::Nothing | Fetched::Reset => {}
        }
        Ok(sample.0)
    }

    fn saved(&self, request: &StreamRequest) -> Result<Option<Seen>> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        if !request.is_incremental() {
            return Ok(None);
        }
        let state: Option<Value> = request.state_as()?;
        let saved = cursor.saved(state.as_ref());
        saved.map_err(|error| error.with_stream(&self.descriptor()))
    }

    /// The page at which an interrupted read goes on.
    fn saved_page(&self, request: &StreamRequest) -> Result<Option<Value>> {
        if !self.is_resumable() {
            return Ok(None);
        }
        let state: Option<Value> = request.state_as()?;
        Ok(state.and_then(|state| state.get("next_page").cloned()))
    }

    /// The state behind a slice: the latest time so far, never before what was saved.
    async fn checkpoint_slice(
        &self,
        slice: &Slice,
        latest: Option<Seen>,
        request: &StreamRequest,
        sink: &mut RecordSink,
    ) -> Result<()> {
        let Some(cursor) = &self.cursor else {
            return Ok(());
        };
        let start = slice.window.map(|window| cursor.seen(window.start));
        let seen = start.map_or(latest.clone(), |start| Some(start.max(latest)));
        let Some(seen) = seen else { return Ok(()) };
        let seen = seen.max(self.saved(request)?);
        sink.checkpoint(&cursor.state_of(&seen.text)).await
    }

    /// The state behind all slices of a stream with a parent: the latest time of any, but not after the run began.
    /// What changes while the parents are gone through is then read again.
    async fn checkpoint_all(&self, request: &StreamRequest, sink: &mut RecordSink) -> Result<()> {
        let (Some(cursor), Some(latest)) = (&self.cursor, self.latest.get()) else {
            return Ok(());
        };
        let began = DateTime::from_timestamp_millis(request.context().now_ms());
        let mut seen = latest;
        if let Some(began) = began.filter(|began| *began < seen.time) {
            seen = cursor.seen(began);
        }
        let seen = seen.max(self.saved(request)?);
        sink.checkpoint(&cursor.state_of(&seen.text)).await
    }

    async fn read_slice(
        &self,
        slice: &Slice,
        request: &StreamRequest,
        sink: &mut RecordSink,
    ) -> Result<Option<Seen>> {
        let client = self.client();
        let mut output = SinkOutput::new(self, slice, request.context(), sink)?;
        match &self.job {
            Some(job) => job.read(self, &client, slice, &mut output).await?,
            None => {
                let page = slice.page.clone();
                self.read_pages(&client, slice, page, &mut output).await?;
            }
        }
        Ok(output.into_latest())
    }
}

impl Stream for HttpStream {
    type Partition = Slice;

    fn definition(&self) -> AirbyteStream {
        let mut modes = vec![SyncMode::FullRefresh];
        if self.cursor.is_some() {
            modes.push(SyncMode::Incremental);
        }
        let mut stream = AirbyteStream::new(self.name.clone(), self.schema.clone(), modes);
        if !self.primary_key.is_empty() {
            stream = stream.with_primary_key(self.primary_key.clone());
        }
        let is_resumable = self.is_resumable() || self.cursor.is_some();
        stream.source_defined_cursor = is_resumable.then_some(true);
        stream.default_cursor_field = self.cursor.as_ref().map(|cursor| cursor.field.clone());
        stream.with_resumable(is_resumable)
    }

    async fn partitions(&self, request: &StreamRequest) -> Result<Partitions<Slice>> {
        let saved = self.saved(request)?;
        let page = self.saved_page(request)?;
        let slices = self.slices(saved.as_ref(), request.context().now_ms());
        let slices = slices.map_err(|error| error.with_stream(&self.descriptor()))?;
        let slices = slices.map(move |slice| {
            slice.map(|slice| Slice {
                page: page.clone(),
                ..slice
            })
        });
        if self.parent.is_none() || self.cursor.is_none() {
            return Ok(Partitions::lazy(slices));
        }
        // The state moves once all children of all parents are read.
        let outstanding = Arc::clone(&self.outstanding);
        let counted = slices.inspect(move |_| outstanding.add());
        let last = Slice {
            is_last: true,
            ..Slice::default()
        };
        Ok(Partitions::lazy(counted.chain(stream::iter([Ok(last)]))))
    }

    async fn read(
        &self,
        slice: Slice,
        request: &StreamRequest,
        sink: &mut RecordSink,
    ) -> Result<()> {
        if slice.is_last {
            self.outstanding.none_left().await;
            return self.checkpoint_all(request, sink).await;
        }
        let read = self.read_slice(&slice, request, sink).await;
        let latest = match read {
            Ok(latest) => latest,
            Err(error) => {
                // The records before it, and their state, are good.
                sink.flush().await?;
                return Err(error.with_stream(&self.descriptor()));
            }
        };
        if self.parent.is_none() {
            return self.checkpoint_slice(&slice, latest, request, sink).await;
        }
        if let Some(latest) = latest {
            self.latest.note(latest);
        }
        if self.cursor.is_some() {
            self.outstanding.done();
        }
        Ok(())
    }
}
