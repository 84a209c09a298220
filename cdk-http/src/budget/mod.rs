//! Rate limits that are kept before the server has to complain, shared by all streams of a process.

mod matcher;
mod policy;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::sync::OwnedSemaphorePermit;

use crate::errors::header_wait;
use crate::request::Request;
use crate::timer::Timer;

pub use matcher::RequestMatcher;
use policy::{Place, Wait};
pub use policy::{Policy, Rate};

/// Policies of one API. Cheap to clone; clones share the counts.
///
/// Of the rate policies, the first that matches a request counts; limits of requests in flight count all that match.
///
/// ```
/// use std::time::Duration;
/// use cdk_http::budget::{Budget, Policy};
///
/// // Ten requests in a second and three at a time.
/// let budget = Budget::new([
///     Policy::moving_window([(10, Duration::from_secs(1))]),
///     Policy::concurrent(3),
/// ]);
/// ```
#[derive(Debug, Clone)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    policies: Vec<Policy>,
    headers: Headers,
}

/// Where the server says how much is left.
#[derive(Debug, Clone)]
struct Headers {
    remaining: Vec<String>,
    reset: Vec<String>,
    statuses: Vec<u16>,
}

impl Default for Headers {
    fn default() -> Self {
        let names = |prefixes: [&str; 3], what: &str| {
            prefixes
                .iter()
                .map(|prefix| format!("{prefix}{what}"))
                .collect()
        };
        const PREFIXES: [&str; 3] = ["ratelimit-", "x-ratelimit-", "x-rate-limit-"];
        Self {
            remaining: names(PREFIXES, "remaining"),
            reset: names(PREFIXES, "reset"),
            statuses: vec![429],
        }
    }
}

/// The right to send one request. Where requests in flight are limited, others wait until it is dropped.
#[derive(Debug, Default)]
pub struct Permit {
    _in_flight: Vec<OwnedSemaphorePermit>,
    place: Option<Place>,
}

impl Permit {
    /// The head of the answer came at `now`, or the request failed: a moving window counts it up to now.
    pub fn answered(&mut self, now: Duration) {
        if let Some(place) = self.place.take() {
            place.answered(now);
        }
    }
}

impl Budget {
    /// A budget of these policies.
    pub fn new(policies: impl IntoIterator<Item = Policy>) -> Self {
        Self(Arc::new(Inner {
            policies: policies.into_iter().collect(),
            headers: Headers::default(),
        }))
    }

    /// So many requests in any minute.
    pub fn per_minute(requests: u32) -> Self {
        Self::new([Policy::moving_window([(requests, Duration::from_secs(60))])])
    }

    /// Reads what is left, and when it is reset (seconds, or a time since the Unix epoch), from these headers instead
    /// of the usual ones. An answer with one of `statuses` says that nothing is left.
    #[must_use]
    pub fn with_headers(
        self,
        remaining: impl Into<String>,
        reset: impl Into<String>,
        statuses: impl IntoIterator<Item = u16>,
    ) -> Self {
        let headers = Headers {
            remaining: vec![remaining.into()],
            reset: vec![reset.into()],
            statuses: statuses.into_iter().collect(),
        };
        let policies = match Arc::try_unwrap(self.0) {
            Ok(inner) => inner.policies,
            Err(shared) => shared.policies.clone(),
        };
        Self(Arc::new(Inner { policies, headers }))
    }

    /// Waits until `request` may be sent. `waiting` is told of each wait before it begins.
    pub async fn acquire(
        &self,
        request: &Request,
        timer: &dyn Timer,
        waiting: impl Fn(Duration),
    ) -> Permit {
        let mut permit = Permit::default();
        for policy in self.0.policies.iter().filter(|it| it.is_concurrency()) {
            if policy.weight_of(request).is_some() {
                permit._in_flight.extend(policy.enter().await);
            }
        }
        if let Some((policy, weight)) = self.rate_policy(request) {
            permit.place = loop {
                let mut answer = pin!(policy.next_answer());
                // From here on no answer is missed.
                answer.as_mut().enable();
                match policy.take(timer.now(), weight) {
                    Ok(place) => break place,
                    Err(Wait::ForAnswer) => answer.await,
                    Err(Wait::For(time)) => {
                        waiting(time);
                        timer.sleep(time).await;
                    }
                }
            };
        }
        permit
    }

    /// Learns from the head of an answer to `request`.
    pub fn observe(
        &self,
        request: &Request,
        status: StatusCode,
        headers: &HeaderMap,
        timer: &dyn Timer,
        now_ms: i64,
    ) {
        let Some((policy, _)) = self.rate_policy(request) else {
            return;
        };
        let find = |names: &[String]| {
            let mut values = names.iter().filter_map(|name| headers.get(name));
            values.find_map(|value| value.to_str().ok().map(str::to_owned))
        };
        let known = &self.0.headers;
        let is_hit = known.statuses.contains(&status.as_u16());
        let remaining = find(&known.remaining)
            .and_then(|text| text.trim().parse().ok())
            .map(|remaining: f64| remaining.max(0.0) as u32);
        let remaining = if is_hit { Some(0) } else { remaining };
        let reset = find(&known.reset).and_then(|text| header_wait(&text, now_ms));
        policy.learn(timer.now(), remaining, reset);
    }

