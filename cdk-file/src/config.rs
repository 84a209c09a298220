//! The parts of a config that destinations of files share, under the keys of Airbyte's destination-s3.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::format::Flattening;

/// Where the fields of a record go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum FlatteningConfig {
    /// Into the one column `_airbyte_data`.
    #[serde(rename = "No flattening")]
    None,
    /// Into columns beside the metadata.
    #[default]
    #[serde(rename = "Root level flattening")]
    Root,
    /// The same, and the fields of objects inside too, as `contact_email`.
    #[serde(rename = "Nested flattening")]
    Nested,
}

impl From<FlatteningConfig> for Flattening {
    fn from(config: FlatteningConfig) -> Self {
        match config {
            FlatteningConfig::None => Self::None,
            FlatteningConfig::Root => Self::Root,
            FlatteningConfig::Nested => Self::Nested,
        }
    }
}

#[cfg(feature = "avro")]
pub use avro::{AvroCompression, AvroConfig};
#[cfg(feature = "parquet")]
pub use parquet::{ParquetCompression, ParquetConfig};

#[cfg(feature = "parquet")]
mod parquet {
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::FlatteningConfig;
    use crate::format::{FileFormat, FileOptions, ParquetCodec, ParquetOptions};

    /// How Parquet files are written.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
    #[serde(default)]
    pub struct ParquetConfig {
        /// How pages are compressed. LZO is not among them: nobody maintains a writer for it.
        #[schemars(title = "Compression Codec", extend("order" = 0))]
        pub compression_codec: ParquetCompression,
        /// A row group ends before it takes more than about this many megabytes in the file. Readers take row
        /// groups as units; larger ones compress better and need more memory.
        #[schemars(title = "Block Size (Row Group Size) (MB)", extend("order" = 1), range(min = 1, max = 2048))]
        pub block_size_mb: u32,
        /// Has no effect: object stores have no blocks to fill up.
        #[schemars(title = "Max Padding Size (MB)", extend("order" = 2))]
        pub max_padding_size_mb: u32,
        /// A page ends when it has this many kilobytes before compression.
        #[schemars(title = "Page Size (KB)", extend("order" = 3), range(min = 1, max = 1048576))]
        pub page_size_kb: u32,
        /// A column goes on without a dictionary once that has this many kilobytes.
        #[schemars(title = "Dictionary Page Size (KB)", extend("order" = 4), range(min = 1, max = 1048576))]
        pub dictionary_page_size_kb: u32,
        /// Whether columns begin with a dictionary of their values.
        #[schemars(title = "Dictionary Encoding", extend("order" = 5))]
        pub dictionary_encoding: bool,
        /// Where the fields of a record go.
        #[schemars(title = "Flattening", extend("order" = 6))]
        pub flattening: FlatteningConfig,
        /// Adds the column `_airbyte_emitted_at`, as `_airbyte_extracted_at` was called once.
        #[schemars(title = "Old Name of the Time of Extraction", extend("order" = 7))]
        pub emitted_at_column: bool,
    }

    /// How pages are compressed.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
    #[serde(rename_all = "UPPERCASE")]
    pub enum ParquetCompression {
        /// Not at all.
        #[default]
        Uncompressed,
        /// Snappy.
        Snappy,
        /// Gzip.
        Gzip,
        /// Brotli.
        Brotli,
        /// LZ4.
        Lz4,
        /// Zstandard.
        Zstd,
    }

    impl Default for ParquetConfig {
        fn default() -> Self {
            Self {
                compression_codec: ParquetCompression::default(),
                block_size_mb: 128,
                max_padding_size_mb: 8,
                page_size_kb: 1024,
                dictionary_page_size_kb: 1024,
                dictionary_encoding: true,
                flattening: FlatteningConfig::default(),
                emitted_at_column: false,
            }
        }
    }

    impl From<ParquetConfig> for FileOptions {
        fn from(config: ParquetConfig) -> Self {
            let codec = match config.compression_codec {
                ParquetCompression::Uncompressed => ParquetCodec::Uncompressed,
                ParquetCompression::Snappy => ParquetCodec::Snappy,
                ParquetCompression::Gzip => ParquetCodec::Gzip,
                ParquetCompression::Brotli => ParquetCodec::Brotli,
                ParquetCompression::Lz4 => ParquetCodec::Lz4,
                ParquetCompression::Zstd => ParquetCodec::Zstd,
            };
            let options = ParquetOptions {
                codec,
                row_group_bytes: (config.block_size_mb as usize) << 20,
                page_bytes: (config.page_size_kb as usize) << 10,
                dictionary_page_bytes: (config.dictionary_page_size_kb as usize) << 10,
                has_dictionary: config.dictionary_encoding,
            };
            Self {
                format: FileFormat::Parquet(options),
                flattening: config.flattening.into(),
                with_emitted_at: config.emitted_at_column,
            }
        }
    }
}

#[cfg(feature = "avro")]
mod avro {
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::FlatteningConfig;
    use crate::format::{AvroCodec, FileFormat, FileOptions};

    /// How Avro files are written.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
    #[serde(default)]
    pub struct AvroConfig {
        /// How blocks are compressed.
        #[schemars(title = "Compression Codec", extend("order" = 0))]
        pub compression_codec: AvroCompression,
        /// Where the fields of a record go.
        #[schemars(title = "Flattening", extend("order" = 1))]
        pub flattening: FlatteningConfig,
        /// Adds the column `_airbyte_emitted_at`, as `_airbyte_extracted_at` was called once.
        #[schemars(title = "Old Name of the Time of Extraction", extend("order" = 2))]
        pub emitted_at_column: bool,
    }

    /// How blocks are compressed, always at the usual level.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
    #[serde(tag = "codec")]
    pub enum AvroCompression {
        /// Not at all.
        #[default]
        #[serde(rename = "no compression")]
        #[schemars(title = "No Compression")]
        None,
        /// Deflate.
        #[schemars(title = "Deflate")]
        Deflate,
        /// Bzip2.
        #[serde(rename = "bzip2")]
        #[schemars(title = "Bzip2")]
        Bzip2,
        /// XZ.
        #[serde(rename = "xz")]
        #[schemars(title = "XZ")]
        Xz,
        /// Zstandard.
        #[serde(rename = "zstandard")]
        #[schemars(title = "Zstandard")]
        Zstandard,
        /// Snappy.
        #[serde(rename = "snappy")]
        #[schemars(title = "Snappy")]
        Snappy,
    }

    impl From<AvroConfig> for FileOptions {
        fn from(config: AvroConfig) -> Self {
            let codec = match config.compression_codec {
                AvroCompression::None => AvroCodec::None,
                AvroCompression::Deflate => AvroCodec::Deflate,
                AvroCompression::Bzip2 => AvroCodec::Bzip2,
                AvroCompression::Xz => AvroCodec::Xz,
                AvroCompression::Zstandard => AvroCodec::Zstandard,
                AvroCompression::Snappy => AvroCodec::Snappy,
            };
            Self {
                format: FileFormat::Avro(codec),
                flattening: config.flattening.into(),
                with_emitted_at: config.emitted_at_column,
            }
        }
    }
}
