//! Whether the server still has the log from a saved position on.

use super::position::{Position, current};
use crate::binlog::GtidSet;
use crate::wire::{Connection, Failure, Flavor};

/// How to go on from a saved position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    /// At its byte of its file.
    File,
    /// Behind its transactions: the files are another server's.
    Gtids(GtidSet),
    /// Not at all, for this reason.
    Lost(String),
}

/// Looks where the log can be gone on with.
pub(crate) async fn find_start(
    connection: &mut Connection,
    saved: &Position,
) -> Result<Start, Failure> {
    let flavor = connection.server().flavor;
    let Some(now) = current(connection).await? else {
        return Ok(Start::Lost(
            "the server writes no binary log any more".to_owned(),
        ));
    };
    let gtids = saved.gtid_set(flavor);
    if let (Some(saved), Some(now)) = (&gtids, now.gtid_set(flavor))
        && !now.covers(saved)
    {
        return Ok(Start::Lost(format!(
            "the server's log ends at {now}, before the transactions that were read, {saved}: it was reset, or this is \
             another server"
        )));
    }
    if !saved.server.is_empty() && saved.server != now.server {
        return Ok(match gtids {
            Some(gtids) => Start::Gtids(gtids),
            None => Start::Lost(
                "this is another server, and without GTIDs its log files can't be compared"
                    .to_owned(),
            ),
        });
    }
    let files = connection.rows("SHOW BINARY LOGS").await?;
    let mut files = files.into_iter().map(|row| {
        let mut row = row.into_iter();
        let mut next = || row.next().flatten().unwrap_or_default();
        (next(), next().parse::<u64>().unwrap_or_default())
    });
    let names: Vec<_> = files.by_ref().collect();
    let oldest = names.first().map_or("none", |(name, _)| name.as_str());
    match names.iter().find(|(name, _)| *name == saved.file) {
        None => Ok(Start::Lost(format!(
            "log file {} was removed; the oldest one is {oldest}",
            saved.file
        ))),
        Some((_, size)) if *size < saved.position => Ok(Start::Lost(format!(
            "log file {} has {size} bytes, fewer than were read ({}): it is not the same file any more",
            saved.file, saved.position
        ))),
        Some(_) => Ok(Start::File),
    }
}

/// Whether the server refused because it does not have the log from there on.
pub(crate) fn is_lost(failure: &Failure) -> bool {
    // ER_MASTER_FATAL_ERROR_READING_BINLOG: purged files, an impossible position, unknown GTIDs.
    failure.code() == Some(1236)
}

/// The text that MariaDB's session variable for the start wants.
pub(crate) fn connect_state(gtids: &GtidSet, flavor: Flavor) -> Option<String> {
    (flavor == Flavor::MariaDb).then(|| gtids.to_string())
}
