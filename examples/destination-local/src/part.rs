//! One file while it is written.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use cdk_core::Result;
use flate2::write::GzEncoder;

use crate::config::Compression;
use crate::error::FileContext;

const BUFFER_BYTES: usize = 256 << 10;

/// A file in progress.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Plain(BufWriter<Limited>),
    Gzip(Box<GzEncoder<BufWriter<Limited>>>),
}

/// A file that, in tests, behaves as if the disk were full after so many bytes.
#[derive(Debug)]
struct Limited {
    file: File,
    left: Option<u64>,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        if let Some(left) = &mut self.left {
            let rest = left.checked_sub(written as u64);
            *left = rest.ok_or(io::ErrorKind::StorageFull)?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Part {
    /// Creates the file; it must not exist.
    pub(crate) fn create(
        path: PathBuf,
        compression: Compression,
        limit: Option<u64>,
    ) -> Result<Self> {
        let file = File::create_new(&path).file("create", &path)?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, Limited { file, left: limit });
        let sink = match compression {
            Compression::None => Sink::Plain(file),
            Compression::Gzip => Sink::Gzip(Box::new(GzEncoder::new(
                file,
                flate2::Compression::default(),
            ))),
        };
        Ok(Self { path, sink })
    }

    /// Adds text.
    pub(crate) fn write(&mut self, text: &str) -> Result<()> {
        let written = match &mut self.sink {
            Sink::Plain(sink) => sink.write_all(text.as_bytes()),
            Sink::Gzip(sink) => sink.write_all(text.as_bytes()),
        };
        written.file("write to", &self.path)
    }

    /// Ends the file: when this returns it survives a crash, under the name `to`.
    pub(crate) fn publish(self, to: &Path) -> Result<()> {
        let path = self.path;
        let file = match self.sink {
            Sink::Plain(sink) => Ok(sink),
            Sink::Gzip(sink) => sink.finish(),
        };
        let file = file.and_then(|sink| sink.into_inner().map_err(io::IntoInnerError::into_error));
        file.and_then(|limited| limited.file.sync_all())
            .file("write to", &path)?;
        std::fs::rename(&path, to).file("rename to", to)
    }
}
