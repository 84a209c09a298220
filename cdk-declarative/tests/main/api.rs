//! An API that is a function, and reads of manifests against it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use cdk_core::entrypoint::{self, Connector, Exit, Invocation};
use cdk_core::{CancellationToken, FixedClock, async_trait};
use cdk_declarative::ManifestSource;
use cdk_http::header::HeaderMap;
use cdk_http::timer::VirtualTimer;
use cdk_http::{Request, Response, StatusCode, Transport, TransportError};
use serde_json::{Value, json};

/// 2024-06-15T12:00:00Z
const NOW_MS: i64 = 1_718_452_800_000;

/// Status and body by path and query.
pub(crate) type Answer = fn(&str) -> (u16, Value);

/// Answers by path and query.
struct Api(Answer);

#[async_trait]
impl Transport for Api {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        // As over a network, the answer is not there at once.
        tokio::task::yield_now().await;
        let query = request.url.query().map(|query| format!("?{query}"));
        let asked = format!("{}{}", request.url.path(), query.unwrap_or_default());
        let (status, body) = (self.0)(&asked);
        let status = StatusCode::from_u16(status).unwrap();
        Ok(Response::new(
            status,
            HeaderMap::new(),
            request.url,
            body.to_string(),
        ))
    }
}

/// Answers that depend on more than the address, or have headers.
pub(crate) struct Answers<F>(pub(crate) F);

#[async_trait]
impl<F: Fn(&Request) -> Response + Send + Sync + 'static> Transport for Answers<F> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        tokio::task::yield_now().await;
        Ok((self.0)(&request))
    }
}

pub(crate) fn stream(name: &str, more: Value) -> Value {
    let mut stream = json!({
        "type": "DeclarativeStream",
        "name": name,
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {"type": "HttpRequester", "url_base": "https://api.example.com", "path": format!("/{name}")},
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": ["data"]}
            }
        },
        "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": {}}}
    });
    merge(&mut stream, more);
    stream
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

pub(crate) fn manifest(streams: &[Value]) -> String {
    json!({
        "type": "DeclarativeSource",
        "version": "6.0.0",
        "check": {"type": "CheckStream", "stream_names": [streams[0]["name"]]},
        "streams": streams,
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}}
    })
    .to_string()
}

pub(crate) fn source(streams: &[Value], answer: Answer) -> ManifestSource {
    of_manifest(&manifest(streams), answer)
}

/// The source of a whole manifest.
pub(crate) fn of_manifest(text: &str, answer: Answer) -> ManifestSource {
    ManifestSource::from_yaml(text)
        .unwrap()
        .with_transport(Arc::new(Api(answer)))
        .with_timer(Arc::new(VirtualTimer::default()))
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The messages of a read of all named streams.
pub(crate) async fn read(source: ManifestSource, names: &[&str]) -> (Exit, Vec<Value>) {
    let (exit, text) = read_text(source, names).await;
    let messages = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (exit, messages.collect())
}

/// The same as it was printed.
pub(crate) async fn read_text(source: ManifestSource, names: &[&str]) -> (Exit, String) {
    run(source, names, &json!({}), None).await
}

/// The messages of an incremental read with a config and the states of streams by name.
pub(crate) async fn read_given(
    source: ManifestSource,
    names: &[&str],
    config: &Value,
    states: &Value,
) -> (Exit, Vec<Value>) {
    let (exit, text) = run(source, names, config, Some(states)).await;
    let messages = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (exit, messages.collect())
}

async fn run(
    source: ManifestSource,
    names: &[&str],
    config: &Value,
    states: Option<&Value>,
) -> (Exit, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.into_os_string()
    };
    let mode = match states {
        None => "full_refresh",
        Some(_) => "incremental",
    };
    let entries = names.iter().map(|name| {
        json!({"stream": {"name": name, "json_schema": {}, "supported_sync_modes": ["full_refresh", mode]},
               "sync_mode": mode, "destination_sync_mode": "append"})
    });
    let catalog = json!({ "streams": entries.collect::<Vec<_>>() });
    let mut args = vec![
        "read".into(),
        "--config".into(),
        file("config.json", config.to_string()),
        "--catalog".into(),
        file("catalog.json", catalog.to_string()),
    ];
    if let Some(Value::Object(states)) = states {
        let states = states.iter().map(|(name, state)| {
            json!({"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": state}})
        });
        let states = Value::Array(states.collect());
        args.extend(["--state".into(), file("state.json", states.to_string())]);
    }
    let stdout = Captured::default();
    let invocation = Invocation {
        args,
        env: |_| None,
        stdin: Box::new(io::empty()),
        stdout: Box::new(stdout.clone()),
        clock: Arc::new(FixedClock::new(NOW_MS)),
        stop: CancellationToken::new(),
    };
    let exit = entrypoint::run(Connector::Source(Arc::new(source)), invocation).await;
    let text = String::from_utf8(stdout.0.lock().unwrap().clone()).unwrap();
    (exit, text)
}

/// The message of the first error that the read reported.
pub(crate) fn error(messages: &[Value]) -> &str {
    let mut errors = messages
        .iter()
        .filter_map(|message| message["trace"]["error"]["message"].as_str());
    errors.next().unwrap()
}

pub(crate) fn records<'a>(messages: &'a [Value], stream: &str) -> Vec<&'a Value> {
    let records = messages
        .iter()
        .filter(|message| message["record"]["stream"] == *stream);
    records.map(|message| &message["record"]["data"]).collect()
}

pub(crate) fn state(messages: &[Value]) -> &Value {
    let mut states = messages.iter().filter(|message| message["type"] == "STATE");
    &states.next_back().unwrap()["state"]["stream"]["stream_state"]
}

pub(crate) fn pages(asked: &str) -> (u16, Value) {
    let items = match asked {
        "/items?limit=2" => {
            json!([{"id": 1, "at": "2024-06-03", "gone": null}, {"id": 2, "at": "2024-06-05"}])
        }
        "/items?offset=2&limit=2" => json!([{"id": 3, "at": "2024-06-04"}]),
        other => return (404, json!({ "message": other })),
    };
    (200, json!({ "data": items }))
}

pub(crate) fn paged() -> Value {
    let option = |name: &str| json!({"type": "RequestOption", "inject_into": "request_parameter", "field_name": name});
    json!({"retriever": {"paginator": {
        "type": "DefaultPaginator",
        "page_token_option": option("offset"),
        "page_size_option": option("limit"),
        "pagination_strategy": {"type": "OffsetIncrement", "page_size": 2}
    }}})
}
