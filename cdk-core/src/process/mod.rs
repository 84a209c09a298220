//! Airbyte connectors in other processes, behind the same traits as native ones.
//!
//! Any executable that speaks the protocol will do: `./source-x`, `python main.py`, `docker run …`. The
//! child gets its files in a private temporary directory, its stderr becomes log lines, and it never
//! outlives the run: a stop is passed on as SIGTERM, and after a grace as SIGKILL.

mod child;
mod destination;
mod source;

pub use child::ProcessCommand;
pub use destination::ProcessDestination;
pub use source::ProcessSource;
