//! The embedded sync engine: any source and any destination in one process, as a library call.
//!
//! A [`Sync`] reads from a source into a destination, keeps state in a [`StateStore`], retries transient
//! failures from the last state, and reports per stream what moved and what it waited for. No child
//! process, container or platform is involved, unless a connector itself is one
//! ([`ProcessSource`](crate::ProcessSource), [`ProcessDestination`](crate::ProcessDestination)).

mod attempt;
mod builder;
mod event;
mod file_store;
mod memory_store;
mod mode;
mod names;
mod plan;
mod report;
mod run;
mod selection;
#[cfg(feature = "sqlite")]
mod sqlite_store;
mod state_store;

pub use builder::{Sync, SyncBuilder};
pub use event::{SyncEvent, SyncSide};
pub use file_store::FileStateStore;
pub use memory_store::MemoryStateStore;
pub use mode::Mode;
pub use names::Namespace;
pub use report::{StreamSummary, SyncError, SyncReport, SyncStatus, Waits};
pub use selection::StreamSelection;
#[cfg(feature = "sqlite")]
pub use sqlite_store::SqliteStateStore;
pub use state_store::{Lease, SavedConfig, SavedConnection, SavedStream, StateStore};
