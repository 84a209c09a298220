//! Bodies packed with gzip, also where no header says so.

use std::io::Write;

use bytes::{Bytes, BytesMut};
use flate2::write::MultiGzDecoder;

use crate::decode::{Decode, DecodeError, DecodeErrorKind as Kind, Decoder, Records};

/// So many packed bytes are unpacked at once: at most a thousand times as many come out.
const PIECE_BYTES: usize = 4 << 10;

/// Unpacks gzip (all members of it) for another decoder; a body that is not packed passes as it is.
#[derive(Debug, Clone)]
pub struct Gzip<D>(pub D);

impl<D: Decoder> Decoder for Gzip<D> {
    fn start(&self, content_type: Option<&str>) -> Box<dyn Decode> {
        Box::new(GzipDecode {
            inner: self.0.start(content_type),
            state: State::Unknown(BytesMut::new()),
            packed: Bytes::new(),
            is_end: false,
            is_ended: false,
        })
    }
}

enum State {
    /// Too few bytes to tell.
    Unknown(BytesMut),
    Plain,
    Packed(Box<MultiGzDecoder<Vec<u8>>>),
}

struct GzipDecode {
    inner: Box<dyn Decode>,
    state: State,
    packed: Bytes,
    is_end: bool,
    /// The inner decoder was told of the end.
    is_ended: bool,
}

impl GzipDecode {
    /// Gives the inner decoder its next chunk; false when there is none.
    fn feed(&mut self) -> Result<bool, DecodeError> {
        if let State::Unknown(start) = &mut self.state {
            start.extend_from_slice(&std::mem::take(&mut self.packed));
            if start.len() < 2 && !self.is_end {
                return Ok(false);
            }
            let is_packed = start.starts_with(&[0x1f, 0x8b]);
            self.packed = start.split().freeze();
            self.state = match is_packed {
                true => State::Packed(Box::new(MultiGzDecoder::new(Vec::new()))),
                false => State::Plain,
            };
        }
        if self.is_ended || (self.packed.is_empty() && !self.is_end) {
            return Ok(false);
        }
        match &mut self.state {
            State::Packed(decoder) => {
                let piece = self.packed.split_to(self.packed.len().min(PIECE_BYTES));
                let broken = |error: std::io::Error| match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => DecodeError::new(Kind::Truncated, ""),
                    _ => DecodeError::new(Kind::Packed, error.to_string()),
                };
                decoder.write_all(&piece).map_err(broken)?;
                self.is_ended = self.is_end && self.packed.is_empty();
                if self.is_ended {
                    decoder.try_finish().map_err(broken)?;
                }
                let plain = std::mem::take(decoder.get_mut());
                self.inner.push(Bytes::from(plain), self.is_ended);
            }
            State::Plain | State::Unknown(_) => {
                let plain = std::mem::take(&mut self.packed);
                self.is_ended = self.is_end;
                self.inner.push(plain, self.is_end);
            }
        }
        Ok(true)
    }
}

impl Decode for GzipDecode {
    fn push(&mut self, chunk: Bytes, is_end: bool) {
        self.packed = chunk;
        self.is_end = is_end;
    }

    fn next(&mut self) -> Result<Option<Records>, DecodeError> {
        loop {
            if let Some(records) = self.inner.next()? {
                return Ok(Some(records));
            }
            if !self.feed()? {
                return Ok(None);
            }
        }
    }

    fn envelope(&self) -> Option<&str> {
        self.inner.envelope()
    }

    fn has_records_place(&self) -> bool {
        self.inner.has_records_place()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::testing::records;
    use crate::decode::{Json, Jsonl};
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn packed_and_plain_bodies_give_the_same_records() {
        let decoder = Gzip(Json::new());
        for body in [
            b"[{\"a\":1},{\"a\":2}]".to_vec(),
            packed(b"[{\"a\":1},{\"a\":2}]"),
        ] {
            assert_eq!(
                records(&decoder, &body).unwrap(),
                ["{\"a\":1}", "{\"a\":2}"]
            );
        }
        assert_eq!(records(&decoder, b"").unwrap(), [""; 0]);
    }

    #[test]
    fn all_members_are_read() {
        let body = [packed(b"{\"a\":1}\n"), packed(b"{\"a\":2}\n")].concat();
        assert_eq!(records(&Gzip(Jsonl::new()), &body).unwrap().len(), 2);
    }

    #[test]
    fn a_cut_body_is_an_error() {
        let body = packed(&b"{\"a\":1}\n".repeat(1000));
        let cut = &body[..body.len() - 9];
        assert_eq!(records(&Gzip(Jsonl::new()), cut), Err(Kind::Truncated));
    }
}
