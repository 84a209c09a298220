//! The transport over reqwest.

use std::fmt;
use std::path::Path;

use async_trait::async_trait;
use cdk_core::{ConnectorError, ErrorContext, Result};
use futures::TryStreamExt;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Client, ClientBuilder};

use crate::request::Request;
use crate::response::{Response, ResponseBody};
use crate::transport::classify::classify;
use crate::transport::{Proxy, Transport, TransportError, TransportSettings};

/// A pool of connections: HTTP/1.1 and HTTP/2, TLS by rustls on ring with the system's certificates. Cheap to clone.
#[derive(Clone)]
pub struct HttpTransport(Client);

impl HttpTransport {
    /// A pool with these settings. A certificate or proxy that can't be read is a config error.
    pub fn new(settings: &TransportSettings) -> Result<Self> {
        install_tls();
        let mut builder = Client::builder()
            .connect_timeout(settings.connect_timeout)
            .read_timeout(settings.read_timeout)
            .pool_max_idle_per_host(settings.idle_connections)
            .cookie_store(settings.cookies)
            .http2_adaptive_window(true)
            .redirect(policy(settings.max_redirects));
        if let Some(timeout) = settings.total_timeout {
            builder = builder.timeout(timeout);
        }
        if let Some(agent) = &settings.user_agent {
            builder = builder.user_agent(agent);
        }
        if !settings.decompress {
            builder = builder.no_gzip().no_brotli().no_zstd().no_deflate();
        }
        builder = with_proxy(builder, &settings.proxy)?;
        builder = builder.tls_certs_merge(certificates(settings)?);
        let client = builder.build().system_error(
            "The HTTP client could not be made. Check that the machine has CA certificates installed, or name a file \
             of them in SSL_CERT_FILE.",
        )?;
        Ok(Self(client))
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, mut request: Request) -> Result<Response, TransportError> {
        let body = request.encoded_body();
        let mut builder = self
            .0
            .request(request.method, request.url)
            .headers(request.headers);
        if let Some(body) = body {
            builder = builder.body(body);
        }
        if let Some(timeout) = request.timeout {
            builder = builder.timeout(timeout);
        }
        let mut response = builder.send().await.map_err(classify)?;
        let headers = std::mem::take(response.headers_mut());
        Ok(Response {
            status: response.status(),
            headers,
            url: response.url().clone(),
            body: ResponseBody::chunks(response.bytes_stream().map_err(classify)),
        })
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpTransport")
    }
}

/// Makes ring the process's TLS provider, unless the process has chosen one.
pub(crate) fn install_tls() {
    // Fails when there is one already; then that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn with_proxy(builder: ClientBuilder, proxy: &Proxy) -> Result<ClientBuilder> {
    match proxy {
        Proxy::Environment => Ok(builder),
        Proxy::Direct => Ok(builder.no_proxy()),
        Proxy::Url(url) => {
            let proxy = reqwest::Proxy::all(url.expose()).config_error(
                "The URL of the proxy is not valid. Write it like http://user:password@proxy.example:3128.",
            )?;
            Ok(builder.proxy(proxy))
        }
    }
}

fn certificates(settings: &TransportSettings) -> Result<Vec<Certificate>> {
    let mut certificates = Vec::new();
    for pem in &settings.ca_pem {
        certificates.extend(parse_pem(pem.as_bytes(), "of the config")?);
    }
    for path in &settings.ca_files {
        certificates.extend(read_pem(path)?);
    }
    Ok(certificates)
}

fn read_pem(path: &Path) -> Result<Vec<Certificate>> {
    let place = format!("in {}", path.display());
    let pem = std::fs::read(path).config_error(format!(
        "The certificates {place} can't be read. Check REQUESTS_CA_BUNDLE or the config."
    ))?;
    parse_pem(&pem, &place)
}

fn parse_pem(pem: &[u8], place: &str) -> Result<Vec<Certificate>> {
    let found = Certificate::from_pem_bundle(pem).unwrap_or_default();
    if found.is_empty() {
        return Err(ConnectorError::config(format!(
            "The certificates {place} are not valid PEM text (-----BEGIN CERTIFICATE-----)."
        )));
    }
    Ok(found)
}

fn policy(max_redirects: usize) -> Policy {
    Policy::custom(move |attempt| follow(attempt, max_redirects))
}

fn follow(attempt: Attempt<'_>, max_redirects: usize) -> reqwest::redirect::Action {
    let is_downgrade = attempt.url().scheme() != "https"
        && attempt
            .previous()
            .last()
            .is_some_and(|from| from.scheme() == "https");
    if is_downgrade {
        return attempt.error("redirect from https to an unprotected address");
    }
    if attempt.previous().len() > max_redirects {
        return attempt.error("too many redirects");
    }
    attempt.follow()
}
