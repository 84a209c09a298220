//! Text in other encodings than UTF-8.

use bytes::Bytes;
use cdk_core::{ConnectorError, Result};
use encoding_rs::{Encoding, UTF_8};

use crate::decode::{Decode, DecodeError, Decoder, Records};

/// Decodes the text of a body to UTF-8 for another decoder.
///
/// The encoding is the one given, else the `charset` of the `Content-Type` header, else UTF-8. A byte order mark wins
/// over all of them. Bytes that are no text in that encoding become U+FFFD.
#[derive(Debug, Clone)]
pub struct Decoded<D> {
    inner: D,
    encoding: Option<&'static Encoding>,
}

impl<D: Decoder> Decoded<D> {
    /// By the `Content-Type` header.
    pub fn by_header(inner: D) -> Self {
        Self {
            inner,
            encoding: None,
        }
    }

    /// In the encoding of this name (`utf-8`, `latin1`, `shift_jis`…); an unknown one is a config error.
    pub fn by_name(inner: D, name: &str) -> Result<Self> {
        let Some(encoding) = by_name(name) else {
            return Err(ConnectorError::config(format!(
                "There is no text encoding called `{name}`. Use a name like utf-8, latin1, windows-1252 or shift_jis."
            )));
        };
        Ok(Self {
            inner,
            encoding: Some(encoding),
        })
    }
}

fn by_name(name: &str) -> Option<&'static Encoding> {
    let name = name.trim().to_ascii_lowercase().replace('_', "-");
    let label = match name.as_str() {
        "utf-8-sig" => "utf-8",
        "latin-1" => "latin1",
        "shift-jis" | "cp932" => "shift_jis",
        "utf-16-le" => "utf-16le",
        "utf-16-be" => "utf-16be",
        other => other,
    };
    Encoding::for_label(label.as_bytes()).filter(|found| *found != encoding_rs::REPLACEMENT)
}

fn of_header(content_type: &str) -> Option<&'static Encoding> {
    let mut parameters = content_type.split(';').skip(1);
    let charset = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        (name.trim().eq_ignore_ascii_case("charset")).then(|| value.trim().trim_matches('"'))
    })?;
    by_name(charset)
}

impl<D: Decoder> Decoder for Decoded<D> {
    fn start(&self, content_type: Option<&str>) -> Box<dyn Decode> {
        let named = self.encoding.or_else(|| content_type.and_then(of_header));
        Box::new(DecodedDecode {
            inner: self.inner.start(content_type),
            decoder: named.unwrap_or(UTF_8).new_decoder(),
        })
    }
}

struct DecodedDecode {
    inner: Box<dyn Decode>,
    decoder: encoding_rs::Decoder,
}

impl Decode for DecodedDecode {
    fn push(&mut self, chunk: Bytes, is_end: bool) {
        let len = self.decoder.max_utf8_buffer_length(chunk.len());
        let mut text = String::with_capacity(len.unwrap_or(3 * chunk.len() + 16));
        // There is room for all of it, so it is all read.
        let _ = self.decoder.decode_to_string(&chunk, &mut text, is_end);
        self.inner.push(Bytes::from(text), is_end);
    }

    fn next(&mut self) -> Result<Option<Records>, DecodeError> {
        self.inner.next()
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
    use crate::decode::Json;
    use crate::decode::testing::records;

    #[test]
    fn text_is_decoded_across_chunks() {
        let latin = Decoded::by_name(Json::new(), "latin-1").unwrap();
        assert_eq!(
            records(&latin, b"[{\"a\":\"caf\xE9\"}]").unwrap(),
            ["{\"a\":\"café\"}"]
        );
        let wide = Decoded::by_header(Json::new());
        let body: Vec<u8> = [0xFF, 0xFE]
            .into_iter()
            .chain("[{\"a\":\"é\"}]".encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        assert_eq!(records(&wide, &body).unwrap(), ["{\"a\":\"é\"}"]);
        assert!(Decoded::by_name(Json::new(), "klingon").is_err());
    }

    #[test]
    fn the_header_names_the_encoding() {
        let found = of_header("text/csv; Charset=\"ISO-8859-1\"").unwrap();
        assert_eq!(found.name(), "windows-1252");
        assert!(of_header("text/csv").is_none());
    }
}
