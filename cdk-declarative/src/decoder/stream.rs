//! Formats that are decoded piece by piece, by the decoders of `cdk-http`.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use cdk_core::{ConnectorError, ErrorContext, Result};
use cdk_http::decode::{
    Csv, Decode, DecodeError, DecodeErrorKind, Decoded, Decoder, Gzip, Json, Jsonl, Lines, Zip,
};
use serde_json::Value;

use crate::component::Component;
use crate::requester::body::{Body, BodyReader};

/// Bytes that are decoded at once.
const PIECE: usize = 64 << 10;

/// Cells that pandas takes for missing values.
const NA: [&str; 19] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// A format whose records are found one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Streamed(Arc<dyn Decoder>);

impl Streamed {
    /// One JSON document a line. Lines that are no JSON object are skipped with a warning.
    pub(super) fn json_lines(component: &Component<'_>) -> Result<Self> {
        encoded(component, Jsonl::new().skipping_bad_lines())
    }

    /// The items of an array inside a JSON document.
    pub(super) fn json_items(component: &Component<'_>) -> Result<Self> {
        let path = component.need_text("items_path")?;
        let path = path.split('.').map(str::to_owned).collect();
        encoded(component, Json::at_path(path))
    }

    /// Each line as a record.
    pub(super) fn lines() -> Self {
        Self(Arc::new(Decoded::by_header(Lines)))
    }

    /// Rows below a header row, as Python's `csv.DictReader` reads them.
    pub(super) fn csv(component: &Component<'_>) -> Result<Self> {
        let delimiter = match component.text("delimiter")?.unwrap_or(",") {
            "\\t" => b'\t',
            "\\n" => b'\n',
            "\\\\" => b'\\',
            text => match text.as_bytes() {
                [one] => *one,
                _ => {
                    return Err(component.error(format!(
                        "The CSV delimiter `{text}` must be one ASCII character."
                    )));
                }
            },
        };
        let nulls = component.texts("set_values_to_none")?;
        encoded(component, Csv::new().delimiter(delimiter).nulls(nulls))
    }

    /// Rows below a header row, as pandas reads a file of them.
    pub(super) fn file(keeps_na: bool) -> Self {
        let nulls = match keeps_na {
            true => &NA[..1],
            false => &NA[..],
        };
        let csv = Csv::new().nulls(nulls.iter().copied());
        Self(Arc::new(Decoded::by_header(csv))).gzip()
    }

    /// Compressed, or not if it turns out so.
    pub(super) fn gzip(self) -> Self {
        Self(Arc::new(Gzip(self)))
    }

    /// An archive of such files.
    pub(super) fn zip(self) -> Self {
        Self(Arc::new(Zip::new(self)))
    }

    /// The records of a body.
    pub(super) fn records(&self, body: &Body) -> impl Iterator<Item = Result<Value>> + use<> {
        Records {
            decode: self.0.start(None),
            reader: Some(body.reader()),
            found: VecDeque::new(),
        }
    }
}

impl Decoder for Streamed {
    fn start(&self, content_type: Option<&str>) -> Box<dyn Decode> {
        self.0.start(content_type)
    }
}

fn encoded(component: &Component<'_>, decoder: impl Decoder) -> Result<Streamed> {
    let name = component.text("encoding")?.unwrap_or("utf-8");
    let decoded = Decoded::by_name(decoder, name);
    let decoded = decoded.map_err(|error| component.error(error.message()))?;
    Ok(Streamed(Arc::new(decoded)))
}

struct Records {
    decode: Box<dyn Decode>,
    /// `None` behind the end.
    reader: Option<BodyReader>,
    found: VecDeque<Value>,
}

