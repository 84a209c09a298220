//! The shared part of the GLOBAL state.

use serde::{Deserialize, Serialize};

use super::lsn::Lsn;

/// Where the log was read to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SharedPosition {
    pub(super) version: u32,
    /// All transactions that ended before this position were read.
    pub(super) lsn: String,
    /// The slot it was read from.
    pub(super) slot: String,
    /// The server (`IDENTIFY_SYSTEM`): positions of another one mean nothing.
    pub(super) system_id: String,
}

impl SharedPosition {
    pub(super) fn new(lsn: Lsn, slot: &str, system_id: &str) -> Self {
        Self {
            version: 1,
            lsn: lsn.to_string(),
            slot: slot.to_owned(),
            system_id: system_id.to_owned(),
        }
    }

    pub(super) fn lsn(&self) -> Option<Lsn> {
        self.lsn.parse().ok()
    }
}
