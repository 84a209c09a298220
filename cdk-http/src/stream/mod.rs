//! Streams of HTTP APIs, described in what is special about each.
//!
//! [`HttpApi`] holds what the streams of an API share: where it is, credentials, limits. [`HttpStream`] adds path,
//! records, pages, cursor, parent; it is a [`cdk_core::Stream`].

mod api;
mod check_page;
mod children;
mod cursor;
mod datetime;
mod describe;
mod fetch;
mod job;
mod output;
mod pages;
mod parent;
mod read;
mod schema;
mod slice;

pub use api::HttpApi;
pub use cursor::DatetimeCursor;
pub use datetime::{Step, TimeFormat, Window, windows};
pub use describe::HttpStream;
pub use job::{AsyncJob, JobStatus};
pub use schema::{schema_of, schema_of_records};
pub use slice::Slice;
