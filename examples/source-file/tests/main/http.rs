//! Files behind URLs: what servers do, and who must act on it.

use std::io::Write;

use cdk_core::entrypoint::Exit;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::support::server::{Reply, Request, Server};
use crate::support::{Folder, Output, web};

/// More than is looked at to infer types.
const ROWS: usize = 100_000;
/// A place behind the part that is looked at.
const BEHIND_HEAD: usize = 1_450_000;

fn csv() -> Vec<u8> {
    let mut text = String::from("id,note\n");
    (0..ROWS).for_each(|row| text += &format!("{row},row {row}\n"));
    text.into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn read(server: &Server) -> Output {
    Folder::new()
        .read(&web(&format!("{}/file.csv", server.url), "csv"))
        .await
}

fn assert_complete(output: Output) {
    let records = output.expect_success().records();
    let expected: Vec<_> = (0..ROWS)
        .map(|row| format!(r#"{{"id":{row},"note":"row {row}"}}"#))
        .collect();
    assert!(records == expected, "{} records", records.len());
}

/// What a check of a URL with this answer says.
async fn checked(reply: Reply) -> String {
    let server = Server::start(move |_| reply.clone()).await;
    let url = server.url.replace("http://", "http://user:s3cr3t-pw@")
        + "/f.csv?Signature=abcdefghijklmnop";
    let output = Folder::new()
        .check(&web(&url, "csv"))
        .await
        .expect_success();
    assert!(!output.text.contains("s3cr3t-pw"), "{}", output.text);
    assert!(!output.text.contains("abcdefghijklmnop"), "{}", output.text);
    let (status, message) = output.status();
    assert_eq!(status, "FAILED");
    message
}

#[tokio::test]
async fn a_file_is_streamed() {
    let server = Server::of_file(csv()).await;
    assert_complete(read(&server).await);
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.path == "/file.csv")
    );
}

#[tokio::test]
async fn a_transfer_that_is_cut_goes_on_by_range() {
    let file = csv();
    let server =
        Server::start(move |request| Reply::ranged(request, &file, "\"v1\"").cut_at_most(400_000));
    let server = server.await;
    assert_complete(read(&server).await);
    let resumed: Vec<_> = server
        .requests()
        .into_iter()
        .filter(|request| request.range_start() > Some(0))
        .collect();
    assert!(resumed.len() >= 2, "{} ranges", resumed.len());
    assert!(
        resumed
            .iter()
            .all(|request| request.header("if-range") == Some("\"v1\""))
    );
}

#[tokio::test]
async fn a_cut_transfer_without_ranges_starts_over_and_skips() {
    let file = csv();
    let mut number = 0;
    let server = Server::start(move |_| {
        number += 1;
        let reply = Reply::new(200, file.clone()).header("ETag", "W/\"weak\"");
        if number < 5 {
            reply.cut_at(50_000 * number)
        } else {
            reply
        }
    });
    assert_complete(read(&server.await).await);
}

#[tokio::test]
async fn a_chunked_transfer_that_is_cut_is_noticed() {
    let file = csv();
    let mut number = 0;
    let server = Server::start(move |request: &Request| {
        number += 1;
        if number == 2 {
            // One chunk that promises more than comes.
            let mut body = b"fffff\r\n".to_vec();
            body.extend_from_slice(&file[..90_000]);
            let reply = Reply::new(200, body).header("Transfer-Encoding", "chunked");
            return Reply {
                has_no_length: true,
                ..reply.header("ETag", "\"v1\"")
            };
        }
        Reply::ranged(request, &file, "\"v1\"")
    });
    assert_complete(read(&server.await).await);
}

#[tokio::test]
async fn a_file_that_changes_during_the_transfer_is_never_mixed() {
    let file = csv();
    let server = Server::start(move |request| {
        let etag = if request.range_start().is_none() {
            "\"v1\""
        } else {
            "\"v2\""
        };
        Reply::ranged(request, &file, etag).cut_at_most(BEHIND_HEAD)
    })
    .await;
    let output = read(&server).await;
    assert_eq!(output.exit, Exit::Failure);
    let (kind, message) = output.error();
    assert_eq!(kind, "transient_error");
    assert!(message.contains("changed while it was read"), "{message}");
    assert!(output.records().len() > ROWS / 2);
}

#[tokio::test]
async fn a_transfer_that_never_gets_on_ends_as_transient_with_its_progress_saved() {
    let file = csv();
    let server = Server::start(move |request| {
        let left = BEHIND_HEAD.saturating_sub(request.range_start().unwrap_or(0));
        Reply::ranged(request, &file, "\"v1\"").cut_at(left)
    })
    .await;
    let output = read(&server).await;
    let (kind, message) = output.error();
    assert_eq!(
        (output.exit, kind.as_str()),
        (Exit::Failure, "transient_error")
    );
    assert!(message.contains("broke off"), "{message}");
    let states = output.states();
    assert_eq!(states.last().unwrap().0, output.records().len());
    assert!(output.records().len() > ROWS / 2);
}

#[tokio::test]
async fn gzip_is_found_by_its_bytes_whatever_the_headers_say() {
    let members = [gzip(&csv()[..1000]), gzip(&csv()[1000..])].concat();
    for (body, encoding) in [
        (members.clone(), None),
        (members.clone(), Some("gzip")),
        (gzip(&members), Some("gzip")),
        (csv(), Some("identity")),
    ] {
        let server = Server::start(move |_| {
            let reply = Reply::new(200, body.clone());
            encoding.map_or(reply.clone(), |encoding| {
                reply.header("Content-Encoding", encoding)
            })
        });
        assert_complete(read(&server.await).await);
    }
}

#[tokio::test]
async fn a_cut_packed_transfer_goes_on_by_range() {
    let file = gzip(&csv());
    let limit = file.len() / 3;
    let server =
        Server::start(move |request| Reply::ranged(request, &file, "\"v1\"").cut_at_most(limit));
    assert_complete(read(&server.await).await);
}

#[tokio::test]
async fn redirects_are_followed_but_not_in_circles() {
    let file = csv();
    let server = Server::start(move |request| match request.path.as_str() {
        "/file.csv" => Reply::new(302, "").header("Location", "/moved.csv"),
        _ => Reply::ranged(request, &file, "\"v1\""),
    });
    assert_complete(read(&server.await).await);
    let message = checked(Reply::new(302, "").header("Location", "/f.csv")).await;
    assert!(message.contains("redirects in a circle"), "{message}");
}

#[tokio::test]
async fn refusals_say_who_must_act_without_credentials() {
    for (status, part) in [
        (401, "refuses access"),
        (403, "refuses access"),
        (404, "There is no file"),
        (410, "There is no file"),
        (418, "instead of sending"),
        (204, "without sending"),
        (500, "failed (500"),
        (503, "failed (503"),
        (429, "come back later"),
    ] {
        let message = checked(Reply::new(status, "")).await;
        assert!(message.contains(part), "{status}: {message}");
        assert!(message.contains("/f.csv?…"), "{status}: {message}");
    }
    let page =
        checked(Reply::new(200, "<!DOCTYPE HTML>\n<html>").header("Content-Type", "text/html"));
    assert!(page.await.contains("is a web page"));
    let packed = checked(Reply::new(200, "x").header("Content-Encoding", "br")).await;
    assert!(packed.contains("`br`"), "{packed}");
}

#[tokio::test]
async fn failures_that_pass_are_waited_out() {
    let file = csv();
    let mut number = 0;
    let server = Server::start(move |request| {
        number += 1;
        match number {
            1 | 4 => Reply::new(503, ""),
            2 => Reply::new(429, "").header("Retry-After", "0"),
            _ => Reply::ranged(request, &file, "\"v1\""),
        }
    });
    assert_complete(read(&server.await).await);
}

#[tokio::test]
async fn a_permanent_refusal_is_not_tried_again() {
    let server = Server::start(|_| Reply::new(404, "")).await;
    let output = Folder::new().check(&web(&server.url, "csv")).await;
    assert_eq!(output.status().0, "FAILED");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn user_and_password_in_the_url_are_sent_as_basic_auth() {
    let server = Server::of_file(csv()).await;
    let url = server.url.replace("http://", "http://ada:pass@") + "/file.csv";
    assert_complete(Folder::new().read(&web(&url, "csv")).await);
    let requests = server.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.header("authorization") == Some("Basic YWRhOnBhc3M="))
    );
    assert!(
        requests
            .iter()
            .all(|request| request.header("user-agent").is_none())
    );
}

