//! Tables as they are, in pieces that each need no more than a short transaction.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cdk_core::{ConnectorError, GlobalSink, Result};
use cdk_sql::{Column, Extent, Select, StateType, TableState};
use tokio_util::task::AbortOnDropHandle;
use tracing::instrument::WithSubscriber as _;

use super::relations::Wanted;
use crate::connect::Connector;
use crate::dialect::{PgDialect, extent, within};
use crate::rows;
use crate::session::Session;

/// A table that is rewritten again and again is given up.
const RESTARTS: u32 = 5;

/// Reads one table after the other, each with several sessions.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) connector: Connector,
    pub(super) sink: GlobalSink,
    /// Members of every record behind its columns.
    pub(super) suffix: Vec<u8>,
    pub(super) sessions: usize,
    pub(super) pages: u64,
    pub(super) idle: Mutex<Vec<Session>>,
}

/// One pass over a table. Pieces end in any order; the state moves over those that are finished without a gap.
#[derive(Debug)]
struct Pass {
    extent: Option<Extent>,
    next: AtomicU64,
    finished: Mutex<Finished>,
}

#[derive(Debug, Default)]
struct Finished {
    /// All units before this one were read.
    to: u64,
    /// Starts of pieces behind it that were read.
    ahead: BTreeSet<u64>,
}

/// How a piece ended.
enum Ended {
    Read,
    /// The table has another file than when the pass began: places have lost their meaning.
    Rewritten,
}

impl Snapshot {
    /// Reads `wanted` from where `saved` says, and leaves its state complete.
    pub(super) async fn read(self: &Arc<Self>, wanted: &Wanted, saved: &TableState) -> Result<()> {
        let name = wanted.table.table.descriptor();
        let read = self.passes(wanted, saved).await;
        read.map_err(|error| error.with_stream(&name))
    }

    async fn passes(self: &Arc<Self>, wanted: &Wanted, saved: &TableState) -> Result<()> {
        let name = wanted.table.table.descriptor();
        let mut from = saved.unit();
        for _ in 0..=RESTARTS {
            let mut session = self.take().await?;
            let extent = extent(&mut session, &wanted.table, self.pages).await?;
            self.put(session);
            let is_same = |extent: &Extent| saved.relation_filenode.as_ref() == Some(&extent.file);
            let start = from
                .filter(|_| extent.as_ref().is_some_and(is_same))
                .unwrap_or_default();
            let pass = Pass {
                extent,
                next: AtomicU64::new(start),
                finished: Mutex::new(Finished {
                    to: start,
                    ahead: BTreeSet::new(),
                }),
            };
            if self.pass(wanted, Arc::new(pass)).await? {
                let mut writer = self.writer(&name)?;
                let done = TableState::of_table(StateType::Complete, &wanted.table.table);
                return writer.checkpoint(&done).await;
            }
            tracing::warn!("Stream {name} is read again: the table was rewritten meanwhile.");
            from = None;
        }
        Err(ConnectorError::transient(format!(
            "Stream {name} could not be read: its table was rewritten (VACUUM FULL, CLUSTER, ALTER TABLE, TRUNCATE) {RESTARTS} \
             times meanwhile."
        )))
    }

    /// False when the table was rewritten.
    async fn pass(self: &Arc<Self>, wanted: &Wanted, pass: Arc<Pass>) -> Result<bool> {
        let pieces = pass
            .extent
            .as_ref()
            .map_or(1, |extent| extent.units / extent.step.max(1) + 1);
        let workers = usize::try_from(pieces)
            .unwrap_or(usize::MAX)
            .min(self.sessions.max(1));
        let spawn = || {
            let (this, pass, wanted) = (Arc::clone(self), Arc::clone(&pass), wanted.clone());
            let work = async move { this.work(&wanted, &pass).await };
            AbortOnDropHandle::new(tokio::spawn(work.with_current_subscriber()))
        };
        let workers: Vec<_> = (0..workers).map(|_| spawn()).collect();
        let mut is_whole = true;
        for worker in workers {
            let ended = worker.await.map_err(|error| {
                ConnectorError::system(
                    "The connector crashed while reading a table. This is a bug of the connector.",
                )
                .with_internal(error.to_string())
            })??;
            is_whole &= matches!(ended, Ended::Read);
        }
        Ok(is_whole)
    }

    async fn work(&self, wanted: &Wanted, pass: &Pass) -> Result<Ended> {
        let name = wanted.table.table.descriptor();
        let mut writer = self.writer(&name)?;
        let mut session = self.take().await?;
        while let Some((from, to)) = pass.next_piece() {
            match self
                .piece(&mut session, wanted, pass, (from, to), &mut writer)
                .await?
            {
                Ended::Read => {}
                Ended::Rewritten => return Ok(Ended::Rewritten),
            }
            if let (Some(extent), Some(to)) = (&pass.extent, to) {
                writer
                    .checkpoint_with(|| pass.finish(from, to, extent, &wanted.table.table))
                    .await?;
            }
        }
        self.put(session);
        Ok(Ended::Read)
    }

