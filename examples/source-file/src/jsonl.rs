//! JSONL: each line is one JSON object, and passes as it is.

use airbyte_protocol::types::{AirbyteType, widen};
use cdk_core::Result;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::bad_row::{BadRow, RowError};
use crate::block::Block;
use crate::position::Position;
use crate::window::Window;

/// Reads lines and passes them on as records.
pub(crate) struct JsonlRecords {
    window: Window,
    max_row_bytes: usize,
    lines: u64,
}

impl JsonlRecords {
    /// `window` begins between lines, at `lines` lines into the text.
    pub(crate) fn new(window: Window, lines: u64, max_row_bytes: usize) -> Self {
        Self {
            window,
            max_row_bytes,
            lines,
        }
    }

    /// The place behind the last line, without a count of rows.
    pub(crate) fn position(&self) -> Position {
        Position {
            offset: self.window.offset(),
            lines: self.lines,
            rows: 0,
        }
    }

    /// Writes the next record to `block`; false at the end of the text.
    pub(crate) fn next_into(&mut self, block: &mut Block) -> Result<bool, RowError> {
        self.next_with(|record| {
            block.text().push_str(record);
            block.end_record();
        })
    }

    /// Hands the next record to `take`; false at the end of the text.
    fn next_with(&mut self, mut take: impl FnMut(&str)) -> Result<bool, RowError> {
        loop {
            let Some((text_bytes, bytes)) = self.find_line()? else {
                return Ok(false);
            };
            let line = self.window.bytes().get(..text_bytes).unwrap_or_default();
            let checked = match text_bytes > self.max_row_bytes {
                true => Err(format!(
                    "the line is longer than {} bytes",
                    self.max_row_bytes
                )),
                false => check(line),
            };
            let is_record = match checked {
                Ok(Some(record)) => {
                    take(record);
                    Ok(true)
                }
                Ok(None) => Ok(false),
                Err(problem) => Err(self.bad(problem)),
            };
            self.window.consume(bytes);
            self.lines += u64::from(bytes > text_bytes);
            if is_record? {
                return Ok(true);
            }
        }
    }

    /// Length of the line at the front without and with its break; `None` at the end of the text.
    fn find_line(&mut self) -> Result<Option<(usize, usize)>, RowError> {
        let mut searched = 0;
        loop {
            let data = self.window.bytes();
            let rest = data.get(searched..).unwrap_or_default();
            if let Some(found) = memchr::memchr(b'\n', rest) {
                return Ok(Some((searched + found, searched + found + 1)));
            }
            searched = data.len();
            if self.window.is_end() {
                return Ok((searched > 0).then_some((searched, searched)));
            }
            if searched > self.max_row_bytes {
                return Err(self.drop_line()?);
            }
            self.window.fill()?;
        }
    }

    /// Passes over a line that is over the limit without its end in sight.
    fn drop_line(&mut self) -> Result<RowError, RowError> {
        let error = self.bad(format!(
            "the line is longer than {} bytes",
            self.max_row_bytes
        ));
        loop {
            let data = self.window.bytes();
            let found = memchr::memchr(b'\n', data);
            self.window.consume(found.map_or(data.len(), |at| at + 1));
            self.lines += u64::from(found.is_some());
            if found.is_some() || self.window.is_end() {
                return Ok(error);
            }
            self.window.fill()?;
        }
    }

    fn bad(&self, problem: String) -> RowError {
        let (line, offset) = (self.lines + 1, self.window.offset());
        RowError::Bad(BadRow {
            line,
            offset,
            problem,
            hint: "",
        })
    }
}

/// The record in `line`; `None` if the line is blank.
fn check(line: &[u8]) -> Result<Option<&str>, String> {
    let text = std::str::from_utf8(line)
        .map_err(|error| format!("byte {} of the line is not UTF-8 text", error.valid_up_to()))?;
    let text = text.trim_matches([' ', '\t', '\r']);
    if text.is_empty() {
        return Ok(None);
    }
    if !text.starts_with('{') {
        return Err("expected one JSON object in a line, which starts with `{`".to_owned());
    }
    // The whole line is checked: a broken one would break every reader after us.
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) => Ok(Some(text)),
        Err(error) => Err(format!(
            "expected one whole JSON object in a line, but at column {} it {}",
            error.column(),
            if error.is_eof() {
                "ends too early"
            } else {
                "is not valid JSON"
            }
        )),
    }
}

