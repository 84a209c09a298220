//! The loader of a destination of files.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use airbyte_protocol::{ConfiguredAirbyteCatalog, ConfiguredAirbyteStream};
use cdk_core::WriteSettings;
use cdk_core::destination::offload::Offload;
use cdk_core::{
    CommitStats, ConnectorError, Context, ErrorContext, RecordBatch, Result, StreamEnd,
    StreamLoader,
};

use crate::folder::Folder;
use crate::format::{Encoder, FileOptions, OpenFile};
use crate::path::Layout;
use crate::store::{Location, Store, Upload};

/// A file ends when it has about so many bytes, so that readers can share the work.
const FILE_BYTES: u64 = 200 << 20;
/// A commit ends a file, and after it states are given back.
const COMMIT_BYTES: u64 = 1 << 30;
const COMMIT_INTERVAL: Duration = Duration::from_secs(60);
/// What the open files of all streams may hold in memory together.
const HELD_BYTES: usize = 128 << 20;
/// Less is not worth a row group of its own.
const LEAST_HELD_BYTES: usize = 4 << 20;

/// How a destination writes its files.
#[derive(Debug, Clone)]
pub struct FileSettings {
    /// Where.
    pub location: Location,
    /// Under which names.
    pub layout: Layout,
    /// How.
    pub options: FileOptions,
}

/// Loads one stream into files.
#[derive(Debug)]
pub struct FileLoader {
    context: Context,
    stream: Offload<StreamInHand>,
}

impl FileLoader {
    /// Opens all streams of a catalog: what dead runs left is completed or removed first.
    ///
    /// A config error when two streams would share their files' names.
    pub async fn open_all(
        settings: FileSettings,
        catalog: &ConfiguredAirbyteCatalog,
        context: &Context,
    ) -> Result<Vec<Self>> {
        let (catalog, run) = (catalog.clone(), context.now_ms());
        refuse_shared_names(&settings, &catalog, run)?;
        let opened = tokio::task::spawn_blocking(move || open_streams(&settings, &catalog, run));
        let streams = opened
            .await
            .system_error("Opening crashed. Please report this.")??;
        let loaders = streams.into_iter().map(|stream| Self {
            context: context.clone(),
            stream: Offload::new(stream),
        });
        Ok(loaders.collect())
    }
}

impl FileSettings {
    /// Tries all that a sync needs of the place, and leaves nothing behind.
    pub async fn check(&self) -> Result<()> {
        let settings = self.clone();
        let checked = tokio::task::spawn_blocking(move || {
            Store::open(&settings.location)?.probe(&settings.layout.shared_folder())
        });
        checked
            .await
            .system_error("The check crashed. Please report this.")?
    }

    /// When to commit: every commit ends a file, so commits are rarer than elsewhere.
    pub fn write_settings() -> WriteSettings {
        WriteSettings::new(COMMIT_BYTES, COMMIT_INTERVAL)
    }
}

impl StreamLoader for FileLoader {
    async fn load(&mut self, batch: RecordBatch) -> Result<()> {
        let now_ms = self.context.now_ms();
        self.stream
            .run(move |stream| stream.load(&batch, now_ms))
            .await
    }

    async fn commit(&mut self) -> Result<CommitStats> {
        self.stream.run(StreamInHand::commit).await
    }

    async fn finish(mut self, end: StreamEnd) -> Result<()> {
        self.stream.run(move |stream| stream.finish(end)).await
    }
}

fn open_streams(
    settings: &FileSettings,
    catalog: &ConfiguredAirbyteCatalog,
    run: i64,
) -> Result<Vec<StreamInHand>> {
    let store = Store::open(&settings.location)?;
    let held = Arc::new(AtomicUsize::new(0));
    let streams = catalog.streams.iter().map(|stream| {
        StreamInHand::open(settings, &store, stream, run, Arc::clone(&held))
            .map_err(|error| error.with_stream(&stream.descriptor()))
    });
    streams.collect()
}

/// On some systems `Users` and `users` are one directory.
fn refuse_shared_names(
    settings: &FileSettings,
    catalog: &ConfiguredAirbyteCatalog,
    run: i64,
) -> Result<()> {
    let mut seen = HashMap::new();
    for stream in &catalog.streams {
        let name = stream.descriptor();
        let place = settings.layout.place(stream, run);
        if let Some(other) = seen.insert(place.prefix().to_lowercase(), name.clone()) {
            return Err(ConnectorError::config(format!(
                "Streams {other} and {name} would both be written to {}. Put ${{NAMESPACE}} and ${{STREAM_NAME}} \
                 into the path, give one of them another name or namespace, or leave it out.",
                place.prefix()
            ))
            .with_stream(&name));
        }
    }
    Ok(())
}

