//! Limits that are kept in advance.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cdk_core::event;
use cdk_core::watchdog::Progress;
use cdk_core::{Context, MemoryBudget, async_trait};
use cdk_http::budget::{Budget, Policy, RequestMatcher};
use cdk_http::header::HeaderMap;
use cdk_http::timer::SystemTimer;
use cdk_http::{HttpClient, Request, Response, StatusCode, Transport, TransportError, Url};
use cdk_testkit::http::{MockServer, Reply};
use futures::{StreamExt, stream};
use serde_json::json;
use tokio::time::Instant;

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

/// A server on the paused clock of its test: it notes when requests reach it, and how many it works on at once.
#[derive(Debug)]
struct PacedServer {
    began: Instant,
    /// How long a request is on its way to the server, by its number.
    way: fn(u32) -> Duration,
    /// How long the server takes to answer.
    work: Duration,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    sent: u32,
    arrivals: Vec<Duration>,
    in_flight: usize,
    most_in_flight: usize,
}

impl PacedServer {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no test panics here")
    }
}

#[async_trait]
impl Transport for PacedServer {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let number = {
            let mut seen = self.seen();
            seen.sent += 1;
            seen.sent
        };
        tokio::time::sleep((self.way)(number)).await;
        {
            let mut seen = self.seen();
            seen.arrivals.push(self.began.elapsed());
            seen.in_flight += 1;
            seen.most_in_flight = seen.most_in_flight.max(seen.in_flight);
        }
        tokio::time::sleep(self.work).await;
        self.seen().in_flight -= 1;
        Ok(Response::new(
            StatusCode::OK,
            HeaderMap::new(),
            request.url,
            "{}",
        ))
    }
}

/// Between nothing and 100 ms, never the same twice in a row.
fn jittery(number: u32) -> Duration {
    Duration::from_millis(u64::from(number * 37 % 101))
}

fn steady(_: u32) -> Duration {
    Duration::from_millis(20)
}

/// So many requests, `at_once` of them at a time, through a client with this budget; when each reached the server, the
/// most it worked on at once, and how long it all took.
async fn paced(
    policy: Policy,
    way: fn(u32) -> Duration,
    requests: usize,
    at_once: usize,
) -> (Vec<Duration>, usize, Duration) {
    let began = Instant::now();
    let server = Arc::new(PacedServer {
        began,
        way,
        work: Duration::from_millis(180),
        seen: Mutex::default(),
    });
    let (events, _received) = event::channel(MemoryBudget::default(), Progress::default());
    let transport = Arc::clone(&server) as Arc<dyn Transport>;
    let client = HttpClient::new(transport, &Context::new(events))
        .with_timer(Arc::new(SystemTimer::new()))
        .with_budget(Budget::new([policy]));
    let url = Url::parse("http://paced.invalid/x").expect("the test is set up");
    let each = stream::iter(0..requests).map(|_| client.fetch(Request::get(url.clone()), 1000));
    let ended: Vec<_> = each.buffer_unordered(at_once).collect().await;
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    let seen = server.seen();
    let mut arrivals = seen.arrivals.clone();
    arrivals.sort_unstable();
    assert_eq!(arrivals.len(), requests);
    (arrivals, seen.most_in_flight, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn no_fixed_window_of_the_server_sees_more_than_its_limit_and_most_are_full() {
    let period = Duration::from_secs(1);
    let policy = Policy::fixed_window(50, period);
    let (arrivals, _, took) = paced(policy, jittery, 1000, 64).await;
    let mut windows = vec![0; 100];
    for at in &arrivals {
        windows[usize::try_from(at.as_secs()).expect("a short test")] += 1;
    }
    assert!(windows.iter().all(|count| *count <= 50), "{windows:?}");
    // At the limit it takes 20 s.
    assert!(took < Duration::from_secs(22), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn no_moving_window_sees_more_than_its_limits_whatever_the_way_to_the_server() {
    let rates = [(20, Duration::from_secs(2)), (50, Duration::from_secs(10))];
    let (arrivals, _, took) = paced(Policy::moving_window(rates), jittery, 500, 64).await;
    for (limit, interval) in rates {
        for window in arrivals.windows(limit as usize + 1) {
            let span = window[limit as usize] - window[0];
            assert!(span >= interval, "{limit} in {span:?}");
        }
    }
    // Ten times 50: nine intervals, and the last 50 as fast as the shorter rate allows. Each interval is longer by the
    // time of an answer, 280 ms at most.
    let longer = Duration::from_millis(280);
    let limit = (rates[1].1 + longer) * 9 + (rates[0].1 + longer) * 2 + longer;
    assert!(took <= limit, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_bucket_is_never_overdrawn_and_never_idle() {
    let (burst, per_second) = (10, 25.0);
    let policy = Policy::token_bucket(burst, per_second);
    let (arrivals, _, took) = paced(policy, steady, 500, 64).await;
    let (mut tokens, mut last) = (f64::from(burst), Duration::ZERO);
    for at in arrivals {
        let refilled = (at - last).as_secs_f64() * per_second;
        tokens = (tokens + refilled).min(f64::from(burst)) - 1.0;
        last = at;
        // The paused clock goes in milliseconds.
        assert!(tokens > -0.05, "{tokens} tokens at {at:?}");
    }
    // 490 requests beyond the first burst.
    assert!(took < Duration::from_millis(20_500), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_server_works_on_as_many_requests_as_it_may_and_on_no_more() {
    let (_, most, took) = paced(Policy::concurrent(8), steady, 400, 64).await;
    assert_eq!(most, 8);
    // 50 rounds of 200 ms.
    assert!(took < Duration::from_millis(11_000), "{took:?}");
}
