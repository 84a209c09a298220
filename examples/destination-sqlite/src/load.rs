//! The loader of one stream.

use std::sync::Arc;

use cdk_core::destination::generation::Target;
use cdk_core::destination::offload::Offload;
use cdk_core::{
    CommitStats, ConnectorError, Context, RecordBatch, Result, StreamEnd, StreamLoader,
};

use crate::database::{Database, SharedDatabase, lock};
use crate::open::OpenStream;
use crate::{names, normalize, registry, table};

/// Loads one stream. All work happens on threads for blocking work, under the database's lock.
#[derive(Debug)]
pub struct SqliteLoader {
    database: SharedDatabase,
    context: Context,
    stream: Offload<StreamInHand>,
}

#[derive(Debug)]
struct StreamInHand {
    open: OpenStream,
    /// The database's count of rollbacks when the first row was written that is not committed yet.
    uncommitted_since: Option<u64>,
}

impl SqliteLoader {
    pub(crate) fn new(database: SharedDatabase, context: Context, open: OpenStream) -> Self {
        let stream = StreamInHand {
            open,
            uncommitted_since: None,
        };
        Self {
            database,
            context,
            stream: Offload::new(stream),
        }
    }

    async fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut StreamInHand, &mut Database) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let database = Arc::clone(&self.database);
        self.stream
            .run(move |stream| work(stream, &mut lock(&database)))
            .await
    }
}

impl StreamLoader for SqliteLoader {
    async fn load(&mut self, batch: RecordBatch) -> Result<()> {
        let now_ms = self.context.now_ms();
        self.run(move |stream, database| stream.load(database, &batch, now_ms))
            .await
    }

    async fn commit(&mut self) -> Result<CommitStats> {
        self.run(StreamInHand::commit).await
    }

    async fn finish(mut self, end: StreamEnd) -> Result<()> {
        let now_ms = self.context.now_ms();
        self.run(move |stream, database| match end {
            StreamEnd::Complete => stream.complete(database, now_ms),
            StreamEnd::Incomplete => stream.set_aside(database),
        })
        .await
    }
}

impl StreamInHand {
    fn load(&mut self, database: &mut Database, batch: &RecordBatch, now_ms: i64) -> Result<()> {
        database.begin()?;
        self.check_nothing_lost(database)?;
        self.uncommitted_since = Some(database.rollbacks());
        self.open
            .rows
            .write(database.connection(), batch.json(), now_ms)
    }

    fn commit(&mut self, database: &mut Database) -> Result<CommitStats> {
        self.check_nothing_lost(database)?;
        database.commit()?;
        self.uncommitted_since = None;
        Ok(CommitStats {
            rejected_records: 0,
            nulled_values: self.open.rows.take_nulled(),
        })
    }

    /// The streams share a transaction. When SQLite rolls it back for one, the others must not go on as
    /// if their rows were there.
    fn check_nothing_lost(&self, database: &mut Database) -> Result<()> {
        match self.uncommitted_since {
            Some(since) if since != database.rollbacks() => Err(ConnectorError::transient(
                "SQLite rolled back rows that were not committed yet, because of the failure of another \
                 stream. Solve that one and run the sync again; nothing committed is lost.",
            )),
            _ => Ok(()),
        }
    }

    /// Every record arrived: what was staged becomes visible.
    fn complete(&mut self, database: &mut Database, now_ms: i64) -> Result<()> {
        let open = &self.open;
        database.transact(|connection| {
            if open.target.is_resumed() {
                open.rows.merge(connection)?;
            }
            if open.target.is_staged() {
                table::swap(connection, open.rows.table(), &open.visible)?;
                registry::swapped(connection, &open.visible, open.generation.id())?;
                normalize::reset(connection, &open.visible)?;
            }
            Ok(())
        })?;
        // Raw rows stay when this fails: `cdk normalize` or the next sync does it again.
        let Some(normalizer) = &open.normalizer else {
            return Ok(());
        };
        let done = database.transact(|connection| normalizer.run(connection, false, now_ms))?;
        for (table, rows) in &done.tables {
            tracing::info!(
                "Normalized {} raw rows of {}: {rows} rows to `{table}`.",
                done.raw_rows,
                done.stream
            );
        }
        Ok(())
    }

    /// The stream did not complete: what users see stays as it is.
    fn set_aside(&mut self, database: &mut Database) -> Result<()> {
        if self.open.target != Target::NewStage || self.open.generation.is_resumable() {
            return Ok(());
        }
        let staging = names::staging(&self.open.visible);
        database.transact(|connection| table::drop_table(connection, &staging))
    }
}
