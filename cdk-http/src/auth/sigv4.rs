//! Signatures of Amazon Web Services, version 4.

use async_trait::async_trait;
use cdk_core::{Result, SecretString};
use chrono::DateTime;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{digest, hmac};

use crate::auth::{Authenticator, Grant};
use crate::client::HttpClient;
use crate::request::Request;

/// What a signature leaves unescaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Signs each request with AWS credentials (`AWS4-HMAC-SHA256`).
///
/// The rules: "Signing AWS requests" in the AWS documentation.
#[derive(Debug, Clone)]
pub struct AwsSigV4 {
    access_key: String,
    secret_key: SecretString,
    session_token: Option<SecretString>,
    region: String,
    service: String,
}

impl AwsSigV4 {
    /// Signs for a service, such as `execute-api`, in a region.
    pub fn new(
        access_key: impl Into<String>,
        secret_key: SecretString,
        region: impl Into<String>,
        service: impl Into<String>,
    ) -> Self {
        Self {
            access_key: access_key.into(),
            secret_key,
            session_token: None,
            region: region.into(),
            service: service.into(),
        }
    }

    /// Adds the token of temporary credentials.
    #[must_use]
    pub fn session_token(mut self, token: SecretString) -> Self {
        self.session_token = Some(token);
        self
    }

    /// Adds date, body hash and signature to `request`, at `now_ms` milliseconds since the Unix epoch.
    pub fn sign(&self, request: &mut Request, now_ms: i64) -> Result<()> {
        let now = DateTime::from_timestamp_millis(now_ms).unwrap_or_default();
        let time = now.format("%Y%m%dT%H%M%SZ").to_string();
        let date = now.format("%Y%m%d").to_string();
        let body = request.encoded_body().unwrap_or_default();
        let body_hash = hex(digest::digest(&digest::SHA256, &body).as_ref());
        request.set_header("x-amz-date", &time)?;
        request.set_header("x-amz-content-sha256", &body_hash)?;
        if let Some(token) = &self.session_token {
            request.set_header("x-amz-security-token", token.expose())?;
        }
        let (names, canonical) = self.canonical(request, &body_hash);
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
        let first = format!("AWS4{}", self.secret_key.expose());
        let mut key = first.into_bytes();
        for part in [&date, &self.region, &self.service, "aws4_request"] {
            key = hmac_sha256(&key, part.as_bytes());
        }
        let signature = hex(&hmac_sha256(&key, to_sign.as_bytes()));
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key
        );
        request.set_header("authorization", &value)
    }

    /// The names of the signed headers, and the request in the form that is signed.
    fn canonical(&self, request: &Request, body_hash: &str) -> (String, String) {
        let url = &request.url;
        let port = url
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        let host = format!("{}{port}", url.host_str().unwrap_or_default());
        let mut headers: Vec<(String, String)> = vec![("host".to_owned(), host)];
        for (name, value) in &request.headers {
            let name = name.as_str();
            if name == "content-type" || name.starts_with("x-amz-") {
                let value = String::from_utf8_lossy(value.as_bytes());
                let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
                headers.push((name.to_owned(), value));
            }
        }
        headers.sort_unstable();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let mut query: Vec<(String, String)> = url
            .query_pairs()
            .map(|(name, value)| (escaped(&name), escaped(&value)))
            .collect();
        query.sort_unstable();
        let query: Vec<String> = query
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let path = self.canonical_path(url.path());
        let canonical = format!(
            "{}\n{path}\n{}\n{lines}\n{names}\n{body_hash}",
            request.method,
            query.join("&")
        );
        (names, canonical)
    }

    /// All services but S3 escape the escaped path once more.
    fn canonical_path(&self, path: &str) -> String {
        let segments = path.split('/').map(|segment| match self.service.as_str() {
            "s3" => segment.to_owned(),
            _ => escaped(segment),
        });
        segments.collect::<Vec<_>>().join("/")
    }
}

#[async_trait]
impl Authenticator for AwsSigV4 {
    async fn authorize(&self, request: &mut Request, client: &HttpClient) -> Result<Grant> {
        let secrets = client.context().secrets();
        secrets.add(self.secret_key.expose());
        if let Some(token) = &self.session_token {
            secrets.add(token.expose());
        }
        self.sign(request, client.context().now_ms())?;
        Ok(Grant::default())
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

fn hmac_sha256(key: &[u8], data: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, data).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::Url;

    /// `get-vanilla-query-order-key-case` of Amazon's published test suite, with the headers that we sign besides.
    #[test]
    fn signing_keys_are_those_of_the_documentation() {
        // The documentation's example of deriving a signing key.
        let mut key = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
        for part in ["20120215", "us-east-1", "iam", "aws4_request"] {
            key = hmac_sha256(&key, part.as_bytes());
        }
        assert_eq!(
            hex(&key),
            "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
        );
    }

    #[test]
    fn the_canonical_request_sorts_and_escapes() {
        let url = "https://example.amazonaws.com/a%20b/c?Param2=v%2F2&Param1=v1";
        let mut request = Request::get(Url::parse(url).unwrap());
        let signer = AwsSigV4::new("AKID", SecretString::new("k"), "us-east-1", "service");
        signer.sign(&mut request, 1_440_938_160_000).unwrap();
        let (names, canonical) = signer.canonical(&request, "HASH");
        assert_eq!(names, "host;x-amz-content-sha256;x-amz-date");
        let lines: Vec<&str> = canonical.lines().collect();
        assert_eq!(lines[0], "GET");
        assert_eq!(lines[1], "/a%2520b/c");
        assert_eq!(lines[2], "Param1=v1&Param2=v%2F2");
        assert_eq!(lines[3], "host:example.amazonaws.com");
        assert_eq!(lines[5], "x-amz-date:20150830T123600Z");
        let value = request.headers["authorization"].to_str().unwrap();
        assert!(
            value.starts_with(
                "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature="
            ),
            "{value}"
        );
    }
}
