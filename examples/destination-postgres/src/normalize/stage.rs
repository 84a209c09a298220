//! Raw rows, flattened, on their way into the temporary tables.

use std::sync::Arc;

use bytes::Bytes;
use cdk_core::destination::columns::Cell;
use cdk_core::{ConnectorError, Result};
use cdk_normalize::{FlatRow, Flattener, Normalized, Plan, RawRow, Role};
use cdk_sql_postgres::tokio_postgres::Client;
use cdk_sql_postgres::tokio_postgres::types::{FromSql, Type};
use futures::TryStreamExt as _;

use super::flat_table::FlatTable;
use crate::copy::Copy;
use crate::encode::{self, Encoder};
use crate::error::PgContext;
use crate::layout::Layout;
use crate::names::{TableName, quoted};
use crate::pool::Lease;

/// Bytes of rows that are held before they are copied.
const HELD_BYTES: usize = 8 << 20;

/// Fills the temporary tables of one stream.
pub(super) struct Stage<'t> {
    flattener: Flattener,
    rows: Rows<'t>,
    raw_rows: u64,
    stream: String,
}

/// Rows of all tables that are not copied yet.
struct Rows<'t> {
    tables: &'t [FlatTable],
    encoder: Encoder,
    buffers: Vec<Vec<u8>>,
    counts: Vec<u64>,
    written: Vec<u64>,
    misfits: Vec<(usize, usize)>,
    normalized_at: i64,
}

/// A time as PostgreSQL sends it: microseconds since 2000-01-01.
struct Micros(i64);

impl<'a> FromSql<'a> for Micros {
    fn from_sql(
        _: &Type,
        raw: &'a [u8],
    ) -> std::result::Result<Self, Box<dyn std::error::Error + std::marker::Sync + Send>> {
        Ok(Self(i64::from_be_bytes(raw.try_into()?)))
    }

    fn accepts(data_type: &Type) -> bool {
        *data_type == Type::TIMESTAMPTZ
    }
}

impl<'t> Stage<'t> {
    pub(super) fn new(
        plan: &Arc<Plan>,
        tables: &'t [FlatTable],
        server_version: i32,
        now_ms: i64,
    ) -> Self {
        Self {
            flattener: Flattener::new(Arc::clone(plan)),
            rows: Rows {
                tables,
                encoder: Encoder::new(server_version),
                buffers: vec![Vec::new(); tables.len()],
                counts: vec![0; tables.len()],
                written: vec![0; tables.len()],
                misfits: Vec::new(),
                normalized_at: encode::of_unix_ms(now_ms).unwrap_or_default(),
            },
            raw_rows: 0,
            stream: plan.stream.to_string(),
        }
    }

    /// Reads the raw rows behind `watermark` on `reader`, and stages what they become. Returns the greatest id.
    pub(super) async fn fill(
        &mut self,
        lease: &Lease,
        reader: &Client,
        raw: &TableName,
        layout: Layout,
        watermark: Option<&str>,
    ) -> Result<Option<String>> {
        let doing = || format!("reading raw table {raw}");
        let (id, at) = match layout {
            Layout::RawV1 => ("_airbyte_ab_id", "_airbyte_emitted_at"),
            Layout::RawV2 | Layout::Typed => ("_airbyte_raw_id", "_airbyte_extracted_at"),
        };
        let (id, at) = (quoted(id), quoted(at));
        let select = format!(
            "SELECT {id}::text, {at}, _airbyte_data::text FROM {} WHERE $1::text IS NULL OR {id} COLLATE \"C\" > $1",
            raw.quoted()
        );
        let select = match watermark {
            Some(_) => select.replace("$1::text IS NULL OR ", ""),
            None => select,
        };
        let found = reader.query_raw(&select, [watermark]).await.pg(doing)?;
        let mut found = std::pin::pin!(found);
        let mut last: Option<String> = None;
        while let Some(row) = found.try_next().await.pg(doing)? {
            let id: &str = row.try_get(0).pg(doing)?;
            let Micros(emitted_at) = row.try_get(1).pg(doing)?;
            let data: &str = row.try_get(2).pg(doing)?;
            if last.as_deref().is_none_or(|last| last < id) {
                last = Some(id.to_owned());
            }
            self.raw_rows += 1;
            self.add(RawRow { id, data }, emitted_at)?;
            if self.rows.held() > HELD_BYTES {
                self.rows.copy(lease).await?;
            }
        }
        self.rows.copy(lease).await?;
        self.warn_of_misfits();
        Ok(last)
    }

