//! What the server sends back, well or badly.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Barrier;

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    how: How,
    delay: Duration,
    meeting: Option<Arc<Barrier>>,
}

/// How the body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Whole, with its length.
    Whole,
    /// In chunks of so many bytes, without its length.
    Chunked(usize),
    /// Only so many bytes, though the length promises more; then the connection is closed.
    Cut(usize),
    /// In pieces of so many bytes with a pause before each.
    Drip(usize, Duration),
    /// Nothing at all: the connection stays open until the other side gives up.
    Hang,
    /// Nothing at all: the connection is closed.
    Close,
}

impl Reply {
    /// An answer with this status and body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            how: How::Whole,
            delay: Duration::ZERO,
            meeting: None,
        }
    }

    /// 200 with a JSON body.
    pub fn json(body: &Value) -> Self {
        Self::new(200, body.to_string()).header("content-type", "application/json")
    }

    /// 200 with a text body.
    pub fn text(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body).header("content-type", "text/plain")
    }

    /// A status with a JSON body whose `message` says it in words.
    pub fn error(status: u16, message: &str) -> Self {
        Self::new(
            status,
            serde_json::json!({ "message": message }).to_string(),
        )
        .header("content-type", "application/json")
    }

    /// Sets the status.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Sets a header, over one of the same name.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers
            .retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Waits before it answers.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits until as many replies wait at `meeting` as it takes: proof that so many requests are in flight at once.
    pub fn meet(mut self, meeting: &Arc<Barrier>) -> Self {
        self.meeting = Some(Arc::clone(meeting));
        self
    }

    /// Sends the body in chunks of so many bytes, without saying its length.
    pub fn chunked(mut self, bytes: usize) -> Self {
        self.how = How::Chunked(bytes.max(1));
        self
    }

    /// Sends only so many bytes of the body and closes the connection.
    pub fn cut_at(mut self, bytes: usize) -> Self {
        self.how = How::Cut(bytes);
        self
    }

    /// Sends the body in pieces of so many bytes, with a pause before each.
    pub fn drip(mut self, bytes: usize, pause: Duration) -> Self {
        self.how = How::Drip(bytes.max(1), pause);
        self
    }

    /// Never answers.
    pub fn hang(mut self) -> Self {
        self.how = How::Hang;
        self
    }

    /// Closes the connection without an answer.
    pub fn close(mut self) -> Self {
        self.how = How::Close;
        self
    }

    /// The length of the body.
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// Ends the text of the body after so many bytes, as if that were all of it.
    pub fn truncate_body(mut self, bytes: usize) -> Self {
        self.body.truncate(bytes);
        self
    }

    /// Waits until it is to be sent.
    pub(super) async fn wait(&self) {
        tokio::time::sleep(self.delay).await;
        if let Some(meeting) = &self.meeting {
            meeting.wait().await;
        }
    }

    /// Sends it; true if the connection can be used again.
    pub(super) async fn send(&self, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<bool> {
        match self.how {
            How::Hang => {
                // The other side closes: until then nothing comes, and nothing is sent.
                std::future::pending::<()>().await;
                return Ok(false);
            }
            How::Close => return Ok(false),
            _ => {}
        }
        let mut head = format!("HTTP/1.1 {} Status\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match self.how {
            How::Chunked(_) => head.push_str("transfer-encoding: chunked\r\n\r\n"),
            _ => head.push_str(&format!("content-length: {}\r\n\r\n", self.body.len())),
        }
        out.write_all(head.as_bytes()).await?;
        match self.how {
            How::Chunked(bytes) => {
                for chunk in self.body.chunks(bytes) {
                    out.write_all(format!("{:x}\r\n", chunk.len()).as_bytes())
                        .await?;
                    out.write_all(chunk).await?;
                    out.write_all(b"\r\n").await?;
                }
                out.write_all(b"0\r\n\r\n").await?;
            }
            How::Drip(bytes, pause) => {
                for piece in self.body.chunks(bytes) {
                    tokio::time::sleep(pause).await;
                    out.write_all(piece).await?;
                    out.flush().await?;
                }
            }
            How::Cut(bytes) => {
                let sent = self.body.get(..bytes).unwrap_or(&self.body);
                out.write_all(sent).await?;
                out.flush().await?;
                return Ok(false);
            }
            _ => out.write_all(&self.body).await?,
        }
        out.flush().await?;
        Ok(true)
    }
}
