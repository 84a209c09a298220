//! Change data capture: the tables once, then what the binary log says happened to them.
//!
//! 1. The log's position is saved before any row is read.
//! 2. Tables that were not read yet are read in the order of their keys, a piece at a time, each with a short query of
//!    its own: nothing is locked, no transaction stays open. What changes meanwhile is in the log.
//! 3. The log is read from the saved position to where it ended when this phase began.
//!
//! Every state is complete: a run that is killed at any moment goes on where the last state says. Rows may then come
//! twice, never too few. A later change of a row has a larger `_ab_cdc_cursor` than an earlier one, and than the row as
//! it was first read.

mod applier;
mod definition;
mod emit;
mod feed;
mod log_reader;
mod lost;
mod meta;
mod payload;
mod position;
mod requirements;
mod snapshot;
mod state;

pub use feed::{CdcOptions, LogFeed, LostPosition};
pub use meta::{CURSOR, DELETED_AT, LOG_FILE, LOG_POS, UPDATED_AT, add_to_schema};
pub use position::Position;
pub use requirements::missing;
pub use state::{SharedState, StreamState};
