//! Parquet files.

use std::io::Write;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::errors::Result;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

/// How Parquet files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParquetOptions {
    /// How pages are compressed.
    pub codec: ParquetCodec,
    /// A row group ends before it takes more than about so many bytes in the file.
    pub row_group_bytes: usize,
    /// A page ends when it has so many bytes before compression.
    pub page_bytes: usize,
    /// A column goes on without a dictionary once that has so many bytes.
    pub dictionary_page_bytes: usize,
    /// Whether columns begin with a dictionary of their values.
    pub has_dictionary: bool,
}

/// How pages are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ParquetCodec {
    /// Not at all.
    #[default]
    Uncompressed,
    /// Snappy.
    Snappy,
    /// Gzip, level 6.
    Gzip,
    /// Brotli, level 1.
    Brotli,
    /// LZ4 (`LZ4_RAW`).
    Lz4,
    /// Zstandard, level 1.
    Zstd,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self {
            codec: ParquetCodec::default(),
            row_group_bytes: 128 << 20,
            page_bytes: 1 << 20,
            dictionary_page_bytes: 1 << 20,
            has_dictionary: true,
        }
    }
}

impl ParquetOptions {
    fn properties(&self) -> WriterProperties {
        let codec = match self.codec {
            ParquetCodec::Uncompressed => Compression::UNCOMPRESSED,
            ParquetCodec::Snappy => Compression::SNAPPY,
            ParquetCodec::Gzip => Compression::GZIP(GzipLevel::default()),
            ParquetCodec::Brotli => Compression::BROTLI(BrotliLevel::default()),
            ParquetCodec::Lz4 => Compression::LZ4_RAW,
            ParquetCodec::Zstd => Compression::ZSTD(ZstdLevel::default()),
        };
        WriterProperties::builder()
            .set_created_by(concat!("rust-cdk version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(codec)
            .set_max_row_group_row_count(None)
            .set_max_row_group_bytes(Some(self.row_group_bytes.max(1)))
            .set_data_page_size_limit(self.page_bytes.max(1))
            .set_dictionary_page_size_limit(self.dictionary_page_bytes.max(1))
            .set_dictionary_enabled(self.has_dictionary)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .build()
    }
}

/// A Parquet file in the making.
pub(crate) struct ParquetFile<W: Write + Send>(ArrowWriter<W>);

impl<W: Write + Send> ParquetFile<W> {
    pub(crate) fn create(sink: W, schema: SchemaRef, options: &ParquetOptions) -> Result<Self> {
        // Parquet's own types say it all; Arrow's would have readers see text columns as extension types.
        let options = ArrowWriterOptions::new()
            .with_properties(options.properties())
            .with_skip_arrow_metadata(true);
        ArrowWriter::try_new_with_options(sink, schema, options).map(Self)
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.0.write(batch)
    }

    /// Bytes of the row group in memory.
    pub(crate) fn held_bytes(&self) -> usize {
        self.0.memory_size()
    }

    /// Ends the row group.
    pub(crate) fn end_row_group(&mut self) -> Result<()> {
        self.0.flush()
    }

    /// Writes what is left and the footer.
    pub(crate) fn finish(self) -> Result<W> {
        self.0.into_inner()
    }
}
