//! Basic normalization of raw tables, in this process.
//!
//! New raw rows are flattened into temporary tables; then the statements of [`cdk_normalize::merge`] bring them into
//! the tables that users see. All of it is one transaction, with the note of how far it came.

mod entries;
mod flat_table;

use std::sync::Arc;

use airbyte_protocol::{ConfiguredAirbyteCatalog, ConfiguredAirbyteStream};
use cdk_core::destination::meta_columns::push_utc;
use cdk_core::destination::names::hash;
use cdk_core::{ConnectorError, Result};
use cdk_normalize::{
    FlatRow, Flattener, Keys, Merge, Names, Normalized, Plan, RawRow, Role, Settings, plan,
};
use rusqlite::Connection;

use crate::error::SqliteContext;
use crate::names::{self, quoted};

use entries::Entry;
pub(crate) use entries::reset;
use flat_table::{FlatTable, staged};

/// Normalizes the raw table of one stream.
#[derive(Debug)]
pub(crate) struct Normalizer {
    raw: String,
    /// The stream under the name of its table.
    stream: ConfiguredAirbyteStream,
    plan: Arc<Plan>,
    keys: Option<Keys>,
}

/// The normalizers of the streams of a catalog, in its order; what is to be done is noted.
pub(crate) fn open(
    connection: &Connection,
    catalog: &ConfiguredAirbyteCatalog,
    prefix: &str,
    settings: &Settings,
) -> Result<Vec<Normalizer>> {
    let renamed = catalog.streams.iter().map(|stream| {
        let mut renamed = stream.clone();
        renamed.stream.name = names::table(prefix, &stream.descriptor())?;
        renamed.stream.namespace = None;
        Ok(renamed)
    });
    let streams = renamed.collect::<Result<Vec<_>>>()?;
    entries::create(connection)?;
    let normalizers = of_streams(&streams, settings)?;
    let mut tables: Vec<_> = streams
        .iter()
        .map(|stream| stream.stream.name.as_str())
        .collect();
    tables.sort_unstable();
    let group = format!("{:016x}", hash(&tables.join("\n")));
    for normalizer in &normalizers {
        entries::save(
            connection,
            &normalizer.raw,
            &normalizer.stream,
            settings,
            &group,
        )?;
    }
    Ok(normalizers)
}

fn of_streams(streams: &[ConfiguredAirbyteStream], settings: &Settings) -> Result<Vec<Normalizer>> {
    let plans = plan::of(streams, settings, &Names::SQLITE);
    let normalizers = streams.iter().zip(plans).map(|(stream, plan)| {
        Ok(Normalizer {
            raw: names::raw_of(&stream.stream.name),
            keys: Keys::of(&plan, stream, true)?,
            stream: stream.clone(),
            plan: Arc::new(plan),
        })
    });
    normalizers.collect()
}

/// Normalizes all streams that a sync into this file has noted.
pub(crate) fn again(
    connection: &Connection,
    is_full: bool,
    now_ms: i64,
) -> Result<Vec<Normalized>> {
    let mut done = Vec::new();
    for (streams, settings) in entries::catalogs(connection)? {
        for normalizer in of_streams(&streams, &settings)? {
            done.push(normalizer.run(connection, is_full, now_ms)?);
        }
    }
    Ok(done)
}

impl Normalizer {
    /// Brings the tables up to date with the raw table, or makes them anew. Runs inside a transaction.
    pub(crate) fn run(
        &self,
        connection: &Connection,
        is_full: bool,
        now_ms: i64,
    ) -> Result<Normalized> {
        let fingerprint = format!(
            "{:016x}",
            hash(&format!("1 {:?} {:?}", self.plan, self.keys))
        );
        let entry = entries::find(connection, &self.raw)?;
        let tables: Vec<_> = self
            .plan
            .tables
            .iter()
            .map(|table| FlatTable::new(table, self.plan.mode))
            .collect();
        entries::check_owner(connection, &self.raw, &tables)?;
        let known = |entry: &Entry| entry.fingerprint.as_deref() == Some(&fingerprint) && !is_full;
        let watermark = Some(entry).filter(known).and_then(|entry| entry.watermark);
        let mut is_new = false;
        for (at, table) in tables.iter().enumerate() {
            is_new |= table.prepare(connection, at, self.keys.as_ref())?;
        }
        // A table that somebody dropped is made of all rows again.
        let watermark = watermark.filter(|_| !is_new);
        let mut flattener = Flattener::new(Arc::clone(&self.plan));
        let mut filled = self.fill(
            connection,
            &tables,
            &mut flattener,
            watermark.as_deref(),
            now_ms,
        )?;
        self.warn_of_misfits(&mut flattener);
        for (table, statement) in self.merge(&tables, watermark.is_none()) {
            connection
                .execute_batch(&statement)
                .sqlite(|| format!("normalize `{}` into table {table}", self.raw))?;
        }
        for at in 0..tables.len() {
            let drop = format!("DROP TABLE {}", staged(at));
            connection
                .execute_batch(&drop)
                .sqlite(|| "drop a temporary table".to_owned())?;
        }
        let last = filled.last.take().or(watermark);
        entries::done(
            connection,
            &self.raw,
            &fingerprint,
            last.as_deref(),
            &tables,
        )?;
        Ok(Normalized {
            stream: self.plan.stream.to_string(),
            raw_rows: filled.raw_rows,
            tables: tables
                .iter()
                .map(|table| table.name.clone())
                .zip(filled.rows)
                .collect(),
        })
    }

