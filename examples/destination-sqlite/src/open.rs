//! Prepares the tables of a sync before its first record.

use airbyte_protocol::{ConfiguredAirbyteCatalog, ConfiguredAirbyteStream};
use cdk_core::destination::columns::Columns;
use cdk_core::destination::generation::{Found, Generation, Target};
use cdk_core::destination::meta_columns::{META_COLUMNS, MetaWriter};
use cdk_core::{JsonRows, Result};
use rusqlite::Connection;

use crate::config::Config;
use crate::error::SqliteContext;
use crate::index;
use crate::names;
use crate::normalize::{self, Normalizer};
use crate::raw::{self, RawTable};
use crate::registry::{self, Entry};
use crate::table::{self, Table};
use crate::writer::Writer;

/// Where the rows of a stream go.
#[derive(Debug)]
pub(crate) enum Rows {
    /// A table with a column per field.
    Typed(Box<Writer>),
    /// A table of records as they came.
    Raw(RawTable),
}

impl Rows {
    /// The table's name.
    pub(crate) fn table(&self) -> &str {
        match self {
            Self::Typed(writer) => &writer.table().name,
            Self::Raw(raw) => &raw.name,
        }
    }

    /// Writes all rows. `now_ms` is the time of the ids.
    pub(crate) fn write(
        &mut self,
        connection: &mut Connection,
        rows: &JsonRows,
        now_ms: i64,
    ) -> Result<()> {
        match self {
            Self::Typed(writer) => writer.write(connection, rows, now_ms),
            Self::Raw(raw) => raw.write(connection, rows, now_ms),
        }
    }

    /// Keeps the newest row of each key, where that is not done row by row.
    pub(crate) fn merge(&self, connection: &Connection) -> Result<()> {
        match self {
            Self::Typed(writer) if writer.table().is_deduped => Ok(()),
            Self::Typed(writer) => index::merge(connection, writer.table()),
            Self::Raw(raw) => raw.merge(connection),
        }
    }

    /// How many values were nulled since the last call.
    pub(crate) fn take_nulled(&mut self) -> u64 {
        match self {
            Self::Typed(writer) => writer.take_nulled(),
            // Records are kept as they came.
            Self::Raw(_) => 0,
        }
    }
}

/// A stream whose table is ready for rows.
#[derive(Debug)]
pub(crate) struct OpenStream {
    pub(crate) rows: Rows,
    /// Normalizes the raw table when the stream is complete.
    pub(crate) normalizer: Option<Normalizer>,
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
    config: &Config,
) -> Result<Vec<OpenStream>> {
    let name = |stream: &ConfiguredAirbyteStream| {
        let table = names::table(&config.table_prefix, &stream.descriptor())?;
        Ok(if config.is_raw() {
            names::raw_of(&table)
        } else {
            table
        })
    };
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
        open_stream(connection, stream, table, config.is_raw())
            .map_err(|error| error.with_stream(&stream.descriptor()))
    });
    let mut opened = opened.collect::<Result<Vec<_>>>()?;
    if let Some(settings) = config.normalization.settings() {
        let normalizers = normalize::open(connection, catalog, &config.table_prefix, &settings)?;
        for (stream, normalizer) in opened.iter_mut().zip(normalizers) {
            stream.normalizer = Some(normalizer);
        }
    }
    Ok(opened)
}

fn open_stream(
    connection: &Connection,
    stream: &ConfiguredAirbyteStream,
    visible: String,
    is_raw: bool,
) -> Result<OpenStream> {
    let generation = Generation::of(stream);
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
    let replaces = target.is_staged()
        && table::exists(connection, &visible).sqlite(|| "read the schema".to_owned())?;
    let (rows, changes) = if is_raw {
        // What is not ours is refused now, not after hours of loading.
        if replaces {
            raw::check_ours(connection, &visible)?;
        }
        let raw = RawTable::open(connection, stream, name.clone())?;
        (Rows::Raw(raw), Vec::new())
    } else {
        if replaces {
            table::check_ours(connection, &visible)?;
        }
        typed(connection, stream, name.clone(), &mut entry)?
    };
    entry.staging_generation_id = if target.is_staged() {
        generation.id()
    } else {
        None
    };
    registry::save(connection, &visible, stream, &entry)?;
    Ok(OpenStream {
        rows,
        normalizer: None,
        generation,
        target,
        visible,
        changes,
    })
}

/// A table with a column per field, and what was done to it.
fn typed(
    connection: &Connection,
    stream: &ConfiguredAirbyteStream,
    name: String,
    entry: &mut Entry,
) -> Result<(Rows, Vec<String>)> {
    let columns = Columns::of(stream);
    let mut table = Table::of(stream, &columns, name)?;
    let changes = table.ensure(connection, &entry.columns)?;
    remember(entry, &table);
    let generation = Generation::of(stream).column_value();
    let writer = Writer::new(table, columns, MetaWriter::new(stream), generation);
    Ok((Rows::Typed(Box::new(writer)), changes))
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
