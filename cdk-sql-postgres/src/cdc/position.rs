//! Where to begin and where to end.

use std::time::{Duration, Instant};

use cdk_core::{ConnectorError, Result};

use super::lsn::Lsn;
use super::slot::CURRENT;
use crate::catalog::text;
use crate::session::Session;

const DOING: &str = "taking a position in the log";

/// How long transactions that were open at the position are waited for when no commit can be held up.
const SETTLING: Duration = Duration::from_secs(5);

/// A position such that every transaction whose commit lies before it is visible to whoever reads from now on.
///
/// A commit is written to the log a moment before it becomes visible. So the transactions that were open when the
/// position was taken are waited for; one that is still open after seconds commits behind the position, unless
/// commits wait for a synchronous replica: then it is waited for up to `patience`.
pub(super) async fn settled(session: &mut Session, patience: Duration) -> Result<Lsn> {
    let position = current(session).await?;
    let sql = "SELECT s, pg_catalog.txid_snapshot_xmax(s), pg_catalog.current_setting('synchronous_standby_names') \
        FROM pg_catalog.txid_current_snapshot() s";
    let rows = session.query(sql, DOING).await?;
    let row = rows.first();
    let field = |at: usize| {
        row.and_then(|row| text(row, at))
            .unwrap_or_default()
            .to_owned()
    };
    let (snapshot, end, replicas) = (field(0), field(1), field(2));
    let patience = if replicas.is_empty() {
        SETTLING.min(patience)
    } else {
        patience
    };
    let began = Instant::now();
    loop {
        // Of the transactions that were open then, those that still are.
        let sql = format!(
            "SELECT count(*) FROM pg_catalog.txid_snapshot_xip('{snapshot}'::pg_catalog.txid_snapshot) x \
             WHERE x < {end} AND NOT pg_catalog.txid_visible_in_snapshot(x, pg_catalog.txid_current_snapshot())"
        );
        let open = session.value(&sql, DOING).await?;
        if open.as_deref() == Some("0") {
            return Ok(position);
        }
        if began.elapsed() >= patience {
            if replicas.is_empty() {
                return Ok(position);
            }
            return Err(ConnectorError::transient(
                "Transactions were open all the while that the snapshot waited to begin, and with a synchronous replica their \
                 commits may be written and not yet visible. Try again when they have ended, or raise `initial_waiting_seconds`.",
            ));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Where the log ends now.
pub(super) async fn current(session: &mut Session) -> Result<Lsn> {
    let now = session.value(&format!("SELECT {CURRENT}"), DOING).await?;
    let now = now.and_then(|now| now.parse().ok());
    now.ok_or_else(|| ConnectorError::system("The server gave no position of its log."))
}

/// The position to read up to. Something is written behind it, so that the log passes it even if nobody else writes.
pub(super) async fn target(session: &mut Session, heartbeat: Option<&str>) -> Result<Lsn> {
    let target = current(session).await?;
    beat(session, heartbeat).await;
    Ok(target)
}

/// Writes something into the log: by the user's statement, or a message that no table sees.
pub(super) async fn beat(session: &mut Session, heartbeat: Option<&str>) {
    let own = "SELECT pg_catalog.pg_logical_emit_message(true, 'cdk', '')";
    if let Err(error) = session
        .query(heartbeat.unwrap_or(own), "writing a heartbeat")
        .await
    {
        // A replica takes no writes, and needs none: it replays what the primary writes.
        let cause = error.internal_message().unwrap_or_default();
        match heartbeat {
            Some(_) => tracing::warn!("The heartbeat query failed ({cause}). {error}"),
            None => tracing::debug!("No heartbeat could be written ({cause})."),
        }
    }
}
