//! The guide's config, as it stands.

use cdk_core::entrypoint::Exit;
use cdk_testkit::Suite;
use cdk_testkit::http::{Expect, MockServer, Reply};
use serde_json::{Value, json};
use source_rest_api::{SourceRestApi, normalize};

use crate::support::{check, discover, read};

/// The guide's YAML as a parser gives it: `[API_TOKEN]` is a list of one text.
fn guide(url: &str) -> Value {
    json!({
        "Name": "External API",
        "URL Base": format!("{url}/v1"),
        "Authentication": {"Type": "Bearer Token", "Token": ["API_TOKEN"]},
        "Endpoints": [
            {"name": "customers", "path": "/customers", "http_method": "GET"},
            {"name": "orders", "path": "/orders", "http_method": "GET",
             "params": {"start_date": "{{ config['start_date'] }}"}}
        ]
    })
}

fn with_start(url: &str) -> Value {
    let mut config = guide(url);
    config["start_date"] = json!("2024-01-01");
    config
}

#[tokio::test]
async fn the_guides_config_reads_both_endpoints() {
    let server = MockServer::start().await;
    let token = |expected: Expect| expected.header("authorization", "Bearer API_TOKEN");
    server.expect(
        token(Expect::get("/v1/customers").no_query()),
        Reply::json(&json!([{"id": 1, "score": 1.5}, {"id": 2}])),
    );
    server.expect(
        token(Expect::get("/v1/orders").query("start_date", "2024-01-01")),
        Reply::json(&json!({"data": [{"id": 7}], "next": "/v1/orders?page=2"})),
    );
    server.expect(
        token(Expect::get("/v1/orders").query("page", "2")),
        Reply::json(&json!({"data": [{"id": 8}], "next": null})),
    );
    let ran = read(&with_start(&server.url()), &["customers", "orders"])
        .await
        .succeeded();
    assert_eq!(ran.data("customers").len(), 2);
    assert_eq!(ran.data("orders"), [json!({"id": 7}), json!({"id": 8})]);
    assert!(!ran.text.contains("API_TOKEN"));
    server.verify();
}

#[tokio::test]
async fn a_missing_key_of_the_config_is_named_with_stream_and_parameter() {
    let server = MockServer::start().await;
    let message = check(&guide(&server.url())).await;
    for words in ["Failed", "orders", "parameter `start_date`", "missing"] {
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn a_refused_token_fails_the_check() {
    let server = MockServer::serve(|_| Reply::error(401, "token revoked")).await;
    let message = check(&with_start(&server.url())).await;
    assert!(
        message.contains("Failed") && message.contains("token revoked"),
        "{message}"
    );
    assert!(!message.contains("API_TOKEN"), "{message}");
}

#[tokio::test]
async fn schemas_are_inferred_from_the_first_page() {
    let server = MockServer::serve(|request| match request.path.as_str() {
        "/v1/customers" => Reply::json(&json!([{"id": 1, "score": 1}, {"id": 2, "score": 1.5}])),
        _ => Reply::error(500, "not today").status(400),
    })
    .await;
    let catalog = discover(&with_start(&server.url())).await;
    let schema = &catalog["streams"][0]["json_schema"];
    assert_eq!(
        schema["properties"]["score"]["type"],
        json!(["null", "number"])
    );
    assert_eq!(
        catalog["streams"][1]["name"], "orders",
        "one that fails is listed all the same"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_failing_endpoint_leaves_the_others() {
    let server = MockServer::serve(|request| match request.path.as_str() {
        "/v1/customers" => Reply::json(&json!([{"id": 1}])),
        _ => Reply::error(403, "no scope for orders"),
    })
    .await;
    let ran = read(&with_start(&server.url()), &["customers", "orders"]).await;
    assert_eq!(ran.exit, Exit::Failure);
    assert_eq!(ran.data("customers"), [json!({"id": 1})]);
    assert!(ran.text.contains("no scope for orders"), "{}", ran.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms() {
    let server = MockServer::serve(|request| match request.path.as_str() {
        "/v1/orders" => {
            let page = request.number("page").unwrap_or(1);
            let records: Vec<Value> = (0..10).map(|i| json!({"id": page * 10 + i})).collect();
            let next = (page < 4).then(|| format!("?page={}", page + 1));
            Reply::json(&json!({"data": records, "next": next}))
        }
        _ => Reply::json(&json!([{"id": 1, "name": "one"}])),
    })
    .await;
    let closed = MockServer::serve(|_| Reply::error(401, "who are you")).await;
    let report = Suite::source(SourceRestApi)
        .config(normalize(with_start(&server.url())))
        .invalid_config(normalize(with_start(&closed.url())))
        .expected_records("customers", [json!({"id": 1, "name": "one"})])
        .run()
        .await;
    report.assert_passed();
}

#[tokio::test]
async fn the_sample_config_of_the_readme_is_accepted() {
    let readme = include_str!("../../README.md");
    let sample = readme
        .split("```json\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let mut config: Value = serde_json::from_str(sample.expect("a sample")).expect("JSON");
    let server = MockServer::serve(|_| Reply::json(&json!([{"id": 1}]))).await;
    config["URL Base"] = json!(server.url());
    assert!(check(&config).await.starts_with("Succeeded"));
}
