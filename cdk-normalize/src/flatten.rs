//! One record's JSON text → the rows of its tables.

use std::sync::Arc;

use airbyte_protocol::codec::{fields, items};
use cdk_core::destination::columns::{Cell, CellReader};
use cdk_core::{ConnectorError, Result};

use crate::hashid::Hashid;
use crate::plan::{Node, Plan, Slot};
use crate::settings::Mode;

/// A record as the raw table keeps it.
#[derive(Debug, Clone, Copy)]
pub struct RawRow<'a> {
    /// `_airbyte_ab_id` or `_airbyte_raw_id`.
    pub id: &'a str,
    /// The text of a JSON object.
    pub data: &'a str,
}

/// A row of a normalized table.
#[derive(Debug, Clone, Copy)]
pub struct FlatRow<'a> {
    /// Which table of the plan.
    pub table: usize,
    /// The id of the row that this one was nested in.
    pub parent_hashid: Option<&'a str>,
    /// The id of this row.
    pub hashid: &'a str,
    /// One value per column of the plan.
    pub cells: &'a [Cell<'a>],
}

/// Values that were not what the schema says: they are null in the tables, and unchanged in the raw table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfits {
    /// The table.
    pub table: String,
    /// The column; `None` for values that should have become rows.
    pub column: Option<String>,
    /// How many.
    pub count: u64,
}

impl Misfits {
    /// Where they should have been, for people.
    pub fn place(&self) -> String {
        match &self.column {
            Some(column) => format!("column `{column}` of table `{}`", self.table),
            None => format!("rows of table `{}`", self.table),
        }
    }
}

/// Makes rows of records, by a plan.
#[derive(Debug)]
pub struct Flattener {
    plan: Arc<Plan>,
    readers: Vec<Vec<CellReader>>,
    /// Per table and column; the last of each table counts values that are no rows.
    misfits: Vec<Vec<u64>>,
}

/// A value that rows of another table are made of.
struct Nested<'a> {
    table: usize,
    is_list: bool,
    value: &'a str,
}

impl Flattener {
    /// For the records of the plan's stream.
    pub fn new(plan: Arc<Plan>) -> Self {
        let reader = |column: &crate::TableColumn| CellReader::of(&column.data_type);
        let tables = plan.tables.iter();
        let readers = tables
            .clone()
            .map(|table| table.columns.iter().map(reader).collect());
        let misfits = tables.map(|table| vec![0; table.columns.len() + 1]);
        Self {
            readers: readers.collect(),
            misfits: misfits.collect(),
            plan,
        }
    }

