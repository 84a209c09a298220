//! Airbyte source: one CSV or JSONL file from a local path or a URL.
//!
//! The file is streamed in constant memory. Every record is written straight from the file's bytes to
//! JSON text; no tree is built per row.
//!
//! | module | what |
//! |---|---|
//! | `config`, `reader_options`, `aliases` | what the user sets |
//! | `location`, `local`, `http` | where the bytes come from |
//! | `text`, `gzip`, `encoding` | bytes to UTF-8 text |
//! | `csv`, `jsonl` | text to records |
//! | `head` | schema inference |
//! | `streams`, `reader`, `block` | the stream, and the thread that parses |

mod aliases;
mod bad_row;
mod block;
mod config;
mod csv;
mod encoding;
mod fingerprint;
mod gzip;
mod head;
mod http;
mod json_text;
mod jsonl;
mod local;
mod location;
mod position;
mod reader;
mod reader_options;
mod source;
mod streams;
mod text;
mod window;

pub use aliases::normalize;
pub use config::{FileConfig, FileFormat, Provider};
pub use http::HttpSettings;
pub use source::FileSource;

/// The connector for the entry point and for embedders.
pub fn connector() -> cdk_core::entrypoint::Connector {
    cdk_core::entrypoint::Connector::Source(std::sync::Arc::new(FileSource::default()))
}
