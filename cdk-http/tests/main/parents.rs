//! Streams that are read for each record of another.

use std::sync::Arc;

use cdk_core::entrypoint::Exit;
use cdk_http::Placement;
use cdk_http::paginate::PageNumbers;
use cdk_http::stream::{AsyncJob, DatetimeCursor, JobStatus};
use cdk_testkit::http::{MockServer, Reply, SeenRequest};
use serde_json::{Value, json};
use tokio::sync::Barrier;

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

/// The saved time of each shop's orders.
fn saved(state: &Value) -> Vec<(i64, String)> {
    let states = state[0]["stream"]["stream_state"]["states"].as_array();
    let each = states.into_iter().flatten().map(|state| {
        let shop = state["partition"]["shop_id"].as_i64().unwrap_or(-1);
        (
            shop,
            state["cursor"]["at"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    });
    each.collect()
}

fn sorted(mut ids: Vec<i64>) -> Vec<i64> {
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_parents_children_go_on_where_they_were() {
    let server = MockServer::serve(answer).await;
    for concurrency in [1, 4] {
        let source = shops_and_orders(true).concurrency(concurrency);
        let ran = source
            .read_from(&server.url(), &json!([]))
            .await
            .succeeded();
        assert_eq!(ids(&ran, "orders").len(), 15);
        let last = states(&ran, "orders").pop().unwrap();
        assert_eq!(
            last[0]["stream"]["stream_state"]["use_global_cursor"],
            false
        );
        let days = ["01", "02", "05", "08", "11", "14"];
        let days = days.map(|day| format!("2024-01-{day}T00:00:00Z"));
        assert_eq!(saved(&last), (0..).zip(days).collect::<Vec<_>>());
        let again = source.read_from(&server.url(), &last).await.succeeded();
        assert_eq!(sorted(ids(&again, "orders")), [10, 21, 32, 43, 54]);
    }
}

#[tokio::test]
async fn a_new_parents_children_are_read_from_the_start() {
    let server = MockServer::serve(answer).await;
    let source = shops_and_orders(true);
    let ran = source
        .read_from(&server.url(), &json!([]))
        .await
        .succeeded();
    let mut state = states(&ran, "orders").pop().unwrap();
    let known = &mut state[0]["stream"]["stream_state"]["states"];
    known
        .as_array_mut()
        .unwrap()
        .retain(|it| it["partition"]["shop_id"] != 3);
    let again = source.read_from(&server.url(), &state).await.succeeded();
    assert_eq!(sorted(ids(&again, "orders")), [10, 21, 30, 31, 32, 43, 54]);
}

#[tokio::test]
async fn one_time_for_all_in_an_older_state_is_where_each_parent_goes_on() {
    let server = MockServer::serve(answer).await;
    let state = |at| {
        json!([{"type": "STREAM", "stream": {"stream_descriptor": {"name": "orders"},
        "stream_state": {"at": at}}}])
    };
    let source = shops_and_orders(true);
    let old = state("2024-01-10T00:00:00Z");
    let ran = source.read_from(&server.url(), &old).await.succeeded();
    assert_eq!(ids(&ran, "orders"), [42, 43, 50, 51, 52, 53, 54]);
    let last = states(&ran, "orders").pop().unwrap();
    assert_eq!(saved(&last)[5].1, "2024-01-14T00:00:00Z");
}

#[tokio::test]
async fn parents_that_were_done_when_another_failed_keep_their_state() {
    let server = MockServer::serve(|request| match request.path.as_str() {
        "/shops/shop%204/orders" => Reply::error(400, "no"),
        _ => answer(request),
    })
    .await;
    let ran = shops_and_orders(true)
        .read_from(&server.url(), &json!([]))
        .await;
    assert_eq!(ran.exit, Exit::Failure);
    let last = states(&ran, "orders").pop().unwrap();
    let shops: Vec<i64> = saved(&last).into_iter().map(|(shop, _)| shop).collect();
    assert_eq!(shops, [0, 1, 2, 3]);
    let whole = MockServer::serve(answer).await;
    let resumed = shops_and_orders(true)
        .read_from(&whole.url(), &last)
        .await
        .succeeded();
    assert_eq!(
        ids(&resumed, "orders"),
        [10, 21, 32, 40, 41, 42, 43, 50, 51, 52, 53, 54]
    );
}

/// `a` has so many records; each has one `b`, and that one `c`.
fn three_generations() -> TestSource {
    TestSource::new(|api| {
        let a = api.stream("a", "/a");
        let b = api.stream("b", "/a/{a}/b").for_each(&a, [("a", "id")]);
        let c = api
            .stream("c", "/a/{a}/b/{b}/c")
            .for_each(&b, [("b", "id")]);
        Ok(vec![c])
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_slices_of_a_parent_are_read_at_a_time_as_the_source_allows() {
    for at_once in [1, 4] {
        let meeting = Arc::new(Barrier::new(at_once));
        let server = MockServer::serve(move |request| {
            if request.path == "/a" {
                return Reply::json(&json!(
                    (0..8).map(|id| json!({"id": id})).collect::<Vec<_>>()
                ));
            }
            // None goes on before all that may be in flight are. No record: no request but these.
            Reply::json(&json!([])).meet(&meeting)
        })
        .await;
        let source = three_generations().concurrency(at_once).impatient();
        source.read(&server.url()).await.succeeded();
        assert_eq!(server.requests().len(), 9);
        assert_eq!(server.most_in_flight(), at_once);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_are_read_while_their_parents_still_are() {
    let meeting = Arc::new(Barrier::new(2));
    let server = MockServer::serve(move |request| match request.path.as_str() {
        "/a" => Reply::json(&json!([{"id": 1}, {"id": 2}])),
        // The second page of the parent comes only together with the child of the first.
        "/a/1/b" => Reply::json(&json!([{"id": 1}])),
        "/a/2/b" => Reply::json(&json!([{"id": 2}])).meet(&meeting),
        "/a/1/b/1/c" => Reply::json(&json!([{"id": 11}])).meet(&meeting),
        _ => Reply::json(&json!([{"id": 22}])),
    })
    .await;
    let source = three_generations().concurrency(1).impatient();
    let ran = source.read(&server.url()).await.succeeded();
    assert_eq!(ids(&ran, "c"), [11, 22]);
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

#[tokio::test]
async fn parent_records_that_their_stream_leaves_out_have_no_children() {
    let server = MockServer::serve(|request| match request.path.as_str() {
        "/a" => Reply::json(&json!([
            {"id": 1, "at": "2023-12-31T00:00:00Z"},
            {"id": 2, "at": "2024-01-02T00:00:00Z"},
        ])),
        "/a/2/b" => Reply::json(&json!([{"id": 20}])),
        _ => Reply::error(404, "left out"),
    })
    .await;
    let source = TestSource::new(|api| {
        let recent = DatetimeCursor::new("at").start("2024-01-01").filtering();
        let a = api.stream("a", "/a").cursor(recent);
        Ok(vec![
            api.stream("b", "/a/{a}/b").for_each(&a, [("a", "id")]),
        ])
    });
    let ran = source.read(&server.url()).await.succeeded();
    assert_eq!(ids(&ran, "b"), [20]);
}

#[tokio::test]
async fn a_parent_may_come_out_of_a_job() {
    let server = MockServer::serve(|request| match request.path.as_str() {
        "/jobs" => Reply::json(&json!({"id": 5})),
        "/jobs/5" => Reply::json(&json!({"status": "done"})),
        "/jobs/5/rows" => Reply::json(&json!([{"id": 1}, {"id": 2}])),
        path => Reply::json(&json!([{"id": 0, "path": path}])),
    })
    .await;
    let source = TestSource::new(|api| {
        let job = AsyncJob::new("/jobs/{id}", "status")
            .created([("id", "id")])
            .status("done", JobStatus::Completed)
            .download_path("/jobs/{id}/rows");
        let a = api.stream("a", "/jobs").job(job);
        Ok(vec![
            api.stream("b", "/a/{a}/b").for_each(&a, [("a", "id")]),
        ])
    });
    let ran = source.read(&server.url()).await.succeeded();
    let paths: Vec<Value> = ran.data("b").iter().map(|it| it["path"].clone()).collect();
    assert_eq!(paths, ["/a/1/b", "/a/2/b"]);
}
