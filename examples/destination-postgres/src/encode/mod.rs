//! Cells in PostgreSQL's binary COPY format.
//!
//! Source: "Binary Format" of `COPY` in PostgreSQL's documentation, and the `…_recv` functions of the types.

mod arrow;
mod json;
mod numeric;
mod temporal;

use airbyte_protocol::ChangeReason;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cdk_core::destination::columns::{Cell, NonFinite};

use crate::types::PgType;

pub(crate) use arrow::ArrowColumns;
pub(crate) use temporal::of_unix_ms;

/// What a COPY begins with: signature, flags, length of an extension.
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub(crate) const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// The length of a null.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();
/// Bytes of text that a value may have; a row must stay below 1 GiB.
const MAX_TEXT: usize = 900 << 20;

/// Writes rows of cells. A cell that the server would not take becomes null, with a reason.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// Before version 14, `numeric` has no infinity.
    has_infinite_numeric: bool,
    scratch: Vec<u8>,
    text: String,
}

impl Encoder {
    /// For a server of this version (`server_version_num`).
    pub(crate) fn new(server_version: i32) -> Self {
        Self {
            has_infinite_numeric: server_version >= 140_000,
            scratch: Vec::new(),
            text: String::new(),
        }
    }

    /// Writes one value: its length, then its bytes.
    pub(crate) fn cell(
        &mut self,
        out: &mut Vec<u8>,
        column: PgType,
        cell: &Cell<'_>,
    ) -> Result<(), ChangeReason> {
        let start = out.len();
        let written = self.value(out, column, cell);
        if written.is_err() {
            out.truncate(start);
            out.extend_from_slice(&NULL);
        }
        written
    }

    fn value(
        &mut self,
        out: &mut Vec<u8>,
        column: PgType,
        cell: &Cell<'_>,
    ) -> Result<(), ChangeReason> {
        const MISFIT: ChangeReason = ChangeReason::DestinationTypecastError;
        const SIZE: ChangeReason = ChangeReason::DestinationFieldSizeLimitation;
        match (column, cell) {
            (_, Cell::Null) => out.extend_from_slice(&NULL),
            (PgType::Text, cell) => return text(out, &text_of(cell)),
            (PgType::Jsonb, Cell::Json(json)) => return jsonb(out, json),
            (PgType::Jsonb, cell) => return jsonb(out, &json_of(cell)),
            (PgType::Boolean, Cell::Boolean(value)) => bytes(out, &[u8::from(*value)]),
            (PgType::Bigint, Cell::Integer(value)) => bytes(out, &value.to_be_bytes()),
            (PgType::Bigint, Cell::BigInteger(_)) => return Err(SIZE),
            (PgType::Numeric, Cell::Integer(value)) => numeric::write_integer(out, *value),
            (PgType::Numeric, Cell::BigInteger(digits)) => {
                numeric::write(out, digits, &mut self.scratch).map_err(|_| SIZE)?;
            }
            (PgType::Numeric, Cell::Number(number)) => {
                numeric::write(out, number, &mut self.scratch).map_err(|_| SIZE)?;
            }
            (PgType::Numeric, Cell::NonFinite(value)) => {
                if *value != NonFinite::NaN && !self.has_infinite_numeric {
                    return Err(SIZE);
                }
                numeric::write_non_finite(out, *value);
            }
            (PgType::Bytea, Cell::Text(base64)) => {
                self.scratch.clear();
                let decoded = BASE64_STANDARD.decode_vec(base64.as_ref(), &mut self.scratch);
                decoded.map_err(|_| MISFIT)?;
                if self.scratch.len() > MAX_TEXT {
                    return Err(SIZE);
                }
                bytes(out, &self.scratch);
            }
            (_, Cell::Text(value)) => temporal_value(out, column, value).ok_or(MISFIT)?,
            _ => return Err(MISFIT),
        }
        Ok(())
    }
}

/// Writes `value` as it is.
pub(crate) fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    // No value has 2 GiB: text is checked, the rest is small.
    let length = u32::try_from(value.len()).unwrap_or_default();
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
}

/// Writes text that is known to hold no byte 0.
pub(crate) fn plain_text(out: &mut Vec<u8>, value: &str) {
    bytes(out, value.as_bytes());
}

/// Writes JSON text that is known to be one that `jsonb` takes.
pub(crate) fn plain_jsonb(out: &mut Vec<u8>, json: &str) {
    let length = u32::try_from(json.len() + 1).unwrap_or_default();
    out.extend_from_slice(&length.to_be_bytes());
    // The version of the format.
    out.push(1);
    out.extend_from_slice(json.as_bytes());
}

/// Writes the text of a value in a record's metadata, if `jsonb` takes it.
pub(crate) fn jsonb(out: &mut Vec<u8>, json: &str) -> Result<(), ChangeReason> {
    json::check(json)?;
    plain_jsonb(out, json);
    Ok(())
}

/// Whether `jsonb` takes this text; why not, otherwise.
pub(crate) fn check_json(json: &str) -> Result<(), ChangeReason> {
    json::check(json)
}

fn text(out: &mut Vec<u8>, value: &str) -> Result<(), ChangeReason> {
    if value.len() > MAX_TEXT {
        return Err(ChangeReason::DestinationFieldSizeLimitation);
    }
    if memchr::memchr(0, value.as_bytes()).is_some() {
        return Err(ChangeReason::DestinationSerializationError);
    }
    plain_text(out, value);
    Ok(())
}

/// The text of a cell, for a column that was widened to text.
fn text_of<'a>(cell: &'a Cell<'_>) -> std::borrow::Cow<'a, str> {
    match cell {
        Cell::Text(text) | Cell::BigInteger(text) => text.as_ref().into(),
        Cell::Number(text) | Cell::Json(text) => (*text).into(),
        Cell::NonFinite(value) => value.as_str().into(),
        Cell::Boolean(true) => "true".into(),
        Cell::Boolean(false) => "false".into(),
        Cell::Integer(value) => value.to_string().into(),
        Cell::Null => "".into(),
    }
}

/// The JSON of a cell, for a column that was widened to JSON.
fn json_of<'a>(cell: &'a Cell<'_>) -> std::borrow::Cow<'a, str> {
    match cell {
        Cell::Text(text) => serde_json::Value::from(text.as_ref()).to_string().into(),
        Cell::NonFinite(value) => format!("\"{}\"", value.as_str()).into(),
        other => text_of(other),
    }
}

fn temporal_value(out: &mut Vec<u8>, column: PgType, text: &str) -> Option<()> {
    match column {
        PgType::Date => bytes(out, &temporal::date(text)?.to_be_bytes()),
        PgType::Time => bytes(out, &temporal::time(text)?.to_be_bytes()),
        PgType::Timestamp => bytes(out, &temporal::timestamp(text)?.to_be_bytes()),
        PgType::TimestampTz => bytes(out, &temporal::timestamptz(text)?.to_be_bytes()),
        PgType::TimeTz => {
            let (micros, west) = temporal::timetz(text)?;
            out.extend_from_slice(&12_u32.to_be_bytes());
            out.extend_from_slice(&micros.to_be_bytes());
            out.extend_from_slice(&west.to_be_bytes());
        }
        _ => return None,
    }
    Some(())
}
