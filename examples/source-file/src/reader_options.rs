//! `reader_options`: a JSON object in text form, with the names of pandas' `read_csv` and `read_json`.

use cdk_core::{ConnectorError, ErrorContext, Result};
use encoding_rs::Encoding;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::config::FileFormat;
use crate::csv::{CsvOptions, Dialect, HeaderOption, Nulls, TypeOverrides};
use crate::encoding;

/// Keys that both formats know.
const COMMON: [&str; 6] = [
    "encoding",
    "encoding_errors",
    "compression",
    "nrows",
    "on_bad_lines",
    "max_row_bytes",
];
/// Keys of the CSV reader. `low_memory` and `engine` are accepted without effect: they tune pandas.
const CSV: [&str; 17] = [
    "sep",
    "delimiter",
    "quotechar",
    "quoting",
    "doublequote",
    "escapechar",
    "header",
    "names",
    "skiprows",
    "skip_blank_lines",
    "dtype",
    "na_values",
    "keep_default_na",
    "true_values",
    "false_values",
    "low_memory",
    "engine",
];
/// Keys of the JSONL reader.
const JSONL: [&str; 1] = ["lines"];

/// A row may have this many bytes unless `max_row_bytes` says otherwise. Records over the protocol's
/// limit of about 20 MB lose their largest fields later, in the sink.
const MAX_ROW_BYTES: u64 = 64 << 20;

/// What to do about a row that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadLines {
    /// The read ends with a config error.
    Fail,
    /// The row is left out and counted.
    Skip,
}

/// How the bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Gzip if the first bytes say so.
    Infer,
    /// Gzip, or it is an error.
    Gzip,
    /// As they are.
    None,
}

/// How bytes become text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextOptions {
    pub(crate) compression: Compression,
    pub(crate) encoding: &'static Encoding,
    /// Whether what is no text in the encoding becomes U+FFFD instead of an error.
    pub(crate) is_lossy: bool,
}

/// The options of one reader, parsed and checked.
#[derive(Debug, Clone)]
pub(crate) struct ReaderOptions {
    pub(crate) text: TextOptions,
    pub(crate) csv: CsvOptions,
    pub(crate) max_rows: Option<u64>,
    pub(crate) bad_lines: BadLines,
    pub(crate) max_row_bytes: usize,
}

impl ReaderOptions {
    /// Parses the options of `format`; empty text stands for none.
    pub(crate) fn parse(text: Option<&str>, format: FileFormat) -> Result<Self> {
        let text = text
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .unwrap_or("{}");
        let members: Map<String, Value> = serde_json::from_str(text).config_error(
            "`reader_options` is not a JSON object. Write it like {\"sep\": \";\"}, with double quotes.",
        )?;
        let specific: &[&str] = match format {
            FileFormat::Csv => &CSV,
            FileFormat::Jsonl => &JSONL,
        };
        reject_unknown(&members, specific)?;
        let mut options = Options(members);
        if options.take::<bool>("lines", "true")? == Some(false) {
            return Err(ConnectorError::config(
                "`reader_options.lines` can only be true: a JSONL file holds one object per line.",
            ));
        }
        Ok(Self {
            text: text_options(&mut options)?,
            max_rows: options.take("nrows", "a whole number of at least 0")?,
            bad_lines: bad_lines(&mut options)?,
            max_row_bytes: max_row_bytes(&mut options)?,
            csv: csv_options(&mut options)?,
        })
    }
}

fn reject_unknown(members: &Map<String, Value>, specific: &[&str]) -> Result<()> {
    let is_known = |key: &str| COMMON.contains(&key) || specific.contains(&key);
    let unknown: Vec<_> = members
        .keys()
        .filter(|key| !is_known(key))
        .map(|key| format!("`{key}`"))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let known: Vec<_> = specific.iter().chain(&COMMON).copied().collect();
    Err(ConnectorError::config(format!(
        "`reader_options` holds keys this reader does not know: {}. It knows {}.",
        unknown.join(", "),
        known.join(", ")
    )))
}

/// The members not yet taken.
struct Options(Map<String, Value>);

impl Options {
    /// Takes one option; null counts as not given.
    fn take<T: DeserializeOwned>(&mut self, key: &str, expected: &str) -> Result<Option<T>> {
        let value = self.0.remove(key).filter(|value| !value.is_null());
        let parsed = value.map(serde_json::from_value).transpose();
        parsed.map_err(|_| wrong(key, expected))
    }

    /// Takes a character that stands between or around cells.
    fn take_char(&mut self, key: &str) -> Result<Option<u8>> {
        const EXPECTED: &str = "one ASCII character other than a line break";
        let text: Option<String> = self.take(key, EXPECTED)?;
        let Some(text) = text else { return Ok(None) };
        match (text.as_str(), text.as_bytes()) {
            ("\\t" | "tab", _) => Ok(Some(b'\t')),
            (_, [byte]) if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(Some(*byte)),
            _ => Err(wrong(key, EXPECTED)),
        }
    }