    fn add(&mut self, raw: RawRow<'_>, emitted_at: i64) -> Result<()> {
        let rows = &mut self.rows;
        let encode = &mut |row: FlatRow<'_>| rows.row(&raw, emitted_at, &row);
        self.flattener.record(raw, encode)?;
        for (table, column) in self.rows.misfits.drain(..) {
            self.flattener.misfit(table, column);
        }
        Ok(())
    }

    fn warn_of_misfits(&mut self) {
        for misfits in self.flattener.take_misfits() {
            tracing::warn!(
                "Stream {}: {} values are not what the schema says of {}. They are null there, and unchanged in the \
                 raw table.",
                self.stream,
                misfits.count,
                misfits.place()
            );
        }
    }

    /// What was done.
    pub(super) fn report(&self) -> Normalized {
        let tables = self.rows.tables.iter().zip(&self.rows.written);
        Normalized {
            stream: self.stream.clone(),
            raw_rows: self.raw_rows,
            tables: tables
                .map(|(table, count)| (table.name.to_string(), *count))
                .collect(),
        }
    }
}

impl Rows<'_> {
    fn held(&self) -> usize {
        self.buffers.iter().map(Vec::len).sum()
    }

    fn row(&mut self, raw: &RawRow<'_>, emitted_at: i64, row: &FlatRow<'_>) -> Result<()> {
        let at = row.table;
        let (Some(table), Some(out)) = (self.tables.get(at), self.buffers.get_mut(at)) else {
            return Err(ConnectorError::system(
                "A normalized row belongs to no table of its plan.",
            ));
        };
        let columns = i16::try_from(table.roles.len()).unwrap_or(i16::MAX);
        out.extend_from_slice(&columns.to_be_bytes());
        for (role, data_type) in table.roles.iter().zip(&table.types) {
            match role {
                Role::ParentHashid => {
                    encode::plain_text(out, row.parent_hashid.unwrap_or_default())
                }
                Role::Hashid => encode::plain_text(out, row.hashid),
                Role::AbId => encode::plain_text(out, raw.id),
                Role::EmittedAt => encode::bytes(out, &emitted_at.to_be_bytes()),
                Role::NormalizedAt => encode::bytes(out, &self.normalized_at.to_be_bytes()),
                Role::Field(field) => {
                    let cell = row.cells.get(*field).unwrap_or(&Cell::Null);
                    if self.encoder.cell(out, *data_type, cell).is_err() {
                        self.misfits.push((at, *field));
                    }
                }
            }
        }
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        Ok(())
    }

    /// Copies what is held.
    async fn copy(&mut self, lease: &Lease) -> Result<()> {
        for (at, table) in self.tables.iter().enumerate() {
            let (Some(buffer), Some(count)) = (self.buffers.get_mut(at), self.counts.get_mut(at))
            else {
                continue;
            };
            if *count == 0 {
                continue;
            }
            let doing = format!("normalizing rows for table {}", table.name);
            let mut copy = Copy::start(lease.client(), &table.copy_sql(at), &doing).await?;
            let rows = Bytes::from(std::mem::take(buffer));
            copy.send(rows, *count, &doing).await?;
            copy.finish(&doing).await?;
            if let Some(written) = self.written.get_mut(at) {
                *written += *count;
            }
            *count = 0;
        }
        Ok(())
    }
}
