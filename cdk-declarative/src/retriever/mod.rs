//! Retrievers: slices in, records out.

pub(crate) mod jobs;
pub(crate) mod simple;

use std::sync::Arc;

use cdk_core::Result;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::custom::CustomRetriever;
use crate::host::Host;
use crate::record::Record;
use crate::slice::StreamSlice;

/// Reads the records of slices.
#[derive(Clone)]
pub(crate) enum Retriever {
    /// By requests for pages.
    Simple(Arc<simple::SimpleRetriever>),
    /// By jobs of the API.
    Async(Arc<jobs::AsyncRetriever>),
    /// By a component of the embedding program.
    Custom(Arc<dyn CustomRetriever>, Arc<Host>),
}

/// The records of one slice, pulled one at a time.
pub(crate) enum Records {
    Simple(Box<simple::Pager>),
    Async(Box<jobs::JobRecords>),
    Custom(BoxStream<'static, Result<Value>>),
}

impl Retriever {
    /// Begins with a slice. `schema` is what records are cast to.
    pub(crate) fn read(&self, slice: Arc<StreamSlice>, schema: Option<Arc<Value>>) -> Records {
        match self {
            Self::Simple(retriever) => {
                let pager = Arc::clone(retriever).pager(slice).with_schema(schema);
                Records::Simple(Box::new(pager))
            }
            Self::Async(retriever) => {
                Records::Async(Box::new(Arc::clone(retriever).records(slice, schema)))
            }
            Self::Custom(custom, host) => Records::Custom(custom.read(slice, host.config())),
        }
    }
}

impl Records {
    /// The next record.
    pub(crate) async fn next(&mut self) -> Result<Option<Record>> {
        match self {
            Self::Simple(pager) => pager.next().await,
            Self::Async(records) => records.next().await,
            Self::Custom(records) => Ok(records.next().await.transpose()?.map(Record::Tree)),
        }
    }
}
