//! Slicing: partition routers cut a stream by parents and lists, cursors cut it by time and keep its state.

mod clamping;
mod count;
mod datetime;
mod intervals;
mod migration;
mod min_max;
mod partitioned;
mod point;
mod positions;
mod router;
mod whole;

use std::collections::HashSet;
use std::sync::Arc;

use cdk_core::Result;
use serde_json::Value;

use crate::component::Component;
use crate::host::Host;
use crate::slice::{Cursor, ParentFactory};
use crate::stream::Given;

use router::Router;

/// How a stream is cut.
pub(crate) struct Slicing {
    pub(crate) cursor: Arc<dyn Cursor>,
    /// Records outside of the cursor's window are dropped.
    pub(crate) is_client_side: bool,
    /// Pages end at the first record outside of the window.
    pub(crate) is_data_feed: bool,
    /// Slices carry their first page.
    pub(crate) is_lazy: bool,
    pub(crate) ancestors: HashSet<String>,
}

/// Builds what cuts a stream.
pub(crate) fn build(
    stream: &Component<'_>,
    name: &str,
    given: &Given,
    host: &Arc<Host>,
    parents: &dyn ParentFactory,
) -> Result<Slicing> {
    let state = migration::migrated(stream, given.state.clone(), host)?;
    let retriever = stream.child("retriever")?;
    let router = match &retriever {
        Some(retriever) => Router::of_retriever(retriever, state.as_ref(), host, parents)?,
        None => None,
    };
    let ancestors = router.as_ref().map(Router::ancestors).unwrap_or_default();
    let is_lazy = router.as_ref().is_some_and(Router::is_lazy);
    let sync = stream.child("incremental_sync")?;
    let (mut is_client_side, mut is_data_feed) = (false, false);
    let cursor: Arc<dyn Cursor> = match &sync {
        None => Arc::new(whole::Whole::new(router, host)),
        Some(sync) => {
            is_data_feed = sync.flag("is_data_feed", false)?;
            is_client_side = sync.flag("is_client_side_incremental", false)?;
            incremental(sync, name, given, state.as_ref(), router, host)?
        }
    };
    if is_lazy
        && (given.state.is_some() || sync.as_ref().is_some_and(|sync| sync.get("step").is_some()))
    {
        return Ok(Slicing {
            cursor,
            is_client_side,
            is_data_feed,
            is_lazy: false,
            ancestors,
        });
    }
    Ok(Slicing {
        cursor,
        is_client_side,
        is_data_feed,
        is_lazy,
        ancestors,
    })
}

fn incremental(
    sync: &Component<'_>,
    name: &str,
    given: &Given,
    state: Option<&Value>,
    router: Option<Router>,
    host: &Arc<Host>,
) -> Result<Arc<dyn Cursor>> {
    let field = cursor_field(sync, given, host)?;
    match sync.kind() {
        "DatetimeBasedCursor" => {
            let windows = Arc::new(datetime::Windows::build(sync, field, host)?);
            match router {
                None => Ok(Arc::new(datetime::DatetimeCursor::new(
                    windows, name, state,
                )?)),
                Some(router) => {
                    let is_global =
                        router.forces_global() || sync.flag("global_substream_cursor", false)?;
                    let cursor = partitioned::Partitioned::new(
                        windows, router, name, state, is_global, host,
                    )?;
                    Ok(Arc::new(cursor))
                }
            }
        }
        "IncrementingCountCursor" => {
            if router.is_some() {
                return Err(sync.error("this cursor can't be used with a partition router."));
            }
            Ok(Arc::new(count::CountCursor::build(
                sync, field, state, host,
            )?))
        }
        other => Err(sync.error(format!(
            "`{other}` is no cursor. Use DatetimeBasedCursor or IncrementingCountCursor."
        ))),
    }
}

/// The manifest's cursor field, or the catalog's where the manifest allows that.
fn cursor_field(sync: &Component<'_>, given: &Given, host: &Arc<Host>) -> Result<String> {
    let config = host.config();
    let field = crate::template::Template::new(sync.need_text("cursor_field")?, sync)?;
    let field = field.text(&host.scope(&config))?;
    if !sync.flag("allow_catalog_defined_cursor_field", false)? {
        return Ok(field);
    }
    let configured = given.configured.as_ref();
    let chosen = configured.and_then(|configured| configured.cursor_field.as_ref());
    Ok(chosen
        .and_then(|path| path.first())
        .cloned()
        .unwrap_or(field))
}

/// The cursor of a components resolver: its router's slices, no state.
pub(crate) fn of_resolver(
    retriever: &Component<'_>,
    host: &Arc<Host>,
    parents: &dyn ParentFactory,
) -> Result<Option<Arc<dyn Cursor>>> {
    let router = Router::of_retriever(retriever, None, host, parents)?;
    Ok(router.map(|router| Arc::new(whole::Whole::new(Some(router), host)) as Arc<dyn Cursor>))
}

/// How far a stream's state has come, in microseconds since the Unix epoch; none when that can't be told.
pub(crate) fn reached(
    stream: &Component<'_>,
    state: &Value,
    host: &Arc<Host>,
) -> Result<Option<i64>> {
    let Some(sync) = stream.child("incremental_sync")? else {
        return Ok(None);
    };
    if sync.kind() != "DatetimeBasedCursor" {
        return Err(sync.error("`api_retention_period` needs a DatetimeBasedCursor."));
    }
    let field = cursor_field(&sync, &Given::default(), host)?;
    let windows = datetime::Windows::build(&sync, field, host)?;
    Ok(windows.reached(state))
}
