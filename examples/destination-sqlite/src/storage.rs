//! How the values of a column are stored.

use airbyte_protocol::types::AirbyteType;
use cdk_core::destination::columns::decimal::exact_f64;
use cdk_core::destination::columns::{Cell, NonFinite};
use rusqlite::types::{ToSqlOutput, ValueRef};

/// The declared type of a column, and with it SQLite's affinity: which values are stored unchanged.
///
/// A column starts with the narrowest storage for its type and is widened by the first value that it
/// would not keep exactly: SQLite turns number-like text in a numeric column into a rounded double.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    /// `BOOLEAN`: 0 or 1.
    Boolean,
    /// `INTEGER`: whole numbers of 64 bits.
    Integer,
    /// `REAL`: doubles.
    Real,
    /// No declared type: every value as it is bound. Whole numbers of 64 bits as INTEGER, other numbers
    /// as REAL where a double is exact, else as their exact text.
    Exact,
    /// `TEXT`.
    Text,
}

impl Storage {
    pub(crate) fn of_type(data_type: &AirbyteType) -> Self {
        match data_type {
            AirbyteType::Boolean => Self::Boolean,
            AirbyteType::Integer => Self::Integer,
            AirbyteType::Number => Self::Real,
            _ => Self::Text,
        }
    }

    /// By the declared type of an existing column (SQLite's rules of affinity).
    pub(crate) fn of_declared(declared: &str) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |part| declared.contains(part);
        match declared.as_str() {
            "BOOLEAN" | "BOOL" => Self::Boolean,
            _ if has("INT") => Self::Integer,
            _ if has("CHAR") || has("CLOB") || has("TEXT") => Self::Text,
            _ if has("REAL") || has("FLOA") || has("DOUB") => Self::Real,
            _ => Self::Exact,
        }
    }

    pub(crate) fn declared(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Integer => "INTEGER",
            Self::Real => "REAL",
            Self::Exact => "",
            Self::Text => "TEXT",
        }
    }

    /// A storage that keeps the values of both.
    pub(crate) fn widen(self, other: Self) -> Self {
        use Storage::{Exact, Integer, Real};
        match (self, other) {
            (a, b) if a == b => a,
            (Integer | Real | Exact, Integer | Real | Exact) => Exact,
            _ => Self::Text,
        }
    }

    /// The SQL expression that brings the values of a column to a wider storage.
    pub(crate) fn converted(self, to: Self, column: &str) -> String {
        match (self, to) {
            (Self::Boolean, Self::Text) => {
                format!("CASE {column} WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE {column} END")
            }
            // SQLite prints 15 digits of a double; 17 are always exact.
            (Self::Real | Self::Exact, Self::Text) => format!(
                "CASE WHEN typeof({column}) <> 'real' OR \
                 CAST(CAST({column} AS TEXT) AS REAL) = {column} THEN CAST({column} AS TEXT) \
                 ELSE printf('%!.17g', {column}) END"
            ),
            _ => column.to_owned(),
        }
    }

    /// What to bind for a cell; `None` when the column must be widened to [`Storage::Exact`] first.
    pub(crate) fn bind<'a>(self, cell: &'a Cell<'_>) -> Option<ToSqlOutput<'a>> {
        let text = |text: &'a str| ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()));
        Some(match (self, cell) {
            (_, Cell::Null) => ToSqlOutput::Borrowed(ValueRef::Null),
            (Self::Text, Cell::Boolean(true)) => text("true"),
            (Self::Text, Cell::Boolean(false)) => text("false"),
            (_, Cell::Boolean(value)) => integer((*value).into()),
            // TEXT affinity makes it text.
            (Self::Integer | Self::Exact | Self::Text | Self::Boolean, Cell::Integer(value)) => {
                integer(*value)
            }
            (Self::Exact | Self::Text, Cell::BigInteger(digits)) => text(digits),
            (Self::Text, Cell::Number(number)) => text(number),
            (Self::Real, Cell::Number(number)) => real(exact_f64(number)?),
            (Self::Exact, Cell::Number(number)) => match (number.parse(), exact_f64(number)) {
                (Ok(whole), _) => integer(whole),
                (Err(_), Some(value)) => real(value),
                (Err(_), None) => text(number),
            },
            (Self::Text, Cell::NonFinite(value)) => text(value.as_str()),
            (Self::Real | Self::Exact, Cell::NonFinite(NonFinite::Infinity)) => real(f64::INFINITY),
            (Self::Real | Self::Exact, Cell::NonFinite(NonFinite::NegativeInfinity)) => {
                real(f64::NEG_INFINITY)
            }
            // SQLite makes a NaN double null.
            (Self::Exact, Cell::NonFinite(NonFinite::NaN)) => text("NaN"),
            (Self::Text | Self::Exact, Cell::Text(value)) => text(value),
            (Self::Text | Self::Exact, Cell::Json(value)) => text(value),
            _ => return None,
        })
    }
}

fn integer(value: i64) -> ToSqlOutput<'static> {
    ToSqlOutput::Borrowed(ValueRef::Integer(value))
}

fn real(value: f64) -> ToSqlOutput<'static> {
    ToSqlOutput::Borrowed(ValueRef::Real(value))
}
