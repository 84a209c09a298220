//! APIs that answer with something else than they should.

use cdk_core::entrypoint::Exit;
use cdk_core::protocol::FailureType;
use cdk_http::Placement;
use cdk_http::auth::ApiKey;
use cdk_http::decode::{Csv, Decoded};
use cdk_http::paginate::{CursorPages, NextUrl, PageNumbers};
use cdk_testkit::Ran;
use cdk_testkit::http::{MockServer, Reply};
use cdk_testkit::servers::tls::Authority;
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

/// What is wrong with the second page, and what the user is told.
struct BadPage {
    name: &'static str,
    /// Where the first page says the second one is.
    next: String,
    reply: Reply,
    failure_type: FailureType,
    /// Besides stream, method and URL: the status, the API's own words, the advice.
    words: &'static [&'static str],
}

fn bad(
    name: &'static str,
    reply: Reply,
    failure_type: FailureType,
    words: &'static [&'static str],
) -> BadPage {
    BadPage {
        name,
        next: "/items?page=2".to_owned(),
        reply,
        failure_type,
        words,
    }
}

fn elsewhere(
    name: &'static str,
    next: String,
    failure_type: FailureType,
    words: &'static [&'static str],
) -> BadPage {
    BadPage {
        next,
        ..bad(name, Reply::text(""), failure_type, words)
    }
}

fn bad_pages(unencrypted: &str, untrusted: &str) -> Vec<BadPage> {
    use FailureType::{ConfigError, SystemError, TransientError};
    // The API repeats what it was sent.
    let refusal = Reply::error(401, "the key key-secret was revoked");
    let failure =
        json!({"data": null, "error": {"message": "project is gone", "key": "key-secret"}});
    let again = json!({"data": [{"id": 2}], "next": "/items?page=2"});
    vec![
        bad(
            "wrong credentials",
            refusal,
            ConfigError,
            &["401", "was revoked", "Check the credentials"],
        ),
        bad(
            "a path that is not there",
            Reply::error(404, "no such thing"),
            SystemError,
            &["404", "no such thing", "Check the URL"],
        ),
        bad(
            "a web page",
            Reply::new(200, "<!DOCTYPE html><title>Sign in</title>"),
            ConfigError,
            &["web page", "Check the URL and the credentials"],
        ),
        bad(
            "JSON that ends in the middle",
            Reply::text(r#"{"data":[{"id":2},{"id"#),
            TransientError,
            &["ends in the middle", "again later"],
        ),
        bad(
            "text in another encoding",
            Reply::new(200, b"{\"data\":[{\"id\":2,\"a\":\"caf\xE9\"}]}"),
            SystemError,
            &["encoding"],
        ),
        bad(
            "redirects in a circle",
            Reply::new(302, "").header("location", "/items?page=2"),
            ConfigError,
            &["redirects"],
        ),
        bad(
            "a success that holds an error",
            Reply::json(&failure),
            SystemError,
            &["holds an error", "project is gone"],
        ),
        bad(
            "pages that never end",
            Reply::json(&again),
            SystemError,
            &["never end"],
        ),
        elsewhere(
            "a server without TLS",
            unencrypted.replace("http://", "https://") + "/items",
            ConfigError,
            &["encrypted", "http://"],
        ),
        elsewhere(
            "a certificate that nobody vouches for",
            format!("{untrusted}items"),
            ConfigError,
            &["certificate", "SSL_CERT_FILE"],
        ),
        elsewhere(
            "a host that does not exist",
            "http://no-such-host.invalid/items".to_owned(),
            TransientError,
            &["no-such-host.invalid", "could not be found"],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_bad_page_is_told_of_with_its_place_and_without_secrets_and_what_came_before_is_kept()
{
    let plain = MockServer::serve(|_| Reply::text("x")).await;
    let untrusted = Authority::new().server("localhost");
    let untrusted = crate::tls::in_front_of(&plain, &untrusted).await;
    for page in bad_pages(&plain.url(), &untrusted) {
        let name = page.name;
        let (next, reply) = (page.next.clone(), page.reply.clone());
        let server = MockServer::serve(move |request| match request.number("page") {
            Some(_) => reply.clone(),
            None => Reply::json(&json!({"data": [{"id": 1}], "next": next})),
        })
        .await;
        let source = TestSource::new(|api| {
            let key = cdk_core::SecretString::new("key-secret");
            let api = api.auth(ApiKey::query("api_key", key));
            let stream = api.stream("items", "/items").records_at("data");
            Ok(vec![stream.paginate(NextUrl::in_body("next"))])
        });
        let ran = source.read(&server.url()).await;
        assert_eq!(ran.exit, Exit::Failure, "{name}");
        let error = ran.error();
        assert_eq!(
            error.failure_type,
            Some(page.failure_type),
            "{name}: {error:?}"
        );
        for words in ["items", "GET http", "/items"].iter().chain(page.words) {
            assert!(error.message.contains(words), "{name}: {}", error.message);
        }
        let printed = ran.traces().len();
        assert!(
            printed > 0 && !ran.logs().join("").contains("key-secret"),
            "{name}"
        );
        assert!(
            !format!("{:?}", ran.errors()).contains("key-secret"),
            "{name}"
        );
        assert_eq!(crate::source::ids(&ran, "items"), [1], "{name}");
        let last = crate::source::states(&ran, "items").pop().expect("a state");
        let kept = &last[0]["stream"]["stream_state"]["next_page"];
        let kept = kept.as_str().unwrap_or_default();
        assert!(kept.ends_with(&page.next), "{name}: {kept}");
    }
}