    /// Takes one text or a list of texts.
    fn take_texts(&mut self, key: &str) -> Result<Option<Vec<String>>> {
        let text = |value: Value| match value {
            Value::String(text) => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(wrong(key, "a text or a list of texts")),
        };
        match self.0.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(items)) => {
                items.into_iter().map(text).collect::<Result<_>>().map(Some)
            }
            Some(value) => Ok(Some(vec![text(value)?])),
        }
    }
}

fn wrong(key: &str, expected: &str) -> ConnectorError {
    ConnectorError::config(format!("`reader_options.{key}` must be {expected}."))
}

fn text_options(options: &mut Options) -> Result<TextOptions> {
    let label: Option<String> = options.take("encoding", "the name of an encoding")?;
    let label = label.as_deref().unwrap_or("utf-8");
    let found = encoding::by_name(label).ok_or_else(|| {
        ConnectorError::config(format!(
            "`reader_options.encoding` names {label:?}, which is not a known encoding. Use utf-8, \
             utf-16, windows-1252, shift_jis or another name of the WHATWG encoding standard."
        ))
    })?;
    let errors: Option<String> = options.take("encoding_errors", "`strict` or `replace`")?;
    let is_lossy = match errors.as_deref() {
        None | Some("strict") => false,
        Some("replace") => true,
        Some(_) => return Err(wrong("encoding_errors", "`strict` or `replace`")),
    };
    Ok(TextOptions {
        compression: compression(options)?,
        encoding: found,
        is_lossy,
    })
}

fn compression(options: &mut Options) -> Result<Compression> {
    match options.0.remove("compression") {
        None => Ok(Compression::Infer),
        Some(Value::Null) => Ok(Compression::None),
        Some(Value::String(name)) if name == "infer" => Ok(Compression::Infer),
        Some(Value::String(name)) if name == "gzip" => Ok(Compression::Gzip),
        Some(_) => Err(wrong("compression", "`infer`, `gzip` or null")),
    }
}

fn bad_lines(options: &mut Options) -> Result<BadLines> {
    const EXPECTED: &str = "`error`, `warn` or `skip`";
    let choice: Option<String> = options.take("on_bad_lines", EXPECTED)?;
    match choice.as_deref() {
        None | Some("error") => Ok(BadLines::Fail),
        Some("skip" | "warn") => Ok(BadLines::Skip),
        Some(_) => Err(wrong("on_bad_lines", EXPECTED)),
    }
}

fn max_row_bytes(options: &mut Options) -> Result<usize> {
    const EXPECTED: &str = "a number of bytes from 1 to 1073741824";
    let bytes: u64 = options
        .take("max_row_bytes", EXPECTED)?
        .unwrap_or(MAX_ROW_BYTES);
    let is_fine = (1..=1 << 30).contains(&bytes);
    usize::try_from(bytes)
        .ok()
        .filter(|_| is_fine)
        .ok_or_else(|| wrong("max_row_bytes", EXPECTED))
}

fn csv_options(options: &mut Options) -> Result<CsvOptions> {
    let names: Option<Vec<String>> = options.take("names", "a list of column names")?;
    if names.as_ref().is_some_and(Vec::is_empty) {
        return Err(wrong("names", "a list of column names, not an empty one"));
    }
    let csv = CsvOptions {
        dialect: dialect(options)?,
        header: header(options, names.is_some())?,
        names,
        skip_rows: options
            .take("skiprows", "a whole number of at least 0")?
            .unwrap_or(0),
        skips_blank: options
            .take("skip_blank_lines", "true or false")?
            .unwrap_or(true),
        nulls: Nulls::new(
            options.take("keep_default_na", "true or false")?,
            options.take_texts("na_values")?.unwrap_or_default(),
        ),
        true_words: options.take_texts("true_values")?.unwrap_or_default(),
        false_words: options.take_texts("false_values")?.unwrap_or_default(),
        types: match options.0.remove("dtype") {
            None | Some(Value::Null) => TypeOverrides::default(),
            Some(types) => TypeOverrides::parse(&types)?,
        },
    };
    Ok(csv)
}

fn dialect(options: &mut Options) -> Result<Dialect> {
    let separators = (options.take_char("sep")?, options.take_char("delimiter")?);
    let delimiter = match separators {
        (Some(sep), Some(delimiter)) if sep != delimiter => {
            return Err(ConnectorError::config(
                "`reader_options` holds both `sep` and `delimiter`, and they differ. Keep one.",
            ));
        }
        (Some(given), _) | (None, Some(given)) => given,
        (None, None) => b',',
    };
    let is_unquoted = options.0.get("quotechar").is_some_and(Value::is_null);
    let quote = options.take_char("quotechar")?.unwrap_or(b'"');
    let quoting: Option<u8> = options.take("quoting", "0, 1 or 3")?;
    let quote = match quoting {
        None | Some(0 | 1) => (!is_unquoted).then_some(quote),
        Some(3) => None,
        Some(_) => {
            return Err(wrong(
                "quoting",
                "0, 1 (quotes mean something) or 3 (they do not)",
            ));
        }
    };
    let escape = options.take_char("escapechar")?;
    let is_doubling = options
        .take("doublequote", "true or false")?
        .unwrap_or(true);
    if quote == Some(delimiter) || escape == Some(delimiter) || (quote.is_some() && quote == escape)
    {
        return Err(ConnectorError::config(
            "`reader_options` gives one character two meanings: `sep`, `quotechar` and `escapechar` \
             must differ.",
        ));
    }
    Ok(Dialect {
        delimiter,
        quote,
        escape,
        is_doubling,
    })
}

