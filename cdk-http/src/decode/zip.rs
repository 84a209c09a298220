//! Zip archives.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use bytes::Bytes;

use crate::decode::{Decode, DecodeError, DecodeErrorKind as Kind, Decoder, Records};

const PIECE_BYTES: usize = 64 << 10;

/// Decodes every file of a zip archive, in the archive's order, as a body of its own. The archive lies in a temporary
/// file meanwhile, since its table of contents stands at its end.
#[derive(Debug, Clone)]
pub struct Zip<D>(Arc<D>);

impl<D: Decoder> Zip<D> {
    /// Decodes the files with `inner`.
    pub fn new(inner: D) -> Self {
        Self(Arc::new(inner))
    }
}

impl<D: Decoder> Decoder for Zip<D> {
    fn start(&self, content_type: Option<&str>) -> Box<dyn Decode> {
        Box::new(ZipDecode {
            decoder: Arc::clone(&self.0) as Arc<dyn Decoder>,
            content_type: content_type.map(str::to_owned),
            spool: None,
            failed: None,
            archive: None,
            is_end: false,
            at: 0,
            file: None,
        })
    }
}

struct ZipDecode {
    decoder: Arc<dyn Decoder>,
    content_type: Option<String>,
    spool: Option<File>,
    failed: Option<DecodeError>,
    archive: Option<::zip::ZipArchive<File>>,
    is_end: bool,
    /// The next file of the archive.
    at: usize,
    /// The file being decoded: unpacked into a temporary file of its own, from which it is read.
    file: Option<(File, Box<dyn Decode>, bool)>,
}

fn machine(error: &std::io::Error) -> DecodeError {
    DecodeError::new(Kind::Machine, error.to_string())
}

fn broken(error: &::zip::result::ZipError) -> DecodeError {
    DecodeError::new(Kind::Packed, error.to_string())
}

impl ZipDecode {
    fn spool(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        let file = match &mut self.spool {
            Some(file) => file,
            None => self.spool.insert(tempfile::tempfile()?),
        };
        file.write_all(chunk)
    }

    /// Unpacks the next file; false after the last.
    fn open_next(&mut self) -> Result<bool, DecodeError> {
        let archive = match &mut self.archive {
            Some(archive) => archive,
            None => {
                let Some(file) = self.spool.take() else {
                    return Ok(false);
                };
                let archive = ::zip::ZipArchive::new(file).map_err(|error| broken(&error))?;
                self.archive.insert(archive)
            }
        };
        while self.at < archive.len() {
            let mut member = archive.by_index(self.at).map_err(|error| broken(&error))?;
            self.at += 1;
            if !member.is_file() {
                continue;
            }
            let mut plain = tempfile::tempfile().map_err(|error| machine(&error))?;
            std::io::copy(&mut member, &mut plain)
                .map_err(|error| DecodeError::new(Kind::Packed, error.to_string()))?;
            plain
                .seek(SeekFrom::Start(0))
                .map_err(|error| machine(&error))?;
            let decode = self.decoder.start(self.content_type.as_deref());
            self.file = Some((plain, decode, false));
            return Ok(true);
        }
        Ok(false)
    }
}

impl Decode for ZipDecode {
    fn push(&mut self, chunk: Bytes, is_end: bool) {
        if let Err(error) = self.spool(&chunk) {
            self.failed = Some(machine(&error));
        }
        self.is_end = is_end;
    }

    fn next(&mut self) -> Result<Option<Records>, DecodeError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if !self.is_end {
            return Ok(None);
        }
        loop {
            let Some((file, decode, is_ended)) = &mut self.file else {
                match self.open_next()? {
                    true => continue,
                    false => return Ok(None),
                }
            };
            if let Some(records) = decode.next()? {
                return Ok(Some(records));
            }
            if *is_ended {
                self.file = None;
                continue;
            }
            let mut piece = vec![0; PIECE_BYTES];
            let read = file.read(&mut piece).map_err(|error| machine(&error))?;
            piece.truncate(read);
            *is_ended = read == 0;
            decode.push(Bytes::from(piece), *is_ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Jsonl;
    use crate::decode::testing::records;
    use ::zip::write::SimpleFileOptions;

    #[test]
    fn every_file_of_the_archive_is_decoded() {
        let mut writer = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, text) in [("a.jsonl", "{\"a\":1}\n"), ("b.jsonl", "{\"a\":2}")] {
            writer
                .start_file(name, SimpleFileOptions::default())
                .unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        let body = writer.finish().unwrap().into_inner();
        let decoder = Zip::new(Jsonl::new());
        assert_eq!(
            records(&decoder, &body).unwrap(),
            ["{\"a\":1}", "{\"a\":2}"]
        );
        assert_eq!(records(&decoder, b"no zip at all"), Err(Kind::Packed));
    }
}
