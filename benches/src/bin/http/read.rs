//! The contenders.

use std::sync::Arc;
use std::time::Duration;

use cdk_benches::Order;
use cdk_benches::api::PAGE;
use cdk_benches::process::AnyResult;
use cdk_core::entrypoint::{self, Connector, Exit, Invocation};
use cdk_core::{BoxedStream, Context, ReadSettings, Result, Source, Stream};
use cdk_http::budget::{Budget, Policy};
use cdk_http::paginate::OffsetPages;
use cdk_http::stream::{DatetimeCursor, Step};
use cdk_http::{HttpApi, HttpTransport, Placement, Request, Transport, TransportSettings, Url};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::IN_FLIGHT;

/// Downloads the pages one after the other and throws them away, with a client as our transport makes it.
pub(crate) fn bare(url: &str, records: u64) -> AnyResult<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let transport = HttpTransport::new(&TransportSettings::default())?;
        for offset in (0..records).step_by(PAGE as usize) {
            let url = Url::parse(&format!("{url}/records?offset={offset}&limit={PAGE}"))?;
            let mut response = transport.send(Request::get(url)).await?;
            while response.body.chunk().await?.is_some() {}
        }
        AnyResult::Ok(())
    })?;
    Ok(())
}

#[derive(Deserialize, JsonSchema)]
struct Config {
    /// Where the server is.
    url: String,
    /// What to read.
    kind: String,
    /// How much of it.
    amount: u64,
}

struct Api;

impl Source for Api {
    type Config = Config;

    async fn check(&self, _: &Config, _: &Context) -> Result<()> {
        Ok(())
    }

    async fn streams(&self, config: &Config, context: &Context) -> Result<Vec<BoxedStream>> {
        let api = HttpApi::new(&config.url, context)?;
        let (offset, limit) = (Placement::query("offset"), Placement::query("limit"));
        let stream = match config.kind.as_str() {
            "pages" => {
                let amount = config.amount;
                // The server never ends; the read does, behind the last page.
                let pages = Until(OffsetPages::new(offset, limit, PAGE), amount);
                let stream = api.stream("orders", "/records").records_at("data");
                stream.schema::<Order>().paginate(pages)
            }
            "long" => api.stream("orders", format!("/long?bytes={}", config.amount)),
            kind => {
                let budget = match kind {
                    "budget" => Policy::moving_window([(40, Duration::from_secs(1))]),
                    _ => Policy::concurrent(IN_FLIGHT as usize),
                };
                let start = chrono_day(config.amount);
                let days = DatetimeCursor::new("at").start(start).end("2024-01-01");
                let days = days
                    .step(Step::days(1))
                    .start_param(Placement::query("day"));
                api.budget(Budget::new([budget]))
                    .stream("orders", "/slow")
                    .cursor(days)
            }
        };
        Ok(vec![stream.boxed()])
    }

    fn read_settings(&self, config: &Config) -> ReadSettings {
        let is_one = matches!(config.kind.as_str(), "pages" | "long");
        let concurrency = if is_one { 1 } else { IN_FLIGHT as usize };
        ReadSettings::default().with_concurrency(concurrency)
    }
}

/// The day so many days before 2024, so that there are as many slices.
fn chrono_day(days: u64) -> String {
    let end = chrono::NaiveDate::from_ymd_opt(2024, 1, 1).unwrap_or_default();
    let start = end - chrono::Days::new(days - 1);
    start.to_string()
}

/// Pages up to so many records.
#[derive(Debug)]
struct Until(OffsetPages, u64);

impl cdk_http::paginate::Paginator for Until {
    fn first(&self) -> Option<serde_json::Value> {
        self.0.first()
    }

    fn apply(&self, token: Option<&serde_json::Value>, request: &mut Request) -> Result<()> {
        self.0.apply(token, request)
    }

    fn next(&self, page: &cdk_http::paginate::Page<'_>) -> Result<Option<serde_json::Value>> {
        let next = self.0.next(page)?;
        Ok(next.filter(|offset| offset.as_u64().is_some_and(|offset| offset < self.1)))
    }

    fn has_unique_tokens(&self) -> bool {
        self.0.has_unique_tokens()
    }
}

/// Reads to stdout, as the `main` of a connector does.
pub(crate) fn stream(kind: &str, url: &str, amount: u64) -> AnyResult<()> {
    let dir = tempfile::tempdir()?;
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).map(|()| path.into_os_string())
    };
    let config = json!({"url": url, "kind": kind, "amount": amount});
    let stream =
        json!({"name": "orders", "json_schema": {}, "supported_sync_modes": ["full_refresh"]});
    let catalog = json!({"streams": [{"stream": stream, "sync_mode": "full_refresh",
        "destination_sync_mode": "append"}]});
    let invocation = Invocation {
        args: vec![
            "read".into(),
            "--config".into(),
            file("config.json", config.to_string())?,
            "--catalog".into(),
            file("catalog.json", catalog.to_string())?,
        ],
        ..Invocation::of_process()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let exit = runtime.block_on(entrypoint::run(
        Connector::Source(Arc::new(Api)),
        invocation,
    ));
    if exit == Exit::Success {
        Ok(())
    } else {
        Err(format!("the read ended with {exit:?}").into())
    }
}
