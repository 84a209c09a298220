//! Avro object container files.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_avro::compression::CompressionCodec;
use arrow_avro::errors::AvroError;
use arrow_avro::writer::format::AvroOcfFormat;
use arrow_avro::writer::{Writer, WriterBuilder};
use arrow_schema::{Field, Schema, SchemaRef};

/// How blocks are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AvroCodec {
    /// Not at all.
    #[default]
    None,
    /// Deflate.
    Deflate,
    /// Bzip2.
    Bzip2,
    /// XZ.
    Xz,
    /// Zstandard.
    Zstandard,
    /// Snappy.
    Snappy,
}

impl AvroCodec {
    fn of_library(self) -> Option<CompressionCodec> {
        Some(match self {
            Self::None => return None,
            Self::Deflate => CompressionCodec::Deflate,
            Self::Bzip2 => CompressionCodec::Bzip2,
            Self::Xz => CompressionCodec::Xz,
            Self::Zstandard => CompressionCodec::ZStandard,
            Self::Snappy => CompressionCodec::Snappy,
        })
    }
}

/// An Avro file in the making. Every batch is a block.
pub(crate) struct AvroFile<W: Write> {
    writer: Writer<W, AvroOcfFormat>,
    schema: SchemaRef,
}

impl<W: Write> AvroFile<W> {
    pub(crate) fn create(sink: W, schema: &Schema, codec: AvroCodec) -> Result<Self, AvroError> {
        let schema = with_avro_names(schema);
        let writer = WriterBuilder::new(schema.clone())
            .with_compression(codec.of_library())
            .build(sink)?;
        Ok(Self {
            writer,
            schema: Arc::new(schema),
        })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), AvroError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), batch.columns().to_vec())?;
        self.writer.write(&batch)
    }

    pub(crate) fn finish(mut self) -> Result<W, AvroError> {
        self.writer.finish()?;
        Ok(self.writer.into_inner())
    }
}

/// Avro's names have letters, digits and `_` only, and no digit first ("Names" of its specification).
fn with_avro_names(schema: &Schema) -> Schema {
    let mut taken = HashSet::new();
    let fields = schema.fields().iter().map(|field| {
        let mut name: String = field
            .name()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            name.insert(0, '_');
        }
        let numbered = (1..).map(|number| format!("{name}_{number}"));
        let free = std::iter::once(name.clone())
            .chain(numbered)
            .find(|name| taken.insert(name.clone()));
        Field::new(
            free.unwrap_or(name),
            field.data_type().clone(),
            field.is_nullable(),
        )
    });
    Schema::new(fields.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use arrow_schema::DataType;

    use super::*;

    #[test]
    fn names_are_what_avro_allows_and_differ() {
        let names = ["id", "größe", "gr__e", "1st", "a-b", "a_b", ""];
        let fields: Vec<_> = names
            .iter()
            .map(|name| Field::new(*name, DataType::Int64, true))
            .collect();
        let renamed = with_avro_names(&Schema::new(fields));
        let renamed: Vec<_> = renamed
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        assert_eq!(
            renamed,
            ["id", "gr__e", "gr__e_1", "_1st", "a_b", "a_b_1", "_"]
        );
    }
}
