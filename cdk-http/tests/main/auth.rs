//! Credentials that are fetched, expire and rotate.

use std::sync::Arc;
use std::time::Duration;

use cdk_core::SecretString;
use cdk_core::entrypoint::Exit;
use cdk_core::protocol::{FailureType, MessageType};
use cdk_http::auth::{Jwt, OAuth, TokenAuth};
use cdk_http::errors::DefaultErrorHandler;
use cdk_testkit::http::{Expect, Fault, Faults, MockServer, Reply, Tokens};
use serde_json::json;

use crate::api::{Auth, Paging, serve, source};
use crate::source::{TestSource, ids};

#[tokio::test]
async fn single_use_refresh_tokens_are_persisted_before_the_next_request() {
    let server = serve(Paging::Offsets, Auth::Rotating, vec![]).await;
    let source = source(Paging::Offsets, Auth::Rotating, &server.url());
    let ran = source.read(&server.url()).await.succeeded();
    let controls = ran.printed(MessageType::Control);
    // Three pages, tokens that are good for two requests.
    assert_eq!(controls.len(), 2, "{}", ran.text);
    let config = &controls[1]["connectorConfig"]["config"];
    assert_eq!(config["credentials"]["refresh_token"], "refresh-secret-2");
    assert_eq!(config["url"], server.url());
    let first_record = ran.text.find("\"RECORD\"").unwrap();
    let first_control = ran.text.find("\"CONTROL\"").unwrap();
    assert!(
        first_control < first_record,
        "the token is kept before it is used"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_refresh_a_token_once() {
    let mut tokens = Tokens::good_for(1000).rotating("refresh-secret-0");
    let server = MockServer::serve(move |request| match request.path.as_str() {
        // Long enough for all streams to ask for a token meanwhile.
        "/token" => tokens.issue(request).delay(Duration::from_millis(50)),
        _ => tokens.guard(request, Reply::json(&json!([{"id": 1}]))),
    })
    .await;
    let url = server.url();
    let source = TestSource::new(move |api| {
        let secret = SecretString::new("refresh-secret-0");
        let oauth = OAuth::refresh_token(format!("{url}/token"), secret);
        let api = api.auth(TokenAuth::bearer(oauth));
        Ok((0..8).map(|i| api.stream(format!("s{i}"), "/x")).collect())
    });
    let ran = source.concurrency(8).read(&server.url()).await.succeeded();
    assert_eq!(ids(&ran, "s7"), [1]);
    let refreshes = server
        .requests()
        .iter()
        .filter(|it| it.path == "/token")
        .count();
    assert_eq!(refreshes, 1);
}

#[tokio::test]
async fn a_token_endpoint_that_fails_is_tried_again_and_a_refusal_is_the_users() {
    let mut faults = Faults::first([Fault::Status(503), Fault::CutBody]);
    let server = MockServer::serve(move |request| match request.path.as_str() {
        "/token" => faults.apply(
            request,
            Reply::json(&json!({"data": {"access_token": "t-secret"}})),
        ),
        "/refused" => Reply::json(&json!({"error": "invalid_grant"})).status(400),
        _ if request.header("authorization") == Some("Bearer t-secret") => {
            Reply::json(&json!([{"id": 1}]))
        }
        _ => Reply::error(401, "who are you"),
    })
    .await;
    let reading = |endpoint: &str| {
        let endpoint = format!("{}{endpoint}", server.url());
        TestSource::new(move |api| {
            let secret = SecretString::new("client-secret");
            let oauth =
                OAuth::client_credentials(endpoint.clone(), "id", secret).scopes(["a", "b"]);
            Ok(vec![api.auth(TokenAuth::bearer(oauth)).stream("s", "/x")])
        })
    };
    let ran = reading("/token").read(&server.url()).await.succeeded();
    assert_eq!(ids(&ran, "s"), [1]);
    let form = server.requests()[0].form();
    assert!(
        form.contains(&("scope".to_owned(), "a b".to_owned())),
        "{form:?}"
    );
    let ran = reading("/refused").read(&server.url()).await;
    assert_eq!(ran.exit, Exit::Failure);
    let error = ran.error();
    assert_eq!(error.failure_type, Some(FailureType::ConfigError));
    assert!(
        error.message.contains("invalid_grant") && error.message.contains("authenticate again"),
        "{error:?}"
    );
    assert!(!ran.text.contains("client-secret"), "{}", ran.text);
}

#[tokio::test]
async fn a_token_that_expires_early_is_renewed_without_a_retry() {
    let mut tokens = Tokens::good_for(1);
    let server = MockServer::serve(move |request| match request.path.as_str() {
        "/token" => tokens.issue(request),
        "/refused" => Reply::error(401, "never"),
        _ => tokens.guard(request, Reply::json(&json!([{"id": 1}]))),
    })
    .await;
    let url = server.url();
    let source = TestSource::new(move |api| {
        let secret = SecretString::new("client-secret");
        let oauth = OAuth::client_credentials(format!("{url}/token"), "id", secret);
        let errors = DefaultErrorHandler::new().max_retries(0);
        let api = api.auth(TokenAuth::bearer(oauth)).errors(errors);
        let streams = ["/a", "/b", "/refused"].map(|path| api.stream(&path[1..], path));
        Ok(streams.into())
    });
    let ran = source.concurrency(1).read(&server.url()).await;
    assert_eq!(
        (ids(&ran, "a"), ids(&ran, "b")),
        (vec![1], vec![1]),
        "{}",
        ran.text
    );
    // New credentials are tried once: what refuses them too is the user's to mend.
    assert_eq!(ran.exit, Exit::Failure);
    assert_eq!(ran.error().failure_type, Some(FailureType::ConfigError));
    let refused = server.requests();
    let refused = refused.iter().filter(|it| it.path == "/refused").count();
    assert_eq!(refused, 2);
}

#[tokio::test]
async fn a_signed_assertion_is_exchanged_for_a_token() {
    let server = MockServer::start().await;
    let jwt = Jwt::try_new("HS256", SecretString::new("jwt-secret")).unwrap();
    let jwt = jwt.claim("iss", "me").unwrap();
    let signed = jwt.sign(crate::source::NOW_MS).unwrap();
    server.expect(
        Expect::post("/token").form([
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", signed.expose()),
        ]),
        Reply::json(&json!({"access_token": "t", "expires_in": "3600"})),
    );
    server.expect(
        Expect::get("/x").header("authorization", "Bearer t"),
        Reply::json(&json!([])),
    );
    let endpoint = format!("{}/token", server.url());
    let source = TestSource::new(move |api| {
        let oauth = OAuth::assertion(endpoint.clone(), jwt.clone());
        Ok(vec![
            api.auth_shared(Arc::new(TokenAuth::bearer(oauth)))
                .stream("s", "/x"),
        ])
    });
    source.read(&server.url()).await.succeeded();
    server.verify();
}

#[tokio::test]
async fn tokens_take_turns_by_quota_and_wait_when_all_are_used_up() {
    let mut used = std::collections::HashMap::new();
    let server = MockServer::serve(move |request| {
        let token = request
            .header("authorization")
            .unwrap_or_default()
            .to_owned();
        if token.ends_with("revoked") {
            return Reply::error(401, "revoked");
        }
        let used = used.entry(token).or_insert(0);
        *used += 1;
        let left = 2_u64.saturating_sub((*used - 1) % 3);
        let reply = if left == 0 {
            Reply::error(429, "used up")
        } else {
            Reply::json(&json!([{"id": 1}]))
        };
        let left = left.saturating_sub(1).to_string();
        reply
            .header("x-ratelimit-remaining", left)
            .header("x-ratelimit-reset", "30")
    })
    .await;
    let source = TestSource::new(|api| {
        let tokens = ["token-secret-1", "revoked", "token-secret-2"].map(SecretString::new);
        let api = api.auth(cdk_http::auth::RotatingTokens::bearer(tokens));
        Ok((0..6).map(|i| api.stream(format!("s{i}"), "/x")).collect())
    });
    let ran = source.read(&server.url()).await.succeeded();
    assert_eq!(ids(&ran, "s5"), [1]);
    assert!(!ran.text.contains("token-secret"), "{}", ran.text);
    let revoked = server
        .requests()
        .iter()
        .filter(|it| it.header("authorization") == Some("Bearer revoked"))
        .count();
    assert_eq!(revoked, 1, "a refused token is not used again");
    // Two tokens of two requests each: the fifth waits for the reset.
    assert!(
        source.timer.waits().iter().any(|wait| wait.as_secs() == 30),
        "{:?}",
        source.timer.waits()
    );
}
