//! Test reads: few pages, and everything that went over the wire.

use std::sync::{Arc, Mutex, PoisonError};

use cdk_core::Result;
use cdk_http::Request;
use cdk_http::stream::schema_of_records;
use futures::StreamExt;
use serde_json::{Map, Value, json};

use crate::errors::Outcome;
use crate::slice::StreamSlice;
use crate::stream::DeclarativeStream;

/// How much a test read takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Pages of each slice.
    pub pages_per_slice: u32,
    /// Slices of the stream.
    pub slices: usize,
    /// Records altogether.
    pub records: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pages_per_slice: 5,
            slices: 5,
            records: 100,
        }
    }
}

/// Requests with their answers, in the order of the answers.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Vec<Value>>);

/// Longer answers are cut.
const MAX_BODY_BYTES: usize = 64 << 10;

impl Recorder {
    pub(crate) fn answered(&self, requester: &str, request: &Value, outcome: &Outcome) {
        let answer = match outcome {
            Ok(response) => json!({
                "status": response.status.as_u16(),
                "headers": response.headers(),
                "body": body(&response.body.head()),
            }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        let entry = json!({"requester": requester, "request": request, "response": answer});
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(entry);
    }

    /// What was recorded since the last call.
    fn take(&self) -> Vec<Value> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut entries)
    }
}

/// A request as it goes over the wire, credentials included: whoever shows it masks them.
pub(crate) fn shown(request: &Request) -> Value {
    let mut request = request.clone();
    let sent = request.encoded_body();
    let headers = request.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), Value::String(value))
    });
    json!({
        "method": request.method.as_str(),
        "url": request.url.as_str(),
        "headers": headers.collect::<Map<_, _>>(),
        "body": sent.map_or(Value::Null, |sent| body(&sent)),
    })
}

/// JSON as JSON, anything else as text; the start of a long one as text.
fn body(bytes: &[u8]) -> Value {
    if bytes.len() <= MAX_BODY_BYTES
        && let Ok(parsed) = serde_json::from_slice(bytes)
    {
        return parsed;
    }
    let head = bytes.get(..MAX_BODY_BYTES).unwrap_or(bytes);
    String::from_utf8_lossy(head).into_owned().into()
}

/// Reads a stream up to the limits.
pub(crate) async fn run(
    stream: &Arc<DeclarativeStream>,
    recorder: &Recorder,
    limits: Limits,
) -> Value {
    let mut reading = Reading {
        stream: Arc::clone(stream),
        left: limits.records,
        slices: Vec::new(),
        has_cut: false,
    };
    let ended = reading.run(recorder, limits).await;
    let mut read = Map::new();
    read.insert(
        "limit_reached".to_owned(),
        (reading.has_cut || reading.slices.len() >= limits.slices).into(),
    );
    let records = reading
        .slices
        .iter()
        .filter_map(|slice| slice["records"].as_array());
    let schema = schema_of_records(records.flatten());
    read.insert("inferred_schema".to_owned(), schema);
    read.insert("slices".to_owned(), reading.slices.into());
    // Requests that led to no slice: those of parents, or the one that failed.
    read.insert("other_exchanges".to_owned(), recorder.take().into());
    read.insert("state".to_owned(), stream.state().unwrap_or(Value::Null));
    if let Err(error) = ended {
        let error = json!({
            "type": error.failure_type(),
            "message": error.message(),
            "cause": error.internal_message(),
        });
        read.insert("error".to_owned(), error);
    }
    Value::Object(read)
}

struct Reading {
    stream: Arc<DeclarativeStream>,
    /// How many records may still be read.
    left: usize,
    slices: Vec<Value>,
    /// Pages or records were left out, or may have been.
    has_cut: bool,
}

impl Reading {
    async fn run(&mut self, recorder: &Recorder, limits: Limits) -> Result<()> {
        let mut source = self.stream.slices_to_read();
        while self.left > 0
            && let Some(slice) = source.next().await
        {
            let slice = slice?;
            let mut records = Vec::new();
            let ended = self.take_records(&slice, &mut records).await;
            self.left -= records.len();
            self.has_cut |= self.left == 0;
            let exchanges = recorder.take();
            let pages = exchanges
                .iter()
                .filter(|exchange| exchange["requester"] == self.stream.name());
            self.has_cut |= pages.count() >= limits.pages_per_slice as usize;
            self.slices.push(json!({
                "slice": slice.fields(),
                "records": records,
                "exchanges": exchanges,
            }));
            ended?;
        }
        Ok(())
    }

    /// The state then counts a slice that was cut as if there were no more of it.
    async fn take_records(&self, slice: &Arc<StreamSlice>, into: &mut Vec<Value>) -> Result<()> {
        let mut records = self.stream.records(Arc::clone(slice)).await?;
        while into.len() < self.left
            && let Some(record) = records.next().await?
        {
            self.stream.observe(slice, &record);
            into.push(record.into_value()?);
        }
        self.stream.close(slice)
    }
}
