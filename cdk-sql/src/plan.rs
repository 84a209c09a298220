//! Which pieces of a table a run reads, and the state behind each.

use std::sync::Arc;

use cdk_core::{ConnectorError, Partitions, Result, StreamRequest};

use crate::dialect::{Comparison, Dialect, Extent, where_clause};
use crate::state::{StateType, TableState};
use crate::stream::{Incremental, PieceSettings, TableStream};
use crate::table::{Column, Table};
use crate::walk::{Left, Walk};

/// A part of a table, and what the state is once it and all pieces before it were read.
pub struct Piece<D: Dialect> {
    pub(crate) snapshot: Arc<D::Snapshot>,
    pub(crate) conditions: Vec<String>,
    pub(crate) state: TableState,
}

impl<D: Dialect> std::fmt::Debug for Piece<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Piece")
            .field("conditions", &self.conditions)
            .finish_non_exhaustive()
    }
}

/// A run over one table.
pub(crate) struct Plan<D: Dialect> {
    pub(crate) dialect: Arc<D>,
    pub(crate) table: Arc<Table>,
    pub(crate) snapshot: Arc<D::Snapshot>,
    pub(crate) pieces: PieceSettings,
    /// The mark of the snapshot, where the database has marks.
    pub(crate) mark: Option<String>,
    seeks_late_rows: bool,
    saved: TableState,
    mode: Mode,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Mode {
    Full,
    Cursor(Column),
    Marks,
}

impl<D: Dialect> Plan<D> {
    pub(crate) async fn new(stream: &TableStream<D>, request: &StreamRequest) -> Result<Self> {
        let (dialect, table) = (Arc::clone(&stream.dialect), Arc::clone(&stream.table));
        let mode = match (request.is_incremental(), stream.incremental) {
            (false, _) => Mode::Full,
            (true, Incremental::Marks) => Mode::Marks,
            (true, Incremental::Cursor) => Mode::Cursor(cursor_column(stream, request)?.clone()),
        };
        let saved = request.state_as::<TableState>()?.unwrap_or_default();
        let snapshot = Arc::new(dialect.snapshot(&table).await?);
        let mark = dialect.mark(&snapshot, &table).await?;
        let pieces = stream.pieces.clone();
        let seeks_late_rows = stream.pieces.seeks_late_rows;
        Ok(Self {
            dialect,
            table,
            snapshot,
            pieces,
            mark,
            seeks_late_rows,
            saved,
            mode,
        })
    }

    pub(crate) async fn partitions(mut self) -> Result<Partitions<Piece<D>>> {
        let saved = std::mem::take(&mut self.saved);
        let walk = match (self.mode.clone(), saved.state_type) {
            (Mode::Full, StateType::Complete) => return Ok(Partitions::list(Vec::new())),
            (Mode::Full, _) => {
                let target = self.named(StateType::Complete);
                self.first_pass(saved, target, false).await?
            }
            (Mode::Cursor(cursor), StateType::CursorBased) if saved.cursor.is_some() => {
                match saved.cursor_field == [cursor.name.as_str()] {
                    true => self.news_by_cursor(&cursor, &saved).await?,
                    false => {
                        tracing::warn!(
                            "Stream {} is read from the start: its cursor was {} and is now {}.",
                            self.table.descriptor(),
                            saved.cursor_field.join("."),
                            cursor.name
                        );
                        let target = self.newest(&cursor, None).await?;
                        self.first_pass(TableState::default(), target, true).await?
                    }
                }
            }
            (Mode::Cursor(cursor), _) => match interrupted(&saved, |target| {
                target.cursor_field == [cursor.name.as_str()]
            }) {
                Some(target) => self.first_pass(saved, target, true).await?,
                None => {
                    let target = self.newest(&cursor, None).await?;
                    self.first_pass(TableState::default(), target, true).await?
                }
            },
            (Mode::Marks, StateType::Xmin) => self.news_by_mark(&saved).await?,
            (Mode::Marks, _) => {
                match interrupted(&saved, |target| target.state_type == StateType::Xmin) {
                    Some(target) => self.first_pass(saved, target, true).await?,
                    None => {
                        let target = self.mark_state()?;
                        self.first_pass(TableState::default(), target, true).await?
                    }
                }
            }
        };
        Ok(walk.partitions())
    }

