//! A replication stream: changes in one direction, positions in the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cdk_core::Result;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::lsn::Lsn;
use crate::error::unexpected;
use crate::session::{CopyReader, CopyWriter, Session};

/// Well within the server's `wal_sender_timeout` (60 s by default), after which it would hang up.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// How long the server has to end a stream.
const FAREWELL: Duration = Duration::from_secs(3);

/// What the server is told; shared with the task that tells it.
#[derive(Debug, Default)]
struct Positions {
    received: AtomicU64,
    confirmed: AtomicU64,
    /// Asks for an answer at once.
    ask: Notify,
    /// Ends the stream.
    end: Notify,
}

/// The receiving end. A task answers the server in the meantime, so that a slow destination never costs the connection.
#[derive(Debug)]
pub(super) struct ChangeStream {
    reader: CopyReader,
    positions: Arc<Positions>,
    status: AbortOnDropHandle<Result<()>>,
}

/// What the server sent.
#[derive(Debug)]
pub(super) enum Sent<'a> {
    /// A message of the plugin, and its position in the log.
    Change { at: Lsn, message: &'a [u8] },
    /// All that ended before this position was sent.
    Alive { end: Lsn },
}

impl ChangeStream {
    /// Starts to read transactions that end behind `from`, and confirms those before it.
    pub(super) async fn start(
        session: Session,
        slot: &str,
        publication: &str,
        from: Lsn,
    ) -> Result<Self> {
        let options = format!(
            "\"proto_version\" '1', \"publication_names\" {}",
            crate::quote::literal(&crate::quote::identifier(publication))
        );
        let slot = crate::quote::identifier(slot);
        let sql = format!("START_REPLICATION SLOT {slot} LOGICAL {from} ({options})");
        let (reader, writer) = session
            .copy_both(&sql, "starting to read the change log")
            .await?;
        let positions = Arc::new(Positions::default());
        positions.received.store(from.0, Ordering::Relaxed);
        positions.confirmed.store(from.0, Ordering::Relaxed);
        let status = tokio::spawn(tell(writer, Arc::clone(&positions)));
        Ok(Self {
            reader,
            positions,
            status: AbortOnDropHandle::new(status),
        })
    }

    /// The next message that was received already.
    pub(super) fn next_received(&mut self) -> Result<Option<Sent<'_>>> {
        let Some(data) = self.reader.next_received(DOING)? else {
            return Ok(None);
        };
        let sent =
            parse(data).ok_or_else(|| unexpected("a replication message that is cut off"))?;
        let end = match &sent {
            Sent::Change { at, .. } => *at,
            Sent::Alive { end } => *end,
        };
        self.positions.received.fetch_max(end.0, Ordering::Relaxed);
        Ok(Some(sent))
    }

    /// Receives more. Drop-safe.
    pub(super) async fn receive(&mut self) -> Result<()> {
        self.reader.receive(DOING).await
    }

    /// Lets the server forget the log before `lsn`.
    pub(super) fn confirm(&self, lsn: Lsn) {
        self.positions.confirmed.fetch_max(lsn.0, Ordering::Relaxed);
    }

    /// Ends the stream in good order, so that the slot is free when this returns. A server that does not answer within
    /// seconds finds out by itself.
    pub(super) async fn finish(mut self) {
        self.positions.end.notify_one();
        let ending = async {
            // Whether the last words arrived shows in the answer.
            let _ = (&mut self.status).await;
            self.reader.drain(DOING).await
        };
        match tokio::time::timeout(FAREWELL, ending).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!("The stream of changes did not end in good order: {error}")
            }
            Err(_) => tracing::debug!("The server did not end the stream of changes in time."),
        }
    }

    /// Asks the server how far it is; it answers with [`Sent::Alive`].
    pub(super) fn ask(&self) {
        self.positions.ask.notify_one();
    }
}

const DOING: &str = "reading the change log";

fn parse(data: &[u8]) -> Option<Sent<'_>> {
    let (kind, rest) = data.split_first()?;
    let (position, rest) = rest.split_first_chunk::<8>()?;
    let position = Lsn(u64::from_be_bytes(*position));
    match kind {
        // Behind it: end of the log at the server, time.
        b'w' => Some(Sent::Change {
            at: position,
            message: rest.get(16..)?,
        }),
        b'k' => Some(Sent::Alive { end: position }),
        _ => None,
    }
}

/// Tells the server where we are, until it is told to end or the connection breaks; the reader then says why.
async fn tell(mut writer: CopyWriter, positions: Arc<Positions>) -> Result<()> {
    const DOING: &str = "confirming a position";
    // At once for the first time: what was given back is confirmed.
    let (mut is_asked, mut is_last) = (false, false);
    loop {
        let received = positions.received.load(Ordering::Relaxed);
        let confirmed = positions.confirmed.load(Ordering::Relaxed);
        let mut status = vec![b'r'];
        for position in [received.max(confirmed), confirmed, confirmed] {
            status.extend_from_slice(&position.to_be_bytes());
        }
        // The time is not used by the server.
        status.extend_from_slice(&0_u64.to_be_bytes());
        status.push(u8::from(is_asked));
        writer.send(&status, DOING).await?;
        if is_last {
            return writer.end(DOING).await;
        }
        (is_asked, is_last) = tokio::select! {
            biased;
            () = positions.end.notified() => (false, true),
            () = positions.ask.notified() => (true, false),
            () = tokio::time::sleep(STATUS_EVERY) => (false, false),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_sends_is_told_apart() {
        let mut change = vec![b'w'];
        change.extend([0; 7]);
        change.push(9);
        change.extend([0; 16]);
        change.push(b'B');
        assert!(matches!(
            parse(&change),
            Some(Sent::Change {
                at: Lsn(9),
                message: b"B"
            })
        ));
        assert!(parse(&change[..20]).is_none());
        assert!(parse(b"x").is_none());
    }
}
