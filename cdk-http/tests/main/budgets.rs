//! Limits that are kept in advance.

use std::time::Duration;

use cdk_http::budget::{Budget, Policy, RequestMatcher};
use cdk_testkit::http::{MockServer, Reply};
use serde_json::json;

use crate::source::{TestSource, ids};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_streams_together_keep_a_limit_of_requests_in_flight() {
    let slow = |_: &_| Reply::json(&json!([{"id": 1}])).delay(Duration::from_millis(20));
    let server = MockServer::serve(slow).await;
    let source = TestSource::new(|api| {
        let api = api.budget(Budget::new([Policy::concurrent(3)]));
        Ok((0..12).map(|i| api.stream(format!("s{i}"), "/x")).collect())
    });
    let ran = source.concurrency(12).read(&server.url()).await.succeeded();
    assert_eq!(ids(&ran, "s11"), [1]);
    let most = server.most_in_flight();
    assert!(most <= 3, "{most} requests at a time");
}

#[tokio::test]
async fn a_rate_holds_over_streams_and_spares_what_is_exempt() {
    let server = MockServer::serve(|_| Reply::json(&json!([{"id": 1}]))).await;
    let source = TestSource::new(|api| {
        let free = Policy::unlimited().matching(RequestMatcher::new().path("^/free"));
        let rate = Policy::moving_window([(2, Duration::from_secs(60))]);
        let api = api.budget(Budget::new([free, rate]));
        let limited = (0..5).map(|i| api.stream(format!("s{i}"), "/x"));
        Ok(limited.chain([api.stream("free", "/free/x")]).collect())
    });
    source.read(&server.url()).await.succeeded();
    // Five requests, two a minute.
    let waited: Duration = source.timer.waits().iter().sum();
    assert_eq!(waited, Duration::from_secs(120));
}
