//! Full reads that go on where they were interrupted, and records that are changed on their way.

use cdk_core::entrypoint::Exit;
use cdk_http::Placement;
use cdk_http::errors::{DefaultErrorHandler, ResponseAction, ResponseFilter};
use cdk_http::paginate::OffsetPages;
use cdk_testkit::http::{Expect, MockServer, Reply, SeenRequest};
use serde_json::{Value, json};

use crate::source::{TestSource, ids, states};

fn page(request: &SeenRequest) -> Value {
    let from = request.number("offset").unwrap_or(0);
    let records: Vec<Value> = (from..(from + 2).min(7))
        .map(|id| json!({"id": id}))
        .collect();
    json!(records)
}

fn offsets() -> TestSource {
    TestSource::new(|api| {
        let query = Placement::query;
        let pages = OffsetPages::new(query("offset"), query("limit"), 2);
        Ok(vec![api.stream("items", "/items").paginate(pages)])
    })
}

#[tokio::test]
async fn a_full_read_goes_on_at_its_page() {
    let server = MockServer::serve(|request| Reply::json(&page(request))).await;
    let ran = offsets().read(&server.url()).await.succeeded();
    assert_eq!(ids(&ran, "items"), (0..7).collect::<Vec<_>>());
    for state in states(&ran, "items") {
        let resumed = offsets()
            .read_with(&server.url(), "full_refresh", &state)
            .await
            .succeeded();
        let next = state[0]["stream"]["stream_state"]["next_page"]
            .as_i64()
            .unwrap_or(0);
        assert_eq!(
            ids(&resumed, "items"),
            (next..7).collect::<Vec<_>>(),
            "{state}"
        );
    }
}

#[tokio::test]
async fn a_stop_ends_at_a_page_with_its_state() {
    let stop = tokio_util::sync::CancellationToken::new();
    let stopping = stop.clone();
    let server = MockServer::serve(move |request| {
        if request.number("offset") == Some(4) {
            stopping.cancel();
        }
        Reply::json(&page(request))
    })
    .await;
    let files = cdk_testkit::Files::new();
    let stream =
        json!({"name": "items", "json_schema": {}, "supported_sync_modes": ["full_refresh"]});
    let catalog = json!({"streams": [{"stream": stream, "sync_mode": "full_refresh",
        "destination_sync_mode": "append"}]});
    let ran = cdk_testkit::Run::new("read")
        .file(&files, "config", &json!({"url": server.url()}))
        .file(&files, "catalog", &catalog)
        .stop(stop)
        .source(offsets())
        .await;
    assert_eq!(ran.exit, Exit::Stopped, "{}", ran.text);
    let last = states(&ran, "items").pop().unwrap();
    let next = last[0]["stream"]["stream_state"]["next_page"]
        .as_i64()
        .unwrap();
    assert_eq!(ids(&ran, "items"), (0..next).collect::<Vec<_>>());
}

#[tokio::test]
async fn records_are_filtered_and_changed() {
    let server = MockServer::serve(|_| {
        Reply::new(200, r#"[{"id":1,"n":1.10},{"id":2,"n":2},{"id":3,"n":3}]"#)
    })
    .await;
    let source = TestSource::new(|api| {
        let plain = api
            .stream("plain", "/x")
            .keep(|record| !record.contains("\"id\":2"));
        let changed = api.stream("changed", "/x").map(|record, _| {
            record.insert(
                "twice".to_owned(),
                json!(record["id"].as_i64().unwrap_or(0) * 2),
            );
            Ok(record["id"] != 3)
        });
        Ok(vec![plain, changed])
    });
    let ran = source.read(&server.url()).await.succeeded();
    assert_eq!(ids(&ran, "plain"), [1, 3]);
    assert!(
        ran.text.contains(r#"{"id":1,"n":1.10}"#),
        "numbers keep their digits"
    );
    let twice: Vec<_> = ran
        .data("changed")
        .iter()
        .map(|it| it["twice"].clone())
        .collect();
    assert_eq!(twice, [json!(2), json!(4)]);
}

#[tokio::test]
async fn an_apis_own_rules_come_before_the_defaults() {
    let server = MockServer::start().await;
    server.in_order();
    server.expect(Expect::get("/items"), Reply::json(&json!({"ok": false})));
    server.expect(
        Expect::get("/items"),
        Reply::json(&json!({"ok": true, "data": [{"id": 1}]})),
    );
    server.expect(Expect::get("/gone"), Reply::error(404, "archived"));
    let source = TestSource::new(|api| {
        let busy = ResponseFilter::new(ResponseAction::Retry)
            .when(|answer| answer.json().is_some_and(|body| body["ok"] == false));
        let gone = ResponseFilter::new(ResponseAction::Ignore).status([404]);
        let api = api.errors(DefaultErrorHandler::new().filter(busy).filter(gone));
        let items = api.stream("items", "/items").records_at("data");
        Ok(vec![items, api.stream("gone", "/gone")])
    });
    let ran = source.read(&server.url()).await.succeeded();
    assert_eq!(ids(&ran, "items"), [1]);
    assert!(ran.data("gone").is_empty());
    server.verify();
}

#[tokio::test]
async fn graphql_pages_go_into_the_variables() {
    let query = "query($after: Int) { items(after: $after) { nodes { id } next } }";
    let server = MockServer::start().await;
    let body = |after: Value| json!({"query": query, "variables": {"n": 2, "after": after}});
    let first = json!({"query": query, "variables": {"n": 2}});
    let answer = |ids: [i64; 2], next: Value| {
        let nodes: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
        Reply::json(&json!({"data": {"items": {"nodes": nodes, "next": next}}}))
    };
    server.expect(
        Expect::post("/graphql").json(first),
        answer([1, 2], json!(2)),
    );
    server.expect(
        Expect::post("/graphql").json(body(json!(2))),
        answer([3, 4], json!(null)),
    );
    let source = TestSource::new(move |api| {
        let after = Placement::json("variables.after");
        let pages = cdk_http::paginate::CursorPages::in_body("data.items.next", after);
        let stream = api
            .stream("items", "/graphql")
            .graphql(query, &json!({"n": 2}));
        Ok(vec![stream.records_at("data.items.nodes").paginate(pages)])
    });
    let ran = source.read(&server.url()).await.succeeded();
    assert_eq!(ids(&ran, "items"), [1, 2, 3, 4]);
    server.verify();
}
