//! Change data capture: tables are read once, then the server's change log is followed.
//!
//! The order makes it complete without a long transaction: the position in the log is saved first, then the tables are
//! read in pieces, each as it is at that moment, and then all changes since the saved position are replayed. A change
//! that a piece has seen already comes again, with a greater `_ab_cdc_lsn` than the row of the snapshot; whoever
//! merges by key ends with the newest version of every row.
//!
//! | module | what is there |
//! |---|---|
//! | [`feed`] | the run: slot, snapshot, changes, states |
//! | [`slot`] | slots and publications: what must be there, and whether the saved position is still good |
//! | [`pgoutput`] | the messages of the output plugin |

mod changes;
pub mod feed;
mod follow;
mod lsn;
mod meta;
pub mod pgoutput;
mod position;
mod relations;
pub mod slot;
mod snapshot;
mod state;
mod stream;

pub use feed::{CdcFeed, CdcSettings, LostPosition};
pub use lsn::Lsn;
pub use meta::{NO_CHANGE, add_meta_columns};
