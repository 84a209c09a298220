//! Pages, keys and changes since the last sync, as a config describes them.

use cdk_testkit::http::{Expect, MockServer, Reply};
use serde_json::{Value, json};

use crate::support::{discover, read};

fn config(url: &str, endpoint: &Value) -> Value {
    json!({"url_base": url, "endpoints": [endpoint]})
}

#[tokio::test]
async fn numbered_pages_end_at_a_short_one() {
    let server = MockServer::start().await;
    for (page, ids) in [("0", vec![1, 2]), ("1", vec![3])] {
        let expected = Expect::get("/items")
            .query("p", page)
            .query("tag", "a")
            .query("tag", "b");
        let records: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
        server.expect(
            expected,
            Reply::json(&json!({"items": records, "page": page})),
        );
    }
    let endpoint = json!({"name": "items", "path": "items", "params": {"tag": ["a", "b"]},
        "records_path": "items", "primary_key": ["id"],
        "pagination": {"type": "page_number", "page_param": "p", "first_page": 0, "page_size": 2}});
    let ran = read(&config(&server.url(), &endpoint), &["items"])
        .await
        .succeeded();
    assert_eq!(ran.data("items").len(), 3);
    server.verify();
}

#[tokio::test]
async fn link_headers_are_followed_and_keys_sent() {
    let server = MockServer::serve(|request| {
        if request.header("x-key") != Some("key-secret") {
            return Reply::error(401, "no key");
        }
        let page = request.number("page").unwrap_or(1);
        let reply = Reply::json(&json!([{"id": page}]));
        match page {
            3 => reply,
            _ => reply.header("link", format!("</items?page={}>; rel=\"next\"", page + 1)),
        }
    })
    .await;
    let mut config = config(&server.url(), &json!({"name": "items", "path": "/items"}));
    config["authentication"] =
        json!({"type": "API Key", "Key Name": "X-Key", "API Key": "key-secret"});
    let ran = read(&config, &["items"]).await.succeeded();
    assert_eq!(ran.data("items").len(), 3);
}

#[tokio::test]
async fn an_incremental_endpoint_says_so_and_asks_for_changes() {
    let server = MockServer::serve(|request| {
        let at = request.query("since").unwrap_or("never").to_owned();
        Reply::json(&json!([{"id": 1, "at": at}]))
    })
    .await;
    let endpoint = json!({"name": "items", "path": "/items",
        "incremental": {"cursor_field": "at", "start_date": "1970-01-01", "start_param": "since"}});
    let config = config(&server.url(), &endpoint);
    let catalog = discover(&config).await;
    assert_eq!(catalog["streams"][0]["default_cursor_field"], json!(["at"]));
    let ran = read(&config, &["items"]).await.succeeded();
    assert_eq!(ran.data("items")[0]["at"], "1970-01-01T00:00:00Z");
}