/// What the head of a JSONL file says: the type of its records, inferred from the first lines.
///
/// A bad line ends the inference with the second value.
pub(crate) fn inspect(
    window: Window,
    max_row_bytes: usize,
    max_bytes: u64,
) -> Result<(AirbyteType, Option<RowError>)> {
    let mut records = JsonlRecords::new(window, 0, max_row_bytes);
    let mut found: Option<AirbyteType> = None;
    while records.position().offset < max_bytes {
        let mut learned = None;
        // Checked JSON still fails here when it is nested deeper than a tree can be built.
        let next = records.next_with(|record| {
            let value: Option<Value> = serde_json::from_str(record).ok();
            learned = value.as_ref().and_then(AirbyteType::of_value);
        });
        match next {
            Ok(true) => {}
            Ok(false) => break,
            Err(RowError::Fatal(error)) => return Err(error),
            Err(bad) => return Ok((found.unwrap_or(AirbyteType::Object(None)), Some(bad))),
        }
        found = match (found, learned) {
            (Some(known), Some(learned)) => Some(widen(known, learned)),
            (known, learned) => known.or(learned),
        };
    }
    Ok((found.unwrap_or(AirbyteType::Object(Some(Vec::new()))), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn window(text: &str) -> Window {
        Window::new(Box::new(Cursor::new(text.as_bytes().to_vec())), 0)
    }

    #[test]
    fn lines_pass_untouched() {
        let text = "{\"a\": 1.10}\r\n\n  {\"b\":12345678901234567890123}  \n{\"a\":\"\\ud800\"}";
        let mut records = JsonlRecords::new(window(text), 0, 100);
        let mut block = Block::new();
        while records.next_into(&mut block).unwrap() {}
        let seen: Vec<_> = block.records().map(|(record, _)| record).collect();
        let expected = [
            "{\"a\": 1.10}",
            "{\"b\":12345678901234567890123}",
            "{\"a\":\"\\ud800\"}",
        ];
        assert_eq!(seen, expected);
        assert_eq!(
            records.position(),
            Position {
                offset: text.len() as u64,
                lines: 3,
                rows: 0
            }
        );
    }

    #[test]
    fn bad_lines_are_reported_with_their_place_and_passed_over() {
        let long = "x".repeat(600_000);
        let text = format!("{{\"a\":1}}\n{{\"a\":[1,}}\n[1]\n{{\"a\"\n{long}\n{{\"a\":2}}\n{long}");
        let mut records = JsonlRecords::new(window(&text), 0, 1000);
        let (mut block, mut bad) = (Block::new(), Vec::new());
        loop {
            match records.next_into(&mut block) {
                Ok(true) => {}
                Ok(false) => break,
                Err(RowError::Bad(row)) => bad.push((row.line, row.offset, row.problem)),
                Err(RowError::Fatal(error)) => panic!("{error}"),
            }
        }
        assert_eq!(block.records().count(), 2);
        assert_eq!(
            bad.iter().map(|bad| (bad.0, bad.1)).collect::<Vec<_>>()[..3],
            [(2, 8), (3, 18), (4, 22)]
        );
        assert!(
            bad[0].2.contains("column 9") && bad[0].2.contains("not valid"),
            "{}",
            bad[0].2
        );
        assert!(bad[2].2.contains("ends too early"), "{}", bad[2].2);
        assert_eq!((bad[3].0, bad[4].0, bad.len()), (5, 7, 5));
    }

    #[test]
    fn types_are_widened_over_lines() {
        let text = "{\"a\":1,\"b\":[1]}\n{\"a\":1.5,\"c\":{\"d\":true}}\n{\"a\":null}\n";
        let (found, bad) = inspect(window(text), 100, 1000).unwrap();
        let AirbyteType::Object(Some(fields)) = found else {
            panic!("{found:?}")
        };
        let named: Vec<_> = fields
            .iter()
            .map(|f| (f.name.as_str(), &f.data_type))
            .collect();
        assert_eq!(named[0], ("a", &AirbyteType::Number));
        assert_eq!(
            named[1],
            (
                "b",
                &AirbyteType::Array(Some(Box::new(AirbyteType::Integer)))
            )
        );
        assert_eq!(named.len(), 3);
        assert!(bad.is_none() && fields.iter().all(|field| field.nullable));
    }
}
