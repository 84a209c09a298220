//! Requests for the rest of a file.

use cdk_core::ConnectorError;
use cdk_http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, IF_RANGE,
    LAST_MODIFIED, RANGE,
};
use cdk_http::{Request, Response, StatusCode, Transport};

use crate::fingerprint::Fingerprint;
use crate::http::{Answer, Failure, HttpFile, classify};

impl HttpFile {
    /// Asks for the file from byte `from` on; with `expected`, for that version of it.
    ///
    /// One try. A server without ranges sends the file from its start: then the answer says how much
    /// to skip.
    pub(super) async fn request(
        &self,
        from: u64,
        expected: Option<&Fingerprint>,
    ) -> Result<Answer, Failure> {
        // Packed transfers could not be resumed by byte; packed files are unpacked by the reader.
        let mut request = Request::get(self.url.clone());
        request.set_header(ACCEPT_ENCODING.as_str(), "identity")?;
        if from > 0 {
            request.set_header(RANGE.as_str(), &format!("bytes={from}-"))?;
            if let Some(tag) = expected.and_then(Fingerprint::strong_etag) {
                request.set_header(IF_RANGE.as_str(), tag)?;
            }
        }
        let sent = self.transport.send(request).await;
        let response = sent.map_err(|error| classify::transport(&error, self.display()))?;
        self.check_encoding(&response)?;
        let range = ContentRange::of(&response);
        let skip = match (response.status, &range) {
            (StatusCode::OK, _) => from,
            (
                StatusCode::PARTIAL_CONTENT,
                Some(ContentRange {
                    start: Some(start), ..
                }),
            ) if *start == from => 0,
            // Exactly the end was asked for: there is nothing left.
            (StatusCode::RANGE_NOT_SATISFIABLE, Some(range)) if range.total == Some(from) => {
                u64::MAX
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, _) => return Err(self.changed().into()),
            (status, _) if status.is_success() => return Err(self.no_file(status).into()),
            _ => return Err(classify::status(&response, self.display())),
        };
        let fingerprint = fingerprint(&response, range.as_ref());
        match expected {
            Some(expected) if expected.contradicts(&fingerprint) => Err(self.changed().into()),
            _ => Ok(Answer {
                response,
                skip,
                fingerprint,
            }),
        }
    }

    /// The file is not the one that the transfer began with.
    fn changed(&self) -> ConnectorError {
        ConnectorError::transient(format!(
            "{} changed while it was read. Run the sync again to read the new version.",
            self.display()
        ))
        .with_retry(cdk_core::RetryStatus::Persistent)
    }

    fn no_file(&self, status: StatusCode) -> ConnectorError {
        ConnectorError::config(format!(
            "The server answers {status} without sending {}. Check the URL.",
            self.display()
        ))
    }

    fn check_encoding(&self, response: &Response) -> Result<(), ConnectorError> {
        match text(response, &CONTENT_ENCODING).as_deref() {
            None | Some("" | "identity" | "gzip" | "x-gzip") => Ok(()),
            Some(other) => Err(ConnectorError::config(format!(
                "The server packs {} with `{other}`, which was not asked for and is not supported. \
                 Have it send the file plain or with gzip.",
                self.display()
            ))),
        }
    }
}

fn text(response: &Response, name: &HeaderName) -> Option<String> {
    let value = response.header(name.as_str())?;
    Some(value.trim().to_owned())
}

fn fingerprint(response: &Response, range: Option<&ContentRange>) -> Fingerprint {
    let length = || text(response, &CONTENT_LENGTH)?.parse().ok();
    let size = match response.status {
        StatusCode::OK => length(),
        _ => range.and_then(|range| range.total),
    };
    let (modified, etag) = (text(response, &LAST_MODIFIED), text(response, &ETAG));
    Fingerprint {
        size,
        modified,
        etag,
    }
}

/// A `Content-Range` header: `bytes 5-9/10`, `bytes 5-9/*`, `bytes */10`.
#[derive(Debug, PartialEq, Eq)]
struct ContentRange {
    start: Option<u64>,
    total: Option<u64>,
}

impl ContentRange {
    fn of(response: &Response) -> Option<Self> {
        Self::parse(&text(response, &CONTENT_RANGE)?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.strip_prefix("bytes")?.trim_start().split_once('/')?;
        let start = range
            .split_once('-')
            .and_then(|(start, _)| start.trim().parse().ok());
        Some(Self {
            start,
            total: total.trim().parse().ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        let range = |start, total| Some(ContentRange { start, total });
        assert_eq!(
            ContentRange::parse("bytes 5-9/10"),
            range(Some(5), Some(10))
        );
        assert_eq!(ContentRange::parse("bytes 5-9/*"), range(Some(5), None));
        assert_eq!(ContentRange::parse("bytes */10"), range(None, Some(10)));
        assert_eq!(ContentRange::parse("rows 1-2/3"), None);
    }
}
