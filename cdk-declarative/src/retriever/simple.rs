//! Page by page: request, select, ask the paginator.

use std::sync::Arc;

use cdk_core::{ConnectorError, Result};
use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::component::Component;
use crate::decoder::Decoder;
use crate::host::Host;
use crate::paginator::{LastPage, Paginator, token_context};
use crate::properties::{QueryProperties, deep_merge};
use crate::record::Record;
use crate::requester::response::PageResponse;
use crate::requester::{Requester, Sent};
use crate::select::{Page, Selector};
use crate::slice::{Cursor, StreamSlice};

/// What is read with requests for pages.
#[derive(Debug)]
pub(crate) struct SimpleRetriever {
    pub(crate) name: String,
    pub(crate) host: Arc<Host>,
    pub(crate) requester: Requester,
    pub(crate) selector: Selector,
    pub(crate) paginator: Paginator,
    pub(crate) properties: Option<QueryProperties>,
    /// What cuts the stream; it adds to requests, and shortens slices.
    pub(crate) cursor: Option<CursorHandle>,
    pub(crate) reset: Option<PaginationReset>,
    /// Requests for further pages leave out what the slice would add.
    pub(crate) first_page_only_options: bool,
    /// Pages end at the first record the cursor does not want, and such records are dropped.
    pub(crate) is_data_feed: bool,
    /// The first page was found in the parent record.
    pub(crate) is_lazy: bool,
}

/// A shared cursor that can be printed.
#[derive(Clone)]
pub(crate) struct CursorHandle(pub(crate) Arc<dyn Cursor>);

impl std::fmt::Debug for CursorHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cursor")
    }
}

/// Paging begins again after so many records, or when the API asks for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PaginationReset {
    pub(crate) splits: bool,
    pub(crate) limit: Option<u64>,
}

impl PaginationReset {
    pub(crate) fn build(component: &Component<'_>) -> Result<Self> {
        let splits = match component.need_text("action")? {
            "SPLIT_USING_CURSOR" => true,
            "RESET" => false,
            other => {
                return Err(component.error(format!(
                    "`action` must be SPLIT_USING_CURSOR or RESET, not `{other}`."
                )));
            }
        };
        let limits = component.child("limits")?;
        let limit =
            limits.and_then(|limits| limits.get("number_of_records").and_then(Value::as_u64));
        Ok(Self { splits, limit })
    }
}

impl SimpleRetriever {
    /// A retriever that belongs to no stream: it fetches schemas, properties, components.
    pub(crate) fn standalone(
        component: &Component<'_>,
        name: &str,
        host: &Arc<Host>,
    ) -> Result<Self> {
        Self::build(component, name, Vec::new(), None, None, host)
    }

    /// A retriever of components, whose requests a partition router may add to.
    pub(crate) fn of_resolver(
        component: &Component<'_>,
        name: &str,
        router: Option<Arc<dyn Cursor>>,
        host: &Arc<Host>,
    ) -> Result<Self> {
        let settings = CursorSettings {
            cursor: router,
            ..CursorSettings::default()
        };
        Self::build(component, name, Vec::new(), Some(settings), None, host)
    }

