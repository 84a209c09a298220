//! The Rust CDK: typed sources and destinations for the Airbyte protocol, and an embedded sync engine.

pub mod batch;
pub mod budget;
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
    RecordSink, Source, Stream, StreamRequest,
};
pub use sync::Sync;
