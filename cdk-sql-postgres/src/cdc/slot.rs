//! Slots and publications: what must be there, and whether a saved position is still good.

use std::collections::BTreeSet;

use cdk_core::Result;

use super::lsn::Lsn;
use crate::catalog::{PgTable, text};
use crate::quote;
use crate::session::Session;

const DOING: &str = "looking at the replication slot and publication";

/// A slot as `pg_replication_slots` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Output plugin.
    pub plugin: String,
    /// The database it belongs to.
    pub database: String,
    /// Whether somebody reads from it now.
    pub is_active: bool,
    /// `reserved`, `extended`, `unreserved` or `lost`; empty before version 13.
    pub wal_status: String,
    /// All before this was confirmed, and may be gone.
    pub confirmed: Lsn,
    /// Bytes of log that the server keeps for it.
    pub kept_bytes: u64,
    /// Bytes of log that were not confirmed.
    pub lag_bytes: u64,
}

/// The slot of this name.
///
/// # Errors
/// When the catalogs can't be read.
pub async fn slot(session: &mut Session, name: &str) -> Result<Option<Slot>> {
    let version = session.value("SHOW server_version_num", DOING).await?;
    let has_status = version
        .and_then(|version| version.parse::<u32>().ok())
        .is_some_and(|it| it >= 130_000);
    let sql = format!(
        "SELECT plugin, database, active, {}, confirmed_flush_lsn, \
            greatest(pg_catalog.pg_wal_lsn_diff({CURRENT}, restart_lsn), 0)::bigint, \
            greatest(pg_catalog.pg_wal_lsn_diff({CURRENT}, confirmed_flush_lsn), 0)::bigint \
         FROM pg_catalog.pg_replication_slots WHERE slot_name = {}",
        if has_status { "wal_status" } else { "''" },
        quote::literal(name)
    );
    let rows = session.query(&sql, DOING).await?;
    Ok(rows.first().map(|row| {
        let own = |at: usize| text(row, at).unwrap_or_default().to_owned();
        Slot {
            plugin: own(0),
            database: own(1),
            is_active: text(row, 2) == Some("t"),
            wal_status: own(3),
            confirmed: own(4).parse().unwrap_or_default(),
            kept_bytes: own(5).parse().unwrap_or_default(),
            lag_bytes: own(6).parse().unwrap_or_default(),
        }
    }))
}

/// Where the log ends now, on primaries and replicas.
pub(super) const CURRENT: &str = "CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
    ELSE pg_catalog.pg_current_wal_insert_lsn() END";

