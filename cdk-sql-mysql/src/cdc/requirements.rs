//! What change data capture needs of the server and the account: everything that is missing, at once.

use super::position::current;
use crate::wire::{Connection, DumpStart, Failure, Flavor};

/// What is missing, each with its remedy. Empty when all is there.
///
/// Tries the real thing: the state of the log, and a dump of it, over `dump`, which takes no other command after.
pub async fn missing(
    connection: &mut Connection,
    dump: &mut Connection,
) -> Result<Vec<String>, Failure> {
    let mut missing = settings(connection).await?;
    let user = connection
        .value("SELECT CURRENT_USER()")
        .await?
        .unwrap_or_default();
    let account = user
        .rsplit_once('@')
        .map_or_else(|| user.clone(), |(name, host)| format!("'{name}'@'{host}'"));
    match current(connection).await {
        Ok(Some(now)) => {
            let position = u32::try_from(now.position).unwrap_or(u32::MAX);
            let start = DumpStart::Position {
                file: &now.file,
                position,
            };
            let dumped = match dump.dump(u32::MAX, start, false).await {
                Ok(()) => dump.next_event().await.map(drop),
                Err(failure) => Err(failure),
            };
            match dumped {
                Err(Failure::Server(error)) if is_refusal(error.code) => {
                    missing.push(format!(
                        "the right to read the log: GRANT REPLICATION SLAVE ON *.* TO {account}"
                    ));
                }
                other => other?,
            }
        }
        Ok(None) => {}
        Err(Failure::Server(error)) if is_refusal(error.code) => {
            missing.push(format!("the right to see where the log stands: GRANT REPLICATION CLIENT ON *.* TO {account}"));
            // Without a position the dump can't be tried; its refusal comes before the position is looked at.
            let start = DumpStart::Position {
                file: "",
                position: 4,
            };
            if let Err(Failure::Server(error)) = dump.dump(u32::MAX, start, false).await
                && is_refusal(error.code)
            {
                missing.push(format!(
                    "the right to read the log: GRANT REPLICATION SLAVE ON *.* TO {account}"
                ));
            }
        }
        Err(failure) => return Err(failure),
    }
    Ok(missing)
}

fn is_refusal(code: u16) -> bool {
    matches!(code, 1044 | 1045 | 1142 | 1227)
}

/// Settings of the server that the log's use depends on.
async fn settings(connection: &mut Connection) -> Result<Vec<String>, Failure> {
    let wanted = [
        (
            "log_bin",
            "1",
            "the binary log: start the server with `log_bin`",
        ),
        (
            "binlog_format",
            "ROW",
            "rows in the log: SET GLOBAL binlog_format = 'ROW'",
        ),
        (
            "binlog_row_image",
            "FULL",
            "whole rows in the log: SET GLOBAL binlog_row_image = 'FULL'",
        ),
        (
            "binlog_row_value_options",
            "",
            "whole JSON values in the log: SET GLOBAL binlog_row_value_options = ''",
        ),
    ];
    let mut missing = Vec::new();
    for (variable, value, remedy) in wanted {
        let is = match connection
            .value(&format!("SELECT @@GLOBAL.{variable}"))
            .await
        {
            // The variable is of other versions; so is what it would do.
            Err(Failure::Server(error)) if error.code == 1193 => continue,
            other => other?.unwrap_or_default(),
        };
        if !is.eq_ignore_ascii_case(value) {
            missing.push(format!("{remedy} (it is `{is}`)"));
        }
    }
    let names = connection
        .value("SELECT @@GLOBAL.binlog_row_metadata")
        .await;
    let is_named =
        names.is_ok_and(|names| names.is_some_and(|names| names.eq_ignore_ascii_case("FULL")));
    if !is_named {
        let version = match connection.server().flavor {
            Flavor::MariaDb => "10.5",
            Flavor::MySql => "8.0.1",
        };
        tracing::warn!(
            "The log does not name columns. With `binlog_row_metadata` set to FULL (since {version}), a table may be \
             altered several times between two syncs; without it, its stream must be refreshed then."
        );
    }
    Ok(missing)
}
