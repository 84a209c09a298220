//! Credentials, in whole reads.

use std::sync::Arc;

use cdk_core::entrypoint::Exit;
use cdk_http::header::{HeaderMap, HeaderName, HeaderValue};
use cdk_http::{Request, RequestBody, Response, StatusCode};
use serde_json::{Value, json};

use crate::api::{Answers, paged, pages, read, read_given, records, source, stream};

fn answer(request: &Request, headers: &[(&'static str, &'static str)], body: &Value) -> Response {
    let headers = headers.iter().map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    let headers: HeaderMap = headers.collect();
    Response::new(
        StatusCode::OK,
        headers,
        request.url.clone(),
        body.to_string(),
    )
}

fn credentials(request: &Request) -> &str {
    request.headers["authorization"].to_str().unwrap()
}

/// Token `a` has no call left after its first answer. The answers of `b` are of a window that is over.
fn rotating(request: &Request) -> Response {
    const NEXT: &str = "2024-06-15T13:00:00Z";
    if request.url.path() == "/quota" {
        return answer(request, &[], &json!({"left": 100, "reset": NEXT}));
    }
    let used = credentials(request);
    let headers = match used {
        "Bearer a" => [("x-left", "0"), ("x-reset", NEXT)],
        _ => [("x-left", "0"), ("x-reset", "2024-06-15T11:00:00Z")],
    };
    let first = request
        .url
        .query()
        .is_some_and(|query| query.contains("offset=4"));
    let items = vec![json!({ "token": used }); if first { 1 } else { 2 }];
    answer(request, &headers, &json!({ "data": items }))
}

#[tokio::test]
async fn headers_tell_what_a_quota_has_left_unless_they_are_late() {
    let mut items = stream("items", paged());
    items["retriever"]["requester"]["authenticator"] = json!({
        "type": "RateLimitedMultipleTokenAuthenticator", "tokens": ["a", "b"], "max_wait_time": "PT1S",
        "quotas": [{
            "type": "TokenQuota", "name": "all", "remaining_path": ["left"], "reset_path": ["reset"],
            "remaining_header": "X-Left", "reset_header": "X-Reset"
        }],
        "quota_status_source": {"type": "QuotaStatusSource", "url": "https://api.example.com/quota"}
    });
    let source = source(&[items], pages).with_transport(Arc::new(Answers(rotating)));
    let (exit, messages) = read(source, &["items"]).await;
    assert_eq!(exit, Exit::Success, "{messages:?}");
    let tokens = records(&messages, "items")
        .into_iter()
        .map(|record| record["token"].as_str().unwrap());
    assert_eq!(
        tokens.collect::<Vec<_>>(),
        ["Bearer a", "Bearer a", "Bearer b", "Bearer b", "Bearer b"]
    );
}

/// Each refresh token is good for one access token.
fn refreshing(request: &Request) -> Response {
    let body = match (&request.body, request.url.path()) {
        (RequestBody::Form(fields), "/token") => {
            let given = fields.iter().find(|(name, _)| name == "refresh_token");
            match given.map(|(_, value)| value.as_str()) {
                Some("r1") => {
                    json!({"access_token": "a1", "refresh_token": "r2", "expires_in": 600})
                }
                _ => json!({}),
            }
        }
        _ => json!({"data": [{ "used": credentials(request) }]}),
    };
    answer(request, &[], &body)
}

#[tokio::test]
async fn rotated_tokens_are_told_of_before_they_are_used() {
    let mut items = stream("items", json!({}));
    items["retriever"]["requester"]["authenticator"] = json!({
        "type": "OAuthAuthenticator",
        "token_refresh_endpoint": "https://api.example.com/token",
        "client_id": "me", "client_secret": "hush",
        "refresh_token": "{{ config['credentials']['refresh_token'] }}",
        "refresh_token_updater": {"refresh_token_name": "refresh_token"}
    });
    let source = source(&[items], pages).with_transport(Arc::new(Answers(refreshing)));
    let config = json!({"credentials": {"refresh_token": "r1"}, "other": 1});
    let (exit, messages) = read_given(source, &["items"], &config, &json!({})).await;
    assert_eq!(exit, Exit::Success, "{messages:?}");
    let place = |kind: &str| messages.iter().position(|message| message["type"] == kind);
    let control = place("CONTROL").unwrap();
    assert!(control < place("RECORD").unwrap());
    assert_eq!(
        messages[control]["control"]["connectorConfig"]["config"],
        json!({
            "credentials": {
                "refresh_token": "r2", "access_token": "a1", "token_expiry_date": "2024-06-15T12:10:00+00:00"
            },
            "other": 1
        })
    );
    assert_eq!(records(&messages, "items"), [&json!({"used": "Bearer a1"})]);
}
