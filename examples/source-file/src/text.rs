//! From the bytes of a file to its text.

use std::io::{self, Cursor, Read};

use cdk_core::{ConnectorError, Result};
use encoding_rs::Encoding;

use crate::encoding::{Decoding, read_retrying};
use crate::gzip;
use crate::reader_options::TextOptions;

/// Bytes, read on a thread that may block.
///
/// Errors of our own layers travel as [`ConnectorError`]s inside an [`io::Error`] of kind `Other`; see
/// [`from_io`].
pub(crate) type Bytes = Box<dyn Read + Send>;

const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";

/// The text of a file, from its start.
pub(crate) struct Text {
    /// UTF-8, if it was strict; without a byte order mark.
    pub(crate) bytes: Bytes,
    /// When the text's bytes are the file's own, the length of the byte order mark before them: byte
    /// n of the text is byte n + this of the file, so that a later read can begin in the middle.
    pub(crate) seek_base: Option<u64>,
}

/// Unpacks and decodes `bytes`, which are the file's from its start.
pub(crate) fn decode(bytes: Bytes, options: &TextOptions) -> Result<Text> {
    let (bytes, layers) = gzip::unpack(bytes, options.compression)?;
    let (mark, bytes) = take_mark(bytes)?;
    let encoding = mark.map_or(options.encoding, |(encoding, _)| encoding);
    let is_direct = encoding == encoding_rs::UTF_8 && !options.is_lossy;
    let bytes = match is_direct {
        true => bytes,
        false => Box::new(Decoding::new(bytes, encoding, options.is_lossy)),
    };
    let mark_bytes = mark.map_or(0, |(_, bytes)| bytes as u64);
    Ok(Text {
        bytes,
        seek_base: (is_direct && layers == 0).then_some(mark_bytes),
    })
}

/// The encoding and length of the byte order mark, and the bytes after it.
fn take_mark(mut bytes: Bytes) -> Result<(Option<(&'static Encoding, usize)>, Bytes)> {
    let mut start = [0; UTF8_BOM.len()];
    let mut filled = 0;
    while let Some(rest) = start.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read_retrying(&mut bytes, rest).map_err(from_io)? {
            0 => break,
            read => filled += read,
        }
    }
    let start = start.get(..filled).unwrap_or_default();
    let mark = Encoding::for_bom(start);
    let kept = start
        .get(mark.map_or(0, |(_, bytes)| bytes)..)
        .unwrap_or_default()
        .to_vec();
    Ok((mark, Box::new(Cursor::new(kept).chain(bytes))))
}

/// Reads and forgets `count` bytes; false when the text ends before.
pub(crate) fn skip(bytes: &mut Bytes, count: u64) -> Result<bool> {
    let skipped = io::copy(&mut bytes.take(count), &mut io::sink()).map_err(from_io)?;
    Ok(skipped == count)
}

/// The error of one of our layers, or of the operating system.
pub(crate) fn from_io(error: io::Error) -> ConnectorError {
    match error.downcast::<ConnectorError>() {
        Ok(explained) => explained,
        Err(error) => ConnectorError::transient(
            "The file could not be read to its end. Run the sync again; if it fails again, check the \
             disk or network it is on.",
        )
        .caused_by(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader_options::Compression;

    fn text(bytes: &[u8], encoding: &'static Encoding) -> (Vec<u8>, Option<u64>) {
        let options = TextOptions {
            compression: Compression::Infer,
            encoding,
            is_lossy: false,
        };
        let mut text = decode(Box::new(Cursor::new(bytes.to_vec())), &options).unwrap();
        let mut out = Vec::new();
        text.bytes.read_to_end(&mut out).unwrap();
        (out, text.seek_base)
    }

    #[test]
    fn a_byte_order_mark_decides_and_is_left_out() {
        let utf8 = encoding_rs::UTF_8;
        assert_eq!(text(b"\xef\xbb\xbfa,b", utf8), (b"a,b".to_vec(), Some(3)));
        assert_eq!(text(b"\xff\xfea\0,\0", utf8), (b"a,".to_vec(), None));
        assert_eq!(
            text(b"\xef\xbb\xbf\xc3\xa9", encoding_rs::WINDOWS_1252),
            ("é".into(), Some(3))
        );
        assert_eq!(text(b"a,b", utf8), (b"a,b".to_vec(), Some(0)));
        assert_eq!(text(b"a", utf8), (b"a".to_vec(), Some(0)));
    }

    #[test]
    fn skipping_beyond_the_end_is_noticed() {
        let bytes = || -> Bytes { Box::new(Cursor::new(vec![0; 10])) };
        assert!(skip(&mut bytes(), 10).unwrap());
        assert!(!skip(&mut bytes(), 11).unwrap());
    }
}
