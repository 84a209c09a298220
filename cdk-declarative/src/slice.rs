//! A slice of a stream: what one partition covers, as components and templates see it.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use cdk_core::Result;
use futures::stream::BoxStream;
use serde_json::{Map, Value};

/// The partition (which parent, which list item), the cursor's window in it, and what rides along.
///
/// Templates see partition and window as one object; [`StreamSlice::extra_fields`] are kept beside it and never take
/// part in state.
#[derive(Debug, Clone, Default)]
pub struct StreamSlice {
    partition: Map<String, Value>,
    cursor: Map<String, Value>,
    extra: Map<String, Value>,
    /// Partition and window together.
    all: Value,
    /// The partition as text, once it was asked for.
    key: OnceLock<String>,
}

impl PartialEq for StreamSlice {
    fn eq(&self, other: &Self) -> bool {
        (&self.partition, &self.cursor, &self.extra)
            == (&other.partition, &other.cursor, &other.extra)
    }
}

impl StreamSlice {
    /// A slice without extra fields. Window fields win over partition fields of the same name.
    pub fn new(partition: Map<String, Value>, cursor: Map<String, Value>) -> Self {
        let mut all = partition.clone();
        all.extend(
            cursor
                .iter()
                .map(|(key, value)| (key.clone(), value.clone())),
        );
        Self {
            partition,
            cursor,
            extra: Map::new(),
            all: Value::Object(all),
            key: OnceLock::new(),
        }
    }

    /// Sets what rides along.
    #[must_use]
    pub fn with_extra_fields(mut self, extra: Map<String, Value>) -> Self {
        self.extra = extra;
        self
    }

    /// Which part of the stream; what state is kept by.
    pub fn partition(&self) -> &Map<String, Value> {
        &self.partition
    }

    /// The partition as text, whatever the order of its keys.
    pub(crate) fn partition_key(&self, write: impl FnOnce(&Map<String, Value>) -> String) -> &str {
        self.key.get_or_init(|| write(&self.partition))
    }

    /// The cursor's window.
    pub fn cursor(&self) -> &Map<String, Value> {
        &self.cursor
    }

    /// What rides along: fields of the parent record, properties of a query, answers of an async job.
    pub fn extra_fields(&self) -> &Map<String, Value> {
        &self.extra
    }

    /// Partition and window as one object.
    pub fn fields(&self) -> &Value {
        &self.all
    }
}

/// The parts of a request that one component adds.
#[derive(Debug, Clone, Default)]
pub struct Additions {
    /// Query parameters.
    pub params: Map<String, Value>,
    /// Headers.
    pub headers: Map<String, Value>,
    /// Form fields.
    pub body_data: Map<String, Value>,
    /// Members of the JSON body.
    pub body_json: Map<String, Value>,
}

/// A stream as its children read it.
pub trait ParentStream: Send + Sync {
    /// The stream's name.
    fn name(&self) -> &str;

    /// Its slices, found as they are pulled.
    fn slices(self: Arc<Self>) -> BoxStream<'static, Result<Arc<StreamSlice>>>;

    /// The records of one slice, page by page as they are pulled. The parent's cursor has seen them; closing the
    /// slice is the caller's.
    fn read(self: Arc<Self>, slice: Arc<StreamSlice>) -> BoxStream<'static, Result<Value>>;

    /// The streams it reads its own slices from, theirs included.
    fn ancestors(&self) -> HashSet<String>;

    /// What keeps the parent's state.
    fn cursor(&self) -> Arc<dyn Cursor>;
}

/// Cuts a stream into slices, watches its records, keeps its state. One per stream and run, shared by its readers.
pub trait Cursor: Send + Sync {
    /// The slices that are left to read, given the state the cursor was made with.
    fn slices(self: Arc<Self>) -> BoxStream<'static, Result<Arc<StreamSlice>>>;

    /// The top-level field of records that the cursor looks at; none when it looks at none.
    fn cursor_field(&self) -> Option<&str>;

    /// A record of `slice` was read; `value` is its cursor field's, if it has one.
    fn observe(&self, slice: &StreamSlice, value: Option<&Value>);

    /// Whether a record belongs to the sync: its cursor value lies in what is read now.
    fn should_be_synced(&self, slice: &StreamSlice, value: Option<&Value>) -> bool;

    /// All records of `slice` were emitted.
    fn close(&self, slice: &StreamSlice) -> Result<()>;

    /// All slices were found and closed: the state may be the final one.
    fn finish(&self);

    /// The state as it is emitted now. `None` for streams without a cursor.
    fn state(&self) -> Option<Value>;

    /// What the cursor and its partition router put into requests of a slice.
    fn additions(&self, slice: &StreamSlice) -> Result<Additions>;

    /// The slice again from the latest record on, for APIs that page only so far; an error when it would not move.
    fn shortened(&self, slice: &StreamSlice) -> Result<StreamSlice>;
}

/// Makes the parents of streams.
pub trait ParentFactory: Sync {
    /// The stream that `definition` describes, which stands at `path` of the manifest; `state` is where it goes on
    /// from when it is read incrementally.
    fn parent(
        &self,
        definition: &Value,
        path: &str,
        state: Option<Value>,
    ) -> Result<Arc<dyn ParentStream>>;
}
