//! The head of a CSV file: column names, and types inferred from the first rows.

use cdk_core::{ConnectorError, Result};

use crate::bad_row::RowError;
use crate::csv::header::{distinct, numbered};
use crate::csv::rows::CsvRows;
use crate::csv::{CsvOptions, HeaderOption, Kind, value};
use crate::position::Position;
use crate::window::Window;

/// What the head of a CSV file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CsvHead {
    /// Names and kinds, in the order of the file. Names differ and are not empty.
    pub(crate) columns: Vec<(String, Kind)>,
    /// Where the first row of data starts.
    pub(crate) start: Position,
}

/// Reads the head from `window`, the start of the text, up to `max_bytes` of it.
///
/// A bad row ends the inference with the second value, the kinds are those of the rows before it.
pub(crate) fn inspect(
    window: Window,
    options: &CsvOptions,
    max_row_bytes: usize,
    max_bytes: u64,
    file: &str,
) -> Result<(CsvHead, Option<RowError>)> {
    let mut rows = CsvRows::new(window, 0, options, max_row_bytes);
    let Names {
        names,
        start,
        first,
    } = names(&mut rows, options, file)?;
    reject_unknown_types(&names, options)?;
    rows.set_width(names.len());
    let mut kinds = Inference {
        kinds: vec![None; names.len()],
        options,
    };
    first
        .iter()
        .flatten()
        .enumerate()
        .for_each(|(place, text)| kinds.learn(place, text));
    let problem = kinds.learn_rows(&mut rows, max_bytes)?;
    Ok((
        CsvHead {
            columns: kinds.columns(names),
            start,
        },
        problem,
    ))
}

/// The columns' names.
struct Names {
    names: Vec<String>,
    /// Where the first row of data starts.
    start: Position,
    /// That row, if it had to be read to count the columns.
    first: Option<Vec<String>>,
}

fn names(rows: &mut CsvRows, options: &CsvOptions, file: &str) -> Result<Names> {
    let fail = |error: RowError| error.into_error(file);
    for _ in 0..options.skip_rows {
        if !rows.skip_line().map_err(fail)? {
            break;
        }
    }
    if let HeaderOption::Row(number) = options.header {
        let header = header(rows, number)
            .map_err(fail)?
            .ok_or_else(|| empty(file))?;
        let names = distinct(named(header, options)?);
        return Ok(Names {
            names,
            start: rows.position(),
            first: None,
        });
    }
    let start = rows.position();
    let first = texts(rows).map_err(fail)?;
    let names = match (&options.names, &first) {
        (Some(names), Some(first)) if names.len() != first.len() => {
            return Err(wrong_names(names.len(), first.len()));
        }
        (Some(names), _) => names.clone(),
        (None, Some(first)) => numbered(first.len()),
        (None, None) => return Err(empty(file)),
    };
    Ok(Names {
        names: distinct(names),
        start,
        first,
    })
}

/// The cells of row `number`, which names the columns.
fn header(rows: &mut CsvRows, number: u64) -> Result<Option<Vec<String>>, RowError> {
    for _ in 0..number {
        if rows.next_row()?.is_none() {
            return Ok(None);
        }
    }
    texts(rows)
}

/// The values of the next row.
fn texts(rows: &mut CsvRows) -> Result<Option<Vec<String>>, RowError> {
    let Some(row) = rows.next_row()? else {
        return Ok(None);
    };
    let mut scratch = String::new();
    let mut text = |cell| row.value(cell, &mut scratch).to_owned();
    Ok(Some(row.cells().iter().map(|cell| text(*cell)).collect()))
}

/// The given names, if there are any, instead of those of the header.
fn named(header: Vec<String>, options: &CsvOptions) -> Result<Vec<String>> {
    match &options.names {
        Some(names) if names.len() != header.len() => Err(wrong_names(names.len(), header.len())),
        Some(names) => Ok(names.clone()),
        None => Ok(header),
    }
}

fn wrong_names(names: usize, columns: usize) -> ConnectorError {
    ConnectorError::config(format!(
        "`reader_options.names` has {names} names, but the file {columns} columns. Name each column, \
         or set `sep` to what the file uses."
    ))
}

fn empty(file: &str) -> ConnectorError {
    ConnectorError::config(format!(
        "{file} is empty: it has no header, so there are no columns. Provide a file with a header, or \
         name the columns in `reader_options.names`."
    ))
}

fn reject_unknown_types(names: &[String], options: &CsvOptions) -> Result<()> {
    match options
        .types
        .columns()
        .find(|column| !names.iter().any(|name| name == column))
    {
        None => Ok(()),
        Some(column) => Err(ConnectorError::config(format!(
            "`reader_options.dtype` gives a type to column {column:?}, which the file does not have. \
             Its columns are {}.",
            names.join(", ")
        ))),
    }
}

/// Kinds of columns, widened row by row.
struct Inference<'a> {
    kinds: Vec<Option<Kind>>,
    options: &'a CsvOptions,
}

