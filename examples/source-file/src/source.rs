//! The source: one file, one stream.

use std::sync::Arc;

use cdk_core::{BoxedStream, Context, ReadSettings, Result, Source, Stream};
use serde_json::Value;

use crate::aliases::normalize;
use crate::config::{FileConfig, FileFormat};
use crate::head;
use crate::http::HttpSettings;
use crate::location::Location;
use crate::reader::ReaderSettings;
use crate::reader_options::{BadLines, ReaderOptions};
use crate::streams::FileStream;

/// Reads one CSV or JSONL file.
///
/// The stream is called `dataset_name`, is read in full refresh, and resumes inside the file after
/// an interruption.
#[derive(Debug, Clone, Default)]
pub struct FileSource {
    http: HttpSettings,
    read: ReadSettings,
    reader: ReaderSettings,
}

impl FileSource {
    /// Sets timeouts and retries of transfers.
    #[must_use]
    pub fn with_http_settings(mut self, settings: HttpSettings) -> Self {
        self.http = settings;
        self
    }

    /// Sets when batches and states are emitted.
    #[must_use]
    pub fn with_read_settings(mut self, settings: ReadSettings) -> Self {
        self.read = settings;
        self
    }

    /// Sets how many bytes of records are parsed between two points to resume from (default 256 KiB).
    #[must_use]
    pub fn with_block_bytes(mut self, bytes: usize) -> Self {
        self.reader = ReaderSettings { block_bytes: bytes };
        self
    }

    fn task(&self, config: &FileConfig, context: &Context) -> Result<FileTask> {
        let text = config.reader_options.as_deref();
        Ok(FileTask {
            location: Location::new(config, &self.http, context)?,
            format: config.format,
            options: Arc::new(ReaderOptions::parse(text, config.format)?),
            options_text: text.unwrap_or_default().trim().into(),
        })
    }
}

/// What to read, and how. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct FileTask {
    pub(crate) location: Location,
    pub(crate) format: FileFormat,
    pub(crate) options: Arc<ReaderOptions>,
    /// The options as the user wrote them.
    pub(crate) options_text: Arc<str>,
}

impl Source for FileSource {
    type Config = FileConfig;

    /// See [`normalize`].
    fn normalize_config(&self, config: Value) -> Value {
        normalize(config)
    }

    /// Opens the file and reads its first row.
    async fn check(&self, config: &FileConfig, context: &Context) -> Result<()> {
        let task = self.task(config, context)?;
        let head = head::read(task.clone()).await?;
        match head.problem {
            Some(problem) if task.options.bad_lines == BadLines::Fail => {
                Err(problem.into_error(&task.location.display()))
            }
            _ => Ok(()),
        }
    }

    async fn streams(&self, config: &FileConfig, context: &Context) -> Result<Vec<BoxedStream>> {
        let task = self.task(config, context)?;
        let head = head::read(task.clone()).await?;
        Ok(vec![
            FileStream::new(&config.dataset_name, task, head, self.reader).boxed(),
        ])
    }

    fn read_settings(&self, _: &FileConfig) -> ReadSettings {
        self.read.clone()
    }
}