    /// `configured` is the stream's schema in the configured catalog.
    pub(crate) fn build(
        component: &Component<'_>,
        name: &str,
        transformations: Vec<crate::transform::Transformation>,
        cursor: Option<CursorSettings>,
        configured: Option<&Value>,
        host: &Arc<Host>,
    ) -> Result<Self> {
        if component.kind() != "SimpleRetriever" {
            let kind = component.text("class_name")?.unwrap_or(component.kind());
            return Err(component.error(format!(
                "`{kind}` can't be used here: what retrieves components, schemas or properties must be a SimpleRetriever."
            )));
        }
        let requester = component.need_child("requester")?;
        let decoder = Decoder::build(component.child("decoder")?.as_ref(), host.registry())?;
        let config = host.config();
        let scope = host.scope(&config);
        let paginator = component.child("paginator")?;
        let selector = component.need_child("record_selector")?;
        let properties = properties(&requester, name, configured, host)?;
        let reset = component.child("pagination_reset")?;
        let settings = cursor.unwrap_or_default();
        let selector = Selector::build(
            &selector,
            &decoder,
            transformations,
            settings.cursor.as_ref(),
            settings.is_client_side,
            host,
        )?;
        let paginator = Paginator::build(paginator.as_ref(), &decoder, &scope, host.registry())?;
        if selector.is_union() && paginator.counts_records() {
            return Err(component.error(
                "a CombinedExtractor with the mode `union` finds records of several lists, whose number is no offset: \
                 OffsetIncrement would leave pages out. Use `first_match`, or another pagination strategy.",
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            host: Arc::clone(host),
            requester: Requester::build(&requester, name, host)?,
            selector,
            paginator,
            properties,
            cursor: settings.cursor.map(CursorHandle),
            reset: reset.map(|at| PaginationReset::build(&at)).transpose()?,
            first_page_only_options: component.flag(
                "ignore_stream_slicer_parameters_on_paginated_requests",
                false,
            )?,
            is_data_feed: settings.is_data_feed,
            is_lazy: settings.is_lazy,
        })
    }

    /// Begins with a slice.
    pub(crate) fn pager(self: Arc<Self>, slice: Arc<StreamSlice>) -> Pager {
        let token = self.paginator.initial_token();
        Pager {
            original: Arc::clone(&slice),
            slice,
            token,
            retriever: self,
            schema: None,
            page: None,
            merged: None,
            is_done: false,
            pages: 0,
            observed: 0,
            has_restarted: false,
        }
    }

    async fn fetch(&self, slice: &StreamSlice, token: Option<&Value>) -> Result<Sent> {
        let config = self.host.config();
        let more = {
            let context = token_context(token);
            let scope = self.host.scope(&config);
            let scope = scope.of_slice(slice);
            let scope = scope.with("next_page_token", &context);
            let own = self.paginator.additions(token, &scope)?;
            match &self.cursor {
                Some(cursor) if token.is_none() || !self.first_page_only_options => {
                    own.merged(cursor.0.additions(slice)?)?
                }
                _ => own,
            }
        };
        let path = self.paginator.path(token);
        self.requester
            .send(slice, token, more, path.as_deref())
            .await
    }
}

/// How a stream's cursor takes part in reading.
#[derive(Default, Clone)]
pub(crate) struct CursorSettings {
    pub(crate) cursor: Option<Arc<dyn Cursor>>,
    pub(crate) is_client_side: bool,
    pub(crate) is_data_feed: bool,
    pub(crate) is_lazy: bool,
}

/// Query properties stand among the request parameters, or in a field of their own.
fn properties(
    requester: &Component<'_>,
    stream: &str,
    configured: Option<&Value>,
    host: &Arc<Host>,
) -> Result<Option<QueryProperties>> {
    let build = |at: &Component<'_>| QueryProperties::build(at, stream, configured, host).map(Some);
    if let Some(at) = requester.child("query_properties")? {
        return build(&at);
    }
    // The older spelling of a list of properties that an endpoint tells.
    if let Some(endpoint) = requester.get("fetch_properties_from_endpoint") {
        let list = serde_json::json!({"type": "QueryProperties", "property_list": endpoint});
        return build(&Component::new(&list, requester.path())?);
    }
    let Some(params) = requester
        .get("request_parameters")
        .and_then(Value::as_object)
    else {
        return Ok(None);
    };
    let found = params
        .iter()
        .find(|(_, value)| value.get("type").and_then(Value::as_str) == Some("QueryProperties"));
    match found {
        Some((key, value)) => {
            let path = format!("{}.request_parameters.{key}", requester.path());
            build(&Component::new(value, path)?)
        }
        None => Ok(None),
    }
}

/// The records of one slice.
pub(crate) struct Pager {
    retriever: Arc<SimpleRetriever>,
    original: Arc<StreamSlice>,
    slice: Arc<StreamSlice>,
    token: Option<Value>,
    schema: Option<Arc<Value>>,
    page: Option<OpenPage>,
    /// Records put together of several requests.
    merged: Option<std::vec::IntoIter<Record>>,
    is_done: bool,
    pages: u32,
    /// Records since paging began.
    observed: u64,
    /// Paging began again with the same slice.
    has_restarted: bool,
}

/// A page that is being read.
struct OpenPage {
    /// What templates see, as it was when the page came.
    config: Arc<Value>,
    token: Value,
    response: PageResponse,
    page: Page,
    emitted: usize,
    last: Option<Record>,
}

impl Pager {
    pub(crate) fn with_schema(mut self, schema: Option<Arc<Value>>) -> Self {
        self.schema = schema;
        self
    }

