//! What discovery finds: tables, their columns and keys.

use airbyte_protocol::StreamDescriptor;
use serde_json::{Map, Value, json};

/// A table or view that can be read.
#[derive(Debug, Clone)]
pub struct Table {
    /// Schema (PostgreSQL) or database (MySQL) it lies in.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its columns, in the table's order.
    pub columns: Vec<Column>,
    /// Names of the primary key's columns, in the key's order; empty without a key.
    pub primary_key: Vec<String>,
    /// True for views and whatever else has no rows of its own: there is no place and no key to go on from.
    pub is_view: bool,
    /// Columns that lead an index.
    pub indexed: Vec<String>,
    /// Rows, as the database's statistics say.
    pub estimated_rows: Option<u64>,
    /// Bytes, as the database's statistics say.
    pub estimated_bytes: Option<u64>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type in the database's words, such as `numeric(10,2)`. Literals are cast to it.
    pub type_name: String,
    /// JSON schema of its values.
    pub schema: Value,
    /// Whether its values have an order that a cursor or key range can use.
    pub is_ordered: bool,
}

impl Table {
    /// The stream it becomes.
    pub fn descriptor(&self) -> StreamDescriptor {
        let mut descriptor = StreamDescriptor::new(&self.name);
        descriptor.namespace = Some(self.namespace.clone());
        descriptor
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns of the primary key, if all of them can be put in order.
    pub fn key(&self) -> Option<Vec<&Column>> {
        let columns: Option<Vec<_>> = self
            .primary_key
            .iter()
            .map(|name| self.column(name))
            .collect();
        columns
            .filter(|columns| !columns.is_empty() && columns.iter().all(|column| column.is_ordered))
    }

    /// JSON schema of its records.
    pub fn json_schema(&self) -> Value {
        let properties = self
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.schema.clone()));
        json!({"type": "object", "properties": properties.collect::<Map<_, _>>()})
    }
}
