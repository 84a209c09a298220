//! The statements that bring new rows from staged tables into the tables of a plan, in the SQL that PostgreSQL and
//! SQLite share. They run in one transaction: whoever reads sees all of them or none.

use airbyte_protocol::ConfiguredAirbyteStream;
use cdk_core::destination::generation::Generation;
use cdk_core::destination::meta_columns::CDC_DELETED_AT;
use cdk_core::{ConnectorError, Result};

use crate::layout::{AB_ID, EMITTED_AT};
use crate::plan::Plan;

/// Which rows are versions of one another, for streams that keep one row per key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Columns of the stream's table.
    pub columns: Vec<usize>,
    /// The column that tells which version is newer; without one, the time of the read does.
    pub cursor: Option<usize>,
    /// The column that marks deleted rows, where those are to go.
    pub deleted_at: Option<usize>,
}

impl Keys {
    /// As the catalog says; `None` for streams that keep every version.
    ///
    /// A config error when key or cursor are no columns of the stream's table.
    pub fn of(
        plan: &Plan,
        stream: &ConfiguredAirbyteStream,
        removes_deleted: bool,
    ) -> Result<Option<Self>> {
        if !Generation::of(stream).dedups() {
            return Ok(None);
        }
        let paths = stream.key().unwrap_or_default().iter();
        let columns = paths.map(|path| column(plan, path, "primary key"));
        let cursor = stream.cursor().map(|path| column(plan, path, "cursor"));
        let deleted_at = position(plan, &[CDC_DELETED_AT.to_owned()]);
        Ok(Some(Self {
            columns: columns.collect::<Result<_>>()?,
            cursor: cursor.transpose()?,
            deleted_at: deleted_at.filter(|_| removes_deleted),
        }))
    }
}

fn position(plan: &Plan, path: &[String]) -> Option<usize> {
    let columns = plan.tables.first()?.columns.iter();
    columns.clone().position(|column| column.path == path)
}

fn column(plan: &Plan, path: &[String], role: &str) -> Result<usize> {
    position(plan, path).ok_or_else(|| {
        ConnectorError::config(format!(
            "The {role} of stream {} is `{}`, which becomes no column of its normalized table. Choose another {role} \
             or refresh the schema.",
            plan.stream,
            path.join(".")
        ))
        .with_stream(&plan.stream)
    })
}

/// What the statements depend on besides the plan.
pub struct Merge<'a> {
    /// The tables.
    pub plan: &'a Plan,
    /// For each table of the plan its name, and that of the staged rows, as in a statement.
    pub names: &'a [(String, String)],
    /// Which rows replace which.
    pub keys: Option<&'a Keys>,
    /// Everything there is was staged: it replaces all rows.
    pub is_full: bool,
    /// The column that tells rows apart: `ctid` or `rowid`.
    pub row_id: &'a str,
    /// The statement that empties a table.
    pub empty: &'a dyn Fn(&str) -> String,
    /// The expression by which the values of a column of the stream's table compare.
    pub comparable: &'a dyn Fn(usize, &str) -> String,
}

