//! Comma-separated values with a header row.

use bytes::{Bytes, BytesMut};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::decode::lines::push_json_string;
use crate::decode::{
    Decode, DecodeError, DecodeErrorKind as Kind, Decoder, Records, RecordsBuilder,
};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// A longer row is an error.
const MAX_ROW_BYTES: usize = 64 << 20;

/// Rows of cells below a header row, as records of strings. Cells that a row lacks are null; those beyond the header
/// are left out. UTF-8; others through [`Decoded`](crate::decode::Decoded).
#[derive(Debug, Clone)]
pub struct Csv {
    delimiter: u8,
    nulls: Vec<String>,
}

impl Default for Csv {
    fn default() -> Self {
        Self {
            delimiter: b',',
            nulls: Vec::new(),
        }
    }
}

impl Csv {
    /// Commas between cells.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another separator.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// Cells with one of these texts are null.
    #[must_use]
    pub fn nulls<S: Into<String>>(mut self, nulls: impl IntoIterator<Item = S>) -> Self {
        self.nulls = nulls.into_iter().map(Into::into).collect();
        self
    }
}

impl Decoder for Csv {
    fn start(&self, _: Option<&str>) -> Box<dyn Decode> {
        let reader = ReaderBuilder::new().delimiter(self.delimiter).build();
        Box::new(CsvDecode {
            reader,
            nulls: self.nulls.clone(),
            header: None,
            head: Some(BytesMut::new()),
            input: Bytes::new(),
            is_end: false,
            is_done: false,
            cells: vec![0; 4096],
            cells_len: 0,
            ends: vec![0; 64],
            ends_len: 0,
            row: 0,
        })
    }
}

struct CsvDecode {
    reader: Reader,
    nulls: Vec<String>,
    /// The keys as JSON strings.
    header: Option<Vec<String>>,
    /// The first bytes, until a byte order mark is told from text.
    head: Option<BytesMut>,
    input: Bytes,
    is_end: bool,
    is_done: bool,
    cells: Vec<u8>,
    cells_len: usize,
    ends: Vec<usize>,
    ends_len: usize,
    row: u64,
}

impl CsvDecode {
    /// Reads on until a row is complete; false when more input is needed.
    fn read_row(&mut self) -> Result<bool, DecodeError> {
        loop {
            if self.is_done || (self.input.is_empty() && !self.is_end) {
                return Ok(false);
            }
            let cells = self.cells.get_mut(self.cells_len..).unwrap_or_default();
            let ends = self.ends.get_mut(self.ends_len..).unwrap_or_default();
            let (result, read, written, ended) = self.reader.read_record(&self.input, cells, ends);
            drop(self.input.split_to(read));
            self.cells_len += written;
            self.ends_len += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.cells.len() >= MAX_ROW_BYTES => {
                    let place = format!("row {} has more than {MAX_ROW_BYTES} bytes", self.row);
                    return Err(DecodeError::new(Kind::TooLarge, place));
                }
                ReadRecordResult::OutputFull => self.cells.resize(self.cells.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::End => self.is_done = true,
            }
        }
    }

    fn take_row(&mut self, records: &mut RecordsBuilder) -> Result<(), DecodeError> {
        self.row += 1;
        let cells = self.cells.get(..self.cells_len).unwrap_or_default();
        let text = std::str::from_utf8(cells).map_err(|_| {
            DecodeError::new(Kind::Encoding, format!("row {} is not UTF-8", self.row))
        })?;
        let mut start = 0;
        let ends = self.ends.get(..self.ends_len).unwrap_or_default();
        let mut cells = ends.iter().map(|end| {
            let cell = text.get(start..*end).unwrap_or_default();
            start = *end;
            cell
        });
        match &self.header {
            None => {
                let mut header = Vec::new();
                for name in cells {
                    let mut key = String::new();
                    push_json_string(&mut key, name)?;
                    header.push(key);
                }
                self.header = Some(header);
            }
            Some(header) => {
                for (at, key) in header.iter().enumerate() {
                    let out = records.text();
                    out.push(if at == 0 { '{' } else { ',' });
                    out.push_str(key);
                    out.push(':');
                    match cells.next() {
                        Some(cell) if !self.nulls.iter().any(|null| null == cell) => {
                            push_json_string(out, cell)?;
                        }
                        _ => out.push_str("null"),
                    }
                }
                records.text().push('}');
                records.end_record();
            }
        }
        self.cells_len = 0;
        self.ends_len = 0;
        Ok(())
    }
}

impl Decode for CsvDecode {
    fn push(&mut self, chunk: Bytes, is_end: bool) {
        self.is_end = is_end;
        let Some(head) = &mut self.head else {
            self.input = chunk;
            return;
        };
        // Taken off here: to the reader, an input of the mark alone is the end.
        head.extend_from_slice(&chunk);
        if head.len() >= BYTE_ORDER_MARK.len() || is_end {
            let mut start = head.split().freeze();
            if start.starts_with(BYTE_ORDER_MARK) {
                start = start.slice(BYTE_ORDER_MARK.len()..);
            }
            self.input = start;
            self.head = None;
        }
    }

    fn next(&mut self) -> Result<Option<Records>, DecodeError> {
        let mut records = RecordsBuilder::default();
        while self.read_row()? {
            self.take_row(&mut records)?;
        }
        Ok(records.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::testing::records;

    #[test]
    fn rows_become_records_of_strings() {
        let body = b"\xEF\xBB\xBFid,\"na\"\"me\",x\r\n1,\"a,\r\nb\",\n2,c\n3,d,NA,more\n";
        let expected = [
            r#"{"id":"1","na\"me":"a,\r\nb","x":""}"#,
            r#"{"id":"2","na\"me":"c","x":null}"#,
            r#"{"id":"3","na\"me":"d","x":null}"#,
        ];
        assert_eq!(records(&Csv::new().nulls(["NA"]), body).unwrap(), expected);
    }

    #[test]
    fn long_cells_and_many_columns_fit() {
        let header: Vec<String> = (0..200).map(|i| format!("c{i}")).collect();
        let cell = "x".repeat(10_000);
        let body = format!("{}\n{}", header.join(";"), vec![cell; 200].join(";"));
        let found =
            crate::decode::testing::decode(&Csv::new().delimiter(b';'), body.as_bytes(), 5000);
        let (found, _) = found.unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].len() > 2_000_000);
    }

    #[test]
    fn a_body_without_rows_has_no_records() {
        assert_eq!(records(&Csv::new(), b"").unwrap(), [""; 0]);
        assert_eq!(records(&Csv::new(), b"a,b\n").unwrap(), [""; 0]);
    }
}