impl Records {
    fn next_record(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(record) = self.found.pop_front() {
                return Ok(Some(record));
            }
            if let Some(records) = self.decode.next().map_err(|error| undecodable(&error))? {
                for record in records.iter().map_err(|error| undecodable(&error))? {
                    let record = serde_json::from_str(record)
                        .system_error("A record in a response is nested too deeply to be read.")?;
                    self.found.push_back(record);
                }
                continue;
            }
            let Some(reader) = &mut self.reader else {
                return Ok(None);
            };
            let mut piece = vec![0; PIECE];
            let read = reader
                .read(&mut piece)
                .transient_error("A long answer can't be read from its temporary file.")?;
            piece.truncate(read);
            self.decode.push(Bytes::from(piece), read == 0);
            if read == 0 {
                self.reader = None;
            }
        }
    }
}

fn undecodable(error: &DecodeError) -> ConnectorError {
    let text = format!("A response can't be decoded in the format of its `decoder`: {error}.");
    match error.kind() {
        DecodeErrorKind::Machine => ConnectorError::transient(text),
        _ => ConnectorError::system(text),
    }
}

impl Iterator for Records {
    type Item = Result<Value, ConnectorError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::Write;

    fn built(definition: &Value) -> Streamed {
        let component = Component::new(definition, "decoder".to_owned()).unwrap();
        match definition["type"].as_str() {
            Some("CsvDecoder") => Streamed::csv(&component),
            Some("JsonItemsDecoder") => Streamed::json_items(&component),
            _ => Streamed::json_lines(&component),
        }
        .unwrap()
    }

    fn records(streamed: &Streamed, body: impl Into<Bytes>) -> Vec<Value> {
        let found: Result<Vec<_>> = streamed.records(&body.into().into()).collect();
        found.unwrap()
    }

    #[test]
    fn formats_may_be_packed_or_not() {
        let csv = built(
            &json!({"type": "CsvDecoder", "delimiter": "\\t", "encoding": "latin-1",
            "set_values_to_none": ["-"]}),
        );
        let text = b"a\tb\ncaf\xE9\t-\nx\n";
        let expected = [
            json!({"a": "café", "b": null}),
            json!({"a": "x", "b": null}),
        ];
        assert_eq!(records(&csv, &text[..]), expected);
        let packed = csv.gzip();
        assert_eq!(records(&packed, &text[..]), expected);
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(text).unwrap();
        assert_eq!(records(&packed, writer.finish().unwrap()), expected);
    }

    #[test]
    fn a_file_has_nulls_where_pandas_finds_nothing() {
        let text = "id,a,b\n1,NA,\"x\ny\"\n2,,null\n";
        let row = |id: &str, a: Value, b: Value| json!({"id": id, "a": a, "b": b});
        assert_eq!(
            records(&Streamed::file(false), text),
            [
                row("1", json!(null), json!("x\ny")),
                row("2", json!(null), json!(null))
            ]
        );
        assert_eq!(
            records(&Streamed::file(true), text),
            [
                row("1", json!("NA"), json!("x\ny")),
                row("2", json!(null), json!("null"))
            ]
        );
    }

    #[test]
    fn items_inside_of_a_document_and_lines_come_one_by_one() {
        let items = built(&json!({"type": "JsonItemsDecoder", "items_path": "a.b"}));
        let body = r#"{"a": {"x": 1, "b": [{"n": 1}, {"n": 2}]}}"#;
        assert_eq!(records(&items, body), [json!({"n": 1}), json!({"n": 2})]);
        assert!(records(&items, r#"{"a": {}}"#).is_empty());
        let lines = built(&json!({"type": "JsonlDecoder"}));
        let body = "{\"n\": 1}\n\nnope\r\n{\"n\": 2}";
        assert_eq!(records(&lines, body), [json!({"n": 1}), json!({"n": 2})]);
    }

    #[test]
    fn a_broken_body_is_an_error_behind_its_good_records() {
        let items = built(&json!({"type": "JsonItemsDecoder", "items_path": "a"}));
        let body = Bytes::from_static(br#"{"a": [{"n": 1}, {"n": "#);
        let mut found = items.records(&body.into());
        assert_eq!(found.next().unwrap().unwrap(), json!({"n": 1}));
        let error = found.next().unwrap().unwrap_err();
        assert!(error.message().contains("ends in the middle"), "{error}");
    }
}
