//! One rate limit.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::budget::RequestMatcher;
use crate::request::Request;

/// So many requests in so long a time.
pub type Rate = (u32, Duration);

/// A limit, and the requests it counts. Cheap to clone; clones share the count.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Any of them; none counts all requests.
    matchers: Vec<RequestMatcher>,
    kind: Kind,
    count: Arc<Count>,
}

#[derive(Debug, Default)]
struct Count {
    usage: Mutex<Usage>,
    /// Told when a request of a window was answered.
    answered: Notify,
}

/// Why a request may not be sent yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Not before so long.
    For(Duration),
    /// Not before another one was answered.
    ForAnswer,
}

/// A request that a window counts. When between its sending and its answer it reached the server, only the server
/// knows: it leaves a moving window an interval after it was answered, and counts in all fixed windows up to its answer.
#[derive(Debug)]
struct Sent {
    id: u64,
    weight: u32,
    answer: AnswerTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum AnswerTime {
    Known(Duration),
    /// It was given up; the time at which that is noticed counts.
    GivenUp,
    InFlight,
}

impl Sent {
    fn is_within(&self, interval: Duration, now: Duration) -> bool {
        match self.answer {
            AnswerTime::Known(time) => time + interval > now,
            AnswerTime::GivenUp | AnswerTime::InFlight => true,
        }
    }
}

/// A request's place in a window, until it is answered or given up.
#[derive(Debug)]
pub(super) struct Place {
    id: u64,
    count: Arc<Count>,
}

impl Place {
    pub(super) fn answered(self, now: Duration) {
        self.end(AnswerTime::Known(now));
    }

    fn end(&self, answer: AnswerTime) {
        let mut usage = lock(&self.count.usage);
        let is_this = |sent: &&mut Sent| sent.id == self.id && sent.answer == AnswerTime::InFlight;
        if let Some(sent) = usage.sent.iter_mut().rev().find(is_this) {
            sent.answer = answer;
        }
        self.count.answered.notify_waiters();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.end(AnswerTime::GivenUp);
    }
}

#[derive(Debug, Clone)]
enum Kind {
    Unlimited,
    FixedWindow { limit: u32, period: Duration },
    MovingWindow { rates: Vec<Rate> },
    TokenBucket { burst: u32, per_second: f64 },
    Concurrent { slots: Arc<Semaphore> },
}

/// What was used; times are those of the timer.
#[derive(Debug, Default)]
struct Usage {
    /// Requests in the current fixed window.
    used: u32,
    /// When that window ends.
    window_end: Option<Duration>,
    /// Requests of the longest moving window or the current fixed one, in the order in which they were let through.
    sent: Vec<Sent>,
    /// How many those were in all.
    sent_ever: u64,
    /// Tokens in the bucket, and when they were counted.
    bucket: Option<(f64, Duration)>,
    /// The server said to wait until then.
    blocked_until: Duration,
}

impl Policy {
    fn new(kind: Kind) -> Self {
        Self {
            matchers: Vec::new(),
            kind,
            count: Arc::default(),
        }
    }

    /// No limit: for requests that a later policy must not count.
    pub fn unlimited() -> Self {
        Self::new(Kind::Unlimited)
    }

    /// At most `limit` requests, counted anew every `period` from the first request on. Those that are not answered when
    /// a period ends count in the next one too. What the server says is left lowers the count.
    pub fn fixed_window(limit: u32, period: Duration) -> Self {
        Self::new(Kind::FixedWindow { limit, period })
    }

    /// At no time more requests than each rate allows, whenever between its sending and its answer the server counts a
    /// request: so in the long run each rate's limit per its interval and the time of an answer.
    pub fn moving_window(rates: impl IntoIterator<Item = Rate>) -> Self {
        let rates = rates.into_iter().collect();
        Self::new(Kind::MovingWindow { rates })
    }

    /// At most `burst` requests at once, and `per_second` in the long run, as they are sent: some that are longer on their
    /// way than others can reach the server closer together.
    pub fn token_bucket(burst: u32, per_second: f64) -> Self {
        Self::new(Kind::TokenBucket { burst, per_second })
    }

    /// At most so many requests in flight, until their bodies are read.
    pub fn concurrent(requests: usize) -> Self {
        let slots = Arc::new(Semaphore::new(requests.max(1)));
        Self::new(Kind::Concurrent { slots })
    }

    /// Counts only requests that this or another matcher of the policy matches.
    #[must_use]
    pub fn matching(mut self, matcher: RequestMatcher) -> Self {
        self.matchers.push(matcher);
        self
    }

    /// How many requests `request` counts as; `None` when it is not counted here.
    pub(super) fn weight_of(&self, request: &Request) -> Option<u32> {
        if self.matchers.is_empty() {
            return Some(1);
        }
        let mut matchers = self.matchers.iter();
        matchers.find_map(|matcher| matcher.weight_of(request))
    }

    pub(super) fn is_concurrency(&self) -> bool {
        matches!(self.kind, Kind::Concurrent { .. })
    }

    /// Waits for a place among those in flight.
    pub(super) async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        match &self.kind {
            // Never closed.
            Kind::Concurrent { slots } => Arc::clone(slots).acquire_owned().await.ok(),
            _ => None,
        }
    }

