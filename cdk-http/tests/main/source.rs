//! A source of whatever streams a test describes.

use std::sync::Arc;
use std::time::Duration;

use cdk_core::{BoxedStream, Context, ReadSettings, Result, Source, Stream};
use cdk_http::timer::VirtualTimer;
use cdk_http::{HttpApi, HttpClient, HttpStream, HttpTransport, TransportSettings};
use cdk_testkit::{Files, Ran, Run};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

type Build = dyn Fn(HttpApi) -> Result<Vec<HttpStream>> + Send + Sync;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Config {
    /// Where the API is.
    url: String,
}

/// A source of the streams that a function describes. Waits are over at once.
#[derive(Clone)]
pub(crate) struct TestSource {
    build: Arc<Build>,
    settings: TransportSettings,
    transport: Option<Arc<HttpTransport>>,
    pub(crate) timer: VirtualTimer,
    concurrency: usize,
}

impl TestSource {
    pub(crate) fn new(
        build: impl Fn(HttpApi) -> Result<Vec<HttpStream>> + Send + Sync + 'static,
    ) -> Self {
        let settings = TransportSettings::default()
            .with_proxy(cdk_http::transport::Proxy::Direct)
            .with_read_timeout(Duration::from_secs(60));
        Self {
            build: Arc::new(build),
            settings,
            transport: None,
            timer: VirtualTimer::default(),
            concurrency: 1,
        }
    }

    pub(crate) fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Gives up on a server that says nothing for two seconds.
    pub(crate) fn impatient(mut self) -> Self {
        self.settings = self.settings.with_read_timeout(Duration::from_secs(2));
        self
    }

    /// The transport it goes through, to be used by others too: making one takes longer than most tests.
    pub(crate) fn transport(&self) -> Arc<HttpTransport> {
        let made = || Arc::new(HttpTransport::new(&self.settings).expect("the test is set up"));
        self.transport.clone().unwrap_or_else(made)
    }

    pub(crate) fn over(mut self, transport: &Arc<HttpTransport>) -> Self {
        self.transport = Some(Arc::clone(transport));
        self
    }

    fn api(&self, config: &Config, context: &Context) -> Result<HttpApi> {
        let client = HttpClient::new(self.transport(), context);
        HttpApi::of_client(&config.url, client.with_timer(Arc::new(self.timer.clone())))
    }

    fn described(&self, config: &Config, context: &Context) -> Result<Vec<HttpStream>> {
        (self.build)(self.api(config, context)?)
    }

    /// Reads all streams in full, from the start.
    pub(crate) async fn read(&self, url: &str) -> Ran {
        self.read_with(url, "full_refresh", &json!([])).await
    }

    /// Reads all streams incrementally, from this state.
    pub(crate) async fn read_from(&self, url: &str, state: &Value) -> Ran {
        self.read_with(url, "incremental", state).await
    }

    pub(crate) async fn read_with(&self, url: &str, mode: &str, state: &Value) -> Ran {
        let files = Files::new();
        let config = json!({ "url": url });
        let discovered = Run::new("discover").file(&files, "config", &config);
        let discovered = discovered.source(self.clone()).await.succeeded();
        let streams: Vec<Value> = discovered
            .catalog()
            .streams
            .iter()
            .map(|stream| json!({"stream": stream, "sync_mode": mode, "destination_sync_mode": "append"}))
            .collect();
        self.read_streams(url, &json!(streams), state).await
    }

    pub(crate) async fn read_streams(&self, url: &str, streams: &Value, state: &Value) -> Ran {
        let files = Files::new();
        Run::new("read")
            .file(&files, "config", &json!({ "url": url }))
            .file(&files, "catalog", &json!({ "streams": streams }))
            .file(&files, "state", state)
            .at(NOW_MS)
            .source(self.clone())
            .await
    }

    pub(crate) async fn check(&self, url: &str) -> Ran {
        let files = Files::new();
        let check = Run::new("check").file(&files, "config", &json!({ "url": url }));
        check.source(self.clone()).await
    }
}

/// 2024-02-01T00:00:00Z, the time of all runs.
pub(crate) const NOW_MS: i64 = 1_706_745_600_000;

impl Source for TestSource {
    type Config = Config;

    async fn check(&self, config: &Config, context: &Context) -> Result<()> {
        for stream in self.described(config, context)? {
            stream.check(context).await?;
        }
        Ok(())
    }

    async fn streams(&self, config: &Config, context: &Context) -> Result<Vec<BoxedStream>> {
        let streams = self.described(config, context)?;
        Ok(streams.into_iter().map(Stream::boxed).collect())
    }

    fn read_settings(&self, _: &Config) -> ReadSettings {
        ReadSettings::default()
            .with_concurrency(self.concurrency)
            .with_checkpoint_rows(1)
    }
}

/// The `id` of each record of a stream, in order.
pub(crate) fn ids(ran: &Ran, stream: &str) -> Vec<i64> {
    let data = ran.data(stream);
    data.iter()
        .filter_map(|record| record["id"].as_i64())
        .collect()
}

/// The states of a stream, as they are given back to the next run.
pub(crate) fn states(ran: &Ran, stream: &str) -> Vec<Value> {
    let states = ran.states_of(stream).into_iter();
    states
        .map(|state| json!([serde_json::to_value(state).expect("a state is JSON")]))
        .collect()
}