    /// Stages what the raw rows behind `watermark` become.
    fn fill(
        &self,
        connection: &Connection,
        tables: &[FlatTable],
        flattener: &mut Flattener,
        watermark: Option<&str>,
        now_ms: i64,
    ) -> Result<Filled> {
        let doing = || format!("read raw table `{}`", self.raw);
        let select = format!(
            "SELECT _airbyte_ab_id, _airbyte_emitted_at, _airbyte_data FROM {} WHERE _airbyte_ab_id > ?1 \
             ORDER BY _airbyte_ab_id",
            quoted(&self.raw)
        );
        let inserts = tables.iter().enumerate().map(|(at, table)| {
            let insert = connection.prepare(&table.insert_sql(at));
            insert.sqlite(|| format!("stage rows for table `{}`", table.name))
        });
        let mut inserts = inserts.collect::<Result<Vec<_>>>()?;
        let mut normalized_at = String::new();
        push_utc(&mut normalized_at, now_ms);
        let mut filled = Filled {
            last: None,
            raw_rows: 0,
            rows: vec![0; tables.len()],
        };
        let mut statement = connection.prepare(&select).sqlite(doing)?;
        let mut raw_rows = statement
            .query([watermark.unwrap_or_default()])
            .sqlite(doing)?;
        while let Some(raw) = raw_rows.next().sqlite(doing)? {
            let text = |at: usize| raw.get_ref(at)?.as_str().map_err(rusqlite::Error::from);
            let row = RawRow {
                id: text(0).sqlite(doing)?,
                data: text(2).sqlite(doing)?,
            };
            let emitted_at = text(1).sqlite(doing)?;
            flattener.record(row, &mut |flat: FlatRow<'_>| {
                let (table, insert) = tables
                    .get(flat.table)
                    .zip(inserts.get_mut(flat.table))
                    .ok_or_else(|| {
                        ConnectorError::system("A normalized row belongs to no table of its plan.")
                    })?;
                let texts = |role| match role {
                    Role::ParentHashid => flat.parent_hashid.unwrap_or_default(),
                    Role::Hashid => flat.hashid,
                    Role::EmittedAt => emitted_at,
                    Role::NormalizedAt => &normalized_at,
                    Role::AbId | Role::Field(_) => row.id,
                };
                let bound = table.bind(insert, texts, flat.cells);
                bound.sqlite(|| format!("stage rows for table `{}`", table.name))?;
                if let Some(count) = filled.rows.get_mut(flat.table) {
                    *count += 1;
                }
                Ok(())
            })?;
            filled.raw_rows += 1;
            filled.last = Some(row.id.to_owned());
        }
        Ok(filled)
    }

    /// The statements that bring the staged rows into the tables, each with the table that it changes.
    fn merge(&self, tables: &[FlatTable], is_full: bool) -> Vec<(String, String)> {
        let named = tables.iter().enumerate();
        let names: Vec<_> = named
            .map(|(at, table)| (quoted(&table.name), staged(at)))
            .collect();
        let merge = Merge {
            plan: &self.plan,
            names: &names,
            keys: self.keys.as_ref(),
            is_full,
            row_id: "rowid",
            empty: &|table| format!("DELETE FROM {table}"),
            comparable: &|at, expression| match tables.first() {
                Some(table) => table.comparable(at, expression),
                None => expression.to_owned(),
            },
        };
        let statements = merge.statements().into_iter();
        statements
            .map(|(table, statement)| (table.to_owned(), statement))
            .collect()
    }

    fn warn_of_misfits(&self, flattener: &mut Flattener) {
        for misfits in flattener.take_misfits() {
            tracing::warn!(
                "Stream {}: {} values are not what the schema says of {}. They are null there, and unchanged in the \
                 raw table.",
                self.plan.stream,
                misfits.count,
                misfits.place()
            );
        }
    }
}

/// How far the raw rows were staged.
struct Filled {
    last: Option<String>,
    raw_rows: u64,
    /// Rows per table.
    rows: Vec<u64>,
}
