//! Cuts what a server sends into messages, in one buffer that is reused.

use std::io;
use std::ops::Range;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Room for this much is kept; a larger message borrows more while it passes.
const USUAL_BYTES: usize = 256 << 10;

/// Received bytes that were not taken yet.
#[derive(Debug)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// One message: its type, and where its body is in the buffer until the next [`Frames::fill`].
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) tag: u8,
    pub(crate) body: Range<usize>,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; USUAL_BYTES],
            start: 0,
            end: 0,
        }
    }

    /// Takes the next message that was received whole.
    #[inline]
    pub(crate) fn next(&mut self) -> io::Result<Option<Frame>> {
        let received = &self.buffer[self.start..self.end];
        let Some((tag, length)) = header(received)? else {
            return Ok(None);
        };
        if received.len() < length + 1 {
            return Ok(None);
        }
        let body = self.start + 5..self.start + 1 + length;
        self.start = body.end;
        Ok(Some(Frame { tag, body }))
    }

    /// The bytes of a message taken since the last fill.
    #[inline]
    pub(crate) fn body(&self, frame: &Frame) -> &[u8] {
        &self.buffer[frame.body.clone()]
    }

    /// Receives more. Drop-safe: what was received stays.
    pub(crate) async fn fill(&mut self, socket: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        self.make_room()?;
        let read = socket.read(&mut self.buffer[self.end..]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.end += read;
        Ok(())
    }

    fn make_room(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let wanted = match header(&self.buffer[..self.end])? {
            Some((_, length)) => length + 1,
            None => 5,
        };
        let size = wanted.max(USUAL_BYTES);
        if self.buffer.len() < wanted || self.buffer.len() > size * 4 {
            self.buffer.resize(size.max(self.end + 1), 0);
            self.buffer.shrink_to(size);
        }
        Ok(())
    }
}

/// Type and length (which counts itself) of the message that begins here.
#[inline]
fn header(received: &[u8]) -> io::Result<Option<(u8, usize)>> {
    let Some((tag, rest)) = received.split_first() else {
        return Ok(None);
    };
    let Some(length) = rest.first_chunk::<4>() else {
        return Ok(None);
    };
    match usize::try_from(i32::from_be_bytes(*length)) {
        Ok(length) if length >= 4 => Ok(Some((*tag, length))),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a message has an impossible length",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut message = vec![tag];
        message.extend((body.len() as i32 + 4).to_be_bytes());
        message.extend(body);
        message
    }

    #[tokio::test]
    async fn messages_come_whole_however_the_bytes_arrive() {
        let large = vec![7; USUAL_BYTES * 9];
        let mut sent = message(b'd', b"one");
        sent.extend(message(b'd', &large));
        sent.extend(message(b'c', b""));
        for piece in [1 << 10, 70_001] {
            let mut frames = Frames::new();
            let mut seen = Vec::new();
            for mut part in sent.chunks(piece) {
                while !part.is_empty() {
                    frames.fill(&mut part).await.unwrap();
                    while let Some(frame) = frames.next().unwrap() {
                        seen.push((frame.tag, frames.body(&frame).to_vec()));
                    }
                }
            }
            assert_eq!(seen.len(), 3);
            assert_eq!(seen[0], (b'd', b"one".to_vec()));
            assert_eq!(seen[1].1, large);
            assert_eq!(seen[2], (b'c', Vec::new()));
            frames.make_room().unwrap();
            assert!(
                frames.buffer.len() <= USUAL_BYTES * 4,
                "the room of a large message is given back"
            );
        }
    }

    #[test]
    fn an_impossible_length_is_an_error() {
        assert!(header(&[b'd', 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(header(&[b'd', 0, 0, 0, 3]).is_err());
    }
}
