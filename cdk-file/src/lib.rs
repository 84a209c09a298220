//! Files of records: formats, compressions, and the folders they lie in, on disks and object stores.
//!
//! | module | what is there |
//! |---|---|
//! | [`mod@format`] | rows as JSONL, CSV, Parquet and Avro; objects inside records as columns of their own |
//! | [`path`] | where files go: paths and names with variables |
//! | `store` | a directory or a bucket, behind the same few operations |
//! | `loader` | the [`StreamLoader`](cdk_core::StreamLoader) of a destination of files: generations, atomic commits, leftovers |
//! | [`config`] | parts of configs that destinations of files share |
//! | [`names`], [`disk`] | names of streams as parts of paths; what a failure of a file system means |
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `folders` | `store` and `loader`, for directories |
//! | `s3` | the same for Amazon S3, MinIO and others of that protocol; TLS by ring |
//! | `parquet` | Parquet files; builds zstd from C |
//! | `avro` | Avro files; builds zstd and xz from C |
//!
//! None is on by default: then there are the formats of text.

pub mod config;
pub mod disk;
#[cfg(feature = "folders")]
mod folder;
pub mod format;
#[cfg(feature = "folders")]
pub mod loader;
pub mod names;
pub mod path;
#[cfg(feature = "folders")]
pub mod store;

#[cfg(feature = "folders")]
pub use loader::{FileLoader, FileSettings};
