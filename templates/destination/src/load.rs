//! Loads one stream into a file of JSON lines. This is the file to edit: what is here is an example.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cdk_core::destination::generation::{Found, Generation};
use cdk_core::protocol::ConfiguredAirbyteStream;
use cdk_core::{CommitStats, ErrorContext, RecordBatch, Result, StreamEnd, StreamLoader};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// One stream.
pub struct Loader {
    /// What users see.
    visible: PathBuf,
    /// Where rows wait until the stream is complete, if they replace those that are there.
    staged: Option<PathBuf>,
    file: File,
    /// Rows that are not written yet.
    waiting: Vec<u8>,
}

impl Loader {
    /// Creates what the stream needs.
    pub fn open(directory: &Path, stream: &ConfiguredAirbyteStream) -> Result<Self> {
        // An overwrite, or a refresh, is loaded aside and takes the old rows' place in `finish`.
        let is_staged = Generation::of(stream).target(Found::default()).is_staged();
        let visible = directory.join(file_name(stream));
        let staged = is_staged.then(|| visible.with_extension("staged"));
        let opened = fs::create_dir_all(directory).and_then(|()| match &staged {
            Some(staged) => File::create(staged),
            None => open_whole(&visible),
        });
        Ok(Self {
            file: opened.config_error(cannot_write(directory))?,
            visible,
            staged,
            waiting: Vec::new(),
        })
    }
}

impl StreamLoader for Loader {
    async fn load(&mut self, batch: RecordBatch) -> Result<()> {
        for row in batch.json().iter() {
            self.waiting.extend_from_slice(row.data.as_bytes());
            self.waiting.push(b'\n');
        }
        Ok(())
    }

    /// When this returns, pulling the plug loses nothing of what was loaded before.
    async fn commit(&mut self) -> Result<CommitStats> {
        let written = self
            .file
            .write_all(&self.waiting)
            .and_then(|()| self.file.sync_data());
        written.config_error(cannot_write(&self.visible))?;
        self.waiting.clear();
        Ok(CommitStats::default())
    }

    async fn finish(self, end: StreamEnd) -> Result<()> {
        let Some(staged) = self.staged else {
            return Ok(());
        };
        let done = match end {
            StreamEnd::Complete => fs::rename(&staged, &self.visible),
            StreamEnd::Incomplete => fs::remove_file(&staged),
        };
        done.config_error(cannot_write(&self.visible))
    }
}

/// A file to append to, without the half line that a power cut may have left at its end.
fn open_whole(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    let bytes = fs::read(path)?;
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    if whole < bytes.len() {
        file.set_len(whole as u64)?;
    }
    Ok(file)
}

/// The file of a stream. Two streams never share one.
fn file_name(stream: &ConfiguredAirbyteStream) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let name = encoded(&stream.stream.name);
    match &stream.stream.namespace {
        Some(namespace) => format!("{}.{name}.jsonl", encoded(namespace)),
        None => format!("{name}.jsonl"),
    }
}

/// The message when a file or directory can't be written.
pub fn cannot_write(path: &Path) -> String {
    format!(
        "{} can't be written. Set `directory` to one that this user may write to, and make room on its disk.",
        path.display()
    )
}
