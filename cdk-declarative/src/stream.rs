//! One declarative stream: a retriever, a cursor, a schema.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cdk_core::protocol::{AirbyteStream, RawJson, SyncMode};
use cdk_core::{
    ConnectorError, ErrorContext, Partitions, RecordSink, Result, Stream, StreamRequest,
};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde_json::Value;

use crate::component::Component;
use crate::extract;
use crate::host::Host;
use crate::raw_json;
use crate::record::Record;
use crate::retriever::simple::{CursorSettings, SimpleRetriever};
use crate::retriever::{Records, Retriever, jobs::AsyncRetriever};
use crate::schema::SchemaLoader;
use crate::slice::{Cursor, ParentFactory, ParentStream, StreamSlice};
use crate::slicing;
use crate::template::Template;
use crate::transform::Transformation;
use crate::upload::Uploader;

/// What the platform knows streams without a cursor by.
const NO_CURSOR: &str = "__ab_no_cursor_state_message";

/// A stream as its manifest describes it.
pub(crate) struct DeclarativeStream {
    name: String,
    /// Where its record selector stands in the manifest.
    selector: String,
    primary_key: Vec<Vec<String>>,
    allows_other_cursor: bool,
    retriever: Retriever,
    cursor: Arc<dyn Cursor>,
    schema: SchemaLoader,
    uploader: Option<Uploader>,
    host: Arc<Host>,
    /// Streams it reads its slices from, theirs included.
    ancestors: HashSet<String>,
    /// Slices handed out and not closed yet.
    open: AtomicUsize,
}

impl std::fmt::Debug for DeclarativeStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeclarativeStream({})", self.name)
    }
}

/// What a stream is built with besides its definition.
#[derive(Clone, Default)]
pub(crate) struct Given {
    /// Where it goes on from.
    pub(crate) state: Option<Value>,
    /// Its entry in the configured catalog.
    pub(crate) configured: Option<Arc<cdk_core::protocol::ConfiguredAirbyteStream>>,
    /// True when it is read for its children only.
    pub(crate) is_parent: bool,
}

impl DeclarativeStream {
    pub(crate) fn build(
        component: &Component<'_>,
        given: &Given,
        host: &Arc<Host>,
        parents: &dyn ParentFactory,
    ) -> Result<Self> {
        let config = host.config();
        let name = match component.text("name")? {
            Some(name) => Template::new(name, component)?.text(&host.scope(&config))?,
            None => String::new(),
        };
        let built = Self::build_named(component, &name, given, host, parents);
        built.map_err(|error| match error.stream() {
            Some(_) => error,
            None => error.with_stream(&cdk_core::protocol::StreamDescriptor::new(name.as_str())),
        })
    }

