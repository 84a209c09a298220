//! An API of 25 records, in all the ways in which APIs cut pages and check credentials.

use cdk_core::SecretString;
use cdk_http::auth::{ApiKey, Basic, ConfigStore, OAuth, SessionLogin, TokenAuth};
use cdk_http::paginate::{CursorPages, LinkHeader, NextUrl, OffsetPages, PageNumbers};
use cdk_http::{HttpApi, HttpStream, Placement, Request, Url};
use cdk_testkit::http::{Fault, Faults, MockServer, Reply, SeenRequest, Tokens};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::source::TestSource;

pub(crate) const RECORDS: u64 = 25;
const PAGE: u64 = 10;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Paging {
    Numbers,
    Offsets,
    Cursor,
    NextUrl,
    Link,
}

pub(crate) const PAGINGS: [Paging; 5] = [
    Paging::Numbers,
    Paging::Offsets,
    Paging::Cursor,
    Paging::NextUrl,
    Paging::Link,
];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Auth {
    None,
    Key,
    Basic,
    /// Access tokens that are good for two requests.
    Tokens,
    /// The same, with refresh tokens that can be used once.
    Rotating,
    Session,
}

pub(crate) const AUTHS: [Auth; 6] = [
    Auth::None,
    Auth::Key,
    Auth::Basic,
    Auth::Tokens,
    Auth::Rotating,
    Auth::Session,
];

/// What no log may show.
pub(crate) const SECRETS: [&str; 5] = [
    "key-secret",
    "password-secret",
    "client-secret",
    "refresh-secret",
    "access-secret",
];

/// The server; every data request fails first as `faults` says.
pub(crate) async fn serve(paging: Paging, auth: Auth, faults: Vec<Fault>) -> MockServer {
    let mut faults = Faults::first(faults);
    let mut tokens = Tokens::good_for(2);
    if auth == Auth::Rotating {
        tokens = tokens.rotating("refresh-secret-0");
    }
    MockServer::serve(move |request| match request.path.as_str() {
        "/token" => tokens.issue(request),
        "/login" => {
            let answer = tokens.issue(request);
            let token = format!("access-secret-{}", tokens.issued());
            drop(answer);
            Reply::json(&json!({"session": {"token": token}}))
        }
        "/items" => {
            let reply = guarded(request, page(request, paging), auth, &mut tokens);
            faults.apply(request, reply)
        }
        _ => Reply::error(404, "no such path"),
    })
    .await
}

fn guarded(request: &SeenRequest, reply: Reply, auth: Auth, tokens: &mut Tokens) -> Reply {
    let is_right = match auth {
        Auth::None => true,
        Auth::Key => request.query("api_key") == Some("key-secret"),
        // user:password-secret
        Auth::Basic => {
            request.header("authorization") == Some("Basic dXNlcjpwYXNzd29yZC1zZWNyZXQ=")
        }
        Auth::Tokens | Auth::Rotating | Auth::Session => return tokens.guard(request, reply),
    };
    match is_right {
        true => reply,
        false => Reply::error(401, "bad credentials"),
    }
}

fn page(request: &SeenRequest, paging: Paging) -> Reply {
    let from = match paging {
        Paging::Numbers => (request.number("page").unwrap_or(1) - 1) * PAGE,
        Paging::Offsets => request.number("offset").unwrap_or(0),
        Paging::Cursor | Paging::NextUrl | Paging::Link => request.number("from").unwrap_or(0),
    };
    let to = (from + PAGE).min(RECORDS);
    let items: Vec<Value> = (from..to)
        .map(|id| json!({"id": id, "text": "x".repeat(100)}))
        .collect();
    let more = to < RECORDS;
    let mut body = json!({ "data": { "items": items } });
    let next = format!("/items?from={to}");
    match paging {
        Paging::Cursor if more => body["meta"] = json!({ "next": to }),
        Paging::NextUrl if more => body["next"] = json!(next),
        _ => {}
    }
    let reply = Reply::json(&body);
    match paging {
        Paging::Link if more => reply.header("link", format!("<{next}>; rel=\"next\"")),
        _ => reply,
    }
}

/// The source that reads it.
pub(crate) fn source(paging: Paging, auth: Auth, url: &str) -> TestSource {
    let url = url.to_owned();
    TestSource::new(move |api| {
        let api = with_auth(api, auth, &url);
        let stream = api
            .stream("items", "/items")
            .records_at("data.items")
            .primary_key(["id"]);
        Ok(vec![with_pages(stream, paging)])
    })
}

fn secret(text: &str) -> SecretString {
    SecretString::new(text)
}

fn with_auth(api: HttpApi, auth: Auth, url: &str) -> HttpApi {
    let endpoint = format!("{url}/token");
    match auth {
        Auth::None => api,
        Auth::Key => api.auth(ApiKey::query("api_key", secret("key-secret"))),
        Auth::Basic => api.auth(Basic::new("user", secret("password-secret"))),
        Auth::Tokens => {
            let oauth = OAuth::client_credentials(endpoint, "id", secret("client-secret"));
            api.auth(TokenAuth::bearer(oauth))
        }
        Auth::Rotating => {
            let oauth = OAuth::refresh_token(endpoint, secret("refresh-secret-0"));
            let store = ConfigStore::new("credentials.refresh_token");
            api.auth(TokenAuth::bearer(oauth.rotating(Arc::new(store))))
        }
        Auth::Session => {
            let login = Url::parse(&format!("{url}/login")).expect("the mock's URL is valid");
            let login =
                SessionLogin::new(Request::new(cdk_http::Method::POST, login), "session.token");
            api.auth(TokenAuth::bearer(login))
        }
    }
}

fn with_pages(stream: HttpStream, paging: Paging) -> HttpStream {
    let query = Placement::query;
    match paging {
        Paging::Numbers => {
            stream.paginate(PageNumbers::new(query("page")).size(query("size"), PAGE))
        }
        Paging::Offsets => stream.paginate(OffsetPages::new(query("offset"), query("limit"), PAGE)),
        Paging::Cursor => stream.paginate(CursorPages::in_body("meta.next", query("from"))),
        Paging::NextUrl => stream.paginate(NextUrl::in_body("next")),
        Paging::Link => stream.paginate(LinkHeader),
    }
}
