//! The one connection that all streams share.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cdk_core::{ConnectorError, Result};
use rusqlite::{Connection, OpenFlags};

use crate::config::Config;
use crate::cursor;
use crate::error::SqliteContext;

/// Statements kept compiled: a few per stream, more than most syncs have.
const CACHED_STATEMENTS: usize = 256;

/// Bytes of a page of a new database.
const PAGE_BYTES: u32 = 16 << 10;

/// An open database file, and the transaction that the loaders share between commits.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
    path: PathBuf,
    is_open: bool,
    /// How many transactions SQLite has rolled back on its own, after a full disk for example: what
    /// any stream wrote in them is lost.
    rollbacks: u64,
}

/// The database as the loaders hold it.
pub(crate) type SharedDatabase = Arc<Mutex<Database>>;

impl Database {
    /// Opens the file, and creates it if it does not exist. `page_limit` lets tests fill the disk.
    pub(crate) fn open(config: &Config, page_limit: Option<u32>) -> Result<Self> {
        let path = &config.path;
        check_directory(path)?;
        let doing = || format!("open {}", path.display());
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).sqlite(doing)?;
        connection
            .busy_timeout(config.lock_timeout())
            .sqlite(doing)?;
        prepare(&connection, page_limit).sqlite(doing)?;
        Ok(Self {
            connection,
            path: path.clone(),
            is_open: false,
            rollbacks: 0,
        })
    }

    /// The connection, for work inside the transaction.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Opens the transaction unless it is open. Takes the write lock at once, so that waiting for
    /// another program happens here and nowhere else.
    pub(crate) fn begin(&mut self) -> Result<()> {
        self.note_rollback();
        if !self.is_open {
            let begun = self.connection.execute_batch("BEGIN IMMEDIATE");
            begun.sqlite(|| format!("begin to write to {}", self.path.display()))?;
            self.is_open = true;
        }
        Ok(())
    }

    /// Makes everything written so far durable.
    pub(crate) fn commit(&mut self) -> Result<()> {
        self.note_rollback();
        if !self.is_open {
            return Ok(());
        }
        let committed = self.connection.execute_batch("COMMIT");
        if committed.is_ok() {
            self.is_open = false;
        }
        self.note_rollback();
        committed.sqlite(|| format!("commit to {}", self.path.display()))
    }

    /// Runs `work` in the transaction and commits; takes everything back when it fails.
    pub(crate) fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<T>,
    ) -> Result<T> {
        self.begin()?;
        let done = self.guarded("transact", work)?;
        self.commit()?;
        Ok(done)
    }

    /// Runs `work` in the open transaction; takes back what it did when it fails, and nothing else.
    pub(crate) fn guarded<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Connection) -> Result<T>,
    ) -> Result<T> {
        let path = self.path.clone();
        let doing = || format!("write to {}", path.display());
        self.connection
            .execute_batch(&format!("SAVEPOINT {name}"))
            .sqlite(doing)?;
        let done = work(&mut self.connection);
        let end = match done {
            Ok(_) => format!("RELEASE {name}"),
            Err(_) => format!("ROLLBACK TO {name}; RELEASE {name}"),
        };
        let ended = self.connection.execute_batch(&end);
        self.note_rollback();
        match (done, ended) {
            (Ok(done), ended) => ended.sqlite(doing).map(|()| done),
            // The savepoint is gone with its transaction; the first error says why.
            (Err(error), _) => Err(error),
        }
    }

    /// How many transactions were lost so far.
    pub(crate) fn rollbacks(&mut self) -> u64 {
        self.note_rollback();
        self.rollbacks
    }

    fn note_rollback(&mut self) {
        if self.is_open && self.connection.is_autocommit() {
            self.is_open = false;
            self.rollbacks += 1;
        }
    }
}

/// The database, whatever happened to the thread that held it before: SQLite keeps it consistent.
pub(crate) fn lock(database: &SharedDatabase) -> std::sync::MutexGuard<'_, Database> {
    database.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check_directory(path: &Path) -> Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let problem = if !parent.is_dir() {
        format!(
            "The directory {} does not exist. Create it",
            parent.display()
        )
    } else if path.is_dir() || path.file_name().is_none() {
        format!(
            "{} is a directory, not a file. Name a file in it",
            path.display()
        )
    } else {
        return Ok(());
    };
    Err(ConnectorError::config(format!(
        "{problem}, or set `path` to another place."
    )))
}

fn prepare(connection: &Connection, page_limit: Option<u32>) -> rusqlite::Result<()> {
    // Counts for new files only. Each page costs several system calls, in the log and again in the
    // checkpoint: fewer, larger pages load faster than the default of 4 KiB.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    // Without WAL (a network drive may refuse it) everything works, only slower.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // A commit survives a power failure.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -32_000)?;
    // Renaming a table must not rewrite the views that name it: after a swap they show the new rows.
    connection.pragma_update(None, "legacy_alter_table", "ON")?;
    if let Some(pages) = page_limit {
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    cursor::register(connection)
}
