//! The HTTP client, and the URL it is given.

use cdk_core::{ConnectorError, ErrorContext, Result};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Url};

use crate::http::HttpSettings;

const MAX_REDIRECTS: usize = 10;

/// Makes a client. TLS is rustls on ring, with the roots of the operating system.
pub(super) fn build(has_user_agent: bool, settings: &HttpSettings) -> Result<Client> {
    // Fails when the process has a provider already; then that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.read_timeout)
        // Bodies arrive as the server stores them, whatever features of reqwest other crates turn on: positions of
        // a resumed transfer count those bytes.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .redirect(Policy::custom(follow));
    if has_user_agent {
        let version = env!("CARGO_PKG_VERSION");
        builder = builder.user_agent(format!("Airbyte/{version} (source-file, Rust CDK)"));
    }
    builder.build().system_error(
        "The HTTP client could not be made. Check that the machine has CA certificates installed.",
    )
}

fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let is_downgrade = attempt.url().scheme() != "https"
        && attempt
            .previous()
            .last()
            .is_some_and(|from| from.scheme() == "https");
    if is_downgrade {
        return attempt.error("redirect from https to an unprotected address");
    }
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error("too many redirects");
    }
    attempt.follow()
}

/// Parses a URL; without a scheme it is an `https` one.
pub(super) fn parse_url(text: &str) -> Result<Url> {
    let with_scheme = match text.contains("://") {
        true => text.to_owned(),
        false => format!("https://{text}"),
    };
    // The text is not repeated: it may hold a password.
    let url = Url::parse(&with_scheme).config_error(
        "`url` is not a valid URL. Write it like https://storage.example.com/sales.csv.",
    )?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(ConnectorError::config(format!(
            "`url` starts with {scheme}://, but the storage HTTPS reads only https:// and http://. For a \
             file on this machine set `provider.storage` to `local`."
        ))),
    }
}

/// The URL as messages may show it.
pub(super) fn display(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{}://{host}{port}{}{query}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_show_no_credentials() {
        let url =
            parse_url("https://user:pass@x.example:8443/a/b.csv?X-Signature=abc#part").unwrap();
        assert_eq!(display(&url), "https://x.example:8443/a/b.csv?…");
    }

    #[test]
    fn a_url_without_scheme_is_https_and_others_are_refused() {
        assert_eq!(
            parse_url("x.example/a.csv").unwrap().as_str(),
            "https://x.example/a.csv"
        );
        assert_eq!(parse_url("http://x.example/a").unwrap().scheme(), "http");
        let error = parse_url("s3://user:pass@bucket/a").unwrap_err();
        assert!(
            error.message().contains("s3://") && !error.message().contains("pass"),
            "{error}"
        );
        assert!(
            !parse_url("https://user:pass@:x")
                .unwrap_err()
                .message()
                .contains("pass")
        );
    }
}
