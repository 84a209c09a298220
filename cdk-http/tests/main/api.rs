//! An API of 25 records, in all the ways in which APIs cut pages and check credentials.

use cdk_core::SecretString;
use cdk_http::auth::{
    ApiKey, AwsSigV4, Basic, Bearer, ConfigStore, Jwt, OAuth, RotatingTokens, SessionLogin,
    TokenAuth,
};
use cdk_http::paginate::{CursorPages, LinkHeader, NextUrl, OffsetPages, PageNumbers};
use cdk_http::{HttpApi, HttpStream, Placement, Request, Url};
use cdk_testkit::http::{Fault, Faults, MockServer, Reply, SeenRequest, Tokens};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::source::{NOW_MS, TestSource};

pub(crate) const RECORDS: u64 = 25;
const PAGE: u64 = 10;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Paging {
    Numbers,
    Offsets,
    Cursor,
    HeaderCursor,
    NextUrl,
    Link,
}

pub(crate) const PAGINGS: [Paging; 6] = [
    Paging::Numbers,
    Paging::Offsets,
    Paging::Cursor,
    Paging::HeaderCursor,
    Paging::NextUrl,
    Paging::Link,
];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Auth {
    None,
    /// A key in the query.
    Key,
    HeaderKey,
    Cookie,
    Basic,
    Bearer,
    /// A token that is signed anew for each request.
    Signed,
    /// An AWS signature of each request.
    Aws,
    /// Two tokens that take turns.
    Several,
    /// Access tokens that are good for two requests.
    Tokens,
    /// The same, with refresh tokens that can be used once.
    Rotating,
    Session,
}

pub(crate) const AUTHS: [Auth; 12] = [
    Auth::None,
    Auth::Key,
    Auth::HeaderKey,
    Auth::Cookie,
    Auth::Basic,
    Auth::Bearer,
    Auth::Signed,
    Auth::Aws,
    Auth::Several,
    Auth::Tokens,
    Auth::Rotating,
    Auth::Session,
];

/// What no log may show.
pub(crate) const SECRETS: [&str; 8] = [
    "key-secret",
    "password-secret",
    "client-secret",
    "refresh-secret",
    "access-secret",
    "token-secret",
    "jwt-secret",
    "aws-secret",
];

/// The server; every data request fails first as `faults` says.
pub(crate) async fn serve(paging: Paging, auth: Auth, faults: Vec<Fault>) -> MockServer {
    serve_with(paging, auth, faults, Vec::new()).await
}

/// The same, and what gives out tokens fails as `at_tokens` says before it succeeds, again and again.
pub(crate) async fn serve_with(
    paging: Paging,
    auth: Auth,
    faults: Vec<Fault>,
    at_tokens: Vec<Fault>,
) -> MockServer {
    let mut faults = Faults::first(faults);
    let mut asked = 0;
    let mut token_reply = move |reply| {
        let fault = at_tokens.get(asked % (at_tokens.len() + 1));
        asked += 1;
        match fault {
            Some(fault) => fault.spoil(reply),
            None => reply,
        }
    };
    let mut tokens = Tokens::good_for(2);
    if auth == Auth::Rotating {
        tokens = tokens.rotating("refresh-secret-0");
    }
    MockServer::serve(move |request| match request.path.as_str() {
        "/token" => token_reply(tokens.issue(request)),
        "/login" => {
            let answer = tokens.issue(request);
            let token = format!("access-secret-{}", tokens.issued());
            drop(answer);
            token_reply(Reply::json(&json!({"session": {"token": token}})))
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
    let sent = request.header("authorization");
    let is_right = match auth {
        Auth::None => true,
        Auth::Key => request.query("api_key") == Some("key-secret"),
        Auth::HeaderKey => request.header("x-api-key") == Some("key-secret"),
        Auth::Cookie => request.header("cookie") == Some("session=key-secret"),
        Auth::Bearer => sent == Some("Bearer token-secret"),
        Auth::Signed => {
            let expected = jwt().sign(NOW_MS).expect("the test is set up");
            sent == Some(&format!("Bearer {}", expected.expose()))
        }
        Auth::Aws => sent == Some(&aws_signature(request)),
        Auth::Several => {
            matches!(
                sent,
                Some("Bearer token-secret-1" | "Bearer token-secret-2")
            )
        }
        // user:password-secret
        Auth::Basic => sent == Some("Basic dXNlcjpwYXNzd29yZC1zZWNyZXQ="),
        Auth::Tokens | Auth::Rotating | Auth::Session => return tokens.guard(request, reply),
    };
    match is_right {
        true => reply,
        false => Reply::error(401, "bad credentials"),
    }
}

fn jwt() -> Jwt {
    let jwt = Jwt::try_new("HS256", secret("jwt-secret")).expect("the algorithm is known");
    jwt.claim("iss", "me").expect("the claim is free")
}

fn aws() -> AwsSigV4 {
    AwsSigV4::new("AKID", secret("aws-secret"), "us-east-1", "execute-api")
}

/// The signature of a request as it came.
fn aws_signature(request: &SeenRequest) -> String {
    let host = request.header("host").unwrap_or_default();
    let url = Url::parse(&format!("http://{host}{}", request.path));
    let mut expected = Request::get(url.expect("a request has a path"));
    for (name, value) in &request.query {
        expected.add_query(name, value);
    }
    aws()
        .sign(&mut expected, NOW_MS)
        .expect("the test is set up");
    let value = expected.headers.get("authorization");
    let value = value.and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

fn page(request: &SeenRequest, paging: Paging) -> Reply {
    let from = match paging {
        Paging::Numbers => (request.number("page").unwrap_or(1) - 1) * PAGE,
        Paging::Offsets => request.number("offset").unwrap_or(0),
        Paging::Cursor | Paging::HeaderCursor | Paging::NextUrl | Paging::Link => {
            request.number("from").unwrap_or(0)
        }
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
        Paging::HeaderCursor if more => reply.header("x-next", to.to_string()),
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
        Auth::HeaderKey => api.auth(ApiKey::header("x-api-key", secret("key-secret"))),
        Auth::Cookie => {
            let place = Placement::Cookie("session".to_owned());
            api.auth(ApiKey::new(place, secret("key-secret")))
        }
        Auth::Bearer => api.auth(Bearer::new(secret("token-secret"))),
        Auth::Signed => api.auth(TokenAuth::bearer(jwt())),
        Auth::Aws => api.auth(aws()),
        Auth::Several => {
            let tokens = ["token-secret-1", "token-secret-2"].map(SecretString::new);
            api.auth(RotatingTokens::bearer(tokens))
        }
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
        Paging::HeaderCursor => stream.paginate(CursorPages::in_header("x-next", query("from"))),
        Paging::NextUrl => stream.paginate(NextUrl::in_body("next")),
        Paging::Link => stream.paginate(LinkHeader),
    }
}
