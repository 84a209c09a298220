//! What is saved between runs.

use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::position::Position;

/// The shared part of the GLOBAL state: how far the log was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedState {
    /// Everything before it was emitted.
    pub log: Position,
    /// What is added to file and position to get the cursor of a record. It grows when the log is another one, on a
    /// failover or after a reset, so that later changes keep having larger cursors.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cursor_offset: u64,
}

/// A stream's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// Whether the table was read once.
    pub is_complete: bool,
    /// While it was not: the key of the last row that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Vec<String>>,
    /// Where the log ended when the first row was read: older changes of this table are in its rows already.
    pub from: Position,
    /// The table's columns as they were where the log was read to.
    pub columns: Definition,
}

// Serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