    /// All rows, on from where `saved` says; behind the last the state is `target`.
    async fn first_pass(
        self,
        saved: TableState,
        target: TableState,
        is_incremental: bool,
    ) -> Result<Walk<D>> {
        let name = self.table.descriptor();
        let extent = match self.table.is_view {
            true => None,
            false => self.dialect.extent(&self.snapshot, &self.table).await?,
        };
        let mut template = self.named(StateType::Ctid);
        template.incremental_state = is_incremental.then(|| Box::new(target.clone()));
        template.mark.clone_from(&self.mark);
        let Some(extent) = extent else {
            template.state_type = StateType::PrimaryKey;
            template.mark = None;
            let left = self.left_by_key(&saved);
            return Ok(Walk::new(self, left, template, target));
        };
        template.relation_filenode = Some(extent.file.clone());
        let resumed = self.resume_at_place(&saved, &extent);
        if saved.state_type == StateType::Ctid && resumed.is_none() {
            tracing::warn!(
                "Stream {name} is read from the start: the table was rewritten since it was interrupted, or it is too long ago."
            );
        }
        let (from, moved) = resumed.map_or((0, None), |(from, moved)| (from, Some(moved)));
        let mut walk = Walk::new(self, Left::Places { extent, from }, template, target);
        if let Some(moved) = moved {
            walk.queue_places(0, from, vec![moved]);
        }
        Ok(walk)
    }

    /// The unit to go on at, and the condition for rows that moved to before it since.
    fn resume_at_place(&self, saved: &TableState, extent: &Extent) -> Option<(u64, String)> {
        let unit = saved
            .unit()
            .filter(|_| saved.relation_filenode.as_ref() == Some(&extent.file))?;
        let moved = self
            .dialect
            .changed_since(saved.mark.as_deref()?, self.mark.as_deref()?)?;
        Some((unit.min(extent.units), moved))
    }

    fn left_by_key(&self, saved: &TableState) -> Left {
        let Some(key) = self.table.key().filter(|_| !self.table.is_view) else {
            return Left::Whole;
        };
        let columns: Vec<Column> = key.into_iter().cloned().collect();
        let is_same = saved.state_type == StateType::PrimaryKey
            && saved.pk_values.len() == columns.len()
            && columns
                .iter()
                .map(|column| &column.name)
                .eq(&saved.pk_names);
        let after = is_same.then(|| saved.pk_values.clone());
        Left::Values {
            columns,
            after,
            to: None,
            is_cursor: false,
        }
    }

    /// What is behind the saved cursor, and what appeared late before it.
    async fn news_by_cursor(self, cursor: &Column, saved: &TableState) -> Result<Walk<D>> {
        let low = saved.cursor.clone().unwrap_or_default();
        let lows = [low.clone()];
        let late = match (&saved.mark, &self.mark) {
            (Some(then), Some(now)) if self.seeks_late_rows => {
                self.dialect.changed_since(then, now)
            }
            _ => None,
        };
        let newest = self.newest(cursor, Some(&low)).await?;
        let mut here = self.cursor_state(cursor, Some(low));
        let first = match late {
            Some(late) => {
                let quoted = self.dialect.quote(&cursor.name);
                let up_to = self.dialect.compares(&[cursor], Comparison::UpTo, &lows);
                Some(vec![format!("({up_to} OR {quoted} IS NULL)"), late])
            }
            None => {
                here.cursor_record_count = Some(self.count(cursor, &lows[0]).await?);
                let is_known = here.cursor_record_count == saved.cursor_record_count;
                (!is_known).then(|| vec![self.equals(cursor, &lows[0])])
            }
        };
        let template = TableState {
            cursor_record_count: None,
            ..here.clone()
        };
        let (left, target) = match newest.cursor.clone() {
            None => (Left::Nothing, here.clone()),
            Some(high) => {
                let after = Some(lows.to_vec());
                let columns = vec![cursor.clone()];
                (
                    Left::Values {
                        columns,
                        after,
                        to: Some(vec![high]),
                        is_cursor: true,
                    },
                    newest,
                )
            }
        };
        let mut walk = Walk::new(self, left, template, target);
        if let Some(conditions) = first {
            walk.queue(conditions, here);
        }
        Ok(walk)
    }