    fn build_named(
        component: &Component<'_>,
        name: &str,
        given: &Given,
        host: &Arc<Host>,
        parents: &dyn ParentFactory,
    ) -> Result<Self> {
        let transformations = component.children("transformations")?;
        let config = host.config();
        let scope = host.scope(&config);
        let transformations = Transformation::build_all(&transformations, &scope, host.registry())?;
        let slicing = slicing::build(component, name, given, host, parents)?;
        let settings = CursorSettings {
            cursor: Some(Arc::clone(&slicing.cursor)),
            is_client_side: slicing.is_client_side,
            is_data_feed: slicing.is_data_feed,
            is_lazy: slicing.is_lazy,
        };
        let retriever = component.need_child("retriever")?;
        let selector = format!("{}.record_selector", retriever.path());
        let schema = given
            .configured
            .as_ref()
            .map(|configured| configured.stream.json_schema.clone());
        let retriever = match retriever.kind() {
            "AsyncRetriever" => Retriever::Async(Arc::new(AsyncRetriever::build(
                &retriever,
                name,
                transformations,
                &settings,
                host,
            )?)),
            "CustomRetriever" => {
                let custom = host.registry().retriever(&retriever)?;
                Retriever::Custom(custom, Arc::clone(host))
            }
            _ => {
                let mut simple = SimpleRetriever::build(
                    &retriever,
                    name,
                    transformations,
                    Some(settings),
                    schema.as_ref(),
                    host,
                )?;
                if given.is_parent {
                    simple.requester.hide_status();
                }
                Retriever::Simple(Arc::new(simple))
            }
        };
        let uploader = component.child("file_uploader")?;
        let cursor = component.child("incremental_sync")?;
        let allows_other_cursor = match &cursor {
            Some(cursor) => cursor.flag("allow_catalog_defined_cursor_field", false)?,
            None => false,
        };
        Ok(Self {
            name: name.to_owned(),
            selector,
            primary_key: primary_key(component)?,
            allows_other_cursor,
            retriever,
            cursor: slicing.cursor,
            schema: SchemaLoader::of_stream(component, name, host)?,
            uploader: uploader
                .map(|at| Uploader::build(&at, name, host))
                .transpose()?,
            host: Arc::clone(host),
            ancestors: slicing.ancestors,
            open: AtomicUsize::new(0),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The stream in the catalog. Loads the schema.
    pub(crate) async fn catalog_entry(&self) -> Result<AirbyteStream> {
        let schema = self.schema.schema().await?;
        Ok(self.entry(schema.as_ref().clone()))
    }

    fn entry(&self, schema: Value) -> AirbyteStream {
        let mut modes = vec![SyncMode::FullRefresh];
        let cursor_field = self.cursor.cursor_field();
        if cursor_field.is_some() {
            modes.push(SyncMode::Incremental);
        }
        let mut entry = AirbyteStream::new(self.name.as_str(), schema, modes);
        if let Some(field) = cursor_field {
            entry.source_defined_cursor = Some(!self.allows_other_cursor);
            entry.default_cursor_field = Some(vec![field.to_owned()]);
        }
        if !self.primary_key.is_empty() {
            entry.source_defined_primary_key = Some(self.primary_key.clone());
        }
        entry.is_resumable = Some(cursor_field.is_some());
        entry.is_file_based = Some(self.uploader.is_some());
        entry
    }

    /// The slices left to read, with finished jobs where the stream has jobs.
    pub(crate) fn slices_to_read(&self) -> BoxStream<'static, Result<Arc<StreamSlice>>> {
        let slices = Arc::clone(&self.cursor).slices();
        let slices = match self.host.limits {
            Some(limits) => slices.take(limits.slices).boxed(),
            None => slices,
        };
        match &self.retriever {
            Retriever::Simple(_) | Retriever::Custom(..) => slices,
            Retriever::Async(retriever) => Arc::clone(retriever).completed(slices),
        }
    }

    /// The records of a slice.
    pub(crate) async fn records(&self, slice: Arc<StreamSlice>) -> Result<Records> {
        let schema = self.schema.schema().await?;
        Ok(self.retriever.read(slice, Some(schema)))
    }

    pub(crate) fn observe(&self, slice: &StreamSlice, record: &Record) {
        let value = self
            .cursor
            .cursor_field()
            .and_then(|field| record.get(field));
        self.cursor.observe(slice, value.as_ref());
    }

    /// Reads the first record of the first slice, if there is one.
    pub(crate) async fn is_available(&self) -> Result<()> {
        let mut slices = self.slices_to_read();
        let Some(slice) = slices.next().await else {
            return Err(ConnectorError::config(
                "there is nothing to read it by: no slice was found.",
            ));
        };
        let mut records = self.records(slice?).await?;
        records.next().await?;
        Ok(())
    }

    /// All of a slice was read.
    pub(crate) fn close(&self, slice: &StreamSlice) -> Result<()> {
        self.cursor.close(slice)
    }

    pub(crate) fn state(&self) -> Option<Value> {
        self.cursor.state()
    }

    async fn emit(&self, record: Record, slice: &StreamSlice, sink: &mut RecordSink) -> Result<()> {
        if let Some(uploader) = &self.uploader {
            let record = record.into_value()?;
            let file = uploader.upload(&record, slice).await?;
            return sink.record_with_file(&without_nulls(record), &file).await;
        }
        if let Some(text) = record.text() {
            if !text.starts_with('{') {
                let kind = extract::kind_of_json(text);
                return Err(extract::no_object(kind, &self.selector));
            }
            return match record.may_have_nulls() {
                true => sink.raw_record(&raw_json::without_nulls(text)).await,
                false => sink.raw_record(text).await,
            };
        }
        let record = extract::object(record.into_value()?, &self.selector)?;
        sink.record(&without_nulls(Value::Object(record))).await
    }

    async fn read_slice(&self, slice: &Arc<StreamSlice>, sink: &mut RecordSink) -> Result<()> {
        let mut records = self.records(Arc::clone(slice)).await?;
        while let Some(record) = records.next().await? {
            self.observe(slice, &record);
            self.emit(record, slice, sink).await?;
        }
        Ok(())
    }
}

/// Nulls at the top of a record are left out.
fn without_nulls(mut record: Value) -> Value {
    if let Value::Object(map) = &mut record {
        map.retain(|_, value| !value.is_null());
    }
    record
}

fn primary_key(component: &Component<'_>) -> Result<Vec<Vec<String>>> {
    let wrong =
        || component.error("`primary_key` must be a field, a list of fields or a list of paths.");
    let path = |value: &Value| match value {
        Value::String(field) => Ok(vec![field.clone()]),
        Value::Array(steps) => {
            let steps = steps.iter().map(|step| step.as_str().map(str::to_owned));
            steps.collect::<Option<Vec<_>>>().ok_or_else(wrong)
        }
        _ => Err(wrong()),
    };
    match component.get("primary_key") {
        None => Ok(Vec::new()),
        Some(Value::String(field)) if field.is_empty() => Ok(Vec::new()),
        Some(Value::Array(fields)) => fields.iter().map(path).collect(),
        Some(one) => Ok(vec![path(one)?]),
    }
}

impl ParentStream for DeclarativeStream {
    fn name(&self) -> &str {
        &self.name
    }

    fn slices(self: Arc<Self>) -> BoxStream<'static, Result<Arc<StreamSlice>>> {
        self.slices_to_read()
    }

    fn read(self: Arc<Self>, slice: Arc<StreamSlice>) -> BoxStream<'static, Result<Value>> {
        enum Step {
            Begin(Arc<DeclarativeStream>, Arc<StreamSlice>),
            Go(Arc<DeclarativeStream>, Arc<StreamSlice>, Box<Records>),
        }
        let steps = stream::try_unfold(Step::Begin(self, slice), |step| async move {
            let (this, slice, mut records) = match step {
                Step::Begin(this, slice) => {
                    let records = this.records(Arc::clone(&slice)).await?;
                    (this, slice, Box::new(records))
                }
                Step::Go(this, slice, records) => (this, slice, records),
            };
            let Some(record) = records.next().await? else {
                return Ok(None);
            };
            this.observe(&slice, &record);
            let value = record.into_value()?;
            Ok(Some((value, Step::Go(this, slice, records))))
        });
        steps.boxed()
    }

