//! Certificates that are trusted, and those that are not.

use std::sync::Arc;

use cdk_http::transport::{Proxy, TransportErrorKind};
use cdk_http::{HttpTransport, Request, Transport, TransportSettings, Url};
use cdk_testkit::http::{MockServer, Reply};
use cdk_testkit::servers::tls::{Authority, Identity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// TLS in front of `server`, on a port of its own.
pub(crate) async fn in_front_of(server: &MockServer, identity: &Identity) -> String {
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("PEM");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the test is set up")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("the test is set up");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("the test is set up");
    let port = listener.local_addr().expect("the test is set up").port();
    let inner = server.address();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Clients that don't trust the certificate hang up.
                let Ok(mut outside) = acceptor.accept(socket).await else {
                    return;
                };
                let mut inside = TcpStream::connect(inner).await.expect("the test is set up");
                drop(tokio::io::copy_bidirectional(&mut outside, &mut inside).await);
            });
        }
    });
    format!("https://localhost:{port}/")
}

async fn get(settings: &TransportSettings, url: &str) -> Result<u16, TransportErrorKind> {
    let transport = HttpTransport::new(settings).expect("the test is set up");
    let request = Request::get(Url::parse(url).expect("the test is set up"));
    let sent = transport.send(request).await;
    sent.map(|response| response.status.as_u16())
        .map_err(|error| error.kind())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_an_unknown_authority_is_trusted_once_its_authority_is_named() {
    let authority = Authority::new();
    let server = MockServer::serve(|_| Reply::text("x")).await;
    let url = in_front_of(&server, &authority.server("localhost")).await;
    let settings = TransportSettings::default().with_proxy(Proxy::Direct);
    assert_eq!(
        get(&settings, &url).await,
        Err(TransportErrorKind::Certificate)
    );
    let trusting = settings.clone().with_ca_pem(authority.certificate());
    assert_eq!(get(&trusting, &url).await, Ok(200));
    let other = in_front_of(&server, &authority.server("elsewhere.example")).await;
    assert_eq!(
        get(&trusting, &other).await,
        Err(TransportErrorKind::Certificate)
    );
}