impl Inference<'_> {
    fn learn(&mut self, place: usize, text: &str) {
        let Some(kind) = self.kinds.get_mut(place) else {
            return;
        };
        if *kind == Some(Kind::Text) || self.options.nulls.says_nothing(text) {
            return;
        }
        let found = value::kind_of(text, self.options);
        *kind = Some(kind.map_or(found, |kind| kind.widen(found)));
    }

    /// Learns from rows until `max_bytes` of the text are read.
    fn learn_rows(&mut self, rows: &mut CsvRows, max_bytes: u64) -> Result<Option<RowError>> {
        let mut scratch = String::new();
        while rows.position().offset < max_bytes {
            match rows.next_row() {
                Ok(None) => break,
                Ok(Some(row)) => {
                    for (place, cell) in row.cells().iter().enumerate() {
                        self.learn(place, row.value(*cell, &mut scratch));
                    }
                }
                Err(RowError::Fatal(error)) => return Err(error),
                Err(bad) => return Ok(Some(bad)),
            }
        }
        Ok(None)
    }

    /// Columns without any value are text: it takes whatever comes.
    fn columns(self, names: Vec<String>) -> Vec<(String, Kind)> {
        let kinds = self
            .kinds
            .into_iter()
            .map(|kind| kind.unwrap_or(Kind::Text));
        let typed = |(name, inferred): (String, Kind)| {
            let kind = self.options.types.of(&name).unwrap_or(inferred);
            (name, kind)
        };
        names.into_iter().zip(kinds).map(typed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FileFormat;
    use crate::reader_options::ReaderOptions;
    use std::io::Cursor;

    fn head(text: &str, options: &str) -> Result<(CsvHead, bool)> {
        let options = ReaderOptions::parse(Some(options), FileFormat::Csv).unwrap();
        let window = Window::new(Box::new(Cursor::new(text.as_bytes().to_vec())), 0);
        let (head, problem) = inspect(window, &options.csv, 1000, 1000, "f.csv")?;
        Ok((head, problem.is_some()))
    }

    fn columns(text: &str, options: &str) -> Vec<(String, Kind)> {
        head(text, options).unwrap().0.columns
    }

    fn expected(columns: &[(&str, Kind)]) -> Vec<(String, Kind)> {
        columns
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), *kind))
            .collect()
    }

    #[test]
    fn kinds_are_widened_over_rows_and_nulls_say_nothing() {
        let text = "a,b,c,d,e\n1,1,true,x,\n2,2.5,NA,1,\n,,false,,\n";
        let kinds = [
            ("a", Kind::Integer),
            ("b", Kind::Number),
            ("c", Kind::Boolean),
            ("d", Kind::Text),
            ("e", Kind::Text),
        ];
        assert_eq!(columns(text, "{}"), expected(&kinds));
    }

    #[test]
    fn the_header_is_found_where_the_options_say() {
        let a_b = expected(&[("a", Kind::Integer), ("b", Kind::Text)]);
        assert_eq!(
            columns("junk\nmore \"junk\na,b\n1,x\n", r#"{"skiprows": 2}"#),
            a_b
        );
        assert_eq!(columns("u,v\na,b\n1,x\n", r#"{"header": 1}"#), a_b);
        assert_eq!(columns("1,x\n", r#"{"names": ["a", "b"]}"#), a_b);
        assert_eq!(
            columns("u,v\n1,x\n", r#"{"names": ["a", "b"], "header": 0}"#),
            a_b
        );
        let numbered = expected(&[("0", Kind::Integer), ("1", Kind::Text)]);
        assert_eq!(columns("1,x\n", r#"{"header": null}"#), numbered);
    }

    #[test]
    fn data_starts_behind_the_header_or_at_the_first_row() {
        let start = |text, options| head(text, options).unwrap().0.start;
        assert_eq!(
            start("x\n\na,b\n1,2\n", r#"{"skiprows": 1}"#),
            Position {
                offset: 7,
                lines: 3,
                rows: 0
            }
        );
        assert_eq!(
            start("x\n1,2\n", r#"{"skiprows": 1, "header": null}"#).offset,
            2
        );
    }

    #[test]
    fn fixed_types_win_and_must_name_columns() {
        let text = "a,b\n1,2\n";
        let kinds = expected(&[("a", Kind::Text), ("b", Kind::Integer)]);
        assert_eq!(columns(text, r#"{"dtype": {"a": "str"}}"#), kinds);
        let error = head(text, r#"{"dtype": {"z": "str"}}"#).unwrap_err();
        assert!(
            error.message().contains("\"z\"") && error.message().contains("a, b"),
            "{error}"
        );
    }

    #[test]
    fn a_bad_row_ends_the_inference_only() {
        let (head, is_cut) = head("a,b\n1,2\n1,2,3\nx,y\n", "{}").unwrap();
        assert_eq!(
            head.columns,
            expected(&[("a", Kind::Integer), ("b", Kind::Integer)])
        );
        assert!(is_cut);
    }

    #[test]
    fn an_empty_file_has_no_columns_but_a_header_alone_has() {
        assert!(
            head("", "{}")
                .unwrap_err()
                .message()
                .contains("f.csv is empty")
        );
        assert!(head("\n\n", "{}").is_err() && head("", r#"{"header": null}"#).is_err());
        assert_eq!(columns("a\n", "{}"), expected(&[("a", Kind::Text)]));
        assert_eq!(
            columns("", r#"{"names": ["a"]}"#),
            expected(&[("a", Kind::Text)])
        );
    }

    #[test]
    fn names_must_be_as_many_as_columns() {
        for options in [r#"{"names": ["a"]}"#, r#"{"names": ["a"], "header": 0}"#] {
            assert!(
                head("1,2\n", options)
                    .unwrap_err()
                    .message()
                    .contains("1 names"),
                "{options}"
            );
        }
    }
}
