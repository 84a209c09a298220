//! The loader of one stream.

use airbyte_protocol::ConfiguredAirbyteStream;
use cdk_core::destination::generation::{Generation, Target};
use cdk_core::destination::offload::Offload;
use cdk_core::{CommitStats, Context, RecordBatch, Result, StreamEnd, StreamLoader};

use crate::config::{Config, Format};
use crate::folder::Folder;
use crate::format::RowFormat;
use crate::names::{self, FileName, OPEN, STAGED};
use crate::part::Part;

/// Loads one stream: a file per commit, hidden until the commit.
#[derive(Debug)]
pub struct LocalLoader {
    context: Context,
    stream: Offload<StreamInHand>,
}

/// A stream and the file that is being written.
#[derive(Debug)]
pub(crate) struct StreamInHand {
    folder: Folder,
    format: Format,
    rows: RowFormat,
    generation: Generation,
    target: Target,
    next: FileName,
    part: Option<Part>,
    text: String,
    /// Lets tests fill the disk.
    limit: Option<u64>,
}

impl StreamInHand {
    /// Opens the stream's directory. `run` is when the run began.
    pub(crate) fn open(
        config: &Config,
        stream: &ConfiguredAirbyteStream,
        run: i64,
        limit: Option<u64>,
    ) -> Result<Self> {
        let generation = Generation::of(stream);
        let path = config
            .destination_path
            .join(names::directory(&stream.descriptor()));
        let (folder, target) = Folder::open(path, &generation)?;
        let generation_id = generation.column_value();
        let next = FileName {
            generation_id,
            run,
            part: folder.next_part(generation_id, run)?,
            extension: config.format.extension().to_owned(),
        };
        Ok(Self {
            folder,
            rows: RowFormat::new(&config.format, stream),
            format: config.format.clone(),
            generation,
            target,
            next,
            part: None,
            text: String::new(),
            limit,
        })
    }

    fn load(&mut self, batch: &RecordBatch, now_ms: i64) -> Result<()> {
        let mut part = match self.part.take() {
            Some(part) => part,
            None => self.create()?,
        };
        self.rows
            .write(batch.json(), now_ms, &mut self.text, |text| {
                part.write(text)
            })?;
        self.part = Some(part);
        Ok(())
    }

    fn create(&mut self) -> Result<Part> {
        let path = self
            .folder
            .path_of(&format!("{OPEN}{}", self.next.visible()));
        let mut part = Part::create(path, self.format.options().compression, self.limit)?;
        let mut header = String::new();
        self.rows.header(&mut header);
        part.write(&header)?;
        Ok(part)
    }

    fn commit(&mut self) -> Result<CommitStats> {
        if let Some(part) = self.part.take() {
            let prefix = if self.target.is_staged() { STAGED } else { "" };
            part.publish(
                &self
                    .folder
                    .path_of(&format!("{prefix}{}", self.next.visible())),
            )?;
            self.folder.sync()?;
            self.next.part += 1;
        }
        Ok(CommitStats {
            rejected_records: 0,
            nulled_values: self.rows.take_nulled(),
        })
    }

    fn finish(&mut self, end: StreamEnd) -> Result<()> {
        match end {
            StreamEnd::Complete if self.target.is_staged() => self.folder.swap(),
            StreamEnd::Incomplete if self.target.is_staged() && !self.generation.is_resumable() => {
                self.folder.drop_staged()
            }
            StreamEnd::Complete | StreamEnd::Incomplete => Ok(()),
        }
    }
}

impl LocalLoader {
    pub(crate) fn new(context: Context, stream: StreamInHand) -> Self {
        Self {
            context,
            stream: Offload::new(stream),
        }
    }
}

impl StreamLoader for LocalLoader {
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
