//! The way through the pages of a slice.

use std::pin::pin;

use cdk_core::{ConnectorError, Result};
use serde_json::Value;

use crate::client::HttpClient;
use crate::paginate::Page;
use crate::stream::check_page::RepeatGuard;
use crate::stream::fetch::{Fetched, PageHead};
use crate::stream::output::Output;
use crate::stream::{HttpStream, Slice};

/// The pages may begin anew so often.
const MAX_RESETS: u32 = 3;

impl HttpStream {
    /// Reads the pages of `slice` from `start` on.
    ///
    /// While the records of a page are handed on, the next page is on its way.
    pub(super) async fn read_pages(
        &self,
        client: &HttpClient,
        slice: &Slice,
        start: Option<Value>,
        output: &mut impl Output,
    ) -> Result<()> {
        let mut guard = RepeatGuard::default();
        let mut token = start.or_else(|| self.paginator.first());
        let mut fetched = self.fetch(client, slice, token.as_ref()).await?;
        let mut resets = 0;
        loop {
            let next;
            (next, fetched) = match fetched {
                Fetched::Nothing => return output.page_end(None).await,
                Fetched::Reset => {
                    resets += 1;
                    self.may_reset(resets)?;
                    guard = RepeatGuard::default();
                    let first = self.paginator.first();
                    let again = self.fetch(client, slice, first.as_ref()).await?;
                    (first, again)
                }
                Fetched::Whole(head, records) => {
                    let next = self.after(&head, token.as_ref(), &mut guard, client)?;
                    let emit = async {
                        for records in &records {
                            output.records(records).await?;
                        }
                        output.page_end(next.as_ref()).await
                    };
                    let Some(next) = &next else { return emit.await };
                    let ahead = self.fetch(client, slice, Some(next));
                    let ahead = at_once(ahead, emit).await?;
                    (Some(next.clone()), ahead)
                }
                Fetched::Long(mut head, mut page) => {
                    while let Some(records) = page.next(&mut head, client).await? {
                        output.records(&records).await?;
                    }
                    let next = self.after(&head, token.as_ref(), &mut guard, client)?;
                    output.page_end(next.as_ref()).await?;
                    let Some(next) = next else { return Ok(()) };
                    let following = self.fetch(client, slice, Some(&next)).await?;
                    (Some(next), following)
                }
            };
            token = next;
        }
    }

    fn after(
        &self,
        head: &PageHead,
        token: Option<&Value>,
        guard: &mut RepeatGuard,
        client: &HttpClient,
    ) -> Result<Option<Value>> {
        let page = Page {
            token,
            status: head.status,
            headers: &head.headers,
            url: &head.url,
            envelope: head.envelope.as_deref(),
            records: head.records,
            last_record: head.last_record.as_deref(),
        };
        let next = self.paginator.next(&page);
        let next = next.map_err(|error| error.with_stream(&self.descriptor()))?;
        let is_unique = self.paginator.has_unique_tokens();
        guard.note(
            head.print(),
            next.as_ref(),
            is_unique,
            client,
            &head.request,
        )?;
        Ok(next)
    }

    fn may_reset(&self, resets: u32) -> Result<()> {
        if resets <= MAX_RESETS {
            return Ok(());
        }
        let text = format!(
            "Stream {}: the API had its pages begin anew {resets} times. Run the sync again later.",
            self.name
        );
        Err(ConnectorError::transient(text).with_stream(&self.descriptor()))
    }
}

/// Runs both, `ahead` first, and returns what `ahead` brings. If `work` fails, that is returned at once.
async fn at_once<T>(
    ahead: impl Future<Output = Result<T>>,
    work: impl Future<Output = Result<()>>,
) -> Result<T> {
    let (mut ahead, mut work) = (pin!(ahead), pin!(work));
    let mut brought = None;
    loop {
        tokio::select! {
            biased;
            value = &mut ahead, if brought.is_none() => brought = Some(value),
            ended = &mut work => {
                ended?;
                break;
            }
        }
    }
    match brought {
        Some(brought) => brought,
        None => ahead.await,
    }
}
