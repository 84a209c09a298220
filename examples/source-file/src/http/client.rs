//! The HTTP transport, and the URL it is given.

use cdk_core::{ConnectorError, ErrorContext, Result};
use cdk_http::{HttpTransport, TransportSettings, Url};

use crate::http::HttpSettings;

/// Makes a transport; proxies and further certificates come from the environment.
pub(super) fn build(has_user_agent: bool, settings: &HttpSettings) -> Result<HttpTransport> {
    let version = env!("CARGO_PKG_VERSION");
    let agent = has_user_agent.then(|| format!("Airbyte/{version} (source-file, Rust CDK)"));
    let settings = TransportSettings::from_env()
        .with_connect_timeout(settings.connect_timeout)
        .with_read_timeout(settings.read_timeout)
        // Bodies arrive as the server stores them: positions of a resumed transfer count those bytes.
        .without_decompression()
        .with_user_agent(agent);
    HttpTransport::new(&settings)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_show_no_credentials() {
        let url =
            parse_url("https://user:pass@x.example:8443/a/b.csv?X-Signature=abc#part").unwrap();
        assert_eq!(
            cdk_http::url::display(&url),
            "https://x.example:8443/a/b.csv?…"
        );
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
