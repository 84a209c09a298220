//! The low-code engine: runs the `manifest.yaml` connectors of Airbyte unchanged.

mod auth;
mod build;
mod check;
pub mod component;
mod config_rules;
pub mod custom;
mod decoder;
mod dpath;
mod errors;
mod extract;
mod feed;
mod host;
pub mod manifest;
mod paginator;
mod partial;
mod properties;
pub mod python;
mod raw_json;
mod requester;
mod resolvers;
mod retriever;
mod schema;
mod select;
pub mod slice;
mod slicing;
mod source;
mod stream;
pub mod template;
mod test_read;
pub mod time;
mod transform;
mod upload;
pub mod words;
pub mod yaml;

pub use source::{INJECTED_MANIFEST, ManifestSource};
pub use test_read::Limits;
