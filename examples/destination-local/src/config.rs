//! The connector's config.

use std::path::PathBuf;

use cdk_file::config::{AvroConfig, ParquetConfig};
use cdk_file::format::{self, FileFormat, TextFormat};
use schemars::JsonSchema;
use serde::Deserialize;

/// Where and how to write.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "Local Files Destination Spec")]
pub struct Config {
    /// The directory that gets one directory per stream. It is created if it does not exist.
    #[schemars(title = "Destination Path", extend("order" = 0), example = &"data/out")]
    pub destination_path: PathBuf,
    /// The format of the files.
    #[serde(default)]
    #[schemars(title = "Format", extend("order" = 1))]
    pub format: Format,
}

/// How rows are written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "format_type")]
pub enum Format {
    /// One JSON object per line.
    #[serde(rename = "JSONL")]
    #[schemars(title = "JSON Lines")]
    Jsonl(FileOptions),
    /// Comma-separated values with a header line.
    #[serde(rename = "CSV")]
    #[schemars(title = "Comma-Separated Values")]
    Csv(FileOptions),
    /// Columns, for queries: Parquet.
    Parquet(ParquetConfig),
    /// Avro object container files.
    Avro(AvroConfig),
}

/// What the formats of text have.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
pub struct FileOptions {
    /// Whether the record's fields stand beside the metadata, or together in `_airbyte_data`.
    #[serde(default)]
    #[schemars(title = "Flattening")]
    pub flattening: Flattening,
    /// How the files are compressed.
    #[serde(default)]
    #[schemars(title = "Compression")]
    pub compression: Compression,
}

/// Where the record's fields go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Flattening {
    /// Beside the metadata.
    #[default]
    Root,
    /// The same, and the fields of objects inside too, as `contact_email`.
    Nested,
    /// Into `_airbyte_data`.
    None,
}

/// How files are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Gzip; the file's name ends in `.gz`.
    Gzip,
}

impl Default for Format {
    fn default() -> Self {
        Self::Jsonl(FileOptions::default())
    }
}

impl Format {
    pub(crate) fn options(&self) -> format::FileOptions {
        match self {
            Self::Jsonl(options) => options.of(TextFormat::Jsonl),
            Self::Csv(options) => options.of(TextFormat::Csv),
            Self::Parquet(config) => (*config).into(),
            Self::Avro(config) => (*config).into(),
        }
    }
}

impl FileOptions {
    fn of(self, format: TextFormat) -> format::FileOptions {
        let flattening = match self.flattening {
            Flattening::Root => format::Flattening::Root,
            Flattening::Nested => format::Flattening::Nested,
            Flattening::None => format::Flattening::None,
        };
        format::FileOptions {
            format: FileFormat::Text {
                format,
                is_gzip: self.compression == Compression::Gzip,
            },
            flattening,
            with_emitted_at: false,
        }
    }
}
