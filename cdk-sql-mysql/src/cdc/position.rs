//! Positions in the binary log.

use serde::{Deserialize, Serialize};

use crate::binlog::GtidSet;
use crate::wire::{Connection, Failure, Flavor};

/// A place between two transactions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Name of the log file.
    pub file: String,
    /// Byte in the file.
    #[serde(rename = "pos")]
    pub position: u64,
    /// All transactions before it, as the server writes them. Needed on another server, where files differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtids: Option<String>,
    /// Which server's files these are.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
}

/// A byte of a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) file: &'a str,
    pub(crate) position: u64,
}

impl Place<'_> {
    /// Both as one number: files are numbered, and no file has more than 4 GiB at which an event begins.
    pub(crate) fn cursor(self) -> u64 {
        self.file_number() << 32 | self.position.min(u64::from(u32::MAX))
    }

    /// The number at the end of the file's name.
    fn file_number(self) -> u64 {
        let digits = self.file.rsplit('.').next().unwrap_or_default();
        digits.parse().unwrap_or_default()
    }
}

impl Position {
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            file: &self.file,
            position: self.position,
        }
    }

    /// Whether this place is at or behind another one in the same server's files.
    pub(crate) fn has_reached(&self, other: &Self) -> bool {
        self.place().cursor() >= other.place().cursor()
    }

    /// No place in any file: before all of them.
    pub(crate) fn before_all(&self) -> Self {
        Self {
            file: String::new(),
            position: 0,
            ..self.clone()
        }
    }

    pub(crate) fn gtid_set(&self, flavor: Flavor) -> Option<GtidSet> {
        GtidSet::parse(self.gtids.as_deref()?, flavor)
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.position)?;
        match &self.gtids {
            Some(gtids) => write!(f, " ({gtids})"),
            None => Ok(()),
        }
    }
}

/// Where the server's log ends now. `None` when it writes none.
pub(crate) async fn current(connection: &mut Connection) -> Result<Option<Position>, Failure> {
    let flavor = connection.server().flavor;
    let rows = match connection.rows("SHOW MASTER STATUS").await {
        // Since MySQL 8.4.
        Err(Failure::Server(error)) if error.code == 1064 => {
            connection.rows("SHOW BINARY LOG STATUS").await?
        }
        other => other?,
    };
    let Some(row) = rows.into_iter().next() else {
        return Ok(None);
    };
    let mut row = row.into_iter();
    let (Some(file), Some(position)) = (row.next().flatten(), row.next().flatten()) else {
        return Ok(None);
    };
    let position = position.parse().unwrap_or_default();
    let gtids = match flavor {
        Flavor::MariaDb => {
            let sql = format!(
                "SELECT BINLOG_GTID_POS({}, {position})",
                crate::literal::text(&file)
            );
            connection.value(&sql).await?
        }
        // Databases to log and to ignore stand between.
        Flavor::MySql => row
            .nth(2)
            .flatten()
            .map(|gtids| gtids.replace(['\n', ' '], "")),
    };
    let gtids =
        gtids.filter(|gtids| GtidSet::parse(gtids, flavor).is_some_and(|set| !set.is_empty()));
    let server = identity(connection).await?;
    Ok(Some(Position {
        file,
        position,
        gtids,
        server,
    }))
}

/// What tells a server from its replicas.
async fn identity(connection: &mut Connection) -> Result<String, Failure> {
    let variable = match connection.server().flavor {
        Flavor::MariaDb => "server_id",
        Flavor::MySql => "server_uuid",
    };
    Ok(connection
        .value(&format!("SELECT @@{variable}"))
        .await?
        .unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_grow_over_files_and_positions() {
        let place = |file, position| Place { file, position }.cursor();
        let cursors = [
            place("binlog.000001", 4),
            place("binlog.000001", 4_000_000_000),
            place("binlog.000002", 4),
            place("mysql-bin.1000000", 4),
        ];
        assert!(cursors.is_sorted());
        assert_eq!(cursors[0], (1 << 32) + 4);
    }
}