    async fn piece(
        &self,
        session: &mut Session,
        wanted: &Wanted,
        pass: &Pass,
        (from, to): (u64, Option<u64>),
        writer: &mut cdk_core::RecordSink,
    ) -> Result<Ended> {
        let table = &wanted.table;
        let doing = format!("reading {}", table.table.descriptor());
        // The lock keeps the table from being rewritten between the look at its file and the read.
        session
            .query(
                &format!(
                    "BEGIN READ ONLY; LOCK TABLE {} IN ACCESS SHARE MODE",
                    table.quoted()
                ),
                &doing,
            )
            .await?;
        let mut conditions = Vec::new();
        if let Some(known) = &pass.extent {
            let now = extent(session, table, self.pages).await?;
            if now.is_none_or(|now| now.file != known.file) {
                session.query("ROLLBACK", &doing).await?;
                return Ok(Ended::Rewritten);
            }
            conditions.push(within(from, to));
        }
        let columns: Vec<&Column> = wanted
            .columns
            .iter()
            .filter_map(|name| table.table.column(name))
            .collect();
        let stop = self.sink.context().stop();
        let select = Select {
            table: &table.table,
            columns: &columns,
            conditions: &conditions,
            stop,
        };
        let dialect = PgDialect::new(self.connector.clone(), &[]);
        let (sql, mut encoder) = dialect.copy_of(table, &select, &self.suffix);
        rows::copy(session, &sql, &mut encoder, stop, writer).await?;
        encoder.warn_of_losses(writer.stream());
        session.query("COMMIT", &doing).await?;
        Ok(Ended::Read)
    }

    fn writer(&self, name: &airbyte_protocol::StreamDescriptor) -> Result<cdk_core::RecordSink> {
        self.sink.stream(name).ok_or_else(|| {
            ConnectorError::system("A table is read that is no stream of the feed.")
                .with_stream(name)
        })
    }

    async fn take(&self) -> Result<Session> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match idle {
            Some(session) => Ok(session),
            None => self.connector.session().await,
        }
    }

    fn put(&self, session: Session) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(session);
    }
}

impl Pass {
    /// The next range of units; the last is open to the end.
    fn next_piece(&self) -> Option<(u64, Option<u64>)> {
        let (units, step) = self
            .extent
            .as_ref()
            .map_or((0, 1), |extent| (extent.units, extent.step.max(1)));
        let from = self.next.fetch_add(step, Ordering::Relaxed);
        // A table of no units has one piece all the same: rows may have come since.
        if from > 0 && from >= units && !self.is_start(from) {
            return None;
        }
        Some((from, (from + step < units).then_some(from + step)))
    }

    /// Whether the pass began here: a resumed one reads its last, open piece though nothing is left of the extent.
    fn is_start(&self, from: u64) -> bool {
        let finished = self.finished();
        finished.to == from
            && finished.ahead.is_empty()
            && self
                .extent
                .as_ref()
                .is_some_and(|extent| finished.to >= extent.units)
    }

    /// Notes that a piece was read; the state that covers all finished ones.
    fn finish(&self, from: u64, to: u64, extent: &Extent, table: &cdk_sql::Table) -> TableState {
        let mut finished = self.finished();
        finished.ahead.insert(from);
        let step = to - from;
        while let Some(first) = finished
            .ahead
            .first()
            .copied()
            .filter(|first| *first == finished.to)
        {
            finished.ahead.remove(&first);
            finished.to += step;
        }
        let mut state = TableState::of_table(StateType::Ctid, table);
        state.ctid = Some(format!("({},0)", finished.to));
        state.relation_filenode = Some(extent.file.clone());
        state
    }

    fn finished(&self) -> MutexGuard<'_, Finished> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(units: u64, from: u64) -> Pass {
        Pass {
            extent: Some(Extent {
                units,
                file: cdk_sql::Storage::Number(1),
                step: 10,
            }),
            next: AtomicU64::new(from),
            finished: Mutex::new(Finished {
                to: from,
                ahead: BTreeSet::new(),
            }),
        }
    }

    fn pieces(pass: &Pass) -> Vec<(u64, Option<u64>)> {
        std::iter::from_fn(|| pass.next_piece()).collect()
    }

    #[test]
    fn pieces_cover_the_table_and_the_last_is_open() {
        assert_eq!(
            pieces(&pass(25, 0)),
            [(0, Some(10)), (10, Some(20)), (20, None)]
        );
        assert_eq!(pieces(&pass(0, 0)), [(0, None)]);
        assert_eq!(pieces(&pass(25, 20)), [(20, None)]);
        assert_eq!(
            pieces(&pass(20, 20)),
            [(20, None)],
            "a table that shrank keeps its open piece"
        );
    }

    #[test]
    fn the_state_moves_over_pieces_without_a_gap() {
        let pass = pass(100, 0);
        let extent = pass.extent.clone().unwrap();
        let table = cdk_sql::Table {
            namespace: "s".to_owned(),
            name: "t".to_owned(),
            columns: Vec::new(),
            primary_key: Vec::new(),
            is_view: false,
            indexed: Vec::new(),
            estimated_rows: None,
            estimated_bytes: None,
        };
        let place = |from: u64| pass.finish(from, from + 10, &extent, &table).ctid.unwrap();
        assert_eq!(place(10), "(0,0)");
        assert_eq!(place(20), "(0,0)");
        assert_eq!(place(0), "(30,0)");
        assert_eq!(place(30), "(40,0)");
    }
}
