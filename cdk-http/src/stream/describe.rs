//! The description of a stream.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use airbyte_protocol::StreamDescriptor;
use cdk_core::{Context, Result};
use reqwest::Method;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::client::HttpClient;
use crate::decode::{Decoder, Json, Records};
use crate::errors::ErrorHandler;
use crate::paginate::{NoPages, Paginator};
use crate::request::{Request, RequestBody};
use crate::stream::children::Children;
use crate::stream::fetch::PageHead;
use crate::stream::job::AsyncJob;
use crate::stream::parent::Parent;
use crate::stream::{DatetimeCursor, HttpApi, Slice, schema_of, schema_of_records};

type Customize = Arc<dyn Fn(&mut Request, &Slice) -> Result<()> + Send + Sync>;
type Keep = Arc<dyn Fn(&str) -> bool + Send + Sync>;
type Change = Arc<dyn Fn(&mut Map<String, Value>, &Slice) -> Result<bool> + Send + Sync>;

/// Bodies up to this size are read before their records are emitted; longer ones are decoded on their way.
const PAGE_BYTES: usize = 4 << 20;

/// A page that was read: its head and its records.
pub(super) type Page = (PageHead, Vec<Records>);

/// One stream of an API.
///
/// ```no_run
/// use cdk_core::{Context, Result, Stream};
/// use cdk_http::paginate::OffsetPages;
/// use cdk_http::stream::{DatetimeCursor, HttpApi};
/// use cdk_http::Placement;
///
/// fn orders(context: &Context) -> Result<cdk_core::BoxedStream> {
///     let api = HttpApi::new("https://api.example.com/v1", context)?;
///     let pages = OffsetPages::new(Placement::query("offset"), Placement::query("limit"), 100);
///     let cursor = DatetimeCursor::new("updated_at").start_param(Placement::query("since"));
///     let orders = api.stream("orders", "/orders").records_at("data").paginate(pages);
///     Ok(orders.primary_key(["id"]).cursor(cursor).boxed())
/// }
/// ```
#[derive(Clone)]
pub struct HttpStream {
    pub(super) api: HttpApi,
    pub(super) name: String,
    path: String,
    method: Method,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: RequestBody,
    pub(super) decoder: Arc<dyn Decoder>,
    pub(super) schema: Value,
    pub(super) primary_key: Vec<String>,
    pub(super) paginator: Arc<dyn Paginator>,
    is_paginated: bool,
    pub(super) cursor: Option<DatetimeCursor>,
    pub(super) parent: Option<Parent>,
    pub(super) copied: Vec<(String, String)>,
    customize: Option<Customize>,
    pub(super) keep: Option<Keep>,
    pub(super) change: Option<Change>,
    errors: Option<Arc<dyn ErrorHandler>>,
    pub(super) job: Option<Arc<AsyncJob>>,
    pub(super) page_bytes: usize,
    /// Set when another stream is read from this one's records: its pages are then kept for both.
    shares_pages: Arc<AtomicBool>,
    pub(super) children: Arc<Children>,
    /// The first page, when it was read to learn the schema.
    pub(super) primed: Arc<Mutex<Option<Page>>>,
}

impl HttpStream {
    pub(super) fn new(api: HttpApi, name: String, path: String) -> Self {
        Self {
            api,
            name,
            path,
            method: Method::GET,
            query: Vec::new(),
            headers: Vec::new(),
            body: RequestBody::Empty,
            decoder: Arc::new(Json::new()),
            schema: json!({"type": "object", "additionalProperties": true, "properties": {}}),
            primary_key: Vec::new(),
            paginator: Arc::new(NoPages),
            is_paginated: false,
            cursor: None,
            parent: None,
            copied: Vec::new(),
            customize: None,
            keep: None,
            change: None,
            errors: None,
            job: None,
            page_bytes: PAGE_BYTES,
            shares_pages: Arc::default(),
            children: Arc::default(),
            primed: Arc::default(),
        }
    }

    /// Sets the method; GET by default.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Adds a query parameter; its value may hold values of a parent's record as `{name}`.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Adds a header; its value may hold values of a parent's record as `{name}`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends this body, with POST unless told otherwise.
    #[must_use]
    pub fn body(mut self, body: RequestBody) -> Self {
        self.body = body;
        if self.method == Method::GET {
            self.method = Method::POST;
        }
        self
    }

    /// Sends a GraphQL query. Pages go into its variables: `Placement::json("variables.after")`.
    #[must_use]
    pub fn graphql(self, query: impl Into<String>, variables: &Value) -> Self {
        let query: String = query.into();
        self.body(RequestBody::Json(
            json!({"query": query, "variables": variables}),
        ))
    }

    /// Finds the records of a JSON body at this path; dots separate its steps, `*` goes through all. By default they
    /// are at the top.
    #[must_use]
    pub fn records_at(self, path: &str) -> Self {
        self.decode(Json::at(path))
    }

    /// Decodes bodies in another way.
    #[must_use]
    pub fn decode(mut self, decoder: impl Decoder) -> Self {
        self.decoder = Arc::new(decoder);
        self
    }

    /// Takes the schema of records from a type.
    #[must_use]
    pub fn schema<T: JsonSchema>(self) -> Self {
        self.schema_json(schema_of::<T>())
    }

    /// Sets the schema of records.
    #[must_use]
    pub fn schema_json(mut self, schema: Value) -> Self {
        self.schema = schema;
        self
    }

