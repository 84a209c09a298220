//! What a call of the suite is given.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::Value;

/// What a connector is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is read from.
    Source,
    /// It is written to.
    Destination,
}

/// Reads all rows of a stream back: namespace and name in, one JSON object per row out.
pub(super) type ReadBack = Arc<
    dyn Fn(Option<String>, String) -> BoxFuture<'static, Result<Vec<Value>, String>> + Send + Sync,
>;

/// Everything a call of the suite is given besides the connector.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) name: Option<String>,
    pub(super) role: Option<Role>,
    pub(super) config: Value,
    pub(super) invalid_configs: Vec<Value>,
    pub(super) secrets: Vec<String>,
    pub(super) streams: Vec<String>,
    pub(super) catalog: Option<Value>,
    pub(super) state: Option<Value>,
    pub(super) future_state: Option<Value>,
    pub(super) previous_spec: Option<Value>,
    pub(super) previous_catalog: Option<Value>,
    pub(super) expected_records: BTreeMap<String, Vec<Value>>,
    pub(super) empty_streams: BTreeMap<String, String>,
    pub(super) ignored_fields: Vec<String>,
    pub(super) excuses: BTreeMap<String, String>,
    pub(super) read_back: Option<ReadBack>,
    pub(super) namespace: Option<String>,
    pub(super) limits: Limits,
}

impl Plan {
    pub(super) fn new(role: Option<Role>) -> Self {
        Self {
            name: None,
            role,
            config: Value::Object(serde_json::Map::new()),
            invalid_configs: Vec::new(),
            secrets: Vec::new(),
            streams: Vec::new(),
            catalog: None,
            state: None,
            future_state: None,
            previous_spec: None,
            previous_catalog: None,
            expected_records: BTreeMap::new(),
            empty_streams: BTreeMap::new(),
            ignored_fields: Vec::new(),
            excuses: BTreeMap::new(),
            read_back: None,
            namespace: None,
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Configs hold secrets.
        f.debug_struct("Plan")
            .field("role", &self.role)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

/// How long and how much.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// What one run may take; then it is killed. 60 s by default.
    pub run: Duration,
    /// What the whole suite may take; then nothing more is run. 10 min by default.
    pub suite: Duration,
    /// What a run may take to end after SIGTERM. 30 s by default: a platform kills after 10, but test machines are
    /// busy.
    pub stop: Duration,
    /// How many bytes a run may print. 256 MiB by default; they are held in memory.
    pub output: usize,
    /// From how many states a read is resumed, evenly chosen. 10 by default.
    pub resumes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            run: Duration::from_secs(60),
            suite: Duration::from_secs(600),
            stop: Duration::from_secs(30),
            output: 256 << 20,
            resumes: 10,
        }
    }
}
