//! The thread that parses: text in, blocks of records out.

use cdk_core::{ConnectorError, Result};
use tokio::sync::mpsc;

use crate::bad_row::{BadRow, RowError};
use crate::block::Block;
use crate::csv::CsvRecords;
use crate::jsonl::JsonlRecords;
use crate::position::Position;
use crate::reader_options::{BadLines, ReaderOptions};

/// Blocks on their way at the same time; more would only cost memory.
const QUEUED_BLOCKS: usize = 2;
/// Bad rows that are logged one by one.
const LOGGED_BAD_ROWS: u64 = 10;

/// How the parsing thread works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReaderSettings {
    /// A block goes on when it holds this much text.
    pub(crate) block_bytes: usize,
}

impl Default for ReaderSettings {
    fn default() -> Self {
        Self {
            block_bytes: 256 << 10,
        }
    }
}

/// The records of a file, in either format.
pub(crate) enum Records {
    Csv(Box<CsvRecords>),
    Jsonl(JsonlRecords),
}

impl Records {
    /// Writes the next record to `block`; false at the end of the text.
    fn next_into(&mut self, block: &mut Block) -> Result<bool, RowError> {
        match self {
            Self::Csv(records) => records.next_into(block),
            Self::Jsonl(records) => records.next_into(block),
        }
    }

    fn position(&self) -> Position {
        match self {
            Self::Csv(records) => records.position(),
            Self::Jsonl(records) => records.position(),
        }
    }
}

/// Blocks as they come out of the thread.
pub(crate) struct Blocks {
    filled: mpsc::Receiver<Message>,
    emptied: mpsc::Sender<Block>,
}

enum Message {
    Block(Block),
    Failed(ConnectorError),
    /// Everything was read. Without it, the thread died.
    End,
}

impl Blocks {
    /// The next block; `None` when everything was read. After an error nothing follows.
    pub(crate) async fn next(&mut self) -> Result<Option<Block>> {
        match self.filled.recv().await {
            Some(Message::Block(block)) => Ok(Some(block)),
            Some(Message::Failed(error)) => Err(error),
            Some(Message::End) => Ok(None),
            None => Err(ConnectorError::system(
                "The thread that parses the file crashed. This is a bug of the connector; the log \
                 shows where.",
            )),
        }
    }

    /// Gives a block back to be filled again.
    pub(crate) fn recycle(&self, block: Block) {
        // A full queue has blocks enough.
        drop(self.emptied.try_send(block));
    }
}

/// What the thread needs besides the records.
pub(crate) struct Job {
    pub(crate) file: String,
    /// Rows before the first.
    pub(crate) rows: u64,
    pub(crate) options: std::sync::Arc<ReaderOptions>,
    pub(crate) settings: ReaderSettings,
}

/// Starts the thread. `open` runs on it too: skipping into a packed file takes its time.
///
/// It stops by itself when the blocks are dropped.
pub(crate) fn start(job: Job, open: impl FnOnce() -> Result<Records> + Send + 'static) -> Blocks {
    let (filled, received) = mpsc::channel(QUEUED_BLOCKS);
    let (emptied, reusable) = mpsc::channel(QUEUED_BLOCKS + 1);
    tokio::task::spawn_blocking(move || {
        let mut parser = Parser {
            job,
            filled,
            reusable,
            skipped: 0,
        };
        let ended = open().and_then(|records| parser.run(records));
        let last = match ended {
            Ok(()) => Message::End,
            Err(error) => Message::Failed(error),
        };
        // Nobody receives any more when the read was aborted.
        drop(parser.filled.blocking_send(last));
    });
    Blocks {
        filled: received,
        emptied,
    }
}

struct Parser {
    job: Job,
    filled: mpsc::Sender<Message>,
    reusable: mpsc::Receiver<Block>,
    /// Bad rows left out.
    skipped: u64,
}

impl Parser {
    /// Reads to the end. What was read before an error is sent first.
    fn run(&mut self, mut records: Records) -> Result<()> {
        let mut is_more = true;
        while is_more {
            let mut block = self.reusable.try_recv().unwrap_or_else(|_| Block::new());
            block.clear();
            let filled = self.fill(&mut records, &mut block);
            is_more = *filled.as_ref().unwrap_or(&false);
            if !is_more && self.skipped > 0 {
                let text = format!(
                    "{}: {} bad rows were left out.",
                    self.job.file, self.skipped
                );
                block.warnings.push(text);
            }
            self.filled
                .blocking_send(Message::Block(block))
                .map_err(|_| ConnectorError::stopped())?;
            filled?;
        }
        Ok(())
    }

    /// Fills one block; false when nothing follows it.
    ///
    /// On an error the block ends behind the last good row, so that the bad one is met again.
    fn fill(&mut self, records: &mut Records, block: &mut Block) -> Result<bool> {
        let max_rows = self.job.options.max_rows.unwrap_or(u64::MAX);
        while block.bytes() < self.job.settings.block_bytes {
            block.after = Position {
                rows: self.job.rows,
                ..records.position()
            };
            if self.job.rows >= max_rows {
                return Ok(false);
            }
            match records.next_into(block) {
                Ok(true) => self.job.rows += 1,
                Ok(false) => return Ok(false),
                Err(RowError::Bad(row)) if self.job.options.bad_lines == BadLines::Skip => {
                    self.skip(&row, block);
                }
                Err(error) => return Err(error.into_error(&self.job.file)),
            }
        }
        block.after = Position {
            rows: self.job.rows,
            ..records.position()
        };
        Ok(true)
    }

    fn skip(&mut self, row: &BadRow, block: &mut Block) {
        self.skipped += 1;
        if self.skipped <= LOGGED_BAD_ROWS {
            block.warnings.push(row.warning(&self.job.file));
        }
    }
}
