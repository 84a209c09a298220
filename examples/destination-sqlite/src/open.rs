//! Prepares the tables of a sync before its first record.

use airbyte_protocol::{ConfiguredAirbyteCatalog, ConfiguredAirbyteStream};
use cdk_core::Result;
use cdk_core::destination::columns::Columns;
use cdk_core::destination::generation::{Found, Generation, Target};
use cdk_core::destination::meta_columns::{META_COLUMNS, MetaWriter};
use rusqlite::Connection;

use crate::error::SqliteContext;
use crate::names;
use crate::registry::{self, Entry};
use crate::table::{self, Table};
use crate::writer::Writer;

/// A stream whose table is ready for rows.
#[derive(Debug)]
pub(crate) struct OpenStream {
    pub(crate) writer: Writer,
    pub(crate) generation: Generation,
    pub(crate) target: Target,
    /// The table that users see.
    pub(crate) visible: String,
    /// What was done to the table, for people.
    pub(crate) changes: Vec<String>,
}

/// Prepares all streams, in the order of the catalog. Runs in one transaction: all or none.
pub(crate) fn open(
    connection: &Connection,
    catalog: &ConfiguredAirbyteCatalog,
    prefix: &str,
) -> Result<Vec<OpenStream>> {
    let name = |stream: &ConfiguredAirbyteStream| names::table(prefix, &stream.descriptor());
    let tables = catalog
        .streams
        .iter()
        .map(name)
        .collect::<Result<Vec<_>>>()?;
    let descriptors: Vec<_> = catalog
        .streams
        .iter()
        .map(|stream| stream.descriptor())
        .collect();
    names::check_tables(descriptors.iter().zip(tables.iter().map(String::as_str)))?;
    registry::create(connection)?;
    let streams = catalog.streams.iter().zip(tables);
    let opened = streams.map(|(stream, table)| {
        open_stream(connection, stream, table)
            .map_err(|error| error.with_stream(&stream.descriptor()))
    });
    opened.collect()
}

fn open_stream(
    connection: &Connection,
    stream: &ConfiguredAirbyteStream,
    visible: String,
) -> Result<OpenStream> {
    let generation = Generation::of(stream);
    let columns = Columns::of(stream);
    let staging = names::staging(&visible);
    let mut entry = registry::find(connection, &visible, &stream.descriptor())?.unwrap_or_default();
    let target = generation.target(found(connection, &visible, &staging, &entry)?);
    if target != Target::ResumedStage {
        table::drop_table(connection, &staging)?;
    }
    let name = if target.is_staged() {
        &staging
    } else {
        &visible
    };
    let mut table = Table::of(stream, &columns, name.clone())?;
    let changes = table.ensure(connection, &entry.columns)?;
    if target.is_staged()
        && table::exists(connection, &visible).sqlite(|| "read the schema".to_owned())?
    {
        // What is not ours is refused now, not after hours of loading.
        table::check_ours(connection, &visible)?;
    }
    remember(&mut entry, &table);
    entry.staging_generation_id = if target.is_staged() {
        generation.id()
    } else {
        None
    };
    registry::save(connection, &visible, stream, &entry)?;
    let writer = Writer::new(
        table,
        columns,
        MetaWriter::new(stream),
        generation.column_value(),
    );
    Ok(OpenStream {
        writer,
        generation,
        target,
        visible,
        changes,
    })
}

fn found(connection: &Connection, visible: &str, staging: &str, entry: &Entry) -> Result<Found> {
    let exists = |name| table::exists(connection, name).sqlite(|| "read the schema".to_owned());
    let is_staged = exists(staging)?;
    Ok(Found {
        // Users may have dropped the table.
        visible: if exists(visible)? {
            entry.generation_id
        } else {
            None
        },
        staged: is_staged.then_some(entry.staging_generation_id),
    })
}

fn remember(entry: &mut Entry, table: &Table) {
    for column in &table.columns {
        if !entry.columns.contains(&column.name) && !META_COLUMNS.contains(&column.name.as_str()) {
            entry.columns.push(column.name.clone());
        }
    }
}
