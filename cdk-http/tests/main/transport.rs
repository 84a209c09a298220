//! The transport alone.

use std::time::Duration;

use cdk_http::transport::{Proxy, TransportErrorKind};
use cdk_http::{HttpTransport, Request, Transport, TransportSettings, Url};
use cdk_testkit::http::{MockServer, Reply};

fn settings() -> TransportSettings {
    TransportSettings::default().with_proxy(Proxy::Direct)
}

async fn send(settings: &TransportSettings, url: &str) -> Result<String, TransportErrorKind> {
    let transport = HttpTransport::new(settings).expect("the test is set up");
    let request = Request::get(Url::parse(url).expect("the test is set up"));
    let mut response = transport
        .send(request)
        .await
        .map_err(|error| error.kind())?;
    let body = response
        .body
        .bytes(1 << 20)
        .await
        .map_err(|error| error.kind())?;
    Ok(String::from_utf8(body.expect("the test is set up").to_vec()).expect("the test is set up"))
}

#[tokio::test]
async fn cookies_are_kept_only_when_asked_for() {
    for is_kept in [false, true] {
        let server = MockServer::serve(|_| Reply::text("x").header("set-cookie", "a=1")).await;
        let settings = if is_kept {
            settings().with_cookies()
        } else {
            settings()
        };
        let transport = HttpTransport::new(&settings).unwrap();
        for _ in 0..2 {
            let request = Request::get(Url::parse(&server.url()).unwrap());
            transport.send(request).await.unwrap();
        }
        let sent = server.requests()[1].header("cookie").map(str::to_owned);
        assert_eq!(sent.as_deref(), is_kept.then_some("a=1"));
    }
}

#[tokio::test]
async fn packed_bodies_are_asked_for_and_can_be_left_packed() {
    let server = MockServer::serve(|request| {
        Reply::text(
            request
                .header("accept-encoding")
                .unwrap_or("none")
                .to_owned(),
        )
    })
    .await;
    let asked = send(&settings(), &server.url()).await.unwrap();
    for packing in ["gzip", "br", "zstd", "deflate"] {
        assert!(asked.contains(packing), "{asked}");
    }
    let plain = settings().without_decompression();
    assert_eq!(send(&plain, &server.url()).await.unwrap(), "none");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let server = MockServer::serve(|_| Reply::text("x").hang()).await;
    let impatient = settings().with_read_timeout(Duration::from_millis(50));
    assert_eq!(
        send(&impatient, &server.url()).await,
        Err(TransportErrorKind::Timeout)
    );
    let hasty = settings().with_total_timeout(Duration::from_millis(50));
    assert_eq!(
        send(&hasty, &server.url()).await,
        Err(TransportErrorKind::Timeout)
    );
}

#[tokio::test]
async fn requests_go_through_the_proxy_that_is_set() {
    let proxy = MockServer::serve(|request| Reply::text(request.path.clone())).await;
    let url = cdk_core::SecretString::new(proxy.url());
    let through = settings().with_proxy(Proxy::Url(url));
    let seen = send(&through, "http://api.invalid/a").await.unwrap();
    assert_eq!(seen, "http://api.invalid/a");
}

#[tokio::test]
async fn certificates_that_are_none_are_config_errors() {
    let error = HttpTransport::new(&settings().with_ca_pem("no PEM")).unwrap_err();
    assert!(error.message().contains("PEM"), "{error}");
    let mut missing = settings();
    missing.ca_files.push("/no/such/file.pem".into());
    let error = HttpTransport::new(&missing).unwrap_err();
    assert!(error.message().contains("/no/such/file.pem"), "{error}");
}
