//! Test reads: few pages, and everything that went over the wire.

use std::sync::{Arc, Mutex, PoisonError};

use cdk_core::Result;
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
    pub(crate) fn answered(&self, requester: &str, request: &str, outcome: &Outcome) {
        let answer = match outcome {
            Ok(response) => json!({
                "status": response.status.as_u16(),
                "headers": response.headers(),
                "body": body(&response.body),
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
    let mut read = Map::new();
    let (mut slices, mut left) = (Vec::new(), limits.records);
    let mut source = stream.test_slices();
    let mut failed = None;
    while let Some(slice) = source.next().await {
        let slice = match slice {
            Ok(slice) => slice,
            Err(error) => {
                failed = Some(error);
                break;
            }
        };
        let (mut records, mut ended) = (Vec::new(), Ok(()));
        if left > 0 {
            ended = take_records(stream, &slice, left, &mut records).await;
        }
        left -= records.len();
        slices.push(json!({
            "slice": slice.fields(),
            "records": records,
            "exchanges": recorder.take(),
        }));
        if let Err(error) = ended {
            failed = Some(error);
            break;
        }
        if left == 0 {
            break;
        }
    }
    read.insert(
        "limit_reached".to_owned(),
        (left == 0 || slices.len() >= limits.slices).into(),
    );
    read.insert("slices".to_owned(), slices.into());
    // Requests that led to no slice: those of parents, or the one that failed.
    read.insert("other_exchanges".to_owned(), recorder.take().into());
    read.insert("state".to_owned(), stream.state().unwrap_or(Value::Null));
    if let Some(error) = failed {
        read.insert("error".to_owned(), error.message().into());
    }
    Value::Object(read)
}

async fn take_records(
    stream: &DeclarativeStream,
    slice: &Arc<StreamSlice>,
    limit: usize,
    into: &mut Vec<Value>,
) -> Result<()> {
    let mut records = stream.records(Arc::clone(slice)).await?;
    while into.len() < limit {
        let Some(record) = records.next().await? else {
            break;
        };
        into.push(record.into_value()?);
    }
    Ok(())
}
