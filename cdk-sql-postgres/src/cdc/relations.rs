//! Tables as change events describe them, and the streams they belong to.

use std::collections::HashMap;

use airbyte_protocol::StreamDescriptor;
use cdk_core::Result;

use super::pgoutput::Relation;
use crate::catalog::{self, PgTable, text};
use crate::connect::Connector;
use crate::quote;
use crate::rows::RowEncoder;
use crate::session::Session;
use crate::value::{Kind, TypeMap};

/// What a stream of the run reads.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) table: PgTable,
    /// Names of the columns of its records.
    pub(super) columns: Vec<String>,
}

/// A table of the log that belongs to a stream.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) stream: StreamDescriptor,
    pub(super) encoder: RowEncoder,
    /// Where each column of the record is in a tuple; `None` for those that are not in the log (generated columns, columns
    /// added later).
    pub(super) at: Vec<Option<usize>>,
    /// Name, type and place in a tuple of the columns that tell rows apart.
    pub(super) key: Vec<(String, String, usize)>,
    /// The table and expressions to look up values that are not in the log; `None` where the table has no such column.
    table: String,
    columns: Vec<Option<String>>,
}

/// All tables seen in the log so far, by `oid`.
#[derive(Debug)]
pub(super) struct Relations {
    wanted: HashMap<StreamDescriptor, Wanted>,
    known: HashMap<u32, Option<Known>>,
    types: TypeMap,
    side: SideSession,
}

impl Relations {
    pub(super) fn new(
        connector: Connector,
        types: TypeMap,
        wanted: HashMap<StreamDescriptor, Wanted>,
    ) -> Self {
        let side = SideSession {
            connector,
            session: None,
        };
        Self {
            wanted,
            known: HashMap::new(),
            types,
            side,
        }
    }

    /// The table of this `oid` if it belongs to a stream.
    pub(super) fn get(&mut self, oid: u32) -> Option<&mut Known> {
        self.known.get_mut(&oid)?.as_mut()
    }

    /// The table of this `oid`, and the session for look-ups.
    pub(super) fn with_side(&mut self, oid: u32) -> Option<(&mut Known, &mut SideSession)> {
        Some((self.known.get_mut(&oid)?.as_mut()?, &mut self.side))
    }

    pub(super) fn side(&mut self) -> &mut SideSession {
        &mut self.side
    }

    /// Takes note of what a table looks like from here on.
    pub(super) async fn learn(&mut self, relation: &Relation) -> Result<()> {
        let stream = self.stream_of(relation).await?;
        let known = match stream {
            Some(stream) => self.known(stream, relation).await?,
            None => None,
        };
        self.known.insert(relation.oid, known);
        Ok(())
    }

    async fn stream_of(&mut self, relation: &Relation) -> Result<Option<StreamDescriptor>> {
        let mut name = StreamDescriptor::new(&relation.name);
        name.namespace = Some(relation.namespace.clone());
        if self.wanted.contains_key(&name) {
            return Ok(Some(name));
        }
        // A partition whose changes are published under its own name.
        let sql = format!(
            "WITH RECURSIVE up(oid) AS (SELECT {}::pg_catalog.oid UNION ALL \
                SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN up ON up.oid = i.inhrelid) \
             SELECT n.nspname, c.relname FROM up JOIN pg_catalog.pg_class c ON c.oid = up.oid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'p'",
            relation.oid
        );
        let rows = self
            .side
            .query(&sql, "looking up a partitioned table")
            .await?;
        let names = rows.iter().filter_map(|row| {
            let mut name = StreamDescriptor::new(text(row, 1)?);
            name.namespace = Some(text(row, 0)?.to_owned());
            Some(name)
        });
        Ok(names
            .into_iter()
            .find(|name| self.wanted.contains_key(name)))
    }