    /// What transactions wrote since the saved mark.
    async fn news_by_mark(self, saved: &TableState) -> Result<Walk<D>> {
        let target = self.mark_state()?;
        let changed = match (saved.any_mark(), &self.mark) {
            (Some(then), Some(now)) => self.dialect.changed_since(&then, now),
            _ => None,
        };
        let Some(changed) = changed else {
            tracing::warn!(
                "Stream {} is read from the start: its saved position is too old to tell what changed since.",
                self.table.descriptor()
            );
            return self.first_pass(TableState::default(), target, true).await;
        };
        let mut walk = Walk::new(self, Left::Nothing, TableState::default(), target.clone());
        walk.queue(vec![changed], target);
        Ok(walk)
    }

    /// The state of a reader that has seen the newest value, behind `low` if that is given; without one, the cursor is
    /// absent.
    async fn newest(&self, cursor: &Column, low: Option<&str>) -> Result<TableState> {
        self.warn_without_index(cursor);
        let quoted = self.dialect.quote(&cursor.name);
        let condition = match low {
            Some(low) => self
                .dialect
                .compares(&[cursor], Comparison::After, &[low.to_owned()]),
            None => format!("{quoted} IS NOT NULL"),
        };
        let sql = format!(
            "SELECT {} FROM {} WHERE {condition} ORDER BY {quoted} DESC LIMIT 1",
            self.dialect.text_of(cursor),
            self.name()
        );
        let rows = self
            .fetch(&sql, "looking up the newest cursor value")
            .await?;
        let newest = rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next())
            .flatten();
        let mut state = self.cursor_state(cursor, newest);
        if let (Some(newest), None) = (&state.cursor, &self.mark) {
            state.cursor_record_count = Some(self.count(cursor, newest).await?);
        }
        Ok(state)
    }

    async fn count(&self, cursor: &Column, value: &str) -> Result<u64> {
        let sql = format!(
            "SELECT COUNT(*) FROM {} WHERE {}",
            self.name(),
            self.equals(cursor, value)
        );
        let rows = self
            .fetch(&sql, "counting rows with one cursor value")
            .await?;
        let count = rows
            .first()
            .and_then(|row| row.first())
            .and_then(Option::as_deref);
        count.and_then(|count| count.parse().ok()).ok_or_else(|| {
            ConnectorError::system("The database did not answer how many rows there are.")
        })
    }

    fn equals(&self, column: &Column, value: &str) -> String {
        format!(
            "{} = {}",
            self.dialect.quote(&column.name),
            self.dialect.literal(column, value)
        )
    }

    fn warn_without_index(&self, cursor: &Column) {
        let rows = self.table.estimated_rows.unwrap_or_default();
        if rows >= self.pieces.large_table_rows
            && !self.table.indexed.contains(&cursor.name)
            && !self.table.is_view
        {
            tracing::warn!(
                "Stream {}: its cursor column {} has no index, and the table has about {rows} rows, all of which the \
                 database reads in every sync. An index that begins with {} makes incremental syncs fast.",
                self.table.descriptor(),
                cursor.name,
                cursor.name
            );
        }
    }