impl std::fmt::Debug for Merge<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merge")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Merge<'_> {
    /// The statements in order, each with the table that it changes.
    pub fn statements(&self) -> Vec<(&str, String)> {
        let mut statements = Vec::new();
        if let Some((keys, (table, staged))) = self.keys.zip(self.names.first()) {
            statements.push((staged.as_str(), self.keep_newest(keys, staged)));
            if !self.is_full {
                self.replace_versions(keys, table, staged, &mut statements);
            }
            if let Some(deleted_at) = keys.deleted_at.and_then(|at| self.column(at)) {
                let remove = format!("DELETE FROM {staged} WHERE {deleted_at} IS NOT NULL");
                statements.push((staged, remove));
            }
            // What is nested in a row that is not kept goes with it: all have the id of its raw row.
            for (_, child) in self.names.iter().skip(1) {
                let orphans = format!(
                    "DELETE FROM {child} WHERE {AB_ID} NOT IN (SELECT {AB_ID} FROM {staged})"
                );
                statements.push((child, orphans));
            }
        }
        for ((table, staged), planned) in self.names.iter().zip(&self.plan.tables) {
            if self.is_full {
                statements.push((table, (self.empty)(table)));
            }
            let columns = planned
                .layout(self.plan.mode)
                .into_iter()
                .map(|(name, _)| quoted(name));
            let columns = columns.collect::<Vec<_>>().join(", ");
            let insert = format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM {staged}");
            statements.push((table, insert));
        }
        statements
    }

    /// Of the staged rows of one key the newest stays: the one with the greatest cursor (none is the least), then the
    /// one read last, then the one written last.
    fn keep_newest(&self, keys: &Keys, staged: &str) -> String {
        let row_id = self.row_id;
        let columns: Vec<_> = keys
            .columns
            .iter()
            .filter_map(|at| self.column(*at))
            .collect();
        let cursor = keys.cursor.and_then(|at| Some((at, self.column(at)?)));
        let cursor =
            cursor.map(|(at, name)| format!("{} DESC NULLS LAST, ", (self.comparable)(at, &name)));
        format!(
            "DELETE FROM {staged} WHERE {row_id} IN (SELECT id FROM (SELECT {row_id} AS id, row_number() OVER \
             (PARTITION BY {} ORDER BY {}{EMITTED_AT} DESC, {AB_ID} DESC) AS rank FROM {staged}) AS ranked \
             WHERE rank > 1)",
            columns.join(", "),
            cursor.unwrap_or_default()
        )
    }

    /// Drops staged versions that are older than what is there, then what is there of the keys that are staged still.
    fn replace_versions<'n>(
        &'n self,
        keys: &Keys,
        table: &str,
        staged: &'n str,
        statements: &mut Vec<(&'n str, String)>,
    ) {
        let row_id = self.row_id;
        for same in self.same_key(keys) {
            let is_late = self.is_newer(keys, "old", "new");
            let late = format!(
                "DELETE FROM {staged} WHERE {row_id} IN (SELECT new.{row_id} FROM {staged} AS new \
                 JOIN {table} AS old ON {same} WHERE {is_late})"
            );
            statements.push((staged, late));
            // The stream's own table last: it tells which rows go.
            for (name, _) in self.names.iter().rev() {
                let replaced = format!(
                    "DELETE FROM {name} WHERE {AB_ID} IN (SELECT old.{AB_ID} FROM {table} AS old \
                     JOIN {staged} AS new ON {same})"
                );
                statements.push((name, replaced));
            }
        }
    }

    /// Conditions under which `old` and `new` have one key: all parts equal, which a database finds fast, and then
    /// for those with a null in it.
    fn same_key(&self, keys: &Keys) -> [String; 2] {
        let columns: Vec<_> = keys
            .columns
            .iter()
            .filter_map(|at| self.column(*at))
            .collect();
        let joined = |part: &dyn Fn(&String) -> String, with: &str| {
            columns.iter().map(part).collect::<Vec<_>>().join(with)
        };
        let equal = joined(&|name| format!("old.{name} = new.{name}"), " AND ");
        let has_null = |of: &str| joined(&|name| format!("{of}.{name} IS NULL"), " OR ");
        let same = joined(
            &|name| format!("old.{name} IS NOT DISTINCT FROM new.{name}"),
            " AND ",
        );
        let null = format!("({}) AND ({}) AND {same}", has_null("old"), has_null("new"));
        [equal, null]
    }

    /// Whether the row `a` is newer than the row `b`.
    fn is_newer(&self, keys: &Keys, a: &str, b: &str) -> String {
        let later = format!("{a}.{EMITTED_AT} > {b}.{EMITTED_AT}");
        let Some((at, name)) = keys.cursor.and_then(|at| Some((at, self.column(at)?))) else {
            return later;
        };
        let of = |row: &str| (self.comparable)(at, &format!("{row}.{name}"));
        let (a, b) = (of(a), of(b));
        format!(
            "({a} > {b} OR ({a} IS NOT NULL AND {b} IS NULL) OR ({a} IS NOT DISTINCT FROM {b} AND {later}))"
        )
    }

    fn column(&self, at: usize) -> Option<String> {
        let columns = &self.plan.tables.first()?.columns;
        columns.get(at).map(|column| quoted(&column.name))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
