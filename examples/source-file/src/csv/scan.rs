//! Cuts one row into cells.

/// The characters that structure a row. Line breaks are `\n`, `\r\n` and `\r`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    /// Opens a quoted cell, only as its first character. None: quotes mean nothing.
    pub(crate) quote: Option<u8>,
    /// Takes the meaning from the character after it.
    pub(crate) escape: Option<u8>,
    /// Whether two quotes in a quoted cell stand for one.
    pub(crate) is_doubling: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            is_doubling: true,
        }
    }
}

/// A cell as a part of its row's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    start: u32,
    end: u32,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The part is the value.
    Plain,
    /// The part is the value, and stood in quotes.
    Quoted,
    /// The part is the cell with all its quotes and escapes.
    Escaped { is_quoted: bool },
}

/// What a scan found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// A row; its cells are in [`Scanner::cells`].
    Row {
        /// Bytes of its text.
        text_bytes: usize,
        /// The same with the line break after it.
        bytes: usize,
        /// Line breaks inside quoted cells.
        inner_breaks: u64,
    },
    /// More input is needed.
    Incomplete,
    /// The input ends inside a quoted cell.
    Unclosed,
}

/// Finds the cells of one row after the other.
#[derive(Debug)]
pub(crate) struct Scanner {
    dialect: Dialect,
    /// Bytes that end an unquoted run.
    stops: [bool; 256],
    cells: Vec<Cell>,
}

impl Scanner {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let mut stops = [false; 256];
        let special = [b'\n', b'\r', dialect.delimiter]
            .into_iter()
            .chain(dialect.escape);
        for byte in special {
            stops[usize::from(byte)] = true;
        }
        Self {
            dialect,
            stops,
            cells: Vec::new(),
        }
    }

    /// The cells of the last row found.
    pub(crate) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Scans the row that `data` starts with. `is_end` says that nothing follows `data`, which is at
    /// most 4 GiB long.
    pub(crate) fn scan(&mut self, data: &[u8], is_end: bool) -> Scan {
        self.cells.clear();
        let (mut at, mut inner_breaks) = (0, 0);
        loop {
            let is_quoted =
                self.dialect.quote.is_some() && data.get(at).copied() == self.dialect.quote;
            let found = match is_quoted {
                true => self.quoted(data, at, is_end, &mut inner_breaks),
                false => self.unquoted(data, at, at, Form::Plain, is_end),
            };
            let (cell, stop) = match found {
                Ok(found) => found,
                Err(ended) => return ended,
            };
            self.cells.push(cell);
            let bytes = match data.get(stop) {
                None if is_end => stop,
                None => return Scan::Incomplete,
                Some(b'\n') => stop + 1,
                Some(b'\r') => match data.get(stop + 1) {
                    Some(b'\n') => stop + 2,
                    None if !is_end => return Scan::Incomplete,
                    _ => stop + 1,
                },
                Some(_) => {
                    at = stop + 1;
                    continue;
                }
            };
            return Scan::Row {
                text_bytes: stop,
                bytes,
                inner_breaks,
            };
        }
    }

    /// The cell that began at `start` and goes on unquoted at `from`, and where it ends.
    fn unquoted(
        &self,
        data: &[u8],
        start: usize,
        from: usize,
        mut form: Form,
        is_end: bool,
    ) -> Result<(Cell, usize), Scan> {
        let mut at = from;
        loop {
            let rest = data.get(at..).unwrap_or_default();
            let run = rest.iter().position(|byte| self.stops[usize::from(*byte)]);
            at += run.unwrap_or(rest.len());
            if run.is_none() || data.get(at).copied() != self.dialect.escape {
                return Ok((cell(start, at, form), at));
            }
            if at + 1 >= data.len() && !is_end {
                return Err(Scan::Incomplete);
            }
            if form == Form::Plain {
                form = Form::Escaped { is_quoted: false };
            }
            at = data.len().min(at + 2);
        }
    }

    /// The cell whose opening quote is at `start`, and where it ends.
    fn quoted(
        &self,
        data: &[u8],
        start: usize,
        is_end: bool,
        inner_breaks: &mut u64,
    ) -> Result<(Cell, usize), Scan> {
        let unclosed = if is_end {
            Scan::Unclosed
        } else {
            Scan::Incomplete
        };
        let mut is_escaped = false;
        let mut at = start + 1;
        let close = loop {
            let Some(found) = self.next_mark(data, at) else {
                return Err(unclosed);
            };
            let is_escape = data.get(found).copied() == self.dialect.escape;
            let next = data.get(found + 1);
            if !is_escape && next.is_none() && !is_end {
                return Err(Scan::Incomplete);
            }
            let is_doubled = self.dialect.is_doubling && next.copied() == self.dialect.quote;
            if !is_escape && !is_doubled {
                break found;
            }
            is_escaped = true;
            at = found + 2;
        };
        let inside = data.get(start + 1..close).unwrap_or_default();
        *inner_breaks += line_breaks(inside);
        let after = close + 1;
        let is_closed = data.get(after).is_none_or(|byte| self.ends_cell(*byte));
        if is_closed && !is_escaped {
            return Ok((cell(start + 1, close, Form::Quoted), after));
        }
        // Text after the closing quote belongs to the cell, as other readers have it.
        self.unquoted(
            data,
            start,
            after,
            Form::Escaped { is_quoted: true },
            is_end,
        )
    }

    /// The next quote or escape from `at` on.
    fn next_mark(&self, data: &[u8], at: usize) -> Option<usize> {
        let rest = data.get(at..)?;
        let found = match (self.dialect.quote, self.dialect.escape) {
            (Some(quote), Some(escape)) => memchr::memchr2(quote, escape, rest),
            (Some(quote), None) => memchr::memchr(quote, rest),
            (None, _) => None,
        };
        found.map(|found| at + found)
    }

    fn ends_cell(&self, byte: u8) -> bool {
        byte == self.dialect.delimiter || byte == b'\n' || byte == b'\r'
    }

    /// The value of `cell` of the row `row`; `scratch` holds it when it has to be put together.
    pub(crate) fn value<'a>(&self, row: &'a str, cell: Cell, scratch: &'a mut String) -> &'a str {
        let part = row
            .get(cell.start as usize..cell.end as usize)
            .unwrap_or_default();
        let Form::Escaped { is_quoted } = cell.form else {
            return part;
        };
        scratch.clear();
        let mut in_quotes = is_quoted;
        let mut chars = part.chars().skip(usize::from(is_quoted)).peekable();
        let is = |given: Option<u8>, c: char| given.is_some_and(|given| char::from(given) == c);
        while let Some(c) = chars.next() {
            if is(self.dialect.escape, c) {
                scratch.extend(chars.next());
            } else if in_quotes && is(self.dialect.quote, c) {
                let doubled = chars.next_if(|next| self.dialect.is_doubling && *next == c);
                in_quotes = doubled.is_some();
                scratch.extend(doubled);
            } else {
                scratch.push(c);
            }
        }
        scratch
    }
}

