//! Rows out of a window, with their places; bad ones are passed over and reported.

use crate::bad_row::{BadRow, RowError};
use crate::csv::CsvOptions;
use crate::csv::scan::{Cell, Scan, Scanner};
use crate::position::Position;
use crate::window::Window;

/// Reads one row after the other.
pub(super) struct CsvRows {
    window: Window,
    scanner: Scanner,
    skips_blank: bool,
    max_row_bytes: usize,
    /// How many cells a row must have, once it is known.
    width: Option<usize>,
    /// Lines before the window.
    lines: u64,
    /// The row handed out last: its bytes and lines are still in the window.
    pending: (usize, u64),
}

/// A row.
pub(super) struct Row<'a> {
    pub(super) text: &'a str,
    scanner: &'a Scanner,
}

impl<'a> Row<'a> {
    pub(super) fn cells(&self) -> &'a [Cell] {
        self.scanner.cells()
    }

    /// The value of one of its cells; `scratch` may be used to put it together.
    pub(super) fn value<'s>(&'s self, cell: Cell, scratch: &'s mut String) -> &'s str {
        self.scanner.value(self.text, cell, scratch)
    }
}

impl CsvRows {
    /// Reads on at `lines` lines into the text, where `window` begins.
    pub(super) fn new(
        window: Window,
        lines: u64,
        options: &CsvOptions,
        max_row_bytes: usize,
    ) -> Self {
        Self {
            window,
            scanner: Scanner::new(options.dialect),
            skips_blank: options.skips_blank,
            max_row_bytes,
            width: None,
            lines,
            pending: (0, 0),
        }
    }

    /// From here on, a row with another number of cells is bad.
    pub(super) fn set_width(&mut self, width: usize) {
        self.width = Some(width);
    }

    /// The place behind the last row, without a count of rows.
    pub(super) fn position(&self) -> Position {
        let (bytes, lines) = self.pending;
        let offset = self.window.offset() + bytes as u64;
        Position {
            offset,
            lines: self.lines + lines,
            rows: 0,
        }
    }

    /// Passes over one line, whatever is in it; false at the end of the text.
    pub(super) fn skip_line(&mut self) -> Result<bool, RowError> {
        self.consume_pending();
        if self.peek()?.is_empty() {
            return Ok(false);
        }
        self.resync()?;
        Ok(true)
    }

    /// What follows, at least one byte unless the text ends.
    pub(super) fn peek(&mut self) -> Result<&[u8], RowError> {
        while self.window.bytes().is_empty() && !self.window.is_end() {
            self.window.fill()?;
        }
        Ok(self.window.bytes())
    }

