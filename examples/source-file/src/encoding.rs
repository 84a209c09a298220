//! Text in other encodings, decoded to UTF-8 while it is read.

use std::io::{self, Read};

use cdk_core::ConnectorError;
use encoding_rs::{Decoder, DecoderResult, Encoding};

const RAW_BYTES: usize = 64 << 10;
/// No encoding makes more than three bytes of UTF-8 from one byte (a replacement character).
const TEXT_BYTES: usize = 3 * RAW_BYTES + 16;

/// The encoding that `name` means, by the names of the WHATWG standard and those of Python.
///
/// As in browsers, `latin1` and `ascii` are read as windows-1252, which extends them.
pub(crate) fn by_name(name: &str) -> Option<&'static Encoding> {
    let name = name.trim().to_ascii_lowercase().replace('_', "-");
    let label = match name.as_str() {
        "utf-8-sig" => "utf-8",
        "latin-1" => "latin1",
        "shift-jis" | "cp932" => "shift_jis",
        "mac-roman" => "macintosh",
        "utf-16-le" => "utf-16le",
        "utf-16-be" => "utf-16be",
        "cp936" => "gbk",
        "cp949" => "euc-kr",
        other => other,
    };
    // The standard maps dangerous old encodings to one that decodes nothing.
    Encoding::for_label(label.as_bytes()).filter(|found| *found != encoding_rs::REPLACEMENT)
}

/// A reader of UTF-8 text over one of encoded bytes, which start behind their byte order mark.
pub(crate) struct Decoding<R> {
    inner: R,
    decoder: Decoder,
    is_lossy: bool,
    name: &'static str,
    raw: Vec<u8>,
    raw_at: usize,
    /// Encoded bytes decoded so far.
    raw_offset: u64,
    text: Vec<u8>,
    text_at: usize,
    is_end: bool,
    is_done: bool,
}

impl<R: Read> Decoding<R> {
    pub(crate) fn new(inner: R, encoding: &'static Encoding, is_lossy: bool) -> Self {
        Self {
            inner,
            decoder: encoding.new_decoder_without_bom_handling(),
            is_lossy,
            name: encoding.name(),
            raw: Vec::new(),
            raw_at: 0,
            raw_offset: 0,
            text: Vec::new(),
            text_at: 0,
            is_end: false,
            is_done: false,
        }
    }

    /// Decodes the next piece into `text`.
    fn refill(&mut self) -> io::Result<()> {
        if self.raw_at == self.raw.len() && !self.is_end {
            self.raw.resize(RAW_BYTES, 0);
            let bytes = read_retrying(&mut self.inner, &mut self.raw)?;
            self.raw.truncate(bytes);
            self.raw_at = 0;
            self.is_end = bytes == 0;
        }
        self.text.resize(TEXT_BYTES, 0);
        self.text_at = 0;
        let raw = self.raw.get(self.raw_at..).unwrap_or_default();
        if self.is_lossy {
            let (result, used, written, _) =
                self.decoder
                    .decode_to_utf8(raw, &mut self.text, self.is_end);
            self.is_done = self.is_end && result == encoding_rs::CoderResult::InputEmpty;
            self.moved(used, written);
            return Ok(());
        }
        let (result, used, written) =
            self.decoder
                .decode_to_utf8_without_replacement(raw, &mut self.text, self.is_end);
        self.is_done = self.is_end && result == DecoderResult::InputEmpty;
        self.moved(used, written);
        match result {
            DecoderResult::Malformed(_, _) => Err(io::Error::other(self.malformed())),
            DecoderResult::InputEmpty | DecoderResult::OutputFull => Ok(()),
        }
    }

    fn moved(&mut self, used: usize, written: usize) {
        self.raw_at += used;
        self.raw_offset += used as u64;
        self.text.truncate(written);
    }

    fn malformed(&self) -> ConnectorError {
        ConnectorError::config(format!(
            "The file is not text in {}: the bytes before byte {} mean nothing in it. Set \
             `reader_options.encoding` to the file's encoding, or `encoding_errors` to `replace`.",
            self.name, self.raw_offset
        ))
    }
}

impl<R: Read> Read for Decoding<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.text_at == self.text.len() {
            if self.is_done {
                return Ok(0);
            }
            self.refill()?;
        }
        let ready = self.text.get(self.text_at..).unwrap_or_default();
        let bytes = ready.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..bytes), ready.get(..bytes)) {
            to.copy_from_slice(from);
        }
        self.text_at += bytes;
        Ok(bytes)
    }
}

/// One read, retried when a signal interrupts it.
pub(crate) fn read_retrying(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one byte at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = buffer.len().min(1);
            self.0.read(&mut buffer[..bytes])
        }
    }

    fn decode(bytes: &[u8], name: &str, is_lossy: bool) -> io::Result<String> {
        let mut text = String::new();
        Decoding::new(Drip(bytes), by_name(name).unwrap(), is_lossy).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn encodings_decode_across_reads() {
        assert_eq!(decode(b"caf\xe9 \x80", "latin1", false).unwrap(), "café €");
        let le: Vec<u8> = "a😀é".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = "a😀é".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decode(&le, "utf-16", false).unwrap(), "a😀é");
        assert_eq!(decode(&be, "utf_16_be", false).unwrap(), "a😀é");
        assert_eq!(
            decode(b"\x83e\x83X\x83g", "cp932", false).unwrap(),
            "テスト"
        );
    }

    #[test]
    fn text_longer_than_the_buffers_is_whole() {
        let raw = b"\xe9".repeat(3 * RAW_BYTES + 7);
        let mut text = String::new();
        Decoding::new(raw.as_slice(), by_name("cp1252").unwrap(), false)
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "é".repeat(raw.len()));
    }

    #[test]
    fn what_is_no_text_is_an_error_or_replaced() {
        let error = decode(b"ab\xff\xffcd", "shift_jis", false).unwrap_err();
        assert!(
            error.to_string().contains("not text in Shift_JIS"),
            "{error}"
        );
        assert_eq!(decode(b"ab\xffcd", "utf-8", true).unwrap(), "ab\u{fffd}cd");
        // Half a character at the end.
        assert!(decode(b"a\0b", "utf-16le", false).is_err());
    }

    #[test]
    fn unknown_and_harmful_names_are_refused() {
        assert!(by_name("klingon").is_none());
        assert!(by_name("iso-2022-kr").is_none());
        assert_eq!(by_name("UTF_8_SIG"), Some(encoding_rs::UTF_8));
    }
}
