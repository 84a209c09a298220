//! Airbyte source: the orders of a shop's API.

use std::process::ExitCode;

use cdk_core::{BoxedStream, Context, Result, SecretString, Source, Stream};
use cdk_http::auth::Bearer;
use cdk_http::budget::Budget;
use cdk_http::paginate::OffsetPages;
use cdk_http::stream::DatetimeCursor;
use cdk_http::{HttpApi, HttpStream, Placement};
use schemars::JsonSchema;
use serde::Deserialize;

/// What to read.
#[derive(Deserialize, JsonSchema)]
struct Config {
    /// Where the shop's API is.
    url: String,
    /// The token of the API.
    token: SecretString,
    /// Orders before this time are not read.
    start_date: String,
}

/// An order, as far as it is described here.
#[derive(JsonSchema)]
#[allow(dead_code)]
struct Order {
    id: i64,
    total: f64,
    updated_at: String,
}

struct SourceShop;

impl Source for SourceShop {
    type Config = Config;

    async fn check(&self, config: &Config, context: &Context) -> Result<()> {
        orders(config, context)?.check(context).await
    }

    async fn streams(&self, config: &Config, context: &Context) -> Result<Vec<BoxedStream>> {
        Ok(vec![orders(config, context)?.boxed()])
    }
}

fn orders(config: &Config, context: &Context) -> Result<HttpStream> {
    let api = HttpApi::new(&config.url, context)?
        .auth(Bearer::new(config.token.clone()))
        .budget(Budget::per_minute(600));
    let pages = OffsetPages::new(Placement::query("offset"), Placement::query("limit"), 100);
    let changes = DatetimeCursor::new("updated_at")
        .start(&config.start_date)
        .start_param(Placement::query("updated_since"));
    let orders = api
        .stream("orders", "/orders")
        .records_at("data")
        .schema::<Order>();
    Ok(orders.primary_key(["id"]).paginate(pages).cursor(changes))
}

fn main() -> ExitCode {
    cdk_core::run_source(SourceShop)
}
