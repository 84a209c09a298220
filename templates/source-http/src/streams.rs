//! The API and its streams. This is the file to edit: what is here is an example.

use cdk_core::{Context, Result};
use cdk_http::Placement;
{% if auth == "api-key" %}use cdk_http::auth::ApiKey;
{% endif %}{% if auth == "bearer" %}use cdk_http::auth::Bearer;
{% endif %}{% if auth == "basic" %}use cdk_http::auth::Basic;
{% endif %}{% if pagination == "page" %}use cdk_http::paginate::PageNumbers;
{% endif %}{% if pagination == "offset" %}use cdk_http::paginate::OffsetPages;
{% endif %}{% if pagination == "cursor" %}use cdk_http::paginate::CursorPages;
{% endif %}use cdk_http::stream::{DatetimeCursor, HttpApi, HttpStream};
use schemars::JsonSchema;

use crate::config::Config;

/// What the streams share: where the API is, and the credentials.
pub fn api(config: &Config, context: &Context) -> Result<HttpApi> {
    let api = HttpApi::new(&config.api_url, context)?;
{% if auth == "none" %}    Ok(api)
{% endif %}{% if auth == "api-key" %}    Ok(api.auth(ApiKey::header("X-Api-Key", config.api_key.clone())))
{% endif %}{% if auth == "bearer" %}    Ok(api.auth(Bearer::new(config.access_token.clone())))
{% endif %}{% if auth == "basic" %}    Ok(api.auth(Basic::new(&config.username, config.password.clone())))
{% endif %}}

/// A record of the stream `items`: its JSON schema is the stream's.
#[derive(JsonSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used; records are passed on as they are"
)]
struct Item {
    id: i64,
    name: Option<String>,
    #[schemars(extend("format" = "date-time", "airbyte_type" = "timestamp_with_timezone"))]
    updated_at: String,
}

/// `GET /items?updated_since=…`, answered with `{"items": […]{% if pagination == "cursor" %}, "next": "…"{% endif %}}`.
pub fn items(api: &HttpApi, config: &Config) -> HttpStream {
    let cursor = DatetimeCursor::new("updated_at")
        .start(&config.start_date)
        .start_param(Placement::query("updated_since"));
{% if pagination == "page" %}    let pages = PageNumbers::new(Placement::query("page")).size(Placement::query("per_page"), 100);
{% endif %}{% if pagination == "offset" %}    let pages = OffsetPages::new(Placement::query("offset"), Placement::query("limit"), 100);
{% endif %}{% if pagination == "cursor" %}    let pages = CursorPages::in_body("next", Placement::query("cursor"));
{% endif %}    api.stream("items", "/items")
        .records_at("items")
        .schema::<Item>()
        .primary_key(["id"])
{% if pagination != "none" %}        .paginate(pages)
{% endif %}        .cursor(cursor)
}