    /// Where the next range behind `after` ends: at the value after so many rows, `None` when there are fewer.
    pub(crate) async fn bound(
        &self,
        columns: &[Column],
        after: Option<&[String]>,
        to: Option<&[String]>,
    ) -> Result<Option<Vec<String>>> {
        let texts: Vec<String> = columns
            .iter()
            .map(|column| self.dialect.text_of(column))
            .collect();
        let order: Vec<String> = columns
            .iter()
            .map(|column| self.dialect.quote(&column.name))
            .collect();
        let conditions = self.range(columns, after, to);
        let sql = format!(
            "SELECT {} FROM {}{} ORDER BY {} LIMIT 1 OFFSET {}",
            texts.join(", "),
            self.name(),
            where_clause(&conditions),
            order.join(", "),
            self.pieces.rows
        );
        let rows = self.fetch(&sql, "cutting the table into pieces").await?;
        // A cursor's rows have no NULL there: they are behind a value.
        Ok(rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().collect()))
    }

    pub(crate) fn range(
        &self,
        columns: &[Column],
        after: Option<&[String]>,
        to: Option<&[String]>,
    ) -> Vec<String> {
        let columns: Vec<&Column> = columns.iter().collect();
        let after = after.map(|texts| self.dialect.compares(&columns, Comparison::After, texts));
        let to = to.map(|texts| self.dialect.compares(&columns, Comparison::UpTo, texts));
        after.into_iter().chain(to).collect()
    }

    /// Cutting by value pays where the table is large and the order is at hand.
    pub(crate) fn is_cut(&self, columns: &[Column], is_cursor: bool) -> bool {
        let is_large = self
            .table
            .estimated_rows
            .is_none_or(|rows| rows > self.pieces.rows);
        let has_order = !is_cursor
            || columns
                .first()
                .is_some_and(|column| self.table.indexed.contains(&column.name));
        is_large && has_order
    }

    async fn fetch(&self, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
        let descriptor = self.table.descriptor();
        let fetched = self.dialect.fetch(&self.snapshot, sql, doing).await;
        fetched.map_err(|error| error.with_stream(&descriptor))
    }

    fn name(&self) -> String {
        format!(
            "{}.{}",
            self.dialect.quote(&self.table.namespace),
            self.dialect.quote(&self.table.name)
        )
    }

    fn named(&self, state_type: StateType) -> TableState {
        TableState::of_table(state_type, &self.table)
    }

    fn cursor_state(&self, cursor: &Column, value: Option<String>) -> TableState {
        let mut state = self.named(StateType::CursorBased);
        state.cursor_field = vec![cursor.name.clone()];
        state.cursor = value;
        state.mark.clone_from(&self.mark);
        state
    }

    fn mark_state(&self) -> Result<TableState> {
        let mark = self
            .mark
            .as_deref()
            .and_then(|mark| mark.parse::<u64>().ok());
        let mark = mark.ok_or_else(|| {
            ConnectorError::system(
                "The database gave no mark of its transactions, which this mode of reading needs.",
            )
        })?;
        let mut state = self.named(StateType::Xmin);
        state.xmin_raw_value = Some(mark);
        state.xmin_xid_value = Some(mark & u64::from(u32::MAX));
        state.num_wraparound = Some(mark >> 32);
        Ok(state)
    }
}

/// What the first pass that `saved` interrupted is to end in, if it still fits.
fn interrupted(saved: &TableState, fits: impl Fn(&TableState) -> bool) -> Option<TableState> {
    let is_first_pass = matches!(saved.state_type, StateType::Ctid | StateType::PrimaryKey);
    let target = saved
        .incremental_state
        .as_deref()
        .filter(|_| is_first_pass)?;
    fits(target).then(|| target.clone())
}

fn cursor_column<'a, D: Dialect>(
    stream: &'a TableStream<D>,
    request: &StreamRequest,
) -> Result<&'a Column> {
    let name = stream.table.descriptor();
    let path = request
        .configured()
        .cursor_field
        .clone()
        .unwrap_or_default();
    let [cursor] = path.as_slice() else {
        return Err(ConnectorError::config(format!(
            "Stream {name} needs one column as its cursor. Set `cursor_field` to a column that grows with every change."
        )));
    };
    let column = stream.table.column(cursor).ok_or_else(|| {
        ConnectorError::config(format!(
            "The cursor column {cursor} of stream {name} does not exist. Choose another one, or refresh the schema."
        ))
    })?;
    match column.is_ordered {
        true => Ok(column),
        false => Err(ConnectorError::config(format!(
            "Column {cursor} of stream {name} can't be its cursor: values of type {} have no order. Choose another one.",
            column.type_name
        ))),
    }
}
