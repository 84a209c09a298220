//! The head of a file: what it takes to know its schema.

use airbyte_protocol::types::{AirbyteType, Field};
use cdk_core::{ConnectorError, ErrorContext, Result};

use crate::bad_row::RowError;
use crate::config::FileFormat;
use crate::csv::{self, CsvHead};
use crate::fingerprint::Fingerprint;
use crate::jsonl;
use crate::position::Position;
use crate::source::FileTask;
use crate::text::{self, Bytes};
use crate::window::Window;

/// Types are inferred from this much text.
const MAX_BYTES: u64 = 1 << 20;
/// This much text decides whether the file is a web page.
const PAGE_BYTES: usize = 512;

/// What the head of a file says.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) format: FormatHead,
    pub(crate) fingerprint: Fingerprint,
    /// See [`text::Text::seek_base`].
    pub(crate) seek_base: Option<u64>,
    /// The first row that can't be read, if it is in the head.
    pub(crate) problem: Option<RowError>,
}

/// The part that depends on the format.
#[derive(Debug)]
pub(crate) enum FormatHead {
    Csv(CsvHead),
    Jsonl(AirbyteType),
}

impl Head {
    /// Where the first row starts.
    pub(crate) fn start(&self) -> Position {
        match &self.format {
            FormatHead::Csv(head) => head.start,
            FormatHead::Jsonl(_) => Position::START,
        }
    }

    /// The JSON schema of the records. Each column may be null.
    pub(crate) fn json_schema(&self) -> serde_json::Value {
        match &self.format {
            FormatHead::Csv(head) => {
                let field = |(name, kind): &(String, csv::Kind)| Field::new(name, kind.to_type());
                let fields = head.columns.iter().map(field).collect();
                AirbyteType::Object(Some(fields)).to_json_schema(false)
            }
            FormatHead::Jsonl(records) => records.to_json_schema(false),
        }
    }
}

/// Opens the file and reads its head.
pub(crate) async fn read(task: FileTask) -> Result<Head> {
    let opened = task.location.open(0, None).await?;
    let fingerprint = opened.fingerprint;
    let inspected = tokio::task::spawn_blocking(move || inspect(opened.bytes, &task)).await;
    let (format, seek_base, problem) =
        inspected.system_error("The thread that reads the file's head crashed.")??;
    Ok(Head {
        format,
        fingerprint,
        seek_base,
        problem,
    })
}

/// Blocks.
fn inspect(bytes: Bytes, task: &FileTask) -> Result<(FormatHead, Option<u64>, Option<RowError>)> {
    let file = task.location.display();
    let text = text::decode(bytes, &task.options.text)?;
    let mut window = Window::new(text.bytes, 0);
    while window.bytes().len() < PAGE_BYTES && !window.is_end() {
        window.fill()?;
    }
    reject_web_page(window.bytes(), &file)?;
    let max_row_bytes = task.options.max_row_bytes;
    let (format, problem) = match task.format {
        FileFormat::Csv => {
            let (head, problem) =
                csv::inspect(window, &task.options.csv, max_row_bytes, MAX_BYTES, &file)?;
            (FormatHead::Csv(head), problem)
        }
        FileFormat::Jsonl => {
            let (records, problem) = jsonl::inspect(window, max_row_bytes, MAX_BYTES)?;
            (FormatHead::Jsonl(records), problem)
        }
    };
    Ok((format, text.seek_base, problem))
}

/// A link to a page about the file, or to a login, is the most common mistake with URLs.
fn reject_web_page(start: &[u8], file: &str) -> Result<()> {
    let start = start
        .get(..PAGE_BYTES.min(start.len()))
        .unwrap_or_default()
        .trim_ascii_start();
    let is_page = ["<!doctype html", "<html"].iter().any(|tag| {
        start
            .get(..tag.len())
            .is_some_and(|text| text.eq_ignore_ascii_case(tag.as_bytes()))
    });
    if !is_page {
        return Ok(());
    }
    Err(ConnectorError::config(format!(
        "{file} is a web page (HTML), not data. Use the link that downloads the file itself; a page \
         also comes when a login is needed."
    )))
}