#[tokio::test]
async fn a_user_agent_is_sent_on_demand() {
    let server = Server::of_file(csv()).await;
    let mut config = web(&format!("{}/file.csv", server.url), "csv");
    config["provider"]["user_agent"] = json!(true);
    Folder::new().check(&config).await.expect_success();
    let agent = server.requests()[0]
        .header("user-agent")
        .unwrap()
        .to_owned();
    assert!(agent.starts_with("Airbyte/"), "{agent}");
}

#[tokio::test]
async fn unreachable_servers_are_told_apart() {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = folder
        .check(&web(&format!("http://127.0.0.1:{port}/f.csv"), "csv"))
        .await;
    assert!(
        refused.status().1.contains("No connection to the server"),
        "{}",
        refused.status().1
    );
    let unknown = folder
        .check(&web("http://no-such-host.invalid/f.csv", "csv"))
        .await;
    assert!(
        unknown.status().1.contains("could not be found"),
        "{}",
        unknown.status().1
    );
}

#[tokio::test]
async fn a_server_without_tls_is_a_config_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            drop(socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
        }
    });
    let output = Folder::new()
        .check(&web(&format!("https://127.0.0.1:{port}/f.csv"), "csv"))
        .await;
    server.abort();
    assert!(
        output.status().1.contains("No encrypted connection"),
        "{}",
        output.status().1
    );
}
