//! An HTTP stream as the runtime reads it.

use std::sync::Arc;

use airbyte_protocol::{AirbyteStream, RawJson, SyncMode};
use cdk_core::{ConnectorError, Context, Partitions, RecordSink, Result, Stream, StreamRequest};
use futures::stream::{self, BoxStream, StreamExt};
use serde_json::Value;

use crate::client::HttpClient;
use crate::stream::children::key_of;
use crate::stream::cursor::Seen;
use crate::stream::fetch::Fetched;
use crate::stream::output::{Output, Sample, SinkOutput};
use crate::stream::{DatetimeCursor, HttpStream, Slice};

impl HttpStream {
    /// The slices that are left to read.
    pub(super) fn slices(
        &self,
        saved: Option<&Seen>,
        now_ms: i64,
        concurrency: usize,
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
        let slices = parent.values(now_ms, concurrency).flat_map(move |values| {
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
        let mut slices = self.slices(None, context.now_ms(), 1)?;
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
        cursor: &DatetimeCursor,
        seen: Option<Seen>,
        request: &StreamRequest,
        sink: &mut RecordSink,
    ) -> Result<()> {
        let Some(seen) = seen else { return Ok(()) };
        let seen = seen.max(self.saved(request)?);
        sink.checkpoint(&cursor.state_of(&seen.text)).await
    }

    /// The slices of a stream that keeps a time for the children of each parent record.
    fn child_slices(
        &self,
        cursor: &DatetimeCursor,
        request: &StreamRequest,
    ) -> Result<BoxStream<'static, Result<Slice>>> {
        self.children.restart(cursor, request)?;
        let Some(parent) = &self.parent else {
            return Ok(stream::empty().boxed());
        };
        let now_ms = request.context().now_ms();
        let (children, cursor) = (Arc::clone(&self.children), cursor.clone());
        let name = self.name.clone();
        let slices = parent
            .values(now_ms, request.concurrency())
            .map(move |values| {
                let values = values?;
                let key = key_of(&values);
                let Ok(saved) = children.begin(&key, &values) else {
                    tracing::warn!(
                        "Stream {name}: a parent record came twice; its children are read once."
                    );
                    return Ok(Vec::new());
                };
                let (key, windows) = (Arc::from(key), cursor.windows(saved.as_ref(), now_ms)?);
                let slices = windows
                    .into_iter()
                    .enumerate()
                    .map(|(number, window)| Slice {
                        values: values.clone(),
                        window,
                        page: None,
                        child: Some((Arc::clone(&key), number)),
                    });
                Ok(slices.collect())
            });
        let slices = slices.flat_map(|slices: Result<Vec<Slice>>| match slices {
            Ok(slices) => stream::iter(slices).map(Ok).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        });
        Ok(slices.boxed())
    }

    /// Reads a slice from page `page` on into `output`.
    pub(super) async fn read_into(
        &self,
        client: &HttpClient,
        slice: &Slice,
        page: Option<Value>,
        output: &mut impl Output,
    ) -> Result<()> {
        match &self.job {
            Some(job) => job.read(self, client, slice, output).await,
            None => self.read_pages(client, slice, page, output).await,
        }
    }

    async fn read_slice(
        &self,
        slice: &Slice,
        request: &StreamRequest,
        sink: &mut RecordSink,
    ) -> Result<Option<Seen>> {
        let client = self.client();
        let mut output = SinkOutput::new(self, slice, request.context(), sink)?;
        self.read_into(&client, slice, slice.page.clone(), &mut output)
            .await?;
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
        let named = |error: ConnectorError| error.with_stream(&self.descriptor());
        if let (Some(cursor), Some(_)) = (&self.cursor, &self.parent) {
            let slices = self.child_slices(cursor, request).map_err(named)?;
            return Ok(Partitions::lazy(slices).with_self_contained_states());
        }
        let saved = self.saved(request)?;
        let page = self.saved_page(request)?;
        let now_ms = request.context().now_ms();
        let slices = self.slices(saved.as_ref(), now_ms, request.concurrency());
        let slices = slices.map_err(named)?.map(move |slice| {
            slice.map(|slice| Slice {
                page: page.clone(),
                ..slice
            })
        });
        Ok(Partitions::lazy(slices))
    }

    async fn read(
        &self,
        slice: Slice,
        request: &StreamRequest,
        sink: &mut RecordSink,
    ) -> Result<()> {
        let read = self.read_slice(&slice, request, sink).await;
        let latest = match read {
            Ok(latest) => latest,
            Err(error) => {
                // The records before it, and their state, are good.
                if let (Some(cursor), Some(_)) = (&self.cursor, &slice.child)
                    && let Some(state) = self.children.snapshot(cursor)
                {
                    sink.checkpoint(&state).await?;
                }
                sink.flush().await?;
                return Err(error.with_stream(&self.descriptor()));
            }
        };
        let Some(cursor) = &self.cursor else {
            return Ok(());
        };
        let start = slice.window.map(|window| cursor.seen(window.start));
        let seen = start.map_or(latest.clone(), |start| Some(start.max(latest)));
        match &slice.child {
            Some((key, window)) => {
                self.children.end(key, *window, seen);
                sink.checkpoint_if_due(|| self.children.snapshot(cursor))
                    .await
            }
            None => self.checkpoint_slice(cursor, seen, request, sink).await,
        }
    }

    fn final_state(&self, request: &StreamRequest) -> Result<Option<RawJson>> {
        let (Some(cursor), Some(_)) = (&self.cursor, &self.parent) else {
            return Ok(None);
        };
        let last = self.children.last(cursor, request.context().now_ms());
        last.map(Some)
    }
}