    fn ancestors(&self) -> HashSet<String> {
        self.ancestors.clone()
    }

    fn cursor(&self) -> Arc<dyn Cursor> {
        Arc::clone(&self.cursor)
    }
}

/// A stream as core runs it.
#[derive(Debug, Clone)]
pub(crate) struct RunningStream(pub(crate) Arc<DeclarativeStream>);

impl Stream for RunningStream {
    type Partition = Arc<StreamSlice>;

    fn definition(&self) -> AirbyteStream {
        // The schema of a read is the configured one.
        self.0.entry(serde_json::json!({}))
    }

    async fn partitions(&self, _: &StreamRequest) -> Result<Partitions<Self::Partition>> {
        let this = Arc::clone(&self.0);
        let slices = this.slices_to_read().inspect(move |_| {
            this.open.fetch_add(1, Ordering::Relaxed);
        });
        Ok(Partitions::lazy(slices)
            .with_self_contained_states()
            .with_independent_failures())
    }

    async fn read(
        &self,
        slice: Arc<StreamSlice>,
        _: &StreamRequest,
        sink: &mut RecordSink,
    ) -> Result<()> {
        self.0.read_slice(&slice, sink).await?;
        self.0.close(&slice)?;
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        sink.checkpoint_if_due(|| self.0.cursor.state()).await
    }

    fn final_state(&self, _: &StreamRequest) -> Result<Option<RawJson>> {
        self.0.cursor.finish();
        let state = self.0.cursor.state();
        // The marker ends a stream without a cursor also when it failed: it says that there is nothing to go on from.
        let state = state.unwrap_or_else(|| serde_json::json!({NO_CURSOR: true}));
        let state = RawJson::from_serialize(&state)
            .system_error("The state could not be written as JSON.")?;
        Ok(Some(state))
    }
}
