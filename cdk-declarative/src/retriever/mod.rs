//! Retrievers: slices in, records out.

pub(crate) mod jobs;
pub(crate) mod simple;

use std::sync::Arc;

use cdk_core::Result;
use serde_json::Value;

use crate::select::Record;
use crate::slice::StreamSlice;

/// Reads the records of slices.
#[derive(Debug, Clone)]
pub(crate) enum Retriever {
    /// By requests for pages.
    Simple(Arc<simple::SimpleRetriever>),
    /// By jobs of the API.
    Async(Arc<jobs::AsyncRetriever>),
}

/// The records of one slice, pulled one at a time.
pub(crate) enum Records {
    Simple(Box<simple::Pager>),
    Async(Box<jobs::JobRecords>),
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
        }
    }
}

impl Records {
    /// The next record.
    pub(crate) async fn next(&mut self) -> Result<Option<Record>> {
        match self {
            Self::Simple(pager) => pager.next().await,
            Self::Async(records) => records.next().await,
        }
    }
}
