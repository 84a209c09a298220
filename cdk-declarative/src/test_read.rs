//! Test reads: few pages, and everything that went over the wire.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::errors::Outcome;

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
    pub(crate) fn answered(&self, stream: &str, request: &str, outcome: &Outcome) {
        let answer = match outcome {
            Ok(response) => {
                let end = response.body.len().min(MAX_BODY_BYTES);
                let head = response.body.slice(..end);
                let body = serde_json::from_slice::<Value>(&response.body);
                let body =
                    body.unwrap_or_else(|_| String::from_utf8_lossy(&head).into_owned().into());
                json!({
                    "status": response.status.as_u16(),
                    "headers": response.headers(),
                    "body": if end < response.body.len() { String::from_utf8_lossy(&head).into_owned().into() } else { body },
                })
            }
            Err(error) => json!({ "error": error.to_string() }),
        };
        let entry = json!({"requester": stream, "request": request, "response": answer});
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(entry);
    }

    /// What was recorded since the last call.
    pub(crate) fn take(&self) -> Vec<Value> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut entries)
    }
}
