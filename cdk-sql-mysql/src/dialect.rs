//! MySQL and MariaDB for `cdk-sql`.

use cdk_core::{ConnectorError, RecordSink, RecordWriter, Result};
use cdk_sql::{Column, Dialect, Select, Table, TextRow};
use tokio::sync::Mutex;

use crate::discovery::kind_of;
use crate::error::{Place, explain};
use crate::literal::{literal, name, text_of};
use crate::row_writer::RowWriter;
use crate::settings::Settings;
use crate::wire::{Connection, Failure, Rows};

/// Reads tables of one server.
#[derive(Debug, Clone)]
pub struct MySql {
    settings: Settings,
}

/// A connection in a transaction that sees the tables as they were when it began. All reads of one run share it, one
/// after the other.
#[derive(Debug)]
pub struct Snapshot(Mutex<Connection>);

impl MySql {
    /// A reader of the server of these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Dialect for MySql {
    type Snapshot = Snapshot;

    fn quote(&self, name: &str) -> String {
        crate::literal::name(name)
    }

    fn text_of(&self, column: &Column) -> String {
        text_of(&kind_of(&column.type_name), &column.name)
    }

    fn literal(&self, column: &Column, text: &str) -> String {
        literal(&kind_of(&column.type_name), text)
    }

    async fn snapshot(&self, table: &Table) -> Result<Snapshot> {
        let mut connection = self.settings.connect().await?;
        for statement in [
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ] {
            let done = connection.execute(statement).await;
            done.map_err(|failure| explain(failure, &Place::Table(table.descriptor())))?;
        }
        Ok(Snapshot(Mutex::new(connection)))
    }

    async fn fetch(&self, snapshot: &Snapshot, sql: &str, doing: &str) -> Result<Vec<TextRow>> {
        let fetched = snapshot.0.lock().await.rows(sql).await;
        fetched.map_err(|failure| {
            let error = explain(failure, &Place::Server(self.settings.address()));
            error.with_internal(format!("while {doing}"))
        })
    }

    async fn read(
        &self,
        snapshot: &Snapshot,
        select: &Select<'_>,
        sink: &mut RecordSink,
    ) -> Result<()> {
        let columns: Vec<_> = select
            .columns
            .iter()
            .map(|column| (column.name.as_str(), kind_of(&column.type_name)))
            .collect();
        let place = Place::Table(select.table.descriptor());
        let writer = RowWriter::new(&columns, b"", place.clone());
        let sql = format!(
            "SELECT {} FROM {}.{}{}",
            writer.expressions(),
            name(&select.table.namespace),
            name(&select.table.name),
            select.where_clause()
        );
        let mut connection = snapshot.0.lock().await;
        let failed = |failure: Failure| explain(failure, &place);
        let mut rows = connection.select(&sql).await.map_err(failed)?;
        loop {
            while sink
                .write(|out| copy(&mut rows, &writer, &place, out))
                .await?
            {}
            if select.stop.is_cancelled() {
                return Err(ConnectorError::stopped());
            }
            if !rows.wait().await.map_err(failed)? {
                return Ok(());
            }
        }
    }
}

/// Copies rows that have arrived until the batch is full; false when there are no more.
fn copy(
    rows: &mut Rows<'_>,
    writer: &RowWriter,
    place: &Place,
    out: &mut RecordWriter<'_>,
) -> Result<bool> {
    while !out.is_full() {
        match rows.try_next().map_err(|failure| explain(failure, place))? {
            Some(mut row) => writer.write(&mut row, out)?,
            None => return Ok(false),
        }
    }
    Ok(true)
}
