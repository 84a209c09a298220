//! APIs that answer with something else than they should.

use cdk_core::entrypoint::Exit;
use cdk_core::protocol::FailureType;
use cdk_http::Placement;
use cdk_http::decode::{Csv, Decoded};
use cdk_http::paginate::{CursorPages, PageNumbers};
use cdk_testkit::Ran;
use cdk_testkit::http::{MockServer, Reply};
use serde_json::json;

use crate::source::TestSource;

fn items() -> TestSource {
    TestSource::new(|api| Ok(vec![api.stream("items", "/items").records_at("data")]))
}

fn fails(ran: &Ran, failure_type: FailureType, words: &str) {
    assert_eq!(ran.exit, Exit::Failure, "{}", ran.text);
    let error = ran.error();
    assert_eq!(error.failure_type, Some(failure_type), "{error:?}");
    assert!(error.message.contains(words), "{}", error.message);
    assert!(error.message.contains("items"), "{}", error.message);
}

async fn read_of(reply: Reply) -> Ran {
    let server = MockServer::serve(move |_| reply.clone()).await;
    items().read(&server.url()).await
}

#[tokio::test]
async fn a_web_page_is_told_from_json() {
    let page = Reply::new(200, "<!DOCTYPE html><title>Sign in</title>");
    let ran = read_of(page).await;
    fails(&ran, FailureType::ConfigError, "web page");
}

#[tokio::test]
async fn a_success_that_holds_an_error_is_a_failure() {
    let reply = Reply::json(&json!({"error": {"message": "project is gone"}}));
    let ran = read_of(reply).await;
    fails(&ran, FailureType::SystemError, "project is gone");
}

#[tokio::test]
async fn records_that_are_none_are_named_by_their_place() {
    let ran = read_of(Reply::json(&json!({"data": "many"}))).await;
    fails(&ran, FailureType::SystemError, "`data`");
}

#[tokio::test]
async fn text_in_another_encoding_is_refused_or_decoded() {
    let server = MockServer::serve(|_| Reply::new(200, b"{\"data\":[{\"a\":\"caf\xE9\"}]}")).await;
    let ran = items().read(&server.url()).await;
    fails(&ran, FailureType::SystemError, "encoding");
    let reply = |_: &_| {
        Reply::new(200, b"name\ncaf\xE9\n").header("content-type", "text/csv; charset=latin1")
    };
    let server = MockServer::serve(reply).await;
    let csv = TestSource::new(|api| {
        let decoder = Decoded::by_header(Csv::new());
        Ok(vec![api.stream("items", "/items").decode(decoder)])
    });
    let ran = csv.read(&server.url()).await.succeeded();
    assert_eq!(ran.data("items"), [json!({"name": "café"})]);
}

#[tokio::test]
async fn pages_that_never_end_are_an_error() {
    // The API ignores the page that is asked for.
    let server =
        MockServer::serve(|_| Reply::json(&json!({"data": [{"id": 1}], "next": "same"}))).await;
    let numbered = TestSource::new(|api| {
        let stream = api.stream("items", "/items").records_at("data");
        Ok(vec![
            stream.paginate(PageNumbers::new(Placement::query("page"))),
        ])
    });
    let ran = numbered.read(&server.url()).await;
    fails(&ran, FailureType::SystemError, "never end");
    assert!(server.requests().len() < 20);
    let cursor = TestSource::new(|api| {
        let pages = CursorPages::in_body("next", Placement::query("after"));
        Ok(vec![
            api.stream("items", "/items")
                .records_at("data")
                .paginate(pages),
        ])
    });
    let before = server.requests().len();
    let ran = cursor.read(&server.url()).await;
    fails(&ran, FailureType::SystemError, "named before");
    assert!(server.requests().len() - before <= 3);
}

#[tokio::test]
async fn redirects_in_a_circle_are_the_users() {
    let server = MockServer::serve(|_| Reply::new(302, "").header("location", "/items")).await;
    let ran = items().read(&server.url()).await;
    fails(&ran, FailureType::ConfigError, "redirects");
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_that_is_down() {
    let server = MockServer::serve(|_| Reply::text("x")).await;
    let https = server.url().replace("http://", "https://");
    let ran = items().read(&https).await;
    fails(&ran, FailureType::ConfigError, "encrypted");
    let url = server.url();
    drop(server);
    let ran = items().read(&url).await;
    fails(&ran, FailureType::TransientError, "no connection");
}

#[tokio::test]
async fn a_host_that_does_not_exist_is_named() {
    let ran = items().read("http://no-such-host.invalid").await;
    fails(&ran, FailureType::TransientError, "no-such-host.invalid");
    assert!(
        ran.error().message.contains("could not be found"),
        "{}",
        ran.error().message
    );
}

#[tokio::test]
async fn check_says_what_is_wrong() {
    let server = MockServer::serve(|_| Reply::error(401, "key revoked")).await;
    let ran = items().check(&server.url()).await;
    assert_eq!(ran.exit, Exit::Success);
    let message = ran.connection_status().message.clone().unwrap_or_default();
    assert!(
        message.contains("key revoked") && message.contains("credentials"),
        "{message}"
    );
}

#[tokio::test]
async fn records_before_a_failure_and_their_state_are_kept() {
    let server = MockServer::serve(|request| match request.number("page") {
        Some(3) => Reply::error(400, "no"),
        page => Reply::json(&json!({"data": [{"id": page}]})),
    })
    .await;
    let numbered = TestSource::new(|api| {
        let stream = api.stream("items", "/items").records_at("data");
        Ok(vec![
            stream.paginate(PageNumbers::new(Placement::query("page"))),
        ])
    });
    let ran = numbered.read(&server.url()).await;
    fails(&ran, FailureType::SystemError, "400");
    assert_eq!(crate::source::ids(&ran, "items"), [1, 2]);
    let last = crate::source::states(&ran, "items").pop().unwrap();
    assert_eq!(last[0]["stream"]["stream_state"], json!({"next_page": 3}));
}