    /// Gives the rows of one record to `emit`, every row behind its parent.
    ///
    /// A system error when the data is no JSON object; else what `emit` returns.
    pub fn record(
        &mut self,
        row: RawRow<'_>,
        emit: &mut impl FnMut(FlatRow<'_>) -> Result<()>,
    ) -> Result<()> {
        let hashid = match self.plan.mode {
            Mode::Guide => Some(Hashid::of([row.id])),
            Mode::Classic => None,
        };
        self.row(0, None, hashid, row.data, emit)
    }

    /// Counts since the last call, for tables and columns that have any.
    pub fn take_misfits(&mut self) -> Vec<Misfits> {
        let mut taken = Vec::new();
        for (table, counts) in self.plan.tables.iter().zip(&mut self.misfits) {
            for (at, count) in counts.iter_mut().enumerate() {
                let count = std::mem::take(count);
                if count > 0 {
                    taken.push(Misfits {
                        table: table.name.clone(),
                        column: table.columns.get(at).map(|column| column.name.clone()),
                        count,
                    });
                }
            }
        }
        taken
    }

    /// One row of `table` and those nested in it.
    fn row(
        &mut self,
        table: usize,
        parent: Option<&str>,
        hashid: Option<Hashid>,
        object: &str,
        emit: &mut impl FnMut(FlatRow<'_>) -> Result<()>,
    ) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        let Some(planned) = plan.tables.get(table) else {
            return Ok(());
        };
        let mut cells = vec![Cell::Null; planned.columns.len()];
        let mut nested = Vec::new();
        self.object(table, &planned.node, object, &mut cells, &mut nested)?;
        let hashid = hashid.unwrap_or_else(|| Hashid::of_values(parent, &cells));
        emit(FlatRow {
            table,
            parent_hashid: parent,
            hashid: hashid.as_str(),
            cells: &cells,
        })?;
        for nested in nested {
            self.nested(&nested, hashid.as_str(), emit)?;
        }
        Ok(())
    }

    /// The rows that a nested value becomes. Items that are null become none.
    fn nested(
        &mut self,
        nested: &Nested<'_>,
        parent: &str,
        emit: &mut impl FnMut(FlatRow<'_>) -> Result<()>,
    ) -> Result<()> {
        let Nested {
            table,
            is_list,
            value,
        } = *nested;
        let single = (!is_list).then_some(Ok(value));
        let list = is_list.then(|| items(value)).into_iter().flatten();
        for (at, item) in single.into_iter().chain(list).enumerate() {
            let item = item.map_err(|error| self.broken(error))?;
            if item == "null" {
                continue;
            }
            if !item.starts_with('{') {
                self.misfit(table, usize::MAX);
                continue;
            }
            let hashid = match self.plan.mode {
                Mode::Guide => {
                    let (table, at) = (table.to_string(), at.to_string());
                    Some(Hashid::of([parent, &table, &at]))
                }
                Mode::Classic => None,
            };
            self.row(table, Some(parent), hashid, item, emit)?;
        }
        Ok(())
    }

    /// Sorts the members of an object into cells and nested values.
    fn object<'a>(
        &mut self,
        table: usize,
        node: &Node,
        object: &'a str,
        cells: &mut [Cell<'a>],
        nested: &mut Vec<Nested<'a>>,
    ) -> Result<()> {
        for (at, member) in fields(object).enumerate() {
            let (key, value) = member.map_err(|error| self.broken(error))?;
            match node.slot(at, &key) {
                None => {}
                Some(Slot::Column(column)) => self.cell(table, *column, value, cells)?,
                Some(Slot::Object(_)) if value == "null" => {}
                Some(Slot::Object(node)) if value.starts_with('{') => {
                    self.object(table, node, value, cells, nested)?;
                }
                Some(Slot::Object(node)) => self.misfit(table, first_column(node)),
                Some(Slot::Rows {
                    table: of,
                    is_list,
                    column,
                }) => {
                    if let Some(column) = column {
                        self.cell(table, *column, value, cells)?;
                    }
                    let (of, is_list) = (*of, *is_list);
                    if value.starts_with(if is_list { '[' } else { '{' }) {
                        nested.retain(|other| other.table != of);
                        nested.push(Nested {
                            table: of,
                            is_list,
                            value,
                        });
                    } else if value != "null" {
                        self.misfit(of, usize::MAX);
                    }
                }
            }
        }
        Ok(())
    }

    fn cell<'a>(
        &mut self,
        table: usize,
        column: usize,
        value: &'a str,
        cells: &mut [Cell<'a>],
    ) -> Result<()> {
        let reader = self
            .readers
            .get(table)
            .and_then(|readers| readers.get(column));
        let (Some(reader), Some(cell)) = (reader, cells.get_mut(column)) else {
            return Ok(());
        };
        let read = reader.read(value);
        let (value, misfit) = read.map_err(|error| self.broken(error))?;
        *cell = value;
        if misfit.is_some() {
            self.misfit(table, column);
        }
        Ok(())
    }

    /// Counts a value that its database can't hold, found by whoever writes the rows.
    pub fn misfit(&mut self, table: usize, column: usize) {
        if let Some(counts) = self.misfits.get_mut(table) {
            let last = counts.len().saturating_sub(1);
            if let Some(count) = counts.get_mut(column.min(last)) {
                *count += 1;
            }
        }
    }

    fn broken(&self, cause: impl std::error::Error + Send + Sync + 'static) -> ConnectorError {
        let stream = &self.plan.stream;
        ConnectorError::system(format!(
            "A raw row of stream {stream} is not a JSON object. Fix or remove it in the raw table."
        ))
        .caused_by(cause)
        .with_stream(stream)
    }
}

/// The column that stands for an object which is none.
fn first_column(node: &Node) -> usize {
    let mut slots = node.members.iter().map(|(_, slot)| slot);
    slots
        .find_map(|slot| match slot {
            Slot::Column(column) => Some(*column),
            Slot::Object(node) => Some(first_column(node)),
            Slot::Rows { column, .. } => *column,
        })
        .unwrap_or(usize::MAX)
}
