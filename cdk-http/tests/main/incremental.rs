//! Slices in time, and the states behind them.

use cdk_http::Placement;
use cdk_http::paginate::PageNumbers;
use cdk_http::stream::{DatetimeCursor, Step, TimeFormat};
use cdk_testkit::http::{MockServer, Reply, SeenRequest};
use serde_json::{Value, json};

use crate::source::{TestSource, ids, states};

/// 20 records, two a day from 2024-01-10 on, newest first; `from` and `to` are days.
fn answer(request: &SeenRequest) -> Reply {
    let (from, to) = (
        request.query("from").unwrap_or(""),
        request.query("to").unwrap_or("9"),
    );
    let records: Vec<Value> = (0..20)
        .rev()
        .map(|id| json!({"id": id, "at": format!("2024-01-{:02}T{:02}:00:00Z", 10 + id / 2, 8 + id % 2)}))
        .filter(|record| {
            let day = &record["at"].as_str().expect("a text")[..10];
            from <= day && day <= to
        })
        .collect();
    Reply::json(&json!(records))
}

fn sliced() -> TestSource {
    TestSource::new(|api| {
        let cursor = DatetimeCursor::new("at")
            .start("2024-01-01")
            .step(Step::days(5))
            .granularity(chrono::TimeDelta::days(1))
            .param_format(TimeFormat::Date)
            .params(Placement::query("from"), Placement::query("to"));
        Ok(vec![api.stream("items", "/items").cursor(cursor)])
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_state_is_good_to_resume_from() {
    let server = MockServer::serve(answer).await;
    for concurrency in [1, 4] {
        let source = sliced().concurrency(concurrency);
        let ran = source
            .read_from(&server.url(), &json!([]))
            .await
            .succeeded();
        let mut all = ids(&ran, "items");
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        let states = states(&ran, "items");
        let last = &states.last().unwrap()[0]["stream"]["stream_state"];
        assert_eq!(last, &json!({"at": "2024-01-31T00:00:00Z"}));
        for state in &states {
            let behind: usize = state[0]["sourceStats"]["recordCount"].as_f64().unwrap() as usize;
            assert!(behind <= 20);
            let resumed = source.read_from(&server.url(), state).await.succeeded();
            let at = state[0]["stream"]["stream_state"]["at"].as_str().unwrap()[..10].to_owned();
            // What was read before the state's day does not come again; all from it on does.
            let expected = all
                .iter()
                .filter(|id| format!("2024-01-{:02}", 10 + **id / 2) >= at);
            let mut found = ids(&resumed, "items");
            found.sort_unstable();
            assert_eq!(found, expected.copied().collect::<Vec<_>>(), "{at}");
        }
    }
}

#[tokio::test]
async fn slices_ask_for_spans_that_meet() {
    let server = MockServer::serve(answer).await;
    sliced()
        .read_from(&server.url(), &json!([]))
        .await
        .succeeded();
    let spans: Vec<String> = server.requests().iter().map(SeenRequest::target).collect();
    assert_eq!(
        spans.first().unwrap(),
        "GET /items?from=2024-01-01&to=2024-01-05"
    );
    assert_eq!(
        spans.last().unwrap(),
        "GET /items?from=2024-01-31&to=2024-02-01"
    );
    assert_eq!(spans.len(), 7);
}

#[tokio::test]
async fn an_api_that_can_not_be_asked_is_filtered() {
    let server = MockServer::serve(|_| answer(&SeenRequest::default())).await;
    let source = TestSource::new(|api| {
        let cursor = DatetimeCursor::new("at").filtering();
        Ok(vec![api.stream("items", "/items").cursor(cursor)])
    });
    let first = source
        .read_from(&server.url(), &json!([]))
        .await
        .succeeded();
    assert_eq!(ids(&first, "items").len(), 20);
    let state = states(&first, "items").pop().unwrap();
    assert_eq!(
        state[0]["stream"]["stream_state"]["at"],
        "2024-01-19T09:00:00Z"
    );
    let second = source.read_from(&server.url(), &state).await.succeeded();
    assert_eq!(
        ids(&second, "items"),
        [19],
        "the boundary comes again, nothing else"
    );
}

#[tokio::test]
async fn sorted_streams_have_a_state_behind_every_page() {
    let server = MockServer::serve(|request| {
        let page = request.number("page").unwrap_or(1);
        let at = |id: u64| format!("2024-01-{:02}T00:00:00Z", 10 + id);
        let records: Vec<Value> = (page * 2 - 2..page * 2)
            .filter(|id| *id < 6)
            .map(|id| json!({"id": id, "at": at(id)}))
            .collect();
        Reply::json(&json!(records))
    })
    .await;
    let source = TestSource::new(|api| {
        let cursor = DatetimeCursor::new("at").sorted();
        let pages = PageNumbers::new(Placement::query("page"));
        Ok(vec![
            api.stream("items", "/items").cursor(cursor).paginate(pages),
        ])
    });
    let ran = source
        .read_from(&server.url(), &json!([]))
        .await
        .succeeded();
    let seen: Vec<Value> = states(&ran, "items")
        .iter()
        .map(|state| state[0]["stream"]["stream_state"]["at"].clone())
        .collect();
    assert!(seen.contains(&json!("2024-01-11T00:00:00Z")), "{seen:?}");
    assert_eq!(seen.last().unwrap(), "2024-01-15T00:00:00Z");
}

#[tokio::test]
async fn a_state_of_another_kind_is_a_config_error() {
    let server = MockServer::serve(answer).await;
    let state = json!([{"type": "STREAM", "stream": {
        "stream_descriptor": {"name": "items"}, "stream_state": {"at": "yesterday"}}}]);
    let ran = sliced().read_from(&server.url(), &state).await;
    assert!(
        ran.error().message.contains("Reset the stream"),
        "{:?}",
        ran.error()
    );
}
