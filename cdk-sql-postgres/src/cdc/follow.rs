//! Reading the log up to a position, or for as long as the run lasts.

use std::time::{Duration, Instant};

use airbyte_protocol::RawJson;
use cdk_core::{ConnectorError, ErrorContext, GlobalSink, Result};

use super::changes::{Applier, Moment};
use super::lsn::Lsn;
use super::pgoutput::Message;
use super::slot;
use super::state::SharedPosition;
use super::stream::{ChangeStream, Sent};
use crate::error::unexpected;

/// The server is asked how far it is this often while there is an end to reach.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// How often the state of the slot is logged.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// What following needs to know.
#[derive(Debug)]
pub(super) struct Follow<'a> {
    pub(super) sink: &'a GlobalSink,
    pub(super) slot: &'a str,
    pub(super) system_id: &'a str,
    /// Where to end; `None` to go on until the run is stopped.
    pub(super) target: Option<Lsn>,
    pub(super) checkpoint_interval: Duration,
    pub(super) checkpoint_rows: u64,
    /// How long the server may be silent.
    pub(super) patience: Duration,
    pub(super) confirms_while_reading: bool,
}

/// Where the reader stands.
struct Progress {
    /// All transactions that ended before this were written.
    done: Lsn,
    /// When the open transaction was committed.
    open: Option<i64>,
    /// The position in the last state, when that was, and the records until then.
    saved: Lsn,
    saved_at: Instant,
    saved_records: u64,
    moved_at: Instant,
    reported_at: Instant,
}

impl Follow<'_> {
    /// Reads from `from` on; every state stands at the end of a transaction.
    pub(super) async fn run(
        &self,
        mut stream: ChangeStream,
        from: Lsn,
        applier: &mut Applier,
    ) -> Result<()> {
        let ended = self.read(&mut stream, from, applier).await;
        if ended.as_ref().err().is_none_or(ConnectorError::is_stop) {
            stream.finish().await;
        }
        ended
    }

    async fn read(
        &self,
        stream: &mut ChangeStream,
        from: Lsn,
        applier: &mut Applier,
    ) -> Result<()> {
        let now = Instant::now();
        let mut progress = Progress {
            done: from,
            open: None,
            saved: from,
            saved_at: now,
            saved_records: 0,
            moved_at: now,
            reported_at: now,
        };
        let stop = self.sink.context().stop().clone();
        loop {
            if self.take_received(stream, &mut progress, applier).await? {
                return self.save(stream, &mut progress, applier).await;
            }
            self.keep_up(stream, &mut progress, applier).await?;
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.save(stream, &mut progress, applier).await?;
                    return Err(ConnectorError::stopped());
                }
                received = stream.receive() => received?,
                () = tokio::time::sleep(ASK_EVERY) => stream.ask(),
            }
        }
    }

    /// Handles what was received; true when the end is reached.
    async fn take_received(
        &self,
        stream: &mut ChangeStream,
        progress: &mut Progress,
        applier: &mut Applier,
    ) -> Result<bool> {
        loop {
            let Some(sent) = stream.next_received()? else {
                return Ok(progress.open.is_none()
                    && self.target.is_some_and(|target| progress.done >= target));
            };
            match sent {
                Sent::Alive { end } => {
                    // Inside of a transaction it says how far the server has read, not what it has sent.
                    if progress.open.is_none() && end > progress.done {
                        progress.done = end;
                        progress.moved_at = Instant::now();
                    }
                }
                Sent::Change { at, message } => {
                    progress.moved_at = Instant::now();
                    let message = Message::parse(message)
                        .map_err(|_| unexpected("a change that is cut off"))?;
                    match message {
                        Message::Begin { at, .. } => progress.open = Some(at),
                        Message::Commit { end } => {
                            progress.open = None;
                            progress.done = progress.done.max(Lsn(end));
                        }
                        change => {
                            let moment = Moment {
                                lsn: at,
                                at: progress.open.unwrap_or_default(),
                            };
                            applier.apply(moment, change).await?;
                        }
                    }
                }
            }
            if progress.open.is_none() {
                if self.target.is_some_and(|target| progress.done >= target) {
                    return Ok(true);
                }
                if applier.records - progress.saved_records >= self.checkpoint_rows {
                    self.save(stream, progress, applier).await?;
                }
            }
        }
    }

    /// What is done by the clock: states, reports, patience.
    async fn keep_up(
        &self,
        stream: &ChangeStream,
        progress: &mut Progress,
        applier: &mut Applier,
    ) -> Result<()> {
        let is_due = progress.saved_at.elapsed() >= self.checkpoint_interval
            && progress.done > progress.saved;
        if is_due && progress.open.is_none() {
            self.save(stream, progress, applier).await?;
        }
        if progress.reported_at.elapsed() >= REPORT_EVERY {
            progress.reported_at = Instant::now();
            let session = applier.relations.side().session().await?;
            if let Some(slot) = slot::slot(session, self.slot).await? {
                slot.report(self.slot);
            }
        }
        if self.target.is_some() && progress.moved_at.elapsed() >= self.patience {
            return Err(ConnectorError::transient(format!(
                "The server sent nothing of its log for {} s behind {}. It may be busy decoding a large part of it: raise \
                 `initial_waiting_seconds`, or sync more often.",
                self.patience.as_secs(),
                progress.done
            )));
        }
        Ok(())
    }

    /// Emits the state that covers all that was written.
    async fn save(
        &self,
        stream: &ChangeStream,
        progress: &mut Progress,
        applier: &Applier,
    ) -> Result<()> {
        let position = SharedPosition::new(progress.done, self.slot, self.system_id);
        let shared = RawJson::from_serialize(&position)
            .system_error("The position could not be written as JSON.")?;
        self.sink.checkpoint(Some(shared), Vec::new()).await?;
        progress.saved = progress.done;
        progress.saved_at = Instant::now();
        progress.saved_records = applier.records;
        if self.confirms_while_reading {
            stream.confirm(progress.done);
        }
        Ok(())
    }
}
