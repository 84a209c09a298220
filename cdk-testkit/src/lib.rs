//! Tests of connectors: run a verb in process, exactly as the connector's `main` does, and look at what it printed.
//!
//! ```no_run
//! use cdk_core::Source;
//! use cdk_testkit::{Files, Run};
//! use serde_json::json;
//!
//! async fn the_users_are_read(source: impl Source) {
//!     let files = Files::new();
//!     let catalog = json!({"streams": [{
//!         "stream": {"name": "users", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
//!         "sync_mode": "full_refresh",
//!         "destination_sync_mode": "append"
//!     }]});
//!     let ran = Run::new("read")
//!         .file(&files, "config", &json!({"count": 3}))
//!         .file(&files, "catalog", &catalog)
//!         .source(source)
//!         .await
//!         .succeeded();
//!     assert_eq!(ran.data("users").len(), 3);
//! }
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`run`] | [`Run`]: arguments, environment, stdin, time and stop signal of one run |
//! | [`ran`] | [`Ran`]: how it ended and what it printed, by kind and stream |
//! | [`files`] | [`Files`]: a folder for the files of one test |
//! | [`suite`] | [`Suite`]: the conformance suite; one call judges a connector by the protocol |
//! | [`schema`] | the protocol's own JSON schema, as a judge of messages |
//! | [`lines`] | [`StreamSpec`]: a configured stream, and the lines that a destination reads for it |
//! | `http` | an HTTP server that answers by script and misbehaves as told; recordings of real traffic (feature `http`) |
//! | [`servers`] | private servers and faulty networks, each behind a feature: `postgres`, `mariadb`, `s3`, `tls`, `proxy`, `ssh` |
//!
//! Everything here panics with the reason when a step fails (a file can't be written, a printed line is no message,
//! the message asked for is missing): in a test, the panic is the report.

pub mod files;
#[cfg(feature = "http")]
pub mod http;
pub mod lines;
pub mod ran;
pub mod run;
pub mod schema;
pub mod servers;
mod stdout;
pub mod suite;

pub use files::Files;
pub use lines::StreamSpec;
pub use ran::Ran;
pub use run::Run;
pub use suite::{Program, Suite};
