//! A request as the server saw it.

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// A request that came in.
#[derive(Debug, Clone, Default)]
pub struct SeenRequest {
    /// Its method.
    pub method: String,
    /// Its path, as it was sent.
    pub path: String,
    /// Its query parameters, decoded, in order.
    pub query: Vec<(String, String)>,
    /// Its headers; names are in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl SeenRequest {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The first value of a query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    /// A query parameter as a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.query(name)?.parse().ok()
    }

    /// The pairs of a form body, decoded.
    pub fn form(&self) -> Vec<(String, String)> {
        pairs(&String::from_utf8_lossy(&self.body))
    }

    /// The body as JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Method, path and query.
    pub fn target(&self) -> String {
        let query: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{} {}{mark}{}", self.method, self.path, query.join("&"))
    }

    /// Whether the client wants the connection closed after the reply.
    pub(super) fn asks_to_close(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Reads the next request of a connection; `None` when there is none.
    pub(super) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> Option<Self> {
        let mut line = String::new();
        let mut request = Self::default();
        if from.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let mut parts = line.split_ascii_whitespace();
        request.method = parts.next()?.to_owned();
        let target = parts.next()?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        (request.path, request.query) = (path.to_owned(), pairs(query));
        loop {
            line.clear();
            from.read_line(&mut line).await.ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            let name = name.to_ascii_lowercase();
            request.headers.push((name, value.trim().to_owned()));
        }
        let length = request.header("content-length");
        let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
        request.body = vec![0; length];
        from.read_exact(&mut request.body).await.ok()?;
        Some(request)
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    let decoded = parts.map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (decode(name), decode(value))
    });
    decoded.collect()
}

/// Undoes the encoding of forms and queries.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = after;
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_read_with_query_and_body() {
        let text = "POST /a%20b?x=1+2&y=%C3%A9&z HTTP/1.1\r\nX-Key:  v \r\nContent-Length: 7\r\n\r\na=b&c=dGET";
        let mut input = text.as_bytes();
        let request = SeenRequest::read(&mut input).await.unwrap();
        assert_eq!(request.path, "/a%20b");
        assert_eq!(request.query("x"), Some("1 2"));
        assert_eq!(request.query("y"), Some("é"));
        assert_eq!(request.header("x-key"), Some("v"));
        assert_eq!(
            request.form(),
            [("a".into(), "b".into()), ("c".into(), "d".into())]
        );
        assert_eq!(input, b"GET");
    }
}