    /// Counts a request, or says how long to wait before asking again. The place is to be held until the answer comes.
    pub(super) fn take(&self, now: Duration, weight: u32) -> Result<Option<Place>, Wait> {
        let mut usage = self.usage();
        if usage.blocked_until > now {
            return Err(Wait::For(usage.blocked_until - now));
        }
        let taken = match &self.kind {
            Kind::Unlimited | Kind::Concurrent { .. } => Ok(()),
            Kind::FixedWindow { limit, period } => {
                usage.take_fixed(now, weight, *limit, *period)?;
                return Ok(Some(self.place(&mut usage, weight)));
            }
            Kind::MovingWindow { rates } => {
                usage.take_moving(now, weight, rates)?;
                return Ok(Some(self.place(&mut usage, weight)));
            }
            Kind::TokenBucket { burst, per_second } => {
                usage.take_token(now, weight, *burst, *per_second)
            }
        };
        taken.map(|()| None).map_err(Wait::For)
    }

    fn place(&self, usage: &mut Usage, weight: u32) -> Place {
        usage.sent_ever += 1;
        let (id, answer) = (usage.sent_ever, AnswerTime::InFlight);
        usage.sent.push(Sent { id, weight, answer });
        let count = Arc::clone(&self.count);
        Place { id, count }
    }

    /// Ends with the next answer from now on to a request that is counted here.
    pub(super) fn next_answer(&self) -> Notified<'_> {
        self.count.answered.notified()
    }

    /// Learns what the server says: requests left, and in how long there are more.
    pub(super) fn learn(&self, now: Duration, remaining: Option<u32>, reset: Option<Duration>) {
        let mut usage = self.usage();
        if let (Kind::FixedWindow { limit, .. }, Some(remaining)) = (&self.kind, remaining) {
            // Only downwards: requests in flight are not in the server's count yet.
            usage.used = usage.used.max(limit.saturating_sub(remaining));
            if let Some(reset) = reset {
                usage.window_end = usage.window_end.max(Some(now + reset));
            }
        } else if let (Some(0), Some(reset)) = (remaining, reset) {
            usage.blocked_until = usage.blocked_until.max(now + reset);
        }
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        lock(&self.count.usage)
    }
}

fn lock(usage: &Mutex<Usage>) -> MutexGuard<'_, Usage> {
    usage.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request that counts for more than a whole limit passes when nothing else does.
fn fits(used: u32, weight: u32, limit: u32) -> bool {
    used == 0 || used.saturating_add(weight) <= limit
}

impl Usage {
    fn take_fixed(
        &mut self,
        now: Duration,
        weight: u32,
        limit: u32,
        period: Duration,
    ) -> Result<(), Wait> {
        let mut end = *self.window_end.get_or_insert(now + period);
        if now >= end {
            self.sent.retain(|sent| sent.answer == AnswerTime::InFlight);
            let in_flight = self.sent.iter().map(|sent| sent.weight);
            self.used = in_flight.fold(0, u32::saturating_add);
            end = now + period;
            self.window_end = Some(end);
        }
        if !fits(self.used, weight, limit) {
            return Err(Wait::For(end.saturating_sub(now)));
        }
        self.used = self.used.saturating_add(weight);
        Ok(())
    }

    fn take_moving(&mut self, now: Duration, weight: u32, rates: &[Rate]) -> Result<(), Wait> {
        let longest = rates.iter().map(|rate| rate.1).max().unwrap_or_default();
        for sent in &mut self.sent {
            if sent.answer == AnswerTime::GivenUp {
                sent.answer = AnswerTime::Known(now);
            }
        }
        self.sent.retain(|sent| sent.is_within(longest, now));
        let mut waits = rates.iter();
        match waits.find_map(|rate| self.wait_for(now, weight, *rate)) {
            Some(wait) => Err(wait),
            None => Ok(()),
        }
    }

    /// What to wait for until `weight` more fit into `rate`; `None` if they do now.
    fn wait_for(&self, now: Duration, weight: u32, (limit, interval): Rate) -> Option<Wait> {
        let within = || {
            self.sent
                .iter()
                .filter(|sent| sent.is_within(interval, now))
        };
        let used = within().fold(0, |used: u32, sent| used.saturating_add(sent.weight));
        if fits(used, weight, limit) {
            return None;
        }
        let mut within: Vec<&Sent> = within().collect();
        within.sort_unstable_by_key(|sent| Reverse(sent.answer));
        let mut used = 0_u32;
        // It fits once this one, and with it all that were answered before it, left the window.
        let leaving = within.into_iter().find(|sent| {
            used = used.saturating_add(sent.weight);
            !fits(used, weight, limit)
        })?;
        Some(match leaving.answer {
            AnswerTime::Known(time) => Wait::For((time + interval).saturating_sub(now)),
            AnswerTime::GivenUp | AnswerTime::InFlight => Wait::ForAnswer,
        })
    }

    fn take_token(
        &mut self,
        now: Duration,
        weight: u32,
        burst: u32,
        per_second: f64,
    ) -> Result<(), Duration> {
        let burst = f64::from(burst.max(1));
        let (tokens, counted) = self.bucket.unwrap_or((burst, now));
        let since = now.saturating_sub(counted).as_secs_f64();
        let tokens = (tokens + since * per_second).min(burst);
        self.bucket = Some((tokens, now));
        let needed = f64::from(weight).min(burst);
        // Waits are rounded to nanoseconds.
        let missing = needed - tokens;
        if missing > 1e-6 {
            let wait = missing / per_second.max(1e-9);
            return Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX / 4));
        }
        self.bucket = Some((tokens - needed, now));
        Ok(())
    }
}