    fn rate_policy(&self, request: &Request) -> Option<(&Policy, u32)> {
        let mut rates = self.0.policies.iter().filter(|it| !it.is_concurrency());
        rates.find_map(|policy| Some((policy, policy.weight_of(request)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timer::VirtualTimer;
    use reqwest::Url;

    fn request(path: &str) -> Request {
        Request::get(Url::parse(&format!("https://api.example.com{path}")).unwrap())
    }

    async fn send(budget: &Budget, timer: &VirtualTimer, path: &str) -> f64 {
        budget.acquire(&request(path), timer, |_| {}).await;
        timer.now().as_secs_f64()
    }

    #[tokio::test]
    async fn a_moving_window_never_holds_more_than_allowed() {
        let rates = [(2, Duration::from_secs(1)), (5, Duration::from_secs(10))];
        let budget = Budget::new([Policy::moving_window(rates)]);
        let timer = VirtualTimer::default();
        let mut times = Vec::new();
        for _ in 0..12 {
            times.push(send(&budget, &timer, "/").await);
        }
        for window in times.windows(3) {
            assert!(window[2] - window[0] >= 1.0, "{times:?}");
        }
        for window in times.windows(6) {
            assert!(window[5] - window[0] >= 10.0, "{times:?}");
        }
        assert!(times[11] < 21.0, "{times:?}");
    }

    #[tokio::test]
    async fn a_request_stays_in_a_moving_window_for_its_interval_after_the_answer() {
        let budget = Budget::new([Policy::moving_window([(1, Duration::from_secs(1))])]);
        let timer = VirtualTimer::default();
        let wanted = request("/");
        let mut first = budget.acquire(&wanted, &timer, |_| {}).await;
        // It may reach the server at any time until its answer comes.
        timer.sleep(Duration::from_secs(5)).await;
        let mut second = std::pin::pin!(budget.acquire(&wanted, &timer, |_| {}));
        assert!(futures::poll!(second.as_mut()).is_pending());
        assert_eq!(timer.now().as_secs(), 5);
        first.answered(timer.now());
        let mut second = second.await;
        assert_eq!(timer.now().as_secs(), 6);
        // One that is given up is over when that is seen.
        second.answered(timer.now());
        drop(budget.acquire(&wanted, &timer, |_| {}).await);
        assert_eq!(timer.now().as_secs(), 7);
        assert_eq!(send(&budget, &timer, "/").await, 8.0);
    }

    #[tokio::test]
    async fn a_fixed_window_fills_up_at_its_reset() {
        let budget = Budget::new([Policy::fixed_window(3, Duration::from_secs(60))]);
        let timer = VirtualTimer::default();
        let mut times = Vec::new();
        for _ in 0..7 {
            times.push(send(&budget, &timer, "/").await);
        }
        assert_eq!(times, [0.0, 0.0, 0.0, 60.0, 60.0, 60.0, 120.0]);
    }

    #[tokio::test]
    async fn a_token_bucket_allows_bursts_and_then_its_rate() {
        let budget = Budget::new([Policy::token_bucket(2, 4.0)]);
        let timer = VirtualTimer::default();
        let mut times = Vec::new();
        for _ in 0..4 {
            times.push(send(&budget, &timer, "/").await);
        }
        assert_eq!(times, [0.0, 0.0, 0.25, 0.5]);
    }

    #[tokio::test]
    async fn the_first_policy_that_matches_counts() {
        let budget = Budget::new([
            Policy::unlimited().matching(RequestMatcher::new().path("^/free")),
            Policy::fixed_window(1, Duration::from_secs(5)),
        ]);
        let timer = VirtualTimer::default();
        assert_eq!(send(&budget, &timer, "/a").await, 0.0);
        assert_eq!(send(&budget, &timer, "/free/a").await, 0.0);
        assert_eq!(send(&budget, &timer, "/b").await, 5.0);
    }

    #[tokio::test]
    async fn what_the_server_says_is_left_lowers_the_count() {
        let budget = Budget::new([Policy::fixed_window(100, Duration::from_secs(10))]);
        let timer = VirtualTimer::default();
        assert_eq!(send(&budget, &timer, "/").await, 0.0);
        let mut headers = HeaderMap::new();
        headers.insert("ratelimit-remaining", "1".parse().unwrap());
        headers.insert("ratelimit-reset", "30".parse().unwrap());
        budget.observe(&request("/"), StatusCode::OK, &headers, &timer, 0);
        assert_eq!(send(&budget, &timer, "/").await, 0.0);
        assert_eq!(send(&budget, &timer, "/").await, 30.0);
    }

    #[tokio::test]
    async fn a_hit_blocks_until_the_reset() {
        let budget = Budget::per_minute(100);
        let timer = VirtualTimer::default();
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-reset", "12".parse().unwrap());
        let status = StatusCode::TOO_MANY_REQUESTS;
        budget.observe(&request("/"), status, &headers, &timer, 0);
        assert_eq!(send(&budget, &timer, "/").await, 12.0);
    }

    #[tokio::test]
    async fn requests_in_flight_are_limited_until_they_are_over() {
        let budget = Budget::new([Policy::concurrent(2)]);
        let timer = VirtualTimer::default();
        let wanted = request("/");
        let first = budget.acquire(&wanted, &timer, |_| {}).await;
        let _second = budget.acquire(&wanted, &timer, |_| {}).await;
        let third = budget.acquire(&wanted, &timer, |_| {});
        let mut third = std::pin::pin!(third);
        assert!(futures::poll!(third.as_mut()).is_pending());
        drop(first);
        assert!(futures::poll!(third).is_ready());
    }
}
