//! Everything that goes wrong on the way, with all kinds of credentials and pages.

use std::sync::Arc;
use std::time::Duration;

use cdk_core::entrypoint::Exit;
use cdk_core::protocol::FailureType;
use cdk_http::HttpTransport;
use cdk_testkit::http::{Fault, MockServer};
use futures::{StreamExt, stream};

use crate::api::{AUTHS, Auth, PAGINGS, Paging, RECORDS, SECRETS, serve, serve_with, source};
use crate::source::{TestSource, ids};

/// Combinations at a time.
const AT_ONCE: usize = 32;

fn combinations() -> impl Iterator<Item = (Paging, Auth)> {
    PAGINGS
        .into_iter()
        .flat_map(|paging| AUTHS.map(|auth| (paging, auth)))
}

/// Each kind of page and each kind of credentials at least once.
fn each_once() -> impl Iterator<Item = (Paging, Auth)> {
    PAGINGS.into_iter().cycle().zip(AUTHS)
}

/// With these faults at each request, every record arrives once.
async fn survives(script: &[Fault], paging: Paging, auth: Auth, over: &Transports) {
    let server = serve(paging, auth, script.to_vec()).await;
    arrives(&server, script, paging, auth, over).await;
}

async fn arrives(
    server: &MockServer,
    script: &[Fault],
    paging: Paging,
    auth: Auth,
    over: &Transports,
) {
    let what = format!("{script:?} {paging:?} {auth:?}");
    let transport = match script.contains(&Fault::Hang) {
        true => &over.impatient,
        false => &over.patient,
    };
    let source = source(paging, auth, &server.url()).over(transport);
    let ran = source.read(&server.url()).await;
    assert_eq!(ran.exit, Exit::Success, "{what}: {}", ran.text);
    let expected: Vec<i64> = (0..RECORDS as i64).collect();
    assert_eq!(ids(&ran, "items"), expected, "{what}");
    let logs = ran.logs().join("\n");
    let secret = SECRETS.iter().find(|secret| logs.contains(**secret));
    assert_eq!(secret, None, "{what}: {logs}");
}

/// What all runs of a test go through.
struct Transports {
    patient: Arc<HttpTransport>,
    /// It gives up on a server that says nothing for a while.
    impatient: Arc<HttpTransport>,
}

impl Transports {
    fn new() -> Self {
        let source = TestSource::new(|_| Ok(Vec::new()));
        Self {
            patient: source.transport(),
            impatient: source.impatient().transport(),
        }
    }
}

async fn all_of(runs: impl Iterator<Item = impl Future<Output = ()>>) {
    stream::iter(runs.map(Box::pin))
        .for_each_concurrent(AT_ONCE, |run| run)
        .await;
}

/// What goes wrong with each request, one after the other, before it succeeds.
const SCRIPTS: [&[Fault]; 8] = [
    &[],
    &[Fault::RateLimited(Some(7)), Fault::RateLimited(None)],
    &[Fault::Status(503), Fault::WebPage, Fault::Status(504)],
    &[Fault::CutBody, Fault::Close, Fault::TruncatedText],
    &[Fault::WrongEncoding],
    &[Fault::SlowDrip],
    &[Fault::WrongContentType],
    &[Fault::Hang],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_arrives_once_whatever_goes_wrong_with_whatever_credentials_and_pages() {
    let over = &Transports::new();
    let runs = SCRIPTS.into_iter().flat_map(|script| {
        combinations().map(move |(paging, auth)| survives(script, paging, auth, over))
    });
    all_of(runs).await;
}

/// The same where the token is fetched: at the login, and at each refresh.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_fetched_again_whatever_goes_wrong_with_them() {
    let over = &Transports::new();
    let runs = SCRIPTS.into_iter().flat_map(|script| {
        [Auth::Tokens, Auth::Session]
            .into_iter()
            .map(move |auth| async move {
                let (faults, at_tokens) = (script.to_vec(), script.to_vec());
                let server = serve_with(Paging::Offsets, auth, faults, at_tokens).await;
                arrives(&server, script, Paging::Offsets, auth, over).await;
            })
    });
    all_of(runs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_that_never_end_say_who_must_act() {
    let cases = [
        (
            Fault::RateLimited(Some(1)),
            FailureType::TransientError,
            "rate limit",
        ),
        (Fault::Status(503), FailureType::TransientError, "503"),
        (Fault::CutBody, FailureType::TransientError, "broke off"),
        (Fault::Close, FailureType::TransientError, "failed"),
        (
            Fault::WrongEncoding,
            FailureType::TransientError,
            "broke off",
        ),
        (
            Fault::TruncatedText,
            FailureType::TransientError,
            "ends in the middle",
        ),
        (Fault::Status(400), FailureType::SystemError, "400"),
        (Fault::Status(401), FailureType::ConfigError, "credentials"),
        (
            Fault::Status(403),
            FailureType::ConfigError,
            "something failed",
        ),
        (
            Fault::Status(404),
            FailureType::SystemError,
            "Check the URL",
        ),
        (Fault::Status(501), FailureType::SystemError, "501"),
    ];
    let over = &Transports::new();
    let runs = cases.into_iter().flat_map(|(fault, failure_type, words)| {
        each_once().map(move |(paging, auth)| async move {
            let what = format!("{fault:?} {paging:?} {auth:?}");
            let server = serve(paging, auth, vec![fault; 50]).await;
            let source = source(paging, auth, &server.url()).over(&over.patient);
            let ran = source.read(&server.url()).await;
            assert_eq!(ran.exit, Exit::Failure, "{what}");
            let error = ran.error();
            assert_eq!(error.failure_type, Some(failure_type), "{what}: {error:?}");
            for expected in [words, "items", "GET http://127.0.0.1"] {
                let is_said = error.message.contains(expected);
                // Tokens that are refused one after the other are told of all together.
                let is_of_all = auth == Auth::Several && error.message.contains("all tokens");
                assert!(is_said || is_of_all, "{what}: {}", error.message);
            }
            let secret = SECRETS
                .iter()
                .find(|secret| ran.logs().join("").contains(**secret));
            assert_eq!(secret, None, "{what}");
            let tries = server
                .requests()
                .iter()
                .filter(|it| it.path == "/items")
                .count();
            assert!(tries <= 6 + 1, "{what}: {tries} tries");
            let waited: Duration = source.timer.waits().iter().sum();
            assert!(waited < Duration::from_secs(600), "{what}: {waited:?}");
        })
    });
    all_of(runs).await;
}

#[tokio::test]
async fn retry_after_is_waited_for_exactly() {
    let server = serve(
        Paging::Cursor,
        Auth::None,
        vec![Fault::RateLimited(Some(7))],
    )
    .await;
    let source = source(Paging::Cursor, Auth::None, &server.url());
    let ran = source.read(&server.url()).await.succeeded();
    let seven = std::time::Duration::from_secs(7);
    assert_eq!(source.timer.waits(), [seven, seven, seven]);
    // The platform is told that the stream waits.
    assert!(ran.text.contains("\"RATE_LIMITED\""), "{}", ran.text);
}
