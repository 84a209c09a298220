//! The loader of one stream.

use bytes::Bytes;
use cdk_core::destination::generation::Target;
use cdk_core::{CommitStats, Context, RecordBatch, Result, StreamEnd, StreamLoader};

use crate::copy::Copy;
use crate::layout::Layout;
use crate::merge::{self, BATCH};
use crate::normalize::Entries;
use crate::open::{OpenStream, Place};
use crate::pool::{Lease, Pool};
use crate::swap;
use crate::table::Table;
use crate::writer::Writer;

/// Loads one stream. Rows are copied in one transaction per commit; between commits a stream holds no connection.
#[derive(Debug)]
pub struct PostgresLoader {
    pool: Pool,
    context: Context,
    place: Place,
    stream: OpenStream,
    /// The transaction with the rows that are not committed yet.
    open: Option<Transaction>,
    /// Bytes that the last batch became: the next one needs about as many.
    buffer_bytes: usize,
}

/// Rows that are under way.
#[derive(Debug)]
struct Transaction {
    // Before the connection: a copy is given up first.
    copy: Copy,
    lease: Lease,
}

impl PostgresLoader {
    pub(crate) fn new(pool: Pool, context: Context, place: Place, stream: OpenStream) -> Self {
        Self {
            pool,
            context,
            place,
            stream,
            open: None,
            buffer_bytes: 0,
        }
    }

    fn doing(&self) -> String {
        format!("writing to table {}", self.stream.visible)
    }

    /// Whether rows are merged by their key as they arrive.
    fn merges(&self) -> bool {
        // What is staged is merged once, when it is complete.
        self.stream.table.shape.is_deduped && !self.stream.target.is_staged()
    }

    async fn begin(&self) -> Result<Transaction> {
        let lease = self.pool.lease().await?;
        lease.begin().await?;
        let table = &self.stream.table;
        let into = match self.merges() {
            true => {
                merge::create_batch(lease.client(), table).await?;
                BATCH.to_owned()
            }
            false => table.quoted(),
        };
        let statement = Writer::copy_sql(table, &into);
        let copy = Copy::start(lease.client(), &statement, &self.doing()).await?;
        Ok(Transaction { copy, lease })
    }

    /// Every record arrived: what was staged becomes visible.
    async fn complete(&self) -> Result<()> {
        let OpenStream {
            table,
            target,
            generation,
            visible,
            ..
        } = &self.stream;
        let is_staged = target.is_staged();
        let merges_all = match is_staged {
            true => table.shape.is_deduped || target.is_resumed(),
            false => !table.shape.is_deduped && target.is_resumed(),
        };
        if !is_staged && !merges_all {
            return Ok(());
        }
        let lease = self.pool.lease().await?;
        lease.begin().await?;
        let client = lease.client();
        if merges_all {
            merge::merge_in_place(client, table).await?;
        }
        if is_staged {
            table.ensure_key_index(client).await?;
            for change in swap::replace(client, table, visible, self.place.drop_cascade).await? {
                tracing::info!("Table `{visible}`: {change}.");
            }
            self.place
                .registry
                .swapped(client, visible, generation.id())
                .await?;
            if table.shape.layout != Layout::Typed {
                let entries = Entries::new(&self.place.internal);
                entries.reset(client, visible).await?;
            }
        }
        lease.commit(|| self.doing()).await
    }

    /// Brings the normalized tables up to date. What fails here fails the stream, but its raw rows are there and its
    /// states given back: `cdk normalize` or the next sync does it again.
    async fn normalize(&self) -> Result<()> {
        let Some(normalizer) = &self.stream.normalizer else {
            return Ok(());
        };
        let done = normalizer.run(false, self.context.now_ms()).await?;
        for (table, rows) in &done.tables {
            tracing::info!(
                "Normalized {} raw rows of {}: {rows} rows to {table}.",
                done.raw_rows,
                done.stream
            );
        }
        Ok(())
    }

    /// The stream did not complete: what users see stays as it is.
    async fn set_aside(&self) -> Result<()> {
        let OpenStream {
            table,
            target,
            generation,
            ..
        } = &self.stream;
        if *target != Target::NewStage || generation.is_resumable() {
            return Ok(());
        }
        let lease = self.pool.lease().await?;
        Table::drop(lease.client(), &table.name).await?;
        lease.give_back();
        Ok(())
    }
}

impl StreamLoader for PostgresLoader {
    async fn load(&mut self, batch: RecordBatch) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(self.begin().await?);
        }
        let mut rows = Vec::with_capacity(self.buffer_bytes);
        self.stream
            .writer
            .write(&batch, self.context.now_ms(), &mut rows)?;
        self.buffer_bytes = rows.len() + rows.len() / 8;
        let count = batch.len() as u64;
        // Its bytes are free for the next one while these travel.
        drop(batch);
        let doing = self.doing();
        match &mut self.open {
            Some(open) => open.copy.send(Bytes::from(rows), count, &doing).await,
            None => Ok(()),
        }
    }

    async fn commit(&mut self) -> Result<CommitStats> {
        let Some(Transaction { copy, lease }) = self.open.take() else {
            return Ok(CommitStats::default());
        };
        copy.finish(&self.doing()).await?;
        let arrived = self.stream.writer.take_arrived();
        if self.merges() {
            merge::merge(lease.client(), &self.stream.table, arrived).await?;
        }
        lease.commit(|| self.doing()).await?;
        Ok(CommitStats {
            rejected_records: 0,
            nulled_values: self.stream.writer.take_nulled(),
        })
    }

    async fn finish(self, end: StreamEnd) -> Result<()> {
        match end {
            StreamEnd::Complete => {
                self.complete().await?;
                self.normalize().await
            }
            StreamEnd::Incomplete => self.set_aside().await,
        }
    }
}
