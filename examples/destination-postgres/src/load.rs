//! The loader of one stream.

use bytes::Bytes;
use cdk_core::destination::generation::Target;
use cdk_core::{CommitStats, Context, RecordBatch, Result, StreamEnd, StreamLoader};

use cdk_sql_postgres::tokio_postgres::Client;

use crate::copy::Copy;
use crate::layout::Layout;
use crate::merge::{self, BATCH};
use crate::normalize::Entries;
use crate::open::{OpenStream, Place};
use crate::pool::{Lease, Pool};
use crate::swap;
use crate::table::Table;
use crate::writer::{Apart, Writer};

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

/// Bytes of rows with metadata of their own that are held before they are copied.
const APART_BYTES: usize = 4 << 20;

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

    /// Where rows are copied to, as in a statement.
    fn copied_to(&self) -> String {
        match self.merges() {
            true => BATCH.to_owned(),
            false => self.stream.table.quoted(),
        }
    }

    /// Copies the rows that bring metadata of their own. No other copy is under way.
    async fn copy_apart(&mut self, client: &Client) -> Result<()> {
        let Apart { bytes, rows } = self.stream.writer.take_apart();
        if rows == 0 {
            return Ok(());
        }
        let doing = self.doing();
        let statement = Writer::copy_changed_sql(&self.stream.table, &self.copied_to());
        let mut copy = Copy::start(client, &statement, &doing).await?;
        copy.send(Bytes::from(bytes), rows, &doing).await?;
        copy.finish(&doing).await
    }

    async fn begin(&self) -> Result<Transaction> {
        let lease = self.pool.lease().await?;
        lease.begin().await?;
        let table = &self.stream.table;
        if self.merges() {
            merge::create_batch(lease.client(), table).await?;
        }
        let statement = self.stream.writer.copy_sql(table, &self.copied_to());
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
        let now_ms = self.context.now_ms();
        let count = self.stream.writer.write(&batch, now_ms, &mut rows)?;
        self.buffer_bytes = rows.len() + rows.len() / 8;
        // Its bytes are free for the next one while these travel.
        drop(batch);
        let doing = self.doing();
        if let Some(open) = &mut self.open {
            open.copy.send(Bytes::from(rows), count, &doing).await?;
        }
        if self.stream.writer.apart_bytes() > APART_BYTES
            && let Some(Transaction { copy, lease }) = self.open.take()
        {
            copy.finish(&doing).await?;
            self.copy_apart(lease.client()).await?;
            let statement = self
                .stream
                .writer
                .copy_sql(&self.stream.table, &self.copied_to());
            let copy = Copy::start(lease.client(), &statement, &doing).await?;
            self.open = Some(Transaction { copy, lease });
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<CommitStats> {
        let Some(Transaction { copy, lease }) = self.open.take() else {
            return Ok(CommitStats::default());
        };
        copy.finish(&self.doing()).await?;
        self.copy_apart(lease.client()).await?;
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
