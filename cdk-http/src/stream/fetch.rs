//! One page: asked for and, if it is not too long, decoded.

use std::sync::PoisonError;

use bytes::Bytes;
use cdk_core::Result;
use reqwest::Url;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::body::ResumingBody;
use crate::cache::ResponseCache;
use crate::client::{HttpClient, Outcome};
use crate::decode::{Decode, DecodeError, DecodeErrorKind, Records};
use crate::request::Request;
use crate::response::Response;
use crate::stream::check_page::{failed_in_body, hash_of, undecodable};
use crate::stream::describe::Page;
use crate::stream::{HttpStream, Slice};

/// A page that ends in the middle is asked for so often.
const MAX_TRUNCATED: u32 = 3;

/// What came of asking for a page.
pub(super) enum Fetched<'a> {
    /// A page whose records are there.
    Whole(PageHead, Vec<Records>),
    /// A page that is decoded on its way.
    Long(PageHead, Box<LongPage<'a>>),
    /// The API has nothing here.
    Nothing,
    /// The pages begin anew.
    Reset,
}

/// What of a page the way on depends on.
pub(super) struct PageHead {
    pub(super) request: Request,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) url: Url,
    pub(super) envelope: Option<String>,
    pub(super) records: u64,
    pub(super) last_record: Option<String>,
    first_print: u64,
}

impl PageHead {
    fn new(request: Request, response: &mut Response) -> Self {
        Self {
            request,
            status: response.status,
            headers: std::mem::take(&mut response.headers),
            url: response.url.clone(),
            envelope: None,
            records: 0,
            last_record: None,
            first_print: 0,
        }
    }

    /// Counts records that came.
    pub(super) fn count(&mut self, records: &Records) -> Result<(), DecodeError> {
        if self.records == 0 {
            self.first_print = records.first()?.map_or(0, hash_of);
        }
        self.records += records.len() as u64;
        if let Some(last) = records.last()? {
            self.last_record = Some(last.to_owned());
        }
        Ok(())
    }

    /// Stands for the records of the page; none without records.
    pub(super) fn print(&self) -> Option<u64> {
        let last = self.last_record.as_deref()?;
        Some(hash_of(last) ^ self.first_print.rotate_left(7) ^ self.records)
    }

    fn content_type(&self) -> Option<&str> {
        self.headers.get("content-type")?.to_str().ok()
    }
}

/// A page that is decoded on its way.
pub(super) struct LongPage<'a> {
    body: ResumingBody<'a>,
    decode: Box<dyn Decode>,
    is_end: bool,
}

impl LongPage<'_> {
    /// The next records; `None` at the end of the page.
    pub(super) async fn next(
        &mut self,
        head: &mut PageHead,
        client: &HttpClient,
    ) -> Result<Option<Records>> {
        loop {
            let next = self.decode.next();
            if let Some(records) =
                next.map_err(|error| undecodable(client, &head.request, &error))?
            {
                let counted = head.count(&records);
                counted.map_err(|error| undecodable(client, &head.request, &error))?;
                return Ok(Some(records));
            }
            if self.is_end {
                finish(self.decode.as_ref(), head, client)?;
                return Ok(None);
            }
            match self.body.chunk().await? {
                Some(chunk) => self.decode.push(chunk, false),
                None => {
                    self.is_end = true;
                    self.decode.push(Bytes::new(), true);
                }
            }
        }
    }
}

impl HttpStream {
    /// Asks for the page of `token`.
    pub(super) async fn fetch<'a>(
        &self,
        client: &'a HttpClient,
        slice: &Slice,
        token: Option<&Value>,
    ) -> Result<Fetched<'a>> {
        let request = self.request(slice, token)?;
        if let Some((head, records)) = self.take_primed(&request) {
            return Ok(Fetched::Whole(head, records));
        }
        self.fetch_request(client, request).await
    }

    /// The page of `request`, if it was read before the stream was.
    fn take_primed(&self, request: &Request) -> Option<Page> {
        let mut primed = self.primed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |(head, _): &mut (PageHead, Vec<Records>)| {
            head.request.method == request.method && head.request.url == request.url
        };
        primed.take_if(is_it)
    }

    /// Keeps a page for the read that may follow.
    pub(super) fn prime(&self, head: PageHead, records: Vec<Records>) {
        // A body may tell requests apart that look alike.
        if head.request.method == Method::GET {
            let mut primed = self.primed.lock().unwrap_or_else(PoisonError::into_inner);
            *primed = Some((head, records));
        }
    }

    /// Sends `request` and decodes the answer.
    pub(super) async fn fetch_request<'a>(
        &self,
        client: &'a HttpClient,
        request: Request,
    ) -> Result<Fetched<'a>> {
        let limit = match self.shares_pages() {
            true => ResponseCache::MAX_BODY_BYTES,
            false => self.page_bytes,
        };
        let mut tries = 0;
        loop {
            let mut response = match client.fetch(request.clone(), limit).await? {
                Outcome::Success(response) => response,
                Outcome::ResetPagination(_) => return Ok(Fetched::Reset),
                _ => return Ok(Fetched::Nothing),
            };
            let mut head = PageHead::new(request.clone(), &mut response);
            let mut decode = self.decoder.start(head.content_type());
            let Some(body) = response.body.ready() else {
                let body = ResumingBody::new(client, request, response.body);
                let long = LongPage {
                    body,
                    decode,
                    is_end: false,
                };
                return Ok(Fetched::Long(head, Box::new(long)));
            };
            decode.push(body.clone(), true);
            match collect(decode.as_mut(), &mut head) {
                Ok(records) => {
                    finish(decode.as_ref(), &mut head, client)?;
                    return Ok(Fetched::Whole(head, records));
                }
                Err(error) => {
                    tries += 1;
                    let is_cut = error.kind() == DecodeErrorKind::Truncated;
                    let error = undecodable(client, &request, &error);
                    if !is_cut || tries >= MAX_TRUNCATED {
                        return Err(error);
                    }
                    tracing::info!("{error} It is asked for again.");
                    let first = std::time::Duration::from_secs(1);
                    client.unless_stopped(client.timer().sleep(first)).await?;
                }
            }
        }
    }
}

fn collect(decode: &mut dyn Decode, head: &mut PageHead) -> Result<Vec<Records>, DecodeError> {
    let mut found = Vec::new();
    while let Some(records) = decode.next()? {
        head.count(&records)?;
        found.push(records);
    }
    Ok(found)
}

/// Takes over what is known at the end of a page.
fn finish(decode: &dyn Decode, head: &mut PageHead, client: &HttpClient) -> Result<()> {
    head.envelope = decode.envelope().map(str::to_owned);
    if head.records > 0 || decode.has_records_place() {
        return Ok(());
    }
    match failed_in_body(client, &head.request, head.envelope.as_deref()) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}
