//! What goes wrong between a client and an API.

use std::collections::HashMap;
use std::time::Duration;

use crate::http::{Reply, SeenRequest};

/// Something that goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// 429, with a `Retry-After` header of so many seconds or without.
    RateLimited(Option<u64>),
    /// A status of failure, such as 503.
    Status(u16),
    /// The answer breaks off in the middle.
    CutBody,
    /// The answer comes in small pieces, but comes.
    SlowDrip,
    /// No answer comes, and the connection stays open.
    Hang,
    /// The connection is closed without an answer.
    Close,
    /// A web page comes instead of the answer, with status 502.
    WebPage,
    /// The text of the answer ends in the middle, though the transfer is complete.
    TruncatedText,
    /// The answer says that it is packed with gzip, and isn't.
    WrongEncoding,
    /// The answer says that it is something else than it is, and is right otherwise.
    WrongContentType,
}

impl Fault {
    /// What becomes of `reply`.
    pub fn spoil(self, reply: Reply) -> Reply {
        let half = reply.body_bytes() / 2;
        match self {
            Self::RateLimited(None) => Reply::error(429, "slow down"),
            Self::RateLimited(Some(seconds)) => {
                Reply::error(429, "slow down").header("retry-after", seconds.to_string())
            }
            Self::Status(status) => Reply::error(status, "something failed"),
            Self::CutBody => reply.cut_at(half),
            Self::SlowDrip => {
                let piece = reply.body_bytes().div_ceil(8);
                reply.drip(piece, Duration::from_millis(2))
            }
            Self::Hang => reply.hang(),
            Self::Close => reply.close(),
            Self::WebPage => Reply::new(502, "<html><title>Bad Gateway</title></html>")
                .header("content-type", "text/html"),
            Self::TruncatedText => reply.truncate_body(half),
            Self::WrongEncoding => reply.header("content-encoding", "gzip"),
            Self::WrongContentType => reply.header("content-type", "text/html"),
        }
    }
}

/// A script: the first tries of every request fail as it says, the next succeeds.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    script: Vec<Fault>,
    /// How often each request came.
    tries: HashMap<(String, Vec<u8>), usize>,
}

impl Faults {
    /// Each request fails with these, one after the other.
    pub fn first(script: impl IntoIterator<Item = Fault>) -> Self {
        Self {
            script: script.into_iter().collect(),
            tries: HashMap::new(),
        }
    }

    /// The reply to `request`: spoilt if the script says so, else as it is.
    pub fn apply(&mut self, request: &SeenRequest, reply: Reply) -> Reply {
        let key = (request.target(), request.body.clone());
        let tries = self.tries.entry(key).or_default();
        *tries += 1;
        match self.script.get(*tries - 1) {
            Some(fault) => fault.spoil(reply),
            None => reply,
        }
    }
}
