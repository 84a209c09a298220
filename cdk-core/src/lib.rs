//! The Rust CDK: typed sources and destinations for the [Airbyte protocol](https://docs.airbyte.com/platform/understanding-airbyte/airbyte-protocol),
//! and an engine that joins any two of them in one process.
//!
//! A connector is a config struct, which is its spec, and a few async functions. The runtime does the rest: command
//! line, validation, states and statuses, concurrency, back pressure by bytes, stop signals, masked logs. What it
//! promises is written at the traits: [`Source`], [`Stream`], [`Destination`], [`StreamLoader`].
//!
//! # The smallest complete source
//!
//! It answers `spec`, `check`, `discover` and `read` as any Airbyte connector does; `cargo run -p cdk-core --example
//! smallest_source -- spec` tries it. The smallest destination is at [`destination`].
//!
#![doc = concat!("```no_run\n", include_str!("../examples/smallest_source.rs"), "```")]
//!
//! # Modules
//!
//! | module | what is there |
//! |---|---|
//! | [`source`] | the source's traits: streams, partitions, checkpoints, feeds with one shared position |
//! | [`destination`] | the destination's traits: loaders, commits, generations, typed columns |
//! | [`sync`] | the embedded engine: a source and a destination in one process, with a state store |
//! | [`process`] | connector executables of any language behind the same traits |
//! | [`entrypoint`] | `main` of a connector; everything it takes from its process is a parameter |
//! | [`spec`], [`config`] | a config struct as specification; validation that lists every problem with its path |
//! | [`error`] | the one error: who must act, what the user reads, the cause beside it |
//! | [`secret`] | secret values, and the mask over what people read |
//! | [`context`], [`clock`] | what a running connector gets from its host |
//! | [`calendar`] | days and dates |
//! | [`batch`], [`event`], [`budget`] | what moves between the two sides, and the bytes it may hold |
//! | [`watchdog`], [`memory_guard`] | says who waits for whom; ends a run in order when memory runs out |
//! | [`protocol`] | the messages themselves: crate `airbyte-protocol` |
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `sqlite` | no | a state store of the engine in an SQLite file; builds SQLite from C |
//! | `arrow` | no | batches as Apache Arrow columns beside JSON rows, converted where a side needs the other form: module `arrow` |

#[cfg(feature = "arrow")]
pub mod arrow;
pub mod batch;
pub mod budget;
pub mod calendar;
pub mod clock;
pub mod config;
pub mod context;
mod decode;
pub mod destination;
mod encode;
pub mod entrypoint;
pub mod error;
pub mod event;
pub mod memory_guard;
pub mod process;
pub mod secret;
pub mod source;
pub mod spec;
pub mod sync;
pub mod watchdog;

pub use airbyte_protocol as protocol;
pub use async_trait::async_trait;
pub use tokio_util::sync::CancellationToken;

pub use batch::{JsonRows, RecordBatch, Row, RowExtras, Rows};
pub use budget::MemoryBudget;
pub use clock::{Clock, FixedClock, SystemClock};
pub use context::Context;
pub use destination::{
    Capabilities, CommitStats, Destination, DynDestination, StreamEnd, StreamLoader, StreamReport,
    WriteArgs, WriteReport, WriteSettings,
};
pub use entrypoint::{run_destination, run_source};
pub use error::{ConnectorError, ErrorContext, Result, RetryStatus};
pub use process::{ProcessCommand, ProcessDestination, ProcessSource};
pub use secret::{SecretString, Secrets};
pub use source::{
    BoxedStream, DynSource, GlobalFeed, GlobalSink, InputState, Partitions, ReadArgs, ReadSettings,
    RecordSink, RecordWriter, Source, Stream, StreamRequest,
};
pub use sync::Sync;
