//! Real traffic, recorded once with secrets scrubbed, and played back offline.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cdk_core::Secrets;
use cdk_core::async_trait;
use cdk_http::header::{HeaderMap, HeaderName, HeaderValue};
use cdk_http::transport::TransportErrorKind;
use cdk_http::{Request, Response, ResponseBody, StatusCode, Transport, TransportError, Url};
use serde_json::{Map, Value, json};

/// What stands where a secret stood.
const SCRUBBED: &str = "****";
/// Headers whose values are never written down.
const SECRET_HEADERS: [&str; 6] = [
    "authorization",
    "cookie",
    "set-cookie",
    "proxy-authorization",
    "x-api-key",
    "x-amz-security-token",
];
/// Bodies beyond this are refused: a recording is for people to read.
const MAX_BODY_BYTES: usize = 16 << 20;

/// A transport that lets requests through to another and writes down what goes over it: a JSON file, saved after each
/// exchange. Known secrets, in whatever encoding, and headers that hold credentials are scrubbed.
pub struct Recorder {
    inner: Arc<dyn Transport>,
    secrets: Secrets,
    path: PathBuf,
    exchanges: Mutex<Vec<Value>>,
}

impl Recorder {
    /// Records what goes through `inner` into a file; `secrets` are those of the run's context.
    pub fn new(inner: Arc<dyn Transport>, secrets: Secrets, path: impl Into<PathBuf>) -> Self {
        Self {
            inner,
            secrets,
            path: path.into(),
            exchanges: Mutex::default(),
        }
    }

    fn save(&self, exchange: Value) -> std::io::Result<()> {
        let mut exchanges = lock(&self.exchanges);
        exchanges.push(exchange);
        let text = serde_json::to_string_pretty(&*exchanges)?;
        std::fs::write(&self.path, text + "\n")
    }
}

#[async_trait]
impl Transport for Recorder {
    async fn send(&self, mut request: Request) -> Result<Response, TransportError> {
        let failed = |error: String| TransportError::new(TransportErrorKind::Other, error);
        let sent = key_of(&mut request, &self.secrets);
        let mut response = self.inner.send(request).await?;
        let body = response.body.bytes(MAX_BODY_BYTES).await?;
        let body = body.map_err(|_| failed("the body is too long to be recorded".to_owned()))?;
        let mask = |text: &str| self.secrets.mask(text).into_owned();
        let answer = json!({
            "status": response.status.as_u16(),
            "url": mask(response.url.as_str()),
            "headers": headers_of(&response.headers, &self.secrets),
            "body": mask(&String::from_utf8_lossy(&body)),
        });
        self.save(json!({"request": sent, "response": answer}))
            .map_err(|error| failed(error.to_string()))?;
        response.body = ResponseBody::whole(body);
        Ok(response)
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A transport that answers from a recording: each exchange once, the first that matches by method, URL and body. A
/// request that was not recorded fails.
#[derive(Debug)]
pub struct Replay {
    secrets: Secrets,
    exchanges: Mutex<Vec<Option<Value>>>,
}

impl Replay {
    /// Plays back a file of [`Recorder`]. `secrets` are those of the run's context: they are scrubbed in requests as they
    /// were in the recording.
    pub fn open(path: &Path, secrets: Secrets) -> Self {
        let text = std::fs::read_to_string(path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let exchanges: Vec<Value> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{} is no recording: {error}", path.display()));
        Self {
            secrets,
            exchanges: Mutex::new(exchanges.into_iter().map(Some).collect()),
        }
    }

    /// Panics if a recorded request did not come.
    pub fn verify(&self) {
        let exchanges = lock(&self.exchanges);
        let unused: Vec<_> = exchanges
            .iter()
            .flatten()
            .map(|it| &it["request"])
            .collect();
        assert!(
            unused.is_empty(),
            "recorded requests that did not come: {unused:?}"
        );
    }
}

#[async_trait]
impl Transport for Replay {
    async fn send(&self, mut request: Request) -> Result<Response, TransportError> {
        let broken = |what: &str| TransportError::new(TransportErrorKind::Request, what.to_owned());
        let wanted = key_of(&mut request, &self.secrets);
        let found = {
            let mut exchanges = lock(&self.exchanges);
            let mut unused = exchanges.iter_mut();
            let found = unused.find(|it| it.as_ref().is_some_and(|it| it["request"] == wanted));
            found.and_then(Option::take)
        };
        let Some(exchange) = found else {
            return Err(broken(&format!("this request was not recorded: {wanted}")));
        };
        let answer = &exchange["response"];
        let status = answer["status"]
            .as_u64()
            .and_then(|it| u16::try_from(it).ok());
        let status = status.and_then(|it| StatusCode::from_u16(it).ok());
        let status = status.ok_or_else(|| broken("the recording holds no status"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in answer["headers"].as_object().into_iter().flatten() {
            let name = HeaderName::from_bytes(name.as_bytes());
            let value = HeaderValue::from_str(value.as_str().unwrap_or_default());
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        let url = Url::parse(answer["url"].as_str().unwrap_or_default()).unwrap_or(request.url);
        let body = answer["body"].as_str().unwrap_or_default().to_owned();
        Ok(Response::new(status, headers, url, body))
    }
}

/// What a request is told from others by.
fn key_of(request: &mut Request, secrets: &Secrets) -> Value {
    let body = request.encoded_body().unwrap_or_default();
    let mask = |text: &str| secrets.mask(text).into_owned();
    json!({
        "method": request.method.as_str(),
        "url": mask(request.url.as_str()),
        "body": mask(&String::from_utf8_lossy(&body)),
    })
}

fn headers_of(headers: &HeaderMap, secrets: &Secrets) -> Value {
    let mut seen = Map::new();
    for (name, value) in headers {
        let is_secret = SECRET_HEADERS.contains(&name.as_str());
        let text = match is_secret {
            true => SCRUBBED.to_owned(),
            false => secrets
                .mask(&String::from_utf8_lossy(value.as_bytes()))
                .into_owned(),
        };
        seen.insert(name.to_string(), Value::from(text));
    }
    Value::Object(seen)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
