//! Formats of files: rows in, bytes out.

#[cfg(feature = "avro")]
mod avro;
#[cfg(feature = "columns")]
mod columns;
#[cfg(feature = "folders")]
mod encoder;
mod flatten;
#[cfg(feature = "parquet")]
mod parquet;
pub mod text;

#[cfg(feature = "avro")]
pub use avro::AvroCodec;
#[cfg(feature = "folders")]
pub(crate) use encoder::{Encoder, OpenFile};
pub use flatten::Flattener;
#[cfg(feature = "parquet")]
pub use parquet::{ParquetCodec, ParquetOptions};
pub use text::{TextFormat, TextRows};

/// The column that holds the record when it is not flattened.
pub const DATA: &str = "_airbyte_data";

/// Where the fields of a record go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flattening {
    /// Together into the column `_airbyte_data`.
    None,
    /// Beside the metadata.
    #[default]
    Root,
    /// The same, and the fields of objects inside too: `contact_email` for `{"contact": {"email": …}}`.
    Nested,
}

/// How a stream's files are written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFormat {
    /// Lines of text.
    Text {
        /// Of which kind.
        format: TextFormat,
        /// Whether the files are compressed with gzip.
        is_gzip: bool,
    },
    /// Parquet.
    #[cfg(feature = "parquet")]
    Parquet(ParquetOptions),
    /// Avro object container files.
    #[cfg(feature = "avro")]
    Avro(AvroCodec),
}

impl FileFormat {
    /// How the names of the files end, with the dot.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Text {
                format: TextFormat::Jsonl,
                is_gzip: false,
            } => ".jsonl",
            Self::Text {
                format: TextFormat::Jsonl,
                is_gzip: true,
            } => ".jsonl.gz",
            Self::Text {
                format: TextFormat::Csv,
                is_gzip: false,
            } => ".csv",
            Self::Text {
                format: TextFormat::Csv,
                is_gzip: true,
            } => ".csv.gz",
            #[cfg(feature = "parquet")]
            Self::Parquet(_) => ".parquet",
            #[cfg(feature = "avro")]
            Self::Avro(_) => ".avro",
        }
    }
}

/// How rows become a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOptions {
    /// The format.
    pub format: FileFormat,
    /// Where the fields of a record go.
    pub flattening: Flattening,
    /// In Parquet and Avro: also the column `_airbyte_emitted_at`, as `_airbyte_extracted_at` was called once.
    pub with_emitted_at: bool,
}