    /// The next row; `None` at the end of the text.
    pub(super) fn next_row(&mut self) -> Result<Option<Row<'_>>, RowError> {
        let text_bytes = loop {
            self.consume_pending();
            if self.peek()?.is_empty() {
                return Ok(None);
            }
            let text_bytes = self.scan_row()?;
            let is_blank = matches!(self.scanner.cells(), [cell] if cell.is_blank());
            if !(is_blank && self.skips_blank) {
                break text_bytes;
            }
        };
        if let Some(width) = self
            .width
            .filter(|width| *width != self.scanner.cells().len())
        {
            let found = self.scanner.cells().len();
            return Err(self.bad(
                format!("the row has {found} cells, but the header {width}"),
                ", or `sep` and `quotechar` to what the file uses",
            ));
        }
        let bytes = self.window.bytes().get(..text_bytes).unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(Row {
                text,
                scanner: &self.scanner,
            })),
            Err(error) => Err(self.bad(
                format!("byte {} of the row is not UTF-8 text", error.valid_up_to()),
                ", or `encoding` to the file's encoding",
            )),
        }
    }

    /// Scans the row at the front of the window, makes it pending and returns the length of its text.
    fn scan_row(&mut self) -> Result<usize, RowError> {
        loop {
            let (data, is_end) = (self.window.bytes(), self.window.is_end());
            let held = data.len();
            match self.scanner.scan(data, is_end) {
                Scan::Row {
                    text_bytes,
                    bytes,
                    inner_breaks,
                } if text_bytes <= self.max_row_bytes => {
                    self.pending = (bytes, inner_breaks + u64::from(bytes > text_bytes));
                    return Ok(text_bytes);
                }
                Scan::Incomplete if held <= self.max_row_bytes => self.window.fill()?,
                Scan::Unclosed => return Err(self.unreadable("a quote is opened and never closed")),
                Scan::Row { .. } | Scan::Incomplete => {
                    let max = self.max_row_bytes;
                    let problem = format!(
                        "the row is longer than {max} bytes; perhaps a quote in it is never closed"
                    );
                    return Err(self.unreadable(&problem));
                }
            }
        }
    }

    /// The row at the front has no end that makes sense: reading goes on at the next line.
    fn unreadable(&mut self, problem: &str) -> RowError {
        let error = self.bad(
            problem.to_owned(),
            ", `quoting` to 3 if quotes mean nothing in this file, or `max_row_bytes` higher",
        );
        match self.resync() {
            Ok(()) => error,
            Err(fatal) => fatal,
        }
    }

    /// Consumes up to and with the next line break.
    fn resync(&mut self) -> Result<(), RowError> {
        loop {
            let data = self.window.bytes();
            let broken = data.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let bytes = match broken {
                Some(at) if data.get(at) == Some(&b'\n') => at + 1,
                Some(at) if data.get(at + 1) == Some(&b'\n') => at + 2,
                // Whether `\n` follows is not in the window yet.
                Some(at) if at + 1 == data.len() && !self.window.is_end() => {
                    self.window.consume(at);
                    self.window.fill()?;
                    continue;
                }
                Some(at) => at + 1,
                None => data.len(),
            };
            self.window.consume(bytes);
            self.pending = (0, 0);
            if broken.is_some() || self.window.is_end() {
                self.lines += u64::from(broken.is_some());
                return Ok(());
            }
            self.window.fill()?;
        }
    }

    fn consume_pending(&mut self) {
        let (bytes, lines) = std::mem::take(&mut self.pending);
        self.window.consume(bytes);
        self.lines += lines;
    }

    /// The row at the front of the window is bad.
    fn bad(&self, problem: String, hint: &'static str) -> RowError {
        let (line, offset) = (self.lines + 1, self.window.offset());
        RowError::Bad(BadRow {
            line,
            offset,
            problem,
            hint,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FileFormat;
    use crate::reader_options::ReaderOptions;
    use std::io::Cursor;

    fn reader(text: &str, max_row_bytes: usize) -> CsvRows {
        let options = ReaderOptions::parse(None, FileFormat::Csv).unwrap();
        let window = Window::new(Box::new(Cursor::new(text.as_bytes().to_vec())), 0);
        CsvRows::new(window, 0, &options.csv, max_row_bytes)
    }

    /// Each row as its text, each bad one as its line, offset and problem.
    fn all(mut rows: CsvRows) -> Vec<Result<String, (u64, u64, String)>> {
        let mut seen = Vec::new();
        loop {
            match rows.next_row() {
                Ok(None) => return seen,
                Ok(Some(row)) => seen.push(Ok(row.text.to_owned())),
                Err(RowError::Bad(bad)) => seen.push(Err((bad.line, bad.offset, bad.problem))),
                Err(RowError::Fatal(error)) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn bad_rows_are_reported_with_their_place_and_passed_over() {
        let mut rows = reader("a,b\n\"x\ny\",2\n1,2,3\n\n4,5\r\n\"open,6\n7,8\n", 100);
        rows.set_width(2);
        let seen = all(rows);
        let texts: Vec<_> = seen.iter().filter_map(|row| row.as_deref().ok()).collect();
        assert_eq!(texts, ["a,b", "\"x\ny\",2", "4,5", "7,8"]);
        let bad: Vec<_> = seen.iter().filter_map(|row| row.as_ref().err()).collect();
        assert_eq!(
            bad[0],
            &(4, 12, "the row has 3 cells, but the header 2".to_owned())
        );
        assert_eq!(
            bad[1],
            &(7, 24, "a quote is opened and never closed".to_owned())
        );
    }

    #[test]
    fn a_row_over_the_limit_costs_one_line() {
        let text = format!("a\n\"b\n{}\nc\n", "x".repeat(50));
        let seen = all(reader(&text, 20));
        assert_eq!(seen[0], Ok("a".to_owned()));
        assert!(
            matches!(&seen[1], Err((2, 2, problem)) if problem.contains("longer than 20 bytes"))
        );
        assert!(matches!(&seen[2], Err((3, 5, _))));
        assert_eq!(seen[3], Ok("c".to_owned()));
        assert_eq!(seen.len(), 4);
    }

    #[test]
    fn a_line_far_longer_than_the_limit_is_dropped_in_pieces() {
        let text = format!("a\n{}\r\nb\n", "x".repeat(3 << 20));
        let seen = all(reader(&text, 1000));
        assert_eq!(seen.len(), 3);
        assert_eq!(seen[2], Ok("b".to_owned()));
    }

    #[test]
    fn positions_are_behind_the_row_handed_out() {
        let mut rows = reader("a,b\r\n\"1\n2\",3\nx", 100);
        let mut seen = Vec::new();
        while rows.next_row().unwrap().is_some() {
            let at = rows.position();
            seen.push((at.offset, at.lines));
        }
        assert_eq!(seen, [(5, 1), (13, 3), (14, 3)]);
    }

    #[test]
    fn lines_are_skipped_whatever_is_in_them() {
        let mut rows = reader("\"preamble\r\nsecond\na,b\n", 100);
        assert!(rows.skip_line().unwrap() && rows.skip_line().unwrap());
        assert_eq!(rows.next_row().unwrap().unwrap().text, "a,b");
        assert!(!rows.skip_line().unwrap());
    }
}
