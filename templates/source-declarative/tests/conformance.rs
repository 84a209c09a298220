//! The source by the protocol, against an API that stands still.

use std::sync::Arc;

use cdk_core::entrypoint::Connector;
use cdk_testkit::Suite;
use cdk_testkit::http::{MockServer, Reply, SeenRequest};
use serde_json::{Value, json};

fn config(api: &MockServer) -> Value {
    json!({
        "api_url": api.url(),
{% if auth == "api-key" %}        "api_key": "a-good-key",
{% endif %}{% if auth == "bearer" %}        "access_token": "a-good-key",
{% endif %}{% if auth == "basic" %}        "username": "me",
        "password": "a-good-key",
{% endif %}    })
}
{% if auth != "none" %}
fn wrong_config(api: &MockServer) -> Value {
    let text = config(api).to_string().replace("a-good-key", "a-wrong-key");
    serde_json::from_str(&text).expect("it is still JSON")
}
{% endif %}
fn item(id: u64) -> Value {
    json!({"id": id, "name": format!("item {id}"), "updated_at": format!("2024-03-0{id}T00:00:00Z")})
}

/// The item as the source reads it.
fn record(id: u64) -> Value {
    let mut record = item(id);
    record["slug"] = format!("item-{id}").into();
    record
}

/// Answers as the real API does.
fn answer(request: &SeenRequest) -> Reply {
{% if auth == "api-key" %}    if request.header("x-api-key") != Some("a-good-key") {
        return Reply::error(401, "wrong key");
    }
{% endif %}{% if auth == "bearer" %}    if request.header("authorization") != Some("Bearer a-good-key") {
        return Reply::error(401, "wrong key");
    }
{% endif %}{% if auth == "basic" %}    // me:a-good-key
    if request.header("authorization") != Some("Basic bWU6YS1nb29kLWtleQ==") {
        return Reply::error(401, "wrong key");
    }
{% endif %}    let since = request.query("updated_since").unwrap_or_default();
    let changed = (1..=7)
        .map(item)
        .filter(|item| item["updated_at"].as_str() >= Some(since));
{% if pagination == "none" %}    Reply::json(&json!({"items": changed.collect::<Vec<_>>()}))
{% endif %}{% if pagination == "page" %}    let size = request.number("per_page").unwrap_or(100) as usize;
    let page = request.number("page").unwrap_or(1) as usize;
    let items: Vec<_> = changed.skip((page.max(1) - 1) * size).take(size).collect();
    Reply::json(&json!({ "items": items }))
{% endif %}{% if pagination == "offset" %}    let limit = request.number("limit").unwrap_or(100) as usize;
    let offset = request.number("offset").unwrap_or(0) as usize;
    let items: Vec<_> = changed.skip(offset).take(limit).collect();
    Reply::json(&json!({ "items": items }))
{% endif %}{% if pagination == "cursor" %}    // Pages of three, each with the place of the next one.
    let at = request.number("cursor").unwrap_or(0) as usize;
    let changed: Vec<_> = changed.collect();
    let next = (at + 3 < changed.len()).then(|| (at + 3).to_string());
    let items: Vec<_> = changed.into_iter().skip(at).take(3).collect();
    Reply::json(&json!({"items": items, "next": next}))
{% endif %}}

#[tokio::test]
async fn the_source_conforms() {
    let api = MockServer::serve(answer).await;
    let source = {{ crate_name }}::source().expect("the manifest is right");
    let report = Suite::connector(Connector::Source(Arc::new(source)))
        .config(config(&api))
{% if auth != "none" %}        .invalid_config(wrong_config(&api))
{% endif %}        .expected_records("items", [record(1), record(7)])
        .run()
        .await;
    report.assert_passed();
}
