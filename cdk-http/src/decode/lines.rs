//! One record per line.

use airbyte_protocol::codec;
use bytes::{Bytes, BytesMut};

use crate::decode::{
    Decode, DecodeError, DecodeErrorKind as Kind, Decoder, Records, RecordsBuilder,
};

/// A longer line is an error.
const MAX_LINE_BYTES: usize = 64 << 20;

/// One JSON object per line; blank lines don't count.
#[derive(Debug, Clone, Copy, Default)]
pub struct Jsonl {
    skips_bad_lines: bool,
}

impl Jsonl {
    /// A bad line is an error.
    pub fn new() -> Self {
        Self::default()
    }

    /// A bad line is left out, with a warning.
    #[must_use]
    pub fn skipping_bad_lines(mut self) -> Self {
        self.skips_bad_lines = true;
        self
    }
}

/// Each line of text as a record `{"record": line}`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lines;

impl Decoder for Jsonl {
    fn start(&self, _: Option<&str>) -> Box<dyn Decode> {
        Box::new(JsonlDecode {
            lines: LineCutter::default(),
            count: 0,
            skips_bad_lines: self.skips_bad_lines,
        })
    }
}

impl Decoder for Lines {
    fn start(&self, _: Option<&str>) -> Box<dyn Decode> {
        Box::new(LinesDecode(LineCutter::default()))
    }
}

/// Cuts pushed chunks at line ends.
#[derive(Default)]
pub(super) struct LineCutter {
    carry: BytesMut,
    pushed: Option<Bytes>,
    is_end: bool,
}

impl LineCutter {
    pub(super) fn push(&mut self, chunk: Bytes, is_end: bool) {
        self.pushed = Some(chunk);
        self.is_end = is_end;
    }

    /// Whole lines that came with the last push; at the end, with what is left.
    pub(super) fn whole_lines(&mut self) -> Result<Option<Bytes>, DecodeError> {
        let Some(chunk) = self.pushed.take() else {
            return Ok(None);
        };
        let cut = match self.is_end {
            true => chunk.len(),
            false => memchr::memrchr(b'\n', &chunk).map_or(0, |at| at + 1),
        };
        if cut == 0 && !self.is_end {
            self.carry.extend_from_slice(&chunk);
            return match self.carry.len() > MAX_LINE_BYTES {
                true => Err(DecodeError::new(
                    Kind::TooLarge,
                    format!("a line of more than {MAX_LINE_BYTES} bytes"),
                )),
                false => Ok(None),
            };
        }
        let lines = if self.carry.is_empty() {
            chunk.slice(..cut)
        } else {
            self.carry
                .extend_from_slice(chunk.get(..cut).unwrap_or_default());
            self.carry.split().freeze()
        };
        self.carry
            .extend_from_slice(chunk.get(cut..).unwrap_or_default());
        Ok(Some(lines))
    }
}

struct JsonlDecode {
    lines: LineCutter,
    count: u64,
    skips_bad_lines: bool,
}

impl JsonlDecode {
    fn is_record(line: &[u8]) -> bool {
        line.first() == Some(&b'{') && codec::value_end(line, 0) == Ok(line.len())
    }
}

impl Decode for JsonlDecode {
    fn push(&mut self, chunk: Bytes, is_end: bool) {
        self.lines.push(chunk, is_end);
    }

    fn next(&mut self) -> Result<Option<Records>, DecodeError> {
        let Some(text) = self.lines.whole_lines()? else {
            return Ok(None);
        };
        let mut spans = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            self.count += 1;
            let record = line.trim_ascii();
            let skipped = line.len() - line.trim_ascii_start().len();
            if Self::is_record(record) {
                spans.push(start + skipped..start + skipped + record.len());
            } else if !record.is_empty() {
                let place = format!("line {} is no JSON object", self.count);
                if !self.skips_bad_lines {
                    let is_page = self.count == 1 && record.starts_with(b"<");
                    let kind = if is_page {
                        Kind::WebPage
                    } else {
                        Kind::Invalid
                    };
                    return Err(DecodeError::new(kind, place));
                }
                tracing::warn!("Of an answer, {place}; it is left out.");
            }
            start += line.len();
        }
        Ok((!spans.is_empty()).then(|| Records::new(text, spans)))
    }
}

struct LinesDecode(LineCutter);

impl Decode for LinesDecode {
    fn push(&mut self, chunk: Bytes, is_end: bool) {
        self.0.push(chunk, is_end);
    }

    fn next(&mut self) -> Result<Option<Records>, DecodeError> {
        let Some(text) = self.0.whole_lines()? else {
            return Ok(None);
        };
        let mut records = RecordsBuilder::default();
        for line in String::from_utf8_lossy(&text).lines() {
            records.text().push_str("{\"record\":");
            push_json_string(records.text(), line)?;
            records.text().push('}');
            records.end_record();
        }
        Ok(records.take())
    }
}

/// Appends `text` as a JSON string.
pub(super) fn push_json_string(out: &mut String, text: &str) -> Result<(), DecodeError> {
    let quoted = serde_json::to_string(text)
        .map_err(|error| DecodeError::new(Kind::Machine, error.to_string()))?;
    out.push_str(&quoted);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::testing::{decode, records};

    #[test]
    fn lines_of_json_pass_untouched() {
        let body = b"{\"a\": 1.10}\r\n\n  {\"b\":2} \n{\"c\":\"\\n\"}";
        let expected = ["{\"a\": 1.10}", "{\"b\":2}", "{\"c\":\"\\n\"}"];
        assert_eq!(records(&Jsonl::new(), body).unwrap(), expected);
    }

    #[test]
    fn bad_lines_are_named_or_left_out() {
        let body = b"{\"a\":1}\n{\"a\":\n{\"a\":2}\n";
        let error = decode(&Jsonl::new(), body, 100).map(drop).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        let lenient = Jsonl::new().skipping_bad_lines();
        assert_eq!(records(&lenient, body).unwrap(), ["{\"a\":1}", "{\"a\":2}"]);
    }

    #[test]
    fn lines_of_text_become_records() {
        let expected = [
            "{\"record\":\"a \\\"b\\\"\"}",
            "{\"record\":\"\"}",
            "{\"record\":\"c\"}",
        ];
        assert_eq!(records(&Lines, b"a \"b\"\n\nc").unwrap(), expected);
    }
}
