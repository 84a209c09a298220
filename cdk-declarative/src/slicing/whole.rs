//! Streams without a cursor: the router's slices, or one, and no state.

use std::sync::Arc;

use cdk_core::Result;
use futures::stream::{self, BoxStream, StreamExt};
use serde_json::{Map, Value};

use super::router::Router;
use crate::host::Host;
use crate::slice::{Additions, Cursor, StreamSlice};

pub(super) struct Whole {
    router: Option<Arc<Router>>,
    host: Arc<Host>,
}

impl Whole {
    pub(super) fn new(router: Option<Router>, host: &Arc<Host>) -> Self {
        Self {
            router: router.map(Arc::new),
            host: Arc::clone(host),
        }
    }
}

impl Cursor for Whole {
    fn slices(self: Arc<Self>) -> BoxStream<'static, Result<Arc<StreamSlice>>> {
        let Some(router) = &self.router else {
            return stream::iter([Ok(Arc::new(StreamSlice::new(Map::new(), Map::new())))]).boxed();
        };
        let slices = Arc::clone(router).partitions();
        slices
            .map(|routed| {
                let routed = routed?;
                let slice = StreamSlice::new(routed.partition, Map::new());
                Ok(Arc::new(slice.with_extra_fields(routed.extra)))
            })
            .boxed()
    }

    fn cursor_field(&self) -> Option<&str> {
        None
    }

    fn observe(&self, _: &StreamSlice, _: Option<&Value>) {}

    fn should_be_synced(&self, _: &StreamSlice, _: Option<&Value>) -> bool {
        true
    }

    fn close(&self, _: &StreamSlice) -> Result<()> {
        Ok(())
    }

    fn finish(&self) {}

    fn state(&self) -> Option<Value> {
        None
    }

    fn additions(&self, slice: &StreamSlice) -> Result<Additions> {
        match &self.router {
            Some(router) => router.additions(slice, &self.host),
            None => Ok(Additions::default()),
        }
    }

    fn shortened(&self, slice: &StreamSlice) -> Result<StreamSlice> {
        Ok(slice.clone())
    }
}
