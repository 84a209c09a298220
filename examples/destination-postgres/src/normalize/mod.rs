//! Basic normalization of raw tables, in this process.
//!
//! New raw rows are read on one connection, flattened, and copied into temporary tables on another; then the
//! statements of [`cdk_normalize::merge`] bring them into the tables that users see, all in one transaction with the
//! note of how far it came. A failure leaves everything as it was, and the raw rows wait for the next run.

mod entries;
mod flat_table;
mod stage;

use std::sync::Arc;

use airbyte_protocol::{ConfiguredAirbyteCatalog, ConfiguredAirbyteStream};
use cdk_core::destination::names::hash;
use cdk_core::{ConnectorError, Result};
use cdk_normalize::{Keys, Merge, Names, Normalized, Plan, Settings, plan};

pub(crate) use entries::Entries;
use entries::Entry;
use flat_table::FlatTable;
use stage::Stage;

use crate::config::Config;
use crate::error::PgContext;
use crate::layout::Layout;
use crate::names::{self, TableName};
use crate::open;
use crate::pool::{Lease, Pool};
use crate::types::PgType;

/// Normalizes the raw table of one stream.
#[derive(Debug)]
pub(crate) struct Normalizer {
    pool: Pool,
    entries: Entries,
    pub(crate) raw: TableName,
    layout: Layout,
    /// The schema of the normalized tables.
    schema: String,
    stream: ConfiguredAirbyteStream,
    plan: Arc<Plan>,
    keys: Option<Keys>,
    drop_cascade: bool,
}

/// The normalizers of the streams of a catalog, in its order.
pub(crate) fn of_catalog(
    pool: &Pool,
    catalog: &ConfiguredAirbyteCatalog,
    config: &Config,
    settings: &Settings,
) -> Result<Vec<Normalizer>> {
    let layout = config.layout();
    let plans = plan::of(&catalog.streams, settings, &Names::POSTGRES);
    let entries = Entries::new(&names::RULES.name(&config.raw_data_schema));
    let streams = catalog.streams.iter().zip(plans);
    let normalizers = streams.map(|(stream, plan)| {
        let descriptor = stream.descriptor();
        Ok(Normalizer {
            pool: pool.clone(),
            entries: entries.clone(),
            raw: open::visible(config, layout, &descriptor)?,
            layout,
            schema: names::schema(&config.schema, &descriptor),
            keys: Keys::of(&plan, stream, config.removes_deleted())?,
            stream: stream.clone(),
            plan: Arc::new(plan),
            drop_cascade: config.drop_cascade,
        })
    });
    normalizers.collect()
}

/// Normalizes all streams that a sync into this database has noted. `is_full` does it from the first raw row on.
pub(crate) async fn again(
    pool: &Pool,
    config: &Config,
    is_full: bool,
    now_ms: i64,
) -> Result<Vec<Normalized>> {
    let entries = Entries::new(&names::RULES.name(&config.raw_data_schema));
    let lease = pool.lease().await?;
    let groups = entries.catalogs(lease.client()).await?;
    lease.give_back();
    let mut done = Vec::new();
    for (catalog, settings, layout) in groups {
        // The raw tables are those that the sync wrote, whatever the config says now.
        let config = config.with_layout(layout);
        for normalizer in of_catalog(pool, &catalog, &config, &settings)? {
            done.push(normalizer.run(is_full, now_ms).await?);
        }
    }
    Ok(done)
}

impl Normalizer {
    /// Notes what is to be done, so that it can be done again by [`again`].
    pub(crate) async fn note(&self, lease: &Lease, settings: &Settings, group: &str) -> Result<()> {
        let entry = Entry {
            stream: serde_json::to_string(&self.stream).map_err(|error| {
                ConnectorError::system("The stream can't be written as JSON.").caused_by(error)
            })?,
            mode: settings.mode,
            max_depth: i32::try_from(settings.max_depth).unwrap_or(i32::MAX),
            layout: self.layout,
            group: group.to_owned(),
        };
        self.entries.save(lease.client(), &self.raw, &entry).await
    }

    /// Brings the tables up to date with the raw table, or makes them anew.
    pub(crate) async fn run(&self, is_full: bool, now_ms: i64) -> Result<Normalized> {
        let run = self.run_inside(is_full, now_ms).await;
        run.map_err(|error| error.with_stream(&self.plan.stream))
    }

    async fn run_inside(&self, is_full: bool, now_ms: i64) -> Result<Normalized> {
        let lease = self.pool.lease().await?;
        lease.begin().await?;
        let fingerprint = self.fingerprint();
        let (watermark, is_same) = self
            .entries
            .lock(lease.client(), &self.raw, &fingerprint)
            .await?;
        let watermark = watermark.filter(|_| is_same && !is_full);
        let mut tables = self.tables();
        self.entries
            .check_owner(
                lease.client(),
                &self.raw,
                tables.iter().map(|table| &table.name),
            )
            .await?;
        let mut is_new = false;
        for (at, table) in tables.iter_mut().enumerate() {
            is_new |= table
                .prepare(&lease, at, self.keys.as_ref(), self.drop_cascade)
                .await?;
        }
        // A table that somebody dropped is made of all rows again.
        let watermark = watermark.filter(|_| !is_new);
        let mut stage = Stage::new(
            &self.plan,
            &tables,
            open::server_version(lease.client()).await?,
            now_ms,
        );
        let reader = self.pool.open().await?;
        let last = stage
            .fill(
                &lease,
                &reader,
                &self.raw,
                self.layout,
                watermark.as_deref(),
            )
            .await?;
        for (table, statement) in self.merge(&tables, watermark.is_none()) {
            let merged = lease.client().batch_execute(&statement).await;
            merged.pg(|| format!("normalizing {} into table {table}", self.raw))?;
        }
        let last = last.or(watermark);
        let names = tables
            .iter()
            .map(|table| table.name.table.clone())
            .collect();
        self.entries
            .done(lease.client(), &self.raw, &fingerprint, last, names)
            .await?;
        lease
            .commit(|| format!("committing the normalized tables of {}", self.raw))
            .await?;
        Ok(stage.report())
    }

    fn tables(&self) -> Vec<FlatTable> {
        let planned = self.plan.tables.iter();
        planned
            .map(|table| {
                FlatTable::new(
                    TableName::new(&self.schema, &table.name),
                    table,
                    self.plan.mode,
                )
            })
            .collect()
    }

    /// Changes with everything that a normalized row depends on.
    fn fingerprint(&self) -> String {
        let all = format!("1 {:?} {:?} {:?}", self.plan, self.keys, self.schema);
        format!("{:016x}", hash(&all))
    }

    /// The statements that bring the staged rows into the tables, each with the table that it changes.
    fn merge(&self, tables: &[FlatTable], is_full: bool) -> Vec<(String, String)> {
        let names: Vec<_> = tables
            .iter()
            .enumerate()
            .map(|(at, table)| (table.name.quoted(), flat_table::staged(at)))
            .collect();
        let is_text =
            |at: usize| tables.first().and_then(|table| table.field_type(at)) == Some(PgType::Text);
        let merge = Merge {
            plan: &self.plan,
            names: &names,
            keys: self.keys.as_ref(),
            is_full,
            row_id: "ctid",
            empty: &|table| format!("TRUNCATE {table}"),
            comparable: &|at, expression| match is_text(at) {
                true => format!("{expression} COLLATE \"C\""),
                false => expression.to_owned(),
            },
        };
        let statements = merge.statements().into_iter();
        statements
            .map(|(table, statement)| (table.to_owned(), statement))
            .collect()
    }
}