    /// The next record.
    pub(crate) async fn next(&mut self) -> Result<Option<Record>> {
        loop {
            if let Some(record) = self.next_of_page()? {
                return Ok(Some(record));
            }
            if let Some(page) = self.page.take() {
                self.turn(&page)?;
            }
            if self.is_done {
                return Ok(None);
            }
            self.open().await?;
        }
    }

    fn next_of_page(&mut self) -> Result<Option<Record>> {
        loop {
            let Some(record) = self.record_of_page()? else {
                return Ok(None);
            };
            self.observed += 1;
            if let Some(page) = &mut self.page {
                page.emitted += 1;
                let retriever = &self.retriever;
                if retriever.is_data_feed || retriever.paginator.wants_last_record() {
                    page.last = Some(record.clone());
                }
            }
            if !self.retriever.is_data_feed || self.is_wanted(&record) {
                return Ok(Some(record));
            }
        }
    }

    fn record_of_page(&mut self) -> Result<Option<Record>> {
        if let Some(merged) = &mut self.merged {
            return Ok(merged.next());
        }
        let Some(open) = &mut self.page else {
            return Ok(None);
        };
        if self.retriever.selector.is_plain() {
            return open.page.next();
        }
        let scope = self.retriever.host.scope(&open.config);
        let scope = scope.of_slice(&self.slice);
        let scope = scope.with("next_page_token", &open.token);
        let schema = self.schema.as_deref();
        self.retriever
            .selector
            .next(&mut open.page, &self.slice, &scope, schema)
    }

    fn is_wanted(&self, record: &Record) -> bool {
        let Some(CursorHandle(cursor)) = &self.retriever.cursor else {
            return true;
        };
        let value = cursor.cursor_field().and_then(|field| record.get(field));
        cursor.should_be_synced(&self.slice, value.as_ref())
    }

    /// Fetches the next page.
    async fn open(&mut self) -> Result<()> {
        self.merged = None;
        if let Some(response) = self.page_of_parent()? {
            return self.begin(response);
        }
        let Some(properties) = &self.retriever.properties else {
            return match self
                .retriever
                .fetch(&self.slice, self.token.as_ref())
                .await?
            {
                Sent::Response(response) => self.begin(response),
                Sent::ResetPagination => self.restart(),
            };
        };
        let chunks = properties.chunks().await?;
        self.open_chunks(chunks).await
    }

    /// The first page of a child that its parent's record holds.
    fn page_of_parent(&self) -> Result<Option<PageResponse>> {
        if !self.retriever.is_lazy || self.pages > 0 {
            return Ok(None);
        }
        let Some(page) = self.slice.extra_fields().get("child_response") else {
            return Ok(None);
        };
        PageResponse::of_json(page).map(Some)
    }

    fn begin(&mut self, response: PageResponse) -> Result<()> {
        self.pages += 1;
        let page = self.retriever.selector.select(&response)?;
        self.page = Some(OpenPage {
            config: self.retriever.host.config(),
            token: token_context(self.token.as_ref()),
            response,
            page,
            emitted: 0,
            last: None,
        });
        Ok(())
    }

