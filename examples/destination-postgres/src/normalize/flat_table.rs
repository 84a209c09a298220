//! A normalized table and the temporary one that its rows are staged in.

use cdk_core::Result;
use cdk_core::destination::names::hash;
use cdk_normalize::{Keys, Mode, Role as Flat, Table as Planned};

use crate::catalog;
use crate::error::PgContext;
use crate::layout::{Layout, Role, Shape, TableColumn};
use crate::names::{TableName, list, quoted};
use crate::pool::Lease;
use crate::registry;
use crate::table::Table;
use crate::types::PgType;

/// A table of a plan in the database.
#[derive(Debug)]
pub(super) struct FlatTable {
    pub(super) name: TableName,
    /// What each column holds, in the order of the table.
    pub(super) roles: Vec<Flat>,
    /// The types that the columns have, in the same order.
    pub(super) types: Vec<PgType>,
    columns: Vec<String>,
}

/// The temporary table for the rows of table number `at`, as in a statement.
pub(super) fn staged(at: usize) -> String {
    format!("pg_temp._airbyte_flat_{at}")
}

impl FlatTable {
    pub(super) fn new(name: TableName, planned: &Planned, mode: Mode) -> Self {
        let layout = planned.layout(mode);
        let data_type = |role: &Flat| match role {
            Flat::Field(at) => planned
                .columns
                .get(*at)
                .map_or(PgType::Jsonb, |column| PgType::of(&column.data_type)),
            Flat::EmittedAt | Flat::NormalizedAt => PgType::TimestampTz,
            Flat::ParentHashid | Flat::AbId | Flat::Hashid => PgType::Text,
        };
        Self {
            name,
            types: layout.iter().map(|(_, role)| data_type(role)).collect(),
            columns: layout.iter().map(|(name, _)| (*name).to_owned()).collect(),
            roles: layout.into_iter().map(|(_, role)| role).collect(),
        }
    }

    /// The type of the column of the plan's column number `at`.
    pub(super) fn field_type(&self, at: usize) -> Option<PgType> {
        let position = self
            .roles
            .iter()
            .position(|role| *role == Flat::Field(at))?;
        self.types.get(position).copied()
    }

    /// The statement that takes the staged rows of table number `at`.
    pub(super) fn copy_sql(&self, at: usize) -> String {
        format!(
            "COPY {} ({}) FROM STDIN (FORMAT binary)",
            staged(at),
            list(&self.columns)
        )
    }

    /// Creates the table, or brings it to the plan, and makes the temporary one. Says whether it was not there.
    pub(super) async fn prepare(
        &mut self,
        lease: &Lease,
        at: usize,
        keys: Option<&Keys>,
        drop_cascade: bool,
    ) -> Result<bool> {
        let client = lease.client();
        registry::create_schema(client, &self.name.schema).await?;
        let is_new = catalog::columns(client, &self.name).await?.is_none();
        let mut table = Table::new(self.name.clone(), self.shape());
        for change in table.ensure(client, &[], drop_cascade).await? {
            tracing::info!("Table `{}`: {change}.", self.name);
        }
        self.types = table
            .shape
            .columns
            .iter()
            .map(|column| column.data_type)
            .collect();
        if let Some(keys) = keys {
            self.index(lease, at, keys).await?;
        }
        let create = format!(
            "CREATE TEMP TABLE _airbyte_flat_{at} (LIKE {}) ON COMMIT DROP",
            self.name.quoted()
        );
        let created = client.batch_execute(&create).await;
        created.pg(|| format!("making a temporary table like {}", self.name))?;
        Ok(is_new)
    }

    fn shape(&self) -> Shape {
        let columns = self.columns.iter().zip(&self.roles).zip(&self.types);
        let columns = columns.map(|((name, role), data_type)| TableColumn {
            name: name.clone(),
            data_type: *data_type,
            role: match role {
                Flat::AbId => Role::RawId,
                Flat::EmittedAt => Role::ExtractedAt,
                // Never copied by these roles: only the columns' names and types are used.
                Flat::Field(at) => Role::Field(*at),
                Flat::ParentHashid | Flat::NormalizedAt | Flat::Hashid => Role::LoadedAt,
            },
        });
        Shape {
            layout: Layout::Typed,
            columns: columns.collect(),
            key: None,
            merge_key: None,
            cursor: None,
            is_deduped: false,
            deleted_at: None,
        }
    }

    /// Rows are found by the id of their raw row, and those of the stream's own table by their key.
    async fn index(&self, lease: &Lease, at: usize, keys: &Keys) -> Result<()> {
        let named = |role: Flat| {
            let position = self.roles.iter().position(|other| *other == role)?;
            self.columns.get(position).cloned()
        };
        let mut wanted: Vec<Vec<String>> = vec![named(Flat::AbId).into_iter().collect()];
        if at == 0 {
            wanted.push(
                keys.columns
                    .iter()
                    .filter_map(|at| named(Flat::Field(*at)))
                    .collect(),
            );
        }
        for columns in wanted {
            let all = format!("{} {}", self.name.quoted(), list(&columns));
            let name = quoted(&format!("_airbyte_flat_{:016x}", hash(&all)));
            let create = format!(
                "CREATE INDEX IF NOT EXISTS {name} ON {} ({})",
                self.name.quoted(),
                list(&columns)
            );
            let created = lease.client().batch_execute(&create).await;
            created.pg(|| format!("indexing table {}", self.name))?;
        }
        Ok(())
    }
}
