//! The cursor over a number that only grows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cdk_core::{ConnectorError, Result};
use futures::stream::{self, BoxStream, StreamExt};
use serde_json::{Map, Value};

use crate::component::Component;
use crate::host::Host;
use crate::requester::inputs::RequestOption;
use crate::slice::{Additions, Cursor, StreamSlice};
use crate::template::{Template, python_text};

/// Reads from the last value on, in one slice.
pub(super) struct CountCursor {
    field: String,
    start: i64,
    option: Option<RequestOption>,
    host: Arc<Host>,
    kept: Map<String, Value>,
    reached: Mutex<Reached>,
}

#[derive(Debug, Clone, Copy)]
struct Reached {
    closed: i64,
    recent: Option<i64>,
}

/// The slice's field that holds the start.
const START: &str = "start";

impl CountCursor {
    pub(super) fn build(
        sync: &Component<'_>,
        field: String,
        state: Option<&Value>,
        host: &Arc<Host>,
    ) -> Result<Self> {
        let config = host.config();
        let scope = host.scope(&config);
        let start = match sync.text_like("start_value") {
            None => 0,
            Some(text) => {
                let value = Template::new(&text, sync)?.eval(&scope)?;
                number(&value).ok_or_else(|| sync.error("`start_value` is not a whole number."))?
            }
        };
        let kept = state
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let reached = match kept.get(&field) {
            None => start,
            Some(value) => number(value).ok_or_else(|| {
                ConnectorError::system(format!(
                    "The state has the cursor value {value}, which is not a whole number. Reset the stream."
                ))
            })?,
        };
        let option = sync.child("start_value_option")?;
        Ok(Self {
            field,
            start,
            option: option.map(|at| RequestOption::build(&at)).transpose()?,
            host: Arc::clone(host),
            kept,
            reached: Mutex::new(Reached {
                closed: reached.max(start),
                recent: None,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|number| number as i64)),
        other => python_text(other).trim().parse().ok(),
    }
}

impl Cursor for CountCursor {
    fn slices(self: Arc<Self>) -> BoxStream<'static, Result<Arc<StreamSlice>>> {
        let mut cursor = Map::new();
        cursor.insert(START.to_owned(), self.lock().closed.into());
        let slice = StreamSlice::new(Map::new(), cursor);
        stream::iter([Ok(Arc::new(slice))]).boxed()
    }

    fn cursor_field(&self) -> Option<&str> {
        Some(&self.field)
    }

    fn observe(&self, _: &StreamSlice, value: Option<&Value>) {
        if let Some(value) = value.and_then(number) {
            let mut reached = self.lock();
            reached.recent = reached.recent.max(Some(value));
        }
    }

    fn should_be_synced(&self, _: &StreamSlice, value: Option<&Value>) -> bool {
        value
            .and_then(number)
            .is_none_or(|value| value >= self.lock().closed)
    }

    fn close(&self, _: &StreamSlice) -> Result<()> {
        let mut reached = self.lock();
        reached.closed = reached.recent.unwrap_or(reached.closed).max(reached.closed);
        Ok(())
    }

    fn finish(&self) {}

    fn state(&self) -> Option<Value> {
        let mut state = self.kept.clone();
        state.insert(
            self.field.clone(),
            self.lock().closed.max(self.start).into(),
        );
        Some(Value::Object(state))
    }

    fn additions(&self, slice: &StreamSlice) -> Result<Additions> {
        let mut additions = Additions::default();
        if let (Some(option), Some(start)) = (&self.option, slice.cursor().get(START)) {
            let config = self.host.config();
            additions.inject(option, start.clone(), &self.host.scope(&config))?;
        }
        Ok(additions)
    }

    fn shortened(&self, slice: &StreamSlice) -> Result<StreamSlice> {
        let mut cursor = slice.cursor().clone();
        if let Some(recent) = self.lock().recent {
            cursor.insert(START.to_owned(), recent.into());
        }
        Ok(StreamSlice::new(slice.partition().clone(), cursor))
    }
}
