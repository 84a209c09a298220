//! The columns of a stream's table, and what goes into each.

use airbyte_protocol::ConfiguredAirbyteStream;
use cdk_core::Result;
use cdk_core::destination::columns::Columns;
use cdk_core::destination::generation::Generation;
use cdk_core::destination::meta_columns::{
    CDC_DELETED_AT, EXTRACTED_AT, GENERATION_ID, META, RAW_ID,
};

use crate::names::{self, literal, quoted};
use crate::types::PgType;

/// How the rows of a stream are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Layout {
    /// A column per field.
    Typed,
    /// Airbyte's raw table of the first version: id, time, record.
    RawV1,
    /// Airbyte's raw table of the second version, with metadata.
    RawV2,
}

/// What goes into a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The field of this number.
    Field(usize),
    /// The whole record as JSON.
    Record,
    RawId,
    ExtractedAt,
    Meta,
    GenerationId,
    /// Set by whoever works on raw tables.
    LoadedAt,
}

/// A column of a stream's table.
#[derive(Debug, Clone)]
pub(crate) struct TableColumn {
    pub(crate) name: String,
    pub(crate) data_type: PgType,
    pub(crate) role: Role,
}

impl TableColumn {
    fn new(name: &str, data_type: PgType, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            data_type,
            role,
        }
    }

    /// Whether every row has a value.
    pub(crate) fn is_required(&self) -> bool {
        matches!(self.role, Role::RawId | Role::ExtractedAt | Role::Record)
    }
}

/// What the stream wants of its table.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) layout: Layout,
    /// In the order of the table.
    pub(crate) columns: Vec<TableColumn>,
    /// Columns by which rows are the same, if the stream has a key.
    pub(crate) key: Option<Vec<String>>,
    /// The same as expressions of SQL; in a raw table they look into the record.
    pub(crate) merge_key: Option<Vec<String>>,
    /// The column that tells which of two rows is newer; without one, the time of extraction does.
    pub(crate) cursor: Option<String>,
    /// Whether only the newest row of a key stays.
    pub(crate) is_deduped: bool,
    /// The column that tells that a row was deleted, where deleted rows are to go.
    pub(crate) deleted_at: Option<String>,
}

impl Shape {
    /// A table with a column per field.
    pub(crate) fn typed(
        stream: &ConfiguredAirbyteStream,
        columns: &Columns,
        removes_deleted: bool,
    ) -> Result<Self> {
        let is_deduped = Generation::of(stream).dedups();
        let (mut key, mut cursor) = (columns.key(stream), columns.cursor(stream));
        if !is_deduped {
            // Only needed to merge what a resumed overwrite brings twice.
            key = Ok(key.unwrap_or_default());
            cursor = Ok(None);
        }
        let names = names::columns(columns);
        let named = |at: usize| names.get(at).cloned();
        let deleted_at = columns.position(CDC_DELETED_AT).and_then(named);
        let mut typed = vec![
            TableColumn::new(RAW_ID, PgType::Text, Role::RawId),
            TableColumn::new(EXTRACTED_AT, PgType::TimestampTz, Role::ExtractedAt),
            TableColumn::new(META, PgType::Jsonb, Role::Meta),
            TableColumn::new(GENERATION_ID, PgType::Bigint, Role::GenerationId),
        ];
        let big = big_integers(stream);
        let fields = names.iter().zip(columns.as_slice()).enumerate();
        typed.extend(fields.map(|(at, (name, column))| {
            let data_type = match PgType::of(&column.data_type) {
                PgType::Bigint if big.contains(&column.name.as_str()) => PgType::Numeric,
                data_type => data_type,
            };
            TableColumn::new(name, data_type, Role::Field(at))
        }));
        let key = key?.map(|key| key.into_iter().filter_map(named).collect::<Vec<_>>());
        Ok(Self {
            layout: Layout::Typed,
            columns: typed,
            merge_key: key
                .as_ref()
                .map(|key| key.iter().map(|name| quoted(name)).collect()),
            key,
            cursor: cursor?.and_then(named),
            is_deduped,
            deleted_at: deleted_at.filter(|_| is_deduped && removes_deleted),
        })
    }

    /// A table that keeps the records as they came. Only what a resumed overwrite brings twice is merged: the rest
    /// is for who reads it.
    pub(crate) fn raw(stream: &ConfiguredAirbyteStream, layout: Layout) -> Self {
        let column = TableColumn::new;
        let columns = match layout {
            Layout::RawV1 => vec![
                column("_airbyte_ab_id", PgType::Text, Role::RawId),
                column(
                    "_airbyte_emitted_at",
                    PgType::TimestampTz,
                    Role::ExtractedAt,
                ),
                column("_airbyte_data", PgType::Jsonb, Role::Record),
            ],
            Layout::RawV2 | Layout::Typed => vec![
                column(RAW_ID, PgType::Text, Role::RawId),
                column(EXTRACTED_AT, PgType::TimestampTz, Role::ExtractedAt),
                column("_airbyte_loaded_at", PgType::TimestampTz, Role::LoadedAt),
                column("_airbyte_data", PgType::Jsonb, Role::Record),
                column(META, PgType::Jsonb, Role::Meta),
                column(GENERATION_ID, PgType::Bigint, Role::GenerationId),
            ],
        };
        Self {
            layout,
            columns,
            key: None,
            merge_key: stream
                .key()
                .map(|key| key.iter().map(|path| in_record(path)).collect()),
            cursor: None,
            is_deduped: false,
            deleted_at: None,
        }
    }

    /// The columns of the unique index: the key of a deduplicated table, the id of a raw one.
    pub(crate) fn unique_columns(&self) -> Option<Vec<String>> {
        match self.layout {
            Layout::Typed => self.key.clone().filter(|_| self.is_deduped),
            Layout::RawV1 | Layout::RawV2 => Some(vec![self.name_of(Role::RawId)?.to_owned()]),
        }
    }

    /// Name of the column of this role.
    pub(crate) fn name_of(&self, role: Role) -> Option<&str> {
        let column = self.columns.iter().find(|column| column.role == role)?;
        Some(&column.name)
    }

    /// Names of all columns.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.columns.iter().map(|column| &column.name)
    }
}

/// The value at this path of a raw table's record.
fn in_record(path: &[String]) -> String {
    // No path of the server's holds the byte 0, and no record either.
    let keys: Vec<_> = path
        .iter()
        .map(|key| literal(&key.replace('\0', "")))
        .collect();
    format!("\"_airbyte_data\" #> ARRAY[{}]", keys.join(", "))
}

/// The fields whose schema says that they exceed 64 bits.
fn big_integers(stream: &ConfiguredAirbyteStream) -> Vec<&str> {
    let properties = stream.stream.json_schema.get("properties");
    let properties = properties
        .and_then(serde_json::Value::as_object)
        .into_iter()
        .flatten();
    let is_big = |schema: &serde_json::Value| {
        schema
            .get("airbyte_type")
            .and_then(serde_json::Value::as_str)
            == Some("big_integer")
    };
    properties
        .filter(|(_, schema)| is_big(schema))
        .map(|(name, _)| name.as_str())
        .collect()
}