    /// One request for each chunk of properties; records of one thing are put together.
    async fn open_chunks(&mut self, chunks: Vec<Vec<String>>) -> Result<()> {
        let retriever = Arc::clone(&self.retriever);
        let Some(properties) = &retriever.properties else {
            return Ok(());
        };
        let mut merged: IndexMap<String, Value> = IndexMap::new();
        let mut records = Vec::new();
        let mut last = None;
        for chunk in chunks {
            let mut extra = Map::new();
            extra.insert("query_properties".to_owned(), chunk.into());
            let slice =
                StreamSlice::new(self.slice.partition().clone(), self.slice.cursor().clone());
            let slice = Arc::new(slice.with_extra_fields(extra));
            let response = match retriever.fetch(&slice, self.token.as_ref()).await? {
                Sent::Response(response) => response,
                Sent::ResetPagination => return self.restart(),
            };
            self.slice = slice;
            self.begin(response)?;
            while let Some(record) = self.record_of_page()? {
                if !properties.is_chunked() {
                    records.push(record);
                    continue;
                }
                let record = record.into_value()?;
                match properties.merge_key(&record) {
                    Some(key) => deep_merge(
                        merged.entry(key).or_insert(Value::Object(Map::new())),
                        record,
                    ),
                    None => records.push(Record::Tree(record)),
                }
            }
            last = self.page.take();
        }
        records.extend(merged.into_values().map(Record::Tree));
        self.merged = Some(records.into_iter());
        self.page = last;
        Ok(())
    }

    /// A page is read: the token of the next, or the end.
    fn turn(&mut self, page: &OpenPage) -> Result<()> {
        self.merged = None;
        if !page.response.is_ok() {
            self.is_done = true;
            return Ok(());
        }
        let reset = self.retriever.reset;
        if let Some(limit) = reset.and_then(|reset| reset.limit)
            && self.observed >= limit
        {
            return self.restart();
        }
        if self.is_at_limit() || (self.retriever.is_data_feed && self.is_past_window(page)) {
            self.is_done = true;
            return Ok(());
        }
        let last = page.last.clone().map(Record::into_value).transpose()?;
        let last_page = LastPage {
            response: &page.response,
            extracted: page.page.count(),
            emitted: page.emitted,
            record: last.as_ref(),
            token: self.token.as_ref(),
        };
        let host = &self.retriever.host;
        let config = host.config();
        let scope = host.scope(&config);
        let scope = scope.of_slice(&self.slice);
        let next = self.retriever.paginator.next(&last_page, &scope)?;
        self.is_done = next.is_none();
        self.token = next;
        Ok(())
    }

    fn is_at_limit(&self) -> bool {
        let limits = self.retriever.host.limits;
        limits.is_some_and(|limits| self.pages >= limits.pages_per_slice)
    }

    fn is_past_window(&self, page: &OpenPage) -> bool {
        page.last.as_ref().is_some_and(|last| !self.is_wanted(last))
    }

    /// Paging begins again, with the slice from its latest record on if the cursor is to split it.
    fn restart(&mut self) -> Result<()> {
        let splits = self.retriever.reset.is_some_and(|reset| reset.splits);
        if splits {
            let Some(CursorHandle(cursor)) = &self.retriever.cursor else {
                return Err(ConnectorError::config(format!(
                    "Stream {}: `SPLIT_USING_CURSOR` needs an `incremental_sync`.",
                    self.retriever.name
                )));
            };
            let shortened = cursor.shortened(&self.original)?;
            if shortened == *self.slice {
                return Err(ConnectorError::system(format!(
                    "Stream {}: paging was to begin again, but the slice would stay the same.",
                    self.retriever.name
                )));
            }
            self.slice = Arc::new(shortened);
        } else if std::mem::replace(&mut self.has_restarted, true) {
            return Err(ConnectorError::system(format!(
                "Stream {}: paging was to begin again for the second time, with the same slice. Use `SPLIT_USING_CURSOR`, \
                 or a higher limit of records.",
                self.retriever.name
            )));
        }
        tracing::info!(
            "Stream {} begins again at the first page of its slice.",
            self.retriever.name
        );
        self.token = self.retriever.paginator.initial_token();
        self.page = None;
        self.merged = None;
        self.observed = 0;
        Ok(())
    }
}