    /// Sets the primary key, by the names of top-level fields.
    #[must_use]
    pub fn primary_key<K: Into<String>>(mut self, fields: impl IntoIterator<Item = K>) -> Self {
        self.primary_key = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Goes from page to page like this.
    #[must_use]
    pub fn paginate(self, paginator: impl Paginator) -> Self {
        self.paginate_shared(Arc::new(paginator))
    }

    /// The same for a paginator that is chosen at run time.
    #[must_use]
    pub fn paginate_shared(mut self, paginator: Arc<dyn Paginator>) -> Self {
        self.paginator = paginator;
        self.is_paginated = true;
        self
    }

    /// Reads incrementally by this time.
    #[must_use]
    pub fn cursor(mut self, cursor: DatetimeCursor) -> Self {
        self.cursor = Some(cursor);
        self
    }

    /// Reads this stream once for each record of `parent`. Each pair is a name, for `{name}` in path, parameters and
    /// headers, and the path of the value in the parent's record; records without it have no children.
    #[must_use]
    pub fn for_each<'a>(
        mut self,
        parent: &Self,
        values: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        parent.shares_pages.store(true, Ordering::Relaxed);
        self.parent = Some(Parent::new(parent.clone(), values));
        self
    }

    /// Adds values of the parent's record to each record: the field, and the name given in
    /// [`for_each`](Self::for_each).
    #[must_use]
    pub fn copy_from_parent<'a>(
        mut self,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let fields = fields.into_iter();
        self.copied = fields
            .map(|(field, name)| (field.to_owned(), name.to_owned()))
            .collect();
        self
    }

    /// Changes each request before credentials are added.
    #[must_use]
    pub fn request_with(
        mut self,
        customize: impl Fn(&mut Request, &Slice) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.customize = Some(Arc::new(customize));
        self
    }

    /// Keeps only records for whose JSON text `keep` holds; they are not parsed for it.
    #[must_use]
    pub fn keep(mut self, keep: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.keep = Some(Arc::new(keep));
        self
    }

    /// Changes each record; those for which `change` says false are left out. Numbers beyond 64 bits and fractions
    /// with more digits than a float has lose precision here; records that are not changed keep every digit.
    #[must_use]
    pub fn map(
        mut self,
        change: impl Fn(&mut Map<String, Value>, &Slice) -> Result<bool> + Send + Sync + 'static,
    ) -> Self {
        self.change = Some(Arc::new(change));
        self
    }

    /// Lets this handler decide about answers, instead of the API's.
    #[must_use]
    pub fn errors(mut self, errors: impl ErrorHandler) -> Self {
        self.errors = Some(Arc::new(errors));
        self
    }

    /// Gets its records from a job that the API works on meanwhile: create, poll, download. The stream's own request
    /// creates it.
    #[must_use]
    pub fn job(mut self, job: AsyncJob) -> Self {
        self.job = Some(Arc::new(job));
        self
    }

    /// Sets up to which size a body is read before its records are emitted; longer ones are decoded on their way.
    #[must_use]
    pub fn page_bytes(mut self, bytes: usize) -> Self {
        self.page_bytes = bytes;
        self
    }

    /// Tries the stream: its first request must be answered, with records where they should be.
    pub async fn check(&self, context: &Context) -> Result<()> {
        self.first_page(context).await.map(drop)
    }

    /// Learns the schema from the records of the first page. Fields that it lacks are let through all the same. A read
    /// that begins with that page does not ask for it again.
    pub async fn infer_schema(&mut self, context: &Context) -> Result<()> {
        let records = self.first_page(context).await?;
        let records = records.iter().filter_map(|record| {
            // What is no JSON tells nothing.
            serde_json::from_str::<Value>(record).ok()
        });
        self.schema = schema_of_records(records);
        Ok(())
    }

    pub(super) fn descriptor(&self) -> StreamDescriptor {
        StreamDescriptor::new(self.name.clone())
    }

    /// The client of this stream.
    pub(super) fn client(&self) -> HttpClient {
        let mut client = self.api.client.clone().for_stream(&self.descriptor());
        if let Some(errors) = &self.errors {
            client = client.with_errors(Arc::clone(errors));
        }
        if self.shares_pages.load(Ordering::Relaxed) {
            client = client.with_cache(self.api.shared_pages.clone());
        }
        client
    }

    pub(super) fn shares_pages(&self) -> bool {
        self.shares_pages.load(Ordering::Relaxed)
    }

    /// Whether an interrupted full read can go on at its page.
    pub(super) fn is_resumable(&self) -> bool {
        let is_one_slice = self.cursor.is_none() && self.parent.is_none();
        self.is_paginated && is_one_slice && self.job.is_none()
    }

    /// The request for one page.
    pub(super) fn request(&self, slice: &Slice, token: Option<&Value>) -> Result<Request> {
        let path = slice.render(&self.path, true)?;
        let url = crate::url::join(&self.api.base, &path)?;
        let mut request = Request::new(self.method.clone(), url);
        request.body = self.body.clone();
        for (name, value) in self.api.headers.iter().chain(&self.headers) {
            request.set_header(name, &slice.render(value, false)?)?;
        }
        for (name, value) in self.api.query.iter().chain(&self.query) {
            request.add_query(name, &slice.render(value, false)?);
        }
        if let (Some(cursor), Some(window)) = (&self.cursor, &slice.window) {
            cursor.apply(window, &mut request)?;
        }
        if let Some(customize) = &self.customize {
            customize(&mut request, slice)?;
        }
        self.paginator.apply(token, &mut request)?;
        Ok(request)
    }
}

impl fmt::Debug for HttpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpStream")
            .field("name", &self.name)
            .field("path", &self.path)
            .field("paginator", &self.paginator)
            .finish_non_exhaustive()
    }
}
