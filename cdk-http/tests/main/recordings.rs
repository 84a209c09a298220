//! Traffic that is recorded once and played back.

use std::sync::Arc;

use cdk_core::{BoxedStream, Context, Result, SecretString, Source, Stream};
use cdk_http::auth::ApiKey;
use cdk_http::paginate::NextUrl;
use cdk_http::{HttpApi, HttpClient, HttpTransport, Transport, TransportSettings};
use cdk_testkit::http::{MockServer, Recorder, Replay, Reply};
use cdk_testkit::{Files, Run};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize, JsonSchema)]
struct Config {
    /// Where the API is.
    url: String,
    /// Its key.
    key: SecretString,
}

type Wrap = Arc<dyn Fn(&Context) -> Result<Arc<dyn Transport>> + Send + Sync>;

struct Recorded(Wrap);

impl Source for Recorded {
    type Config = Config;

    async fn check(&self, _: &Config, _: &Context) -> Result<()> {
        Ok(())
    }

    async fn streams(&self, config: &Config, context: &Context) -> Result<Vec<BoxedStream>> {
        let client = HttpClient::new((self.0)(context)?, context);
        let api = HttpApi::of_client(&config.url, client)?;
        let api = api.auth(ApiKey::query("key", config.key.clone()));
        let stream = api.stream("items", "/items").records_at("data");
        Ok(vec![stream.paginate(NextUrl::in_body("next")).boxed()])
    }
}

#[tokio::test]
async fn a_recording_stands_for_the_api_and_holds_no_secret() {
    let server = MockServer::serve(|request| match request.query("page") {
        None => Reply::json(&json!({"data": [{"id": 1}], "next": "/items?page=2"}))
            .header("set-cookie", "session=cookie-secret"),
        Some(_) => Reply::json(&json!({"data": [{"id": 2, "key": request.query("key")}]})),
    })
    .await;
    let files = Files::new();
    let path = files.path().join("recording.json");
    let read = |wrap: Wrap| {
        let stream =
            json!({"name": "items", "json_schema": {}, "supported_sync_modes": ["full_refresh"]});
        let catalog = json!({"streams": [{"stream": stream, "sync_mode": "full_refresh",
            "destination_sync_mode": "append"}]});
        let config = json!({"url": server.url(), "key": "key-secret/1"});
        let run = Run::new("read")
            .file(&files, "config", &config)
            .file(&files, "catalog", &catalog);
        run.source(Recorded(wrap))
    };
    let to = path.clone();
    let recording = read(Arc::new(move |context| {
        let network = HttpTransport::new(&TransportSettings::default())?;
        let secrets = context.secrets().clone();
        Ok(Arc::new(Recorder::new(Arc::new(network), secrets, &to)))
    }));
    let first = recording.await.succeeded();
    let text = std::fs::read_to_string(&path).unwrap();
    for secret in ["key-secret/1", "key-secret%2F1", "cookie-secret"] {
        assert!(!text.contains(secret), "{text}");
    }
    let requests = server.requests().len();
    let from = path.clone();
    let replaying = read(Arc::new(move |context| {
        Ok(Arc::new(Replay::open(&from, context.secrets().clone())))
    }));
    let second = replaying.await.succeeded();
    assert_eq!(
        server.requests().len(),
        requests,
        "nothing went to the server"
    );
    assert_eq!(first.data("items").len(), second.data("items").len());
    // A request that was not recorded fails, and says so.
    std::fs::write(&path, "[]").unwrap();
    let from = path.clone();
    let ran = read(Arc::new(move |context| {
        Ok(Arc::new(Replay::open(&from, context.secrets().clone())))
    }));
    let error = ran.await;
    assert!(
        error
            .error()
            .internal_message
            .as_deref()
            .unwrap_or("")
            .contains("not recorded"),
        "{}",
        error.text
    );
}
