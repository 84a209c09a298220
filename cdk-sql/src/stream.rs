//! A table as a stream.

use std::sync::Arc;

use airbyte_protocol::{
    AirbyteEstimateTraceMessage, AirbyteMessage, AirbyteStream, AirbyteTraceMessage, SyncMode,
};
use cdk_core::{Context, Partitions, RecordSink, Result, Stream, StreamRequest};
use serde_json::Value;

use crate::dialect::{Dialect, Select};
use crate::plan::{Piece, Plan};
use crate::table::{Column, Table};

/// How incremental reads of a table find what is new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Incremental {
    /// By the cursor column that the user chooses.
    #[default]
    Cursor,
    /// By the marks of the database itself ([`Dialect::mark`]); no cursor is needed.
    Marks,
}

/// How tables are cut into pieces. A piece is what is read again after an interruption.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PieceSettings {
    /// Rows of a piece that is a range of keys or cursor values.
    pub rows: u64,
    /// A cursor without index is warned about on tables with at least this many rows.
    pub large_table_rows: u64,
    /// Whether incremental reads by a cursor also look for rows that transactions wrote behind the cursor since the
    /// last run, where the database has marks. It costs a pass over the table at the server.
    pub seeks_late_rows: bool,
}

impl Default for PieceSettings {
    fn default() -> Self {
        Self {
            rows: 100_000,
            large_table_rows: 1_000_000,
            seeks_late_rows: true,
        }
    }
}

/// A table as a stream: full refresh and incremental reads that resume piece by piece.
///
/// States are those of [`TableState`](crate::TableState). A row that is there for the whole run is read, whatever
/// is written meanwhile; the guarantee for rows that appear while others are read is [`Dialect::mark`]'s.
pub struct TableStream<D: Dialect> {
    pub(crate) dialect: Arc<D>,
    pub(crate) table: Arc<Table>,
    pub(crate) incremental: Incremental,
    pub(crate) pieces: PieceSettings,
    definition: Option<AirbyteStream>,
}

impl<D: Dialect> TableStream<D> {
    /// The stream of `table`.
    pub fn new(dialect: Arc<D>, table: Table) -> Self {
        Self {
            dialect,
            table: Arc::new(table),
            incremental: Incremental::default(),
            pieces: PieceSettings::default(),
            definition: None,
        }
    }

    /// Changes the stream's entry in the catalog, for connectors that add columns or read changes elsewhere.
    #[must_use]
    pub fn with_definition(mut self, change: impl FnOnce(AirbyteStream) -> AirbyteStream) -> Self {
        self.definition = Some(change(self.definition()));
        self
    }

    /// Sets how incremental reads find what is new.
    #[must_use]
    pub fn with_incremental(mut self, incremental: Incremental) -> Self {
        self.incremental = incremental;
        self
    }

    /// Sets how the table is cut into pieces.
    #[must_use]
    pub fn with_pieces(mut self, pieces: PieceSettings) -> Self {
        self.pieces = pieces;
        self
    }
}

impl<D: Dialect> std::fmt::Debug for TableStream<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TableStream({})", self.table.descriptor())
    }
}

/// The columns of `table` that the configured schema names; all of them when it names none.
pub fn selected_columns<'a>(table: &'a Table, json_schema: &Value) -> Vec<&'a Column> {
    let wanted = json_schema.get("properties").and_then(Value::as_object);
    let wanted = wanted.filter(|wanted| {
        table
            .columns
            .iter()
            .any(|column| wanted.contains_key(&column.name))
    });
    let is_wanted =
        |column: &&Column| wanted.is_none_or(|wanted| wanted.contains_key(&column.name));
    table.columns.iter().filter(is_wanted).collect()
}

/// Tells the host how much a table holds, as the database's statistics say.
pub fn emit_estimate(table: &Table, context: &Context) -> Result<()> {
    let Some(rows) = table.estimated_rows else {
        return Ok(());
    };
    let whole = |count: u64| i64::try_from(count).ok();
    let bytes = table.estimated_bytes.and_then(whole);
    let estimate = AirbyteEstimateTraceMessage::new(&table.descriptor(), whole(rows), bytes);
    let trace = AirbyteTraceMessage::estimate(context.now_ms() as f64, estimate);
    context.emit(AirbyteMessage::Trace(trace))
}

impl<D: Dialect> Stream for TableStream<D> {
    type Partition = Piece<D>;

    fn definition(&self) -> AirbyteStream {
        if let Some(definition) = &self.definition {
            return definition.clone();
        }
        let table = &self.table;
        let mut modes = vec![SyncMode::FullRefresh];
        let by_marks = self.incremental == Incremental::Marks;
        let is_incremental = match by_marks {
            true => !table.is_view,
            false => table.columns.iter().any(|column| column.is_ordered),
        };
        if is_incremental {
            modes.push(SyncMode::Incremental);
        }
        let mut stream = AirbyteStream::new(&table.name, table.json_schema(), modes);
        stream.namespace = Some(table.namespace.clone());
        // Of a stream that is only read in full, the place in the table is a cursor of its own.
        stream.source_defined_cursor = Some(by_marks || !is_incremental);
        if !table.primary_key.is_empty() {
            let key = table.primary_key.iter().map(|column| vec![column.clone()]);
            stream.source_defined_primary_key = Some(key.collect());
        }
        stream.with_resumable(!table.is_view)
    }

    async fn partitions(&self, request: &StreamRequest) -> Result<Partitions<Piece<D>>> {
        emit_estimate(&self.table, request.context())?;
        Plan::new(self, request).await?.partitions().await
    }

    async fn read(
        &self,
        piece: Piece<D>,
        request: &StreamRequest,
        sink: &mut RecordSink,
    ) -> Result<()> {
        let columns = selected_columns(&self.table, &request.configured().stream.json_schema);
        let select = Select {
            table: &self.table,
            columns: &columns,
            conditions: &piece.conditions,
            stop: request.context().stop(),
        };
        self.dialect.read(&piece.snapshot, &select, sink).await?;
        sink.checkpoint(&piece.state).await
    }
}