/// Schemas and names of the tables in a publication; `None` when it does not exist.
///
/// # Errors
/// When the catalogs can't be read.
pub async fn published(
    session: &mut Session,
    publication: &str,
) -> Result<Option<BTreeSet<(String, String)>>> {
    let name = quote::literal(publication);
    let exists = format!("SELECT 1 FROM pg_catalog.pg_publication WHERE pubname = {name}");
    if session.value(&exists, DOING).await?.is_none() {
        return Ok(None);
    }
    // Partitions stand for the table they are part of.
    let sql = format!(
        "WITH RECURSIVE up(oid) AS ( \
            SELECT c.oid FROM pg_catalog.pg_publication_tables p \
            JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname \
            JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename WHERE p.pubname = {name} \
            UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN up ON up.oid = i.inhrelid \
            JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid AND c.relispartition) \
         SELECT n.nspname, c.relname FROM up JOIN pg_catalog.pg_class c ON c.oid = up.oid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    );
    let rows = session.query(&sql, DOING).await?;
    let names = rows
        .iter()
        .filter_map(|row| Some((text(row, 0)?.to_owned(), text(row, 1)?.to_owned())));
    Ok(Some(names.collect()))
}

/// Creates what is missing of publication and slot, and adds those of `tables` that the publication lacks.
///
/// # Errors
/// When the user may not: publishing a table takes its owner.
pub async fn create_missing(
    session: &mut Session,
    publication: &str,
    slot_name: &str,
    tables: &[&PgTable],
) -> Result<()> {
    let published = published(session, publication).await?;
    let is_missing = |table: &&&PgTable| {
        let name = (table.table.namespace.clone(), table.table.name.clone());
        published
            .as_ref()
            .is_none_or(|published| !published.contains(&name))
    };
    let missing: Vec<String> = tables
        .iter()
        .filter(is_missing)
        .map(|table| table.quoted())
        .collect();
    let (quoted, names) = (quote::identifier(publication), missing.join(", "));
    let sql = match (&published, missing.is_empty()) {
        (Some(_), true) => String::new(),
        (Some(_), false) => format!("ALTER PUBLICATION {quoted} ADD TABLE {names}"),
        (None, true) => {
            format!("CREATE PUBLICATION {quoted} WITH (publish_via_partition_root = true)")
        }
        (None, false) => {
            format!(
                "CREATE PUBLICATION {quoted} FOR TABLE {names} WITH (publish_via_partition_root = true)"
            )
        }
    };
    if !sql.is_empty() {
        session
            .query(&sql, "creating the publication or adding tables to it")
            .await?;
        tracing::info!("{sql}");
    }
    if slot(session, slot_name).await?.is_none() {
        let sql = format!(
            "SELECT pg_catalog.pg_create_logical_replication_slot({}, 'pgoutput')",
            quote::literal(slot_name)
        );
        session
            .query(
                &sql,
                "creating the replication slot (which waits for open transactions to end)",
            )
            .await?;
        tracing::info!("Replication slot {slot_name} was created.");
    }
    Ok(())
}

/// Everything that change data capture lacks, each with its remedy.
///
/// # Errors
/// When the catalogs can't be read.
pub async fn problems(
    session: &mut Session,
    publication: &str,
    slot_name: &str,
    creates: bool,
) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let level = session
        .value("SHOW wal_level", DOING)
        .await?
        .unwrap_or_default();
    if level != "logical" {
        problems.push(format!(
            "The server's wal_level is {level}: set wal_level = logical and restart it."
        ));
    }
    let sql =
        "SELECT rolreplication OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
    let may_replicate = session.value(sql, DOING).await?;
    if may_replicate.as_deref() != Some("t") {
        let sql = "SELECT current_user";
        let user = session.value(sql, DOING).await?.unwrap_or_default();
        problems.push(format!(
            "The user may not replicate: ALTER USER {} REPLICATION; (on hosted servers, grant the provider's replication \
             role).",
            quote::identifier(&user)
        ));
    }
    problems.extend(slot_problem(session, slot_name, creates).await?);
    if published(session, publication).await?.is_none() && !creates {
        problems.push(format!(
            "Publication {publication} does not exist: CREATE PUBLICATION {} FOR TABLE …; with the tables to read, or set \
             `create_if_missing`.",
            quote::identifier(publication)
        ));
    }
    Ok(problems)
}

async fn slot_problem(session: &mut Session, name: &str, creates: bool) -> Result<Option<String>> {
    let quoted = quote::literal(name);
    let Some(slot) = slot(session, name).await? else {
        let missing = format!(
            "Replication slot {name} does not exist: SELECT pg_create_logical_replication_slot({quoted}, 'pgoutput'); in this \
             database, or set `create_if_missing`."
        );
        return Ok((!creates).then_some(missing));
    };
    let database = session
        .value("SELECT current_database()", DOING)
        .await?
        .unwrap_or_default();
    if slot.plugin != "pgoutput" {
        return Ok(Some(format!(
            "Replication slot {name} uses the plugin {:?}, and must use pgoutput: create another slot.",
            slot.plugin
        )));
    }
    if slot.database != database {
        return Ok(Some(format!(
            "Replication slot {name} belongs to database {}, not to {database}: create another slot.",
            slot.database
        )));
    }
    if slot.wal_status == "lost" {
        return Ok(Some(format!(
            "The server has removed log that replication slot {name} needs (wal_status is lost): drop the slot, create it \
             again, and refresh all streams. A larger max_slot_wal_keep_size avoids it."
        )));
    }
    slot.report(name);
    Ok(None)
}

impl Slot {
    /// Logs how much log the slot holds back.
    pub fn report(&self, name: &str) {
        let mib = |bytes: u64| bytes >> 20;
        let (kept, lag, status) = (mib(self.kept_bytes), mib(self.lag_bytes), &self.wal_status);
        match status.as_str() {
            "unreserved" => tracing::warn!(
                "Replication slot {name}: the server is about to remove log that it needs (wal_status is unreserved, {lag} MiB \
                 to read). Sync more often, or raise max_slot_wal_keep_size."
            ),
            _ => tracing::info!(
                "Replication slot {name}: {lag} MiB of log to read, {kept} MiB kept by the server, wal_status {status}."
            ),
        }
    }
}
