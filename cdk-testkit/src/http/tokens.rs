//! A token endpoint whose tokens expire and rotate.

use serde_json::json;

use crate::http::{Reply, SeenRequest};

/// Gives out access tokens that are good for so many requests. With rotation, each refresh token can be used once, and
/// a second use breaks the chain, as strict servers do.
#[derive(Debug, Clone)]
pub struct Tokens {
    issued: u64,
    uses_left: u64,
    uses_per_token: u64,
    refresh: Option<String>,
    is_broken: bool,
}

impl Tokens {
    /// Tokens that are good for `uses` requests.
    pub fn good_for(uses: u64) -> Self {
        Self {
            issued: 0,
            uses_left: 0,
            uses_per_token: uses.max(1),
            refresh: None,
            is_broken: false,
        }
    }

    /// The same with refresh tokens that can be used once, beginning with `first`.
    pub fn rotating(mut self, first: &str) -> Self {
        self.refresh = Some(first.to_owned());
        self
    }

    /// How many tokens were given out.
    pub fn issued(&self) -> u64 {
        self.issued
    }

    /// Answers a request to the token endpoint.
    pub fn issue(&mut self, request: &SeenRequest) -> Reply {
        if let Some(refresh) = &self.refresh {
            let form = request.form();
            let sent = form.iter().find(|(name, _)| name == "refresh_token");
            if self.is_broken || sent.map(|(_, value)| value) != Some(refresh) {
                self.is_broken = true;
                return Reply::json(&json!({"error": "invalid_grant"})).status(400);
            }
        }
        self.issued += 1;
        self.uses_left = self.uses_per_token;
        let mut answer = json!({"access_token": self.current(), "expires_in": 3600});
        if self.refresh.is_some() {
            let next = format!("refresh-secret-{}", self.issued);
            answer["refresh_token"] = json!(next);
            self.refresh = Some(next);
        }
        Reply::json(&answer)
    }

    /// `reply`, if the request carries the current token and that is still good; else 401.
    pub fn guard(&mut self, request: &SeenRequest, reply: Reply) -> Reply {
        let expected = format!("Bearer {}", self.current());
        if request.header("authorization") != Some(&expected) || self.uses_left == 0 {
            return Reply::error(401, "token expired");
        }
        self.uses_left -= 1;
        reply
    }

    fn current(&self) -> String {
        format!("access-secret-{}", self.issued)
    }
}
