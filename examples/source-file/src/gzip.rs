//! Gzip, recognised by its first bytes.

use std::io::{self, BufReader, Chain, Cursor, Read};

use cdk_core::{ConnectorError, Result};
use flate2::bufread::MultiGzDecoder;

use crate::encoding::read_retrying;
use crate::reader_options::Compression;
use crate::text::{Bytes, from_io};

const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// A `.gz` file that the server packed once more for the transfer.
const MAX_LAYERS: usize = 2;
const BUFFER_BYTES: usize = 64 << 10;

/// Takes off the gzip layers of `bytes`, and says how many there were.
///
/// The first bytes decide, not names or headers: servers send `Content-Encoding: gzip` for files that
/// are gzip themselves, and unpack files on the way whose names still end in `.gz`.
pub(crate) fn unpack(bytes: Bytes, compression: Compression) -> Result<(Bytes, usize)> {
    let mut bytes = bytes;
    if compression == Compression::None {
        return Ok((bytes, 0));
    }
    for layer in 0..MAX_LAYERS {
        let (is_gzip, whole) = peek(bytes)?;
        bytes = whole;
        if !is_gzip {
            let is_missing = layer == 0 && compression == Compression::Gzip;
            return if is_missing {
                Err(not_gzip())
            } else {
                Ok((bytes, layer))
            };
        }
        bytes = Box::new(Unpacking::new(bytes));
    }
    Ok((bytes, MAX_LAYERS))
}

fn not_gzip() -> ConnectorError {
    ConnectorError::config(
        "The file is not gzip, though `reader_options.compression` says so. Remove the option.",
    )
}

/// Whether gzip comes, and the bytes with what was read of them put back.
fn peek(mut bytes: Bytes) -> Result<(bool, Bytes)> {
    let mut start = [0; MAGIC.len()];
    let mut filled = 0;
    while let Some(rest) = start.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read_retrying(&mut bytes, rest).map_err(from_io)? {
            0 => break,
            read => filled += read,
        }
    }
    let is_gzip = filled == MAGIC.len() && start == MAGIC;
    let start = start.get(..filled).unwrap_or_default().to_vec();
    let whole: Chain<Cursor<Vec<u8>>, Bytes> = Cursor::new(start).chain(bytes);
    Ok((is_gzip, Box::new(whole)))
}

/// All members of a gzip file, with errors for the user.
struct Unpacking {
    decoder: MultiGzDecoder<BufReader<Bytes>>,
    unpacked: u64,
}

impl Unpacking {
    fn new(bytes: Bytes) -> Self {
        let bytes = BufReader::with_capacity(BUFFER_BYTES, bytes);
        Self {
            decoder: MultiGzDecoder::new(bytes),
            unpacked: 0,
        }
    }

    fn explain(&self, error: io::Error) -> io::Error {
        let problem = match error.kind() {
            // An error of the layer below, which explained itself.
            io::ErrorKind::Other => return error,
            io::ErrorKind::UnexpectedEof => "ends too early",
            _ => "is damaged",
        };
        let explained = ConnectorError::config(format!(
            "The gzip file {problem}, after {} unpacked bytes. Provide the complete file.",
            self.unpacked
        ));
        io::Error::other(explained.caused_by(error))
    }
}

impl Read for Unpacking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.decoder.read(buffer) {
            Ok(bytes) => {
                self.unpacked += bytes as u64;
                Ok(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.explain(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression as Level;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(bytes: Vec<u8>, compression: Compression) -> Result<(Vec<u8>, usize)> {
        let (mut reader, layers) = unpack(Box::new(Cursor::new(bytes)), compression)?;
        let mut out = Vec::new();
        reader.read_to_end(&mut out).map_err(from_io)?;
        Ok((out, layers))
    }

    #[test]
    fn all_members_and_both_layers_are_unpacked() {
        let members = [gzip(b"one,"), gzip(b""), gzip(b"two")].concat();
        assert_eq!(
            unpacked(members.clone(), Compression::Infer).unwrap(),
            (b"one,two".to_vec(), 1)
        );
        assert_eq!(unpacked(gzip(&members), Compression::Infer).unwrap().1, 2);
    }

    #[test]
    fn plain_bytes_pass_however_few() {
        for plain in [&b""[..], b"\x1f", b"a", b"a,b\n"] {
            let expected = (plain.to_vec(), 0);
            assert_eq!(
                unpacked(plain.to_vec(), Compression::Infer).unwrap(),
                expected
            );
        }
        assert_eq!(
            unpacked(gzip(b"x"), Compression::None).unwrap(),
            (gzip(b"x"), 0)
        );
        assert!(unpacked(b"a".to_vec(), Compression::Gzip).is_err());
    }

    #[test]
    fn a_cut_or_damaged_file_is_a_config_error_that_says_where() {
        let whole = gzip(&b"0123456789".repeat(10_000));
        let cut = unpacked(whole[..whole.len() - 9].to_vec(), Compression::Infer).unwrap_err();
        assert!(cut.message().contains("ends too early"), "{cut}");
        let mut damaged = whole.clone();
        let at = damaged.len() - 5;
        damaged[at] ^= 0xff;
        let error = unpacked(damaged, Compression::Infer).unwrap_err();
        assert!(
            error.message().contains("is damaged, after 100000"),
            "{error}"
        );
    }
}
