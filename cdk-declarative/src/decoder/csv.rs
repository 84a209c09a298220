//! CSV with a header row, as Python's `csv.DictReader` reads it.

use bytes::Bytes;
use cdk_core::{ErrorContext, Result};
use serde_json::{Map, Value};

use super::{Documents, Encoding};
use crate::component::Component;

/// CSV rows as objects of strings.
#[derive(Debug, Clone)]
pub(crate) struct CsvDecoder {
    encoding: Encoding,
    delimiter: u8,
    nulls: Vec<String>,
}

impl CsvDecoder {
    pub(super) fn build(component: &Component<'_>) -> Result<Self> {
        let delimiter = component.text("delimiter")?.unwrap_or(",");
        let delimiter = match delimiter {
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
        Ok(Self {
            encoding: Encoding::of(component)?,
            delimiter,
            nulls,
        })
    }

    pub(super) fn decode(&self, body: &Bytes) -> Result<Documents> {
        let text = self.encoding.text(body).into_owned();
        let mut reader = ::csv::ReaderBuilder::new()
            .delimiter(self.delimiter)
            .flexible(true)
            .has_headers(true)
            .from_reader(std::io::Cursor::new(text.into_bytes()));
        let broken = "A response that should be CSV could not be read.";
        let names: Vec<String> = reader
            .headers()
            .system_error(broken)?
            .iter()
            .map(str::to_owned)
            .collect();
        let nulls = self.nulls.clone();
        Ok(Documents::each(reader.into_records().map(move |row| {
            let row = row.system_error(broken)?;
            let mut record = Map::with_capacity(names.len());
            for (at, name) in names.iter().enumerate() {
                // A short row leaves the rest null; cells beyond the header have no name and are left out.
                let cell = row
                    .get(at)
                    .filter(|cell| !nulls.iter().any(|null| null == cell));
                record.insert(name.clone(), cell.map_or(Value::Null, Value::from));
            }
            Ok(Value::Object(record))
        })))
    }
}
