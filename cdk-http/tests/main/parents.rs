//! Streams that are read for each record of another.

use cdk_http::Placement;
use cdk_http::paginate::PageNumbers;
use cdk_http::stream::DatetimeCursor;
use cdk_testkit::http::{MockServer, Reply, SeenRequest};
use serde_json::{Value, json};

use crate::source::{TestSource, ids, states};

/// 6 shops on 3 pages and an empty one; shop n has n orders.
fn answer(request: &SeenRequest) -> Reply {
    if request.path == "/shops" {
        let page = request.number("page").unwrap_or(1);
        let shops: Vec<Value> = (page * 2 - 2..page * 2)
            .filter(|id| *id < 6)
            .map(|id| json!({"id": id, "key": format!("shop {id}")}))
            .collect();
        return Reply::json(&json!(shops));
    }
    let shop = request
        .path
        .trim_start_matches("/shops/shop%20")
        .split('/')
        .next();
    let shop: i64 = shop.and_then(|text| text.parse().ok()).unwrap_or(-1);
    let orders: Vec<Value> = (0..shop)
        .map(|i| json!({"id": shop * 10 + i, "at": format!("2024-01-{:02}T00:00:00Z", shop * 2 + i)}))
        .collect();
    Reply::json(&json!({ "orders": orders }))
}

fn shops_and_orders(has_cursor: bool) -> TestSource {
    TestSource::new(move |api| {
        let pages = PageNumbers::new(Placement::query("page"));
        let shops = api.stream("shops", "/shops").paginate(pages);
        let mut orders = api
            .stream("orders", "/shops/{shop}/orders")
            .for_each(&shops, [("shop", "key"), ("shop_id", "id")])
            .copy_from_parent([("shop_id", "shop_id"), ("shop \"key\"", "shop")])
            .records_at("orders");
        if has_cursor {
            orders = orders.cursor(DatetimeCursor::new("at").start("2024-01-01").filtering());
        }
        Ok(vec![shops, orders])
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_of_all_parents_are_read_and_parents_only_once() {
    let server = MockServer::serve(answer).await;
    let source = shops_and_orders(false).concurrency(4);
    let ran = source.read(&server.url()).await.succeeded();
    assert_eq!(ids(&ran, "shops"), [0, 1, 2, 3, 4, 5]);
    let mut orders = ids(&ran, "orders");
    orders.sort_unstable();
    assert_eq!(
        orders,
        [10, 20, 21, 30, 31, 32, 40, 41, 42, 43, 50, 51, 52, 53, 54]
    );
    let record = ran
        .data("orders")
        .into_iter()
        .find(|it| it["id"] == 31)
        .unwrap();
    assert_eq!(record["shop_id"], 3);
    assert_eq!(record["shop \"key\""], "shop 3");
    let pages = server
        .requests()
        .iter()
        .filter(|it| it.path == "/shops")
        .count();
    assert_eq!(pages, 4, "both streams share the pages");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_of_children_moves_when_all_are_read() {
    let server = MockServer::serve(answer).await;
    for concurrency in [1, 4] {
        let source = shops_and_orders(true).concurrency(concurrency);
        let ran = source
            .read_from(&server.url(), &json!([]))
            .await
            .succeeded();
        assert_eq!(ids(&ran, "orders").len(), 15);
        let last = states(&ran, "orders").pop().unwrap();
        let state = &last[0]["stream"]["stream_state"];
        assert_eq!(state["at"], "2024-01-14T00:00:00Z");
        let again = source.read_from(&server.url(), &last).await.succeeded();
        assert_eq!(ids(&again, "orders"), [54]);
    }
}

#[tokio::test]
async fn a_parent_that_fails_fails_its_children_with_its_name() {
    let server = MockServer::serve(|request| match request.path.as_str() {
        "/shops" => Reply::error(403, "shops are closed"),
        _ => answer(request),
    })
    .await;
    let ran = shops_and_orders(false).read(&server.url()).await;
    let errors: Vec<&str> = ran
        .errors()
        .iter()
        .map(|error| error.message.as_str())
        .collect();
    assert!(
        errors
            .iter()
            .any(|message| message.contains("shops are closed")),
        "{errors:?}"
    );
}

#[tokio::test]
async fn a_grandparent_gives_its_values_too() {
    let server = MockServer::serve(|request| match request.path.as_str() {
        "/a" => Reply::json(&json!([{"id": 1}, {"id": 2}])),
        "/a/1/b" => Reply::json(&json!([{"id": 11}])),
        "/a/2/b" => Reply::json(&json!([{"id": 21}, {"no": "id"}])),
        path => Reply::json(&json!([{"id": 0, "path": path}])),
    })
    .await;
    let source = TestSource::new(|api| {
        let a = api.stream("a", "/a");
        let b = api.stream("b", "/a/{a}/b").for_each(&a, [("a", "id")]);
        let c = api
            .stream("c", "/a/{a}/b/{b}/c")
            .for_each(&b, [("b", "id")]);
        Ok(vec![c])
    });
    let ran = source.read(&server.url()).await.succeeded();
    let paths: Vec<Value> = ran.data("c").iter().map(|it| it["path"].clone()).collect();
    assert_eq!(paths, ["/a/1/b/11/c", "/a/2/b/21/c"]);
}