impl Cell {
    /// Whether the cell stood in quotes.
    pub(crate) fn is_quoted(self) -> bool {
        matches!(self.form, Form::Quoted | Form::Escaped { is_quoted: true })
    }

    /// Whether there is nothing, not even quotes.
    pub(crate) fn is_blank(self) -> bool {
        self.form == Form::Plain && self.start == self.end
    }
}

fn cell(start: usize, end: usize, form: Form) -> Cell {
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Cell {
        start: place(start),
        end: place(end),
        form,
    }
}

/// How many lines `text` ends; `\r\n` counts once.
fn line_breaks(text: &[u8]) -> u64 {
    let mut breaks = memchr::memchr_iter(b'\n', text).count();
    for at in memchr::memchr_iter(b'\r', text) {
        breaks += usize::from(text.get(at + 1) != Some(&b'\n'));
    }
    breaks as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All rows of `text`, which comes in pieces of `step` bytes.
    fn rows(dialect: Dialect, text: &str, step: usize) -> Result<Vec<Vec<String>>, Scan> {
        let mut scanner = Scanner::new(dialect);
        let (mut rows, mut at, mut seen) = (Vec::new(), 0, 0);
        while at < text.len() {
            let is_end = seen >= text.len();
            let data = &text.as_bytes()[at..seen.min(text.len())];
            match scanner.scan(data, is_end) {
                Scan::Row {
                    text_bytes, bytes, ..
                } => {
                    let row = &text[at..at + text_bytes];
                    let value =
                        |cell: &Cell| scanner.value(row, *cell, &mut String::new()).to_owned();
                    rows.push(scanner.cells().iter().map(value).collect());
                    at += bytes;
                }
                Scan::Incomplete => seen += step,
                Scan::Unclosed => return Err(Scan::Unclosed),
            }
        }
        Ok(rows)
    }

    fn plain(text: &str) -> Vec<Vec<String>> {
        rows(Dialect::default(), text, 1).unwrap()
    }

    #[test]
    fn line_breaks_of_all_kinds_end_rows() {
        assert_eq!(
            plain("a,b\nc,d\r\ne,f\rg,h"),
            [["a", "b"], ["c", "d"], ["e", "f"], ["g", "h"]]
        );
        assert_eq!(plain("a,\n,b\n"), [["a", ""], ["", "b"]]);
        assert_eq!(plain("\n\n"), [[""], [""]]);
    }

    #[test]
    fn quotes_hide_delimiters_breaks_and_doubled_quotes() {
        assert_eq!(
            plain("\"a,\r\nb\",\"c \"\"d\"\"\"\n"),
            [["a,\r\nb", "c \"d\""]]
        );
        assert_eq!(plain("\"\",x"), [["", "x"]]);
        // Quotes inside a cell, and text behind a closing quote, are text.
        assert_eq!(plain("5\" pipe,\"a\"b\"c\n"), [["5\" pipe", "ab\"c"]]);
    }

    #[test]
    fn an_escape_takes_meaning_away() {
        let dialect = Dialect {
            escape: Some(b'\\'),
            is_doubling: false,
            ..Dialect::default()
        };
        let expected = [["a,b", "c\"d", "e\\"], ["x\ny", "é", ""]];
        let text = "a\\,b,\"c\\\"d\",\"e\\\\\"\nx\\\ny,\\é,\n";
        assert_eq!(rows(dialect, text, 1).unwrap(), expected);
    }

    #[test]
    fn without_a_quote_character_quotes_are_text() {
        let dialect = Dialect {
            quote: None,
            ..Dialect::default()
        };
        assert_eq!(rows(dialect, "\"a,b\"\n", 1).unwrap(), [["\"a", "b\""]]);
    }

    #[test]
    fn an_unclosed_quote_is_told_from_a_missing_rest() {
        let mut scanner = Scanner::new(Dialect::default());
        assert_eq!(scanner.scan(b"a,\"b\n", false), Scan::Incomplete);
        assert_eq!(scanner.scan(b"a,\"b\n", true), Scan::Unclosed);
        assert_eq!(scanner.scan(b"a,\"b\"", false), Scan::Incomplete);
        let whole = Scan::Row {
            text_bytes: 5,
            bytes: 5,
            inner_breaks: 0,
        };
        assert_eq!(scanner.scan(b"a,\"b\"", true), whole);
    }

    #[test]
    fn breaks_inside_quotes_are_counted() {
        let mut scanner = Scanner::new(Dialect::default());
        let found = scanner.scan(b"\"a\nb\r\nc\rd\",x\n", false);
        assert_eq!(
            found,
            Scan::Row {
                text_bytes: 12,
                bytes: 13,
                inner_breaks: 3
            }
        );
    }

    proptest! {
        /// The same rows as the `csv` crate, however the input is cut. It passes over empty lines and
        /// closes open quotes at the end, so those are left out.
        #[test]
        fn rows_are_those_of_the_csv_crate(text in "([ab,\"\n\ré]|\r\n|\"\"){0,40}", step in 1usize..9) {
            if let Ok(ours) = rows(Dialect::default(), &text, step) {
                let blank = [String::new()];
                let is_quoted_blank = text.split(['\n', '\r']).any(|line| line == "\"\"");
                prop_assume!(!is_quoted_blank);
                let ours: Vec<_> = ours.into_iter().filter(|row| row[..] != blank).collect();
                let mut oracle = csv::ReaderBuilder::new();
                let mut oracle = oracle.has_headers(false).flexible(true).from_reader(text.as_bytes());
                let theirs: Vec<Vec<String>> = oracle
                    .records()
                    .map(|row| row.unwrap().iter().map(str::to_owned).collect())
                    .collect();
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}
