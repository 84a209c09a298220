//! Everything that goes wrong on the way, with all kinds of credentials and pages.

use cdk_core::entrypoint::Exit;
use cdk_core::protocol::FailureType;
use cdk_testkit::http::Fault;
use futures::{StreamExt, stream};

use crate::api::{AUTHS, Auth, PAGINGS, Paging, RECORDS, SECRETS, serve, source};
use crate::source::ids;

/// Combinations at a time.
const AT_ONCE: usize = 8;

fn combinations() -> impl Iterator<Item = (Paging, Auth)> {
    PAGINGS
        .into_iter()
        .flat_map(|paging| AUTHS.map(|auth| (paging, auth)))
}

/// With these faults at each request, every record arrives once.
async fn survives(faults: Vec<Fault>) {
    let runs = combinations().map(|(paging, auth)| {
        let faults = faults.clone();
        async move {
            let server = serve(paging, auth, faults.clone()).await;
            let ran = source(paging, auth, &server.url())
                .read(&server.url())
                .await;
            let what = format!("{faults:?} {paging:?} {auth:?}");
            assert_eq!(ran.exit, Exit::Success, "{what}: {}", ran.text);
            let expected: Vec<i64> = (0..RECORDS as i64).collect();
            assert_eq!(ids(&ran, "items"), expected, "{what}");
            let logs = ran.logs().join("\n");
            assert!(
                !SECRETS.iter().any(|secret| logs.contains(secret)),
                "{what}: {logs}"
            );
        }
    });
    stream::iter(runs)
        .for_each_concurrent(AT_ONCE, |run| run)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_without_faults() {
    survives(vec![]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_for() {
    survives(vec![Fault::RateLimited(Some(7)), Fault::RateLimited(None)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storms_of_server_errors_pass() {
    survives(vec![Fault::Status(503), Fault::WebPage, Fault::Status(504)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_break_off_are_fetched_again() {
    survives(vec![Fault::CutBody, Fault::Close, Fault::TruncatedText]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_can_not_be_unpacked_are_fetched_again() {
    survives(vec![Fault::WrongEncoding]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_answers_and_wrong_content_types_are_read() {
    survives(vec![Fault::SlowDrip]).await;
    survives(vec![Fault::WrongContentType]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hung_connections_are_given_up_and_tried_again() {
    // A hang takes the read timeout, so not all combinations.
    let cases = [
        (Paging::Cursor, Auth::None),
        (Paging::Numbers, Auth::Rotating),
    ];
    let runs = cases.map(|(paging, auth)| async move {
        let server = serve(paging, auth, vec![Fault::Hang]).await;
        let source = source(paging, auth, &server.url()).impatient();
        let ran = source.read(&server.url()).await;
        assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
        assert_eq!(ids(&ran, "items").len() as u64, RECORDS);
    });
    futures::future::join_all(runs).await;
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
    for (fault, failure_type, words) in cases {
        let server = serve(Paging::Numbers, Auth::Key, vec![fault; 20]).await;
        let source = source(Paging::Numbers, Auth::Key, &server.url());
        let ran = source.read(&server.url()).await;
        assert_eq!(ran.exit, Exit::Failure, "{fault:?}");
        let error = ran.error();
        assert_eq!(
            error.failure_type,
            Some(failure_type),
            "{fault:?}: {error:?}"
        );
        for expected in [words, "items", "GET http://127.0.0.1"] {
            assert!(
                error.message.contains(expected),
                "{fault:?}: {}",
                error.message
            );
        }
        assert!(!ran.text.contains("key-secret"), "{fault:?}: {}", ran.text);
        assert!(server.requests().len() <= 6, "{fault:?}: too many tries");
    }
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
