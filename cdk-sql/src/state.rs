//! Where a table's stream stands, in the shape of Airbyte's JDBC connectors.

use serde::{Deserialize, Serialize};

use crate::table::Table;

/// The state of one table.
///
/// While a table is read for the first time, `incremental_state` is what the state will be when that is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableState {
    /// What the state is about.
    pub state_type: StateType,
    /// Always 2, as in Airbyte's connectors.
    #[serde(default)]
    pub version: u32,
    /// Name of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_name: Option<String>,
    /// Schema of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_namespace: Option<String>,
    /// Names of the key's columns, for `primary_key`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pk_names: Vec<String>,
    /// The last key that was read, as texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pk_values: Vec<String>,
    /// The place before which all was read, `(page,tuple)`, for `ctid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctid: Option<String>,
    /// Names the storage that `ctid` is a place in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relation_filenode: Option<Storage>,
    /// The cursor's column, for `cursor_based`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cursor_field: Vec<String>,
    /// The newest value that was read, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many rows had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor_record_count: Option<u64>,
    /// The mark of the snapshot that was read, see [`Dialect::mark`](crate::Dialect::mark).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// The mark, for `xmin`: in full, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xmin_raw_value: Option<u64>,
    /// … its lower 32 bits, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xmin_xid_value: Option<u64>,
    /// … and its upper ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_wraparound: Option<u64>,
    /// The state when the table was read once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incremental_state: Option<Box<TableState>>,
}

/// Names a table's storage: a number in states of Airbyte's PostgreSQL source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Storage {
    /// PostgreSQL's file node.
    Number(u64),
    /// Any other name.
    Name(String),
}

/// What a [`TableState`] is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateType {
    /// Reading on behind a key.
    PrimaryKey,
    /// Reading on at a place.
    Ctid,
    /// Reading what is new by the cursor.
    CursorBased,
    /// Reading what transactions wrote since.
    Xmin,
    /// A full refresh that is complete.
    Complete,
    /// Nothing was read yet, or a state of another connector.
    #[default]
    #[serde(other)]
    Unknown,
}

impl TableState {
    /// A state of this type for `table`, and nothing else.
    pub fn of_table(state_type: StateType, table: &Table) -> Self {
        Self {
            state_type,
            version: 2,
            stream_name: Some(table.name.clone()),
            stream_namespace: Some(table.namespace.clone()),
            ..Self::default()
        }
    }

    /// The unit of storage to go on at, for `ctid`.
    pub fn unit(&self) -> Option<u64> {
        let place = self.ctid.as_deref()?.strip_prefix('(')?;
        place.split_once(',')?.0.parse().ok()
    }

    /// The mark, wherever it stands.
    pub(crate) fn any_mark(&self) -> Option<String> {
        self.mark
            .clone()
            .or_else(|| self.xmin_raw_value.map(|mark| mark.to_string()))
    }
}
