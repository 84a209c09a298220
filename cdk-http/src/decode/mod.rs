//! Bodies become records: as they come, in memory bounded by one record.

mod csv;
mod encoding;
mod error;
mod gzip;
mod json;
mod lines;
mod xml;
mod zip;

use std::fmt::Debug;
use std::ops::Range;

use bytes::Bytes;

pub use csv::Csv;
pub use encoding::Decoded;
pub use error::{DecodeError, DecodeErrorKind};
pub use gzip::Gzip;
pub use json::Json;
pub use lines::{Jsonl, Lines};
pub use xml::{Xml, xml_to_json};
pub use zip::Zip;

/// A format of bodies.
pub trait Decoder: Debug + Send + Sync + 'static {
    /// Begins to decode one body. `content_type` is what the server says about it.
    fn start(&self, content_type: Option<&str>) -> Box<dyn Decode>;
}

/// The decoding of one body: chunks are pushed in, and after each push records are pulled out until there are none.
pub trait Decode: Send {
    /// Takes the next chunk; the last push says `is_end` and may be empty.
    fn push(&mut self, chunk: Bytes, is_end: bool);

    /// Records that are complete, or `None` when the next chunk is needed.
    fn next(&mut self) -> Result<Option<Records>, DecodeError>;

    /// What stands in the body around the records, as the text of a JSON object or array with no records in it: known
    /// after the last push. Formats without one have `None`.
    fn envelope(&self) -> Option<&str> {
        None
    }

    /// False after the last push if the place of the records does not exist in the body.
    fn has_records_place(&self) -> bool {
        true
    }
}

/// Records as the text of JSON objects, cut out of one buffer.
#[derive(Debug, Default, Clone)]
pub struct Records {
    text: Bytes,
    spans: Vec<Range<usize>>,
}

impl Records {
    /// Records at these places of `text`.
    pub fn new(text: Bytes, spans: Vec<Range<usize>>) -> Self {
        Self { text, spans }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The first record.
    pub fn first(&self) -> Result<Option<&str>, DecodeError> {
        self.one(self.spans.first())
    }

    /// The last record.
    pub fn last(&self) -> Result<Option<&str>, DecodeError> {
        self.one(self.spans.last())
    }

    fn one(&self, span: Option<&Range<usize>>) -> Result<Option<&str>, DecodeError> {
        let Some(span) = span else { return Ok(None) };
        let record = self.text.get(span.clone()).unwrap_or_default();
        std::str::from_utf8(record)
            .map(Some)
            .map_err(|_| DecodeError::new(DecodeErrorKind::Encoding, "a record is not UTF-8"))
    }

    /// The records in order. Text that is not UTF-8 is an error.
    pub fn iter(&self) -> Result<impl Iterator<Item = &str>, DecodeError> {
        let from = self.spans.first().map_or(0, |span| span.start);
        let to = self.spans.last().map_or(0, |span| span.end);
        // Checked once per buffer: a record can then be cut out in constant time.
        let part = self.text.get(from..to).unwrap_or_default();
        let text = std::str::from_utf8(part).map_err(|error| {
            DecodeError::new(
                DecodeErrorKind::Encoding,
                format!("byte {} is not UTF-8", from + error.valid_up_to()),
            )
        })?;
        let spans = self.spans.iter();
        Ok(spans.map(move |span| {
            text.get(span.start - from..span.end - from)
                .unwrap_or_default()
        }))
    }
}

/// Collects records that are written one by one.
#[derive(Debug, Default)]
pub(crate) struct RecordsBuilder {
    text: String,
    spans: Vec<Range<usize>>,
}

impl RecordsBuilder {
    /// The text to write the next record behind.
    pub(crate) fn text(&mut self) -> &mut String {
        &mut self.text
    }

    /// Ends the record being written.
    pub(crate) fn end_record(&mut self) {
        let start = self.spans.last().map_or(0, |span| span.end);
        self.spans.push(start..self.text.len());
    }

    pub(crate) fn take(&mut self) -> Option<Records> {
        if self.spans.is_empty() {
            return None;
        }
        let text = Bytes::from(std::mem::take(&mut self.text));
        Some(Records::new(text, std::mem::take(&mut self.spans)))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Decodes `body` in chunks of `size` bytes: records, then what the decoder knows at the end.
    pub(crate) fn decode(
        decoder: &dyn Decoder,
        body: &[u8],
        size: usize,
    ) -> Result<(Vec<String>, Box<dyn Decode>), DecodeError> {
        let mut decode = decoder.start(None);
        let mut found = Vec::new();
        let mut pull = |decode: &mut Box<dyn Decode>| {
            while let Some(records) = decode.next()? {
                found.extend(records.iter()?.map(str::to_owned));
            }
            Ok(())
        };
        for chunk in body.chunks(size) {
            decode.push(Bytes::copy_from_slice(chunk), false);
            pull(&mut decode)?;
        }
        decode.push(Bytes::new(), true);
        pull(&mut decode)?;
        Ok((found, decode))
    }

    /// The same for all chunk sizes up to a few bytes and for the whole: they must agree.
    pub(crate) fn records(
        decoder: &dyn Decoder,
        body: &[u8],
    ) -> Result<Vec<String>, DecodeErrorKind> {
        let whole = decode(decoder, body, body.len().max(1));
        let whole = whole
            .map(|(records, _)| records)
            .map_err(|error| error.kind());
        for size in 1..8 {
            let pieces = decode(decoder, body, size);
            let pieces = pieces
                .map(|(records, _)| records)
                .map_err(|error| error.kind());
            assert_eq!(pieces, whole, "chunks of {size}");
        }
        whole
    }
}