    async fn known(
        &mut self,
        stream: StreamDescriptor,
        relation: &Relation,
    ) -> Result<Option<Known>> {
        if relation
            .columns
            .iter()
            .any(|column| !self.types.knows(column.type_oid))
        {
            let session = self.side.session().await?;
            self.types = catalog::types(session).await?;
        }
        let Some(wanted) = self.wanted.get(&stream) else {
            return Ok(None);
        };
        let place = |name: &str| {
            relation
                .columns
                .iter()
                .position(|column| column.name == name)
        };
        let at: Vec<Option<usize>> = wanted.columns.iter().map(|name| place(name)).collect();
        let kinds = wanted.columns.iter().zip(&at).map(|(name, at)| {
            let in_log = at
                .and_then(|at| relation.columns.get(at))
                .map(|column| self.types.kind(column.type_oid));
            let kind = in_log
                .or_else(|| wanted.table.kind_of(name).cloned())
                .unwrap_or(Kind::Cast);
            (name.as_str(), kind)
        });
        let table = &wanted.table.table;
        let key = match table.primary_key.is_empty() {
            true => relation
                .columns
                .iter()
                .filter(|column| column.is_key)
                .map(|column| &column.name)
                .collect::<Vec<_>>(),
            false => table.primary_key.iter().collect(),
        };
        let key: Option<Vec<_>> = key
            .into_iter()
            .map(|name| {
                Some((
                    name.clone(),
                    table.column(name)?.type_name.clone(),
                    place(name)?,
                ))
            })
            .collect();
        Ok(Some(Known {
            encoder: RowEncoder::new(kinds, b""),
            at,
            key: key.unwrap_or_default(),
            table: wanted.table.quoted(),
            columns: wanted
                .columns
                .iter()
                .map(|name| {
                    table
                        .column(name)
                        .map(|column| quote::identifier(&column.name))
                })
                .collect(),
            stream,
        }))
    }
}

impl Known {
    /// Whether the column is neither in the log nor in the table: it is null.
    pub(super) fn is_nowhere(&self, column: usize) -> bool {
        matches!(
            (self.at.get(column), self.columns.get(column)),
            (Some(None), Some(None))
        )
    }

    /// The present values of the row with this key: for what the log leaves out. `None` when it is gone.
    ///
    /// A later value may come back than the row had; the change that made it follows in the log.
    pub(super) async fn look_up(
        &self,
        side: &mut SideSession,
        key: &[Option<&[u8]>],
    ) -> Result<Option<Vec<Option<String>>>> {
        if self.key.is_empty() || key.iter().any(Option::is_none) {
            return Ok(None);
        }
        let conditions: Vec<String> = self
            .key
            .iter()
            .zip(key.iter().flatten())
            .map(|((name, kind, _), value)| {
                let value = quote::literal(&String::from_utf8_lossy(value));
                format!("{} = {value}::{kind}", quote::identifier(name))
            })
            .collect();
        let columns: Vec<&str> = self
            .columns
            .iter()
            .map(|column| column.as_deref().unwrap_or("NULL"))
            .collect();
        // Not cast: the server's output of each type is what the log has too.
        let sql = format!(
            "SELECT {} FROM {} WHERE {}",
            columns.join(", "),
            self.table,
            conditions.join(" AND ")
        );
        match side
            .query(&sql, "looking up values that are not in the log")
            .await
        {
            Ok(rows) => Ok(rows.into_iter().next()),
            Err(error) if error.failure_type() == airbyte_protocol::FailureType::TransientError => {
                Err(error)
            }
            Err(error) => {
                // The table or a column is gone by now: there is nothing to look up.
                tracing::warn!(
                    "Stream {}: values that are not in the change log are missing. {error}",
                    self.stream
                );
                Ok(None)
            }
        }
    }
}

/// A session beside the log, opened when it is first needed.
#[derive(Debug)]
pub(super) struct SideSession {
    connector: Connector,
    session: Option<Session>,
}

impl SideSession {
    pub(super) async fn session(&mut self) -> Result<&mut Session> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.connector.session().await?,
        };
        Ok(self.session.insert(session))
    }

    pub(super) async fn query(
        &mut self,
        sql: &str,
        doing: &str,
    ) -> Result<Vec<Vec<Option<String>>>> {
        let queried = self.session().await?.query(sql, doing).await;
        let is_broken = |error: &cdk_core::ConnectorError| {
            error.failure_type() == airbyte_protocol::FailureType::TransientError
        };
        if queried.as_ref().is_err_and(is_broken) {
            self.session = None;
        }
        queried
    }
}