fn header(options: &mut Options, has_names: bool) -> Result<HeaderOption> {
    const EXPECTED: &str = "the header's row number (0 for the first), `infer`, or null for a file \
        without a header";
    match options.0.remove("header") {
        None if has_names => Ok(HeaderOption::Absent),
        None => Ok(HeaderOption::Row(0)),
        Some(Value::String(word)) if word == "infer" && has_names => Ok(HeaderOption::Absent),
        Some(Value::String(word)) if word == "infer" => Ok(HeaderOption::Row(0)),
        Some(Value::Null) => Ok(HeaderOption::Absent),
        Some(value) => value
            .as_u64()
            .map(HeaderOption::Row)
            .ok_or_else(|| wrong("header", EXPECTED)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(text: &str) -> Result<ReaderOptions> {
        ReaderOptions::parse(Some(text), FileFormat::Csv)
    }

    #[test]
    fn nothing_given_means_comma_quote_header_utf8() {
        for text in [None, Some(""), Some(" {} ")] {
            let options = ReaderOptions::parse(text, FileFormat::Csv).unwrap();
            assert_eq!(options.csv.dialect, Dialect::default());
            assert_eq!(options.csv.header, HeaderOption::Row(0));
            assert_eq!(options.text.encoding, encoding_rs::UTF_8);
            assert_eq!(
                (options.bad_lines, options.max_rows),
                (BadLines::Fail, None)
            );
        }
    }

    #[test]
    fn unknown_keys_are_named_and_known_ones_listed() {
        let error = csv(r#"{"sepp": ";", "sep": ";", "colour": 1}"#).unwrap_err();
        assert!(error.message().contains("`sepp`, `colour`"), "{error}");
        assert!(
            error.message().contains("It knows sep, delimiter"),
            "{error}"
        );
        let error = ReaderOptions::parse(Some(r#"{"sep": ";"}"#), FileFormat::Jsonl).unwrap_err();
        assert!(error.message().contains("`sep`"), "{error}");
    }

    #[test]
    fn the_dialect_is_read() {
        let dialect = |text| csv(text).unwrap().csv.dialect;
        assert_eq!(dialect(r#"{"sep": "\t"}"#).delimiter, b'\t');
        assert_eq!(dialect(r#"{"delimiter": "\\t"}"#).delimiter, b'\t');
        assert_eq!(
            dialect(r#"{"quotechar": "'", "escapechar": "\\"}"#).quote,
            Some(b'\'')
        );
        assert_eq!(dialect(r#"{"quoting": 3}"#).quote, None);
        assert_eq!(dialect(r#"{"quotechar": null}"#).quote, None);
    }

    #[test]
    fn names_without_header_mean_a_file_without_one() {
        let header = |text| csv(text).unwrap().csv.header;
        assert_eq!(header(r#"{"names": ["a"]}"#), HeaderOption::Absent);
        assert_eq!(
            header(r#"{"names": ["a"], "header": 0}"#),
            HeaderOption::Row(0)
        );
        assert_eq!(header(r#"{"header": null}"#), HeaderOption::Absent);
        assert_eq!(header(r#"{"header": 2}"#), HeaderOption::Row(2));
    }

    #[test]
    fn wrong_values_name_their_key() {
        for (text, part) in [
            (r#"{"sep": ";;"}"#, "`reader_options.sep`"),
            (r#"{"sep": "é"}"#, "`reader_options.sep`"),
            (r#"{"nrows": -1}"#, "`reader_options.nrows`"),
            (r#"{"skiprows": [1]}"#, "`reader_options.skiprows`"),
            (r#"{"header": "first"}"#, "`reader_options.header`"),
            (r#"{"encoding": "klingon"}"#, "klingon"),
            (
                r#"{"encoding_errors": "ignore"}"#,
                "`reader_options.encoding_errors`",
            ),
            (r#"{"compression": "rar"}"#, "`reader_options.compression`"),
            (
                r#"{"on_bad_lines": "fix"}"#,
                "`reader_options.on_bad_lines`",
            ),
            (r#"{"max_row_bytes": 0}"#, "`reader_options.max_row_bytes`"),
            (r#"{"names": []}"#, "`reader_options.names`"),
            (r#"{"quoting": 2}"#, "`reader_options.quoting`"),
            (r#"{"dtype": {"a": "complex"}}"#, "complex"),
            (r#"{"sep": ";", "delimiter": ","}"#, "Keep one"),
            (r#"{"sep": "\""}"#, "two meanings"),
            ("{'sep': ';'}", "not a JSON object"),
            ("[]", "not a JSON object"),
        ] {
            let error = csv(text).unwrap_err();
            assert!(error.message().contains(part), "{text}: {error}");
        }
    }
}