/// A stream and the file that is being written.
struct StreamInHand {
    folder: Folder,
    encoder: Encoder,
    file: Option<(OpenFile<Sink>, Sink)>,
    /// What all streams hold in memory, and this one's share.
    held: Arc<AtomicUsize>,
    held_here: usize,
}

impl std::fmt::Debug for StreamInHand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamInHand")
            .field("prefix", &self.folder.prefix())
            .finish_non_exhaustive()
    }
}

impl StreamInHand {
    fn open(
        settings: &FileSettings,
        store: &Store,
        stream: &ConfiguredAirbyteStream,
        run: i64,
        held: Arc<AtomicUsize>,
    ) -> Result<Self> {
        let extension = settings.options.format.extension();
        Ok(Self {
            folder: Folder::open(store, &settings.layout, stream, extension, run)?,
            encoder: Encoder::new(&settings.options, stream),
            file: None,
            held,
            held_here: 0,
        })
    }

    fn load(&mut self, batch: &RecordBatch, now_ms: i64) -> Result<()> {
        let (mut file, sink) = match self.file.take() {
            Some(open) => open,
            None => {
                let sink = Sink::new(self.folder.begin(now_ms)?);
                let file = self
                    .encoder
                    .open(batch, sink.clone())
                    .map_err(|error| sink.failure(error))?;
                (file, sink)
            }
        };
        let written = self
            .encoder
            .write(&mut file, batch, now_ms)
            .and_then(|()| self.bound(&mut file));
        if let Err(error) = written {
            let error = sink.failure(error);
            sink.abort();
            return Err(error);
        }
        let is_full = sink.bytes() + file.held_bytes() as u64 >= FILE_BYTES;
        self.file = Some((file, sink));
        if is_full { self.end_file() } else { Ok(()) }
    }

    /// Keeps what the streams hold in memory together within bounds.
    fn bound(&mut self, file: &mut OpenFile<Sink>) -> Result<()> {
        let total = self.note_held(file.held_bytes());
        if total > HELD_BYTES && self.held_here >= LEAST_HELD_BYTES {
            file.relieve()?;
            self.note_held(file.held_bytes());
        }
        Ok(())
    }

    fn note_held(&mut self, bytes: usize) -> usize {
        let before = std::mem::replace(&mut self.held_here, bytes);
        self.held.fetch_add(bytes, Ordering::Relaxed);
        let total = self.held.fetch_sub(before, Ordering::Relaxed);
        total.saturating_sub(before)
    }

    fn end_file(&mut self) -> Result<()> {
        let Some((file, sink)) = self.file.take() else {
            return Ok(());
        };
        self.note_held(0);
        match file.finish() {
            Ok(_) => sink.finish(),
            Err(error) => {
                let error = sink.failure(error);
                sink.abort();
                Err(error)
            }
        }
    }

    fn commit(&mut self) -> Result<CommitStats> {
        self.end_file()?;
        self.folder.commit()?;
        Ok(CommitStats {
            rejected_records: 0,
            nulled_values: self.encoder.take_nulled(),
        })
    }

    fn finish(&mut self, end: StreamEnd) -> Result<()> {
        match end {
            StreamEnd::Complete => self.folder.complete(),
            StreamEnd::Incomplete => self.folder.leave(),
        }
    }
}

/// An upload that the writer of a format and we both hold.
#[derive(Debug, Clone)]
struct Sink(Arc<Mutex<Option<Upload>>>);

impl Sink {
    fn new(upload: Upload) -> Self {
        Self(Arc::new(Mutex::new(Some(upload))))
    }

    fn with<R>(&self, work: impl FnOnce(&mut Option<Upload>) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn bytes(&self) -> u64 {
        self.with(|upload| upload.as_ref().map_or(0, Upload::bytes))
    }

    /// What really failed, if it was the upload.
    fn failure(&self, error: ConnectorError) -> ConnectorError {
        let of_upload = self.with(|upload| upload.as_mut().and_then(Upload::take_failure));
        of_upload.unwrap_or(error)
    }

    fn finish(&self) -> Result<()> {
        self.with(Option::take).map_or(Ok(()), Upload::finish)
    }

    fn abort(&self) {
        self.with(Option::take).into_iter().for_each(Upload::abort);
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|upload| match upload {
            Some(upload) => upload.write(bytes),
            None => Err(io::Error::other("the upload has ended")),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
