//! How the values of a cursor column compare, where SQLite's own order is not that of the values.

use airbyte_protocol::types::AirbyteType;
use cdk_core::destination::columns::decimal::Decimal;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{Value, ValueRef};

use crate::names::quoted;
use crate::storage::Storage;

const DECIMAL_KEY: &str = "airbyte_decimal_key";
const TIME_KEY: &str = "airbyte_time_key";

/// How two values of a cursor column compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CursorOrder {
    /// As SQLite does.
    Plain,
    /// As numbers, though some are stored as text.
    Decimal,
    /// As instants: `…00Z` is before `…00.5Z`, and offsets count.
    Time,
}

impl CursorOrder {
    pub(crate) fn of(data_type: &AirbyteType, storage: Storage) -> Self {
        match (data_type, storage) {
            (
                AirbyteType::Date
                | AirbyteType::TimestampWithTimezone
                | AirbyteType::TimestampWithoutTimezone,
                _,
            ) => Self::Time,
            (AirbyteType::Integer | AirbyteType::Number, Storage::Exact | Storage::Text) => {
                Self::Decimal
            }
            _ => Self::Plain,
        }
    }

    /// The SQL expression by which the values of `expression` compare.
    pub(crate) fn key(self, expression: &str) -> String {
        match self {
            Self::Plain => expression.to_owned(),
            Self::Decimal => format!("{DECIMAL_KEY}({expression})"),
            Self::Time => format!("{TIME_KEY}({expression})"),
        }
    }

    /// The same for a column.
    pub(crate) fn column_key(self, table: &str, column: &str) -> String {
        self.key(&format!("{table}.{}", quoted(column)))
    }
}

/// Makes the functions known to the connection.
pub(crate) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(DECIMAL_KEY, 1, flags, |call| {
        Ok(decimal_key(call.get_raw(0)))
    })?;
    connection.create_scalar_function(TIME_KEY, 1, flags, |call| Ok(time_key(call.get_raw(0))))
}

/// A blob in the order of the numbers; infinities and NaN at the ends, as PostgreSQL sorts them. Text
/// that is no number stays as it is: SQLite puts text before blobs.
fn decimal_key(value: ValueRef<'_>) -> Value {
    let of_text = |text: &str| Decimal::parse(text).map(|decimal| Value::Blob(decimal.order_key()));
    let key = match value {
        ValueRef::Integer(n) => of_text(&n.to_string()),
        ValueRef::Real(f) if f == f64::INFINITY => Some(Value::Blob(vec![0xff, 0])),
        ValueRef::Real(f) if f == f64::NEG_INFINITY => Some(Value::Blob(vec![0])),
        ValueRef::Real(f) => of_text(&format!("{f:e}")),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok("NaN") => Some(Value::Blob(vec![0xff, 1])),
            Ok("Infinity") => Some(Value::Blob(vec![0xff, 0])),
            Ok("-Infinity") => Some(Value::Blob(vec![0])),
            Ok(text) => of_text(text),
            Err(_) => None,
        },
        ValueRef::Null | ValueRef::Blob(_) => None,
    };
    key.unwrap_or_else(|| unchanged(value))
}

/// A blob in the order of the instants. Text that is no time stays as it is.
fn time_key(value: ValueRef<'_>) -> Value {
    let text = match value {
        ValueRef::Text(text) => std::str::from_utf8(text).ok(),
        _ => None,
    };
    match text.and_then(instant) {
        Some((seconds, nanos)) => {
            let mut key = (seconds ^ i64::MIN).to_be_bytes().to_vec();
            key.extend(nanos.to_be_bytes());
            Value::Blob(key)
        }
        None => unchanged(value),
    }
}

fn unchanged(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Integer(n),
        ValueRef::Real(f) => Value::Real(f),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// Seconds since the Unix epoch and nanoseconds. Without an offset, UTC is assumed: all values of a
/// column are read alike.
fn instant(text: &str) -> Option<(i64, u32)> {
    let text = text.trim();
    let (text, is_bc) = text
        .strip_suffix("BC")
        .map_or((text, false), |rest| (rest.trim_end(), true));
    let time = parse(text)?;
    // 1 BC is year 0: 0044 BC is -43. Only the order counts, so leap days may be off by one here.
    let shift = if is_bc {
        let year: i64 = text.split('-').next()?.parse().ok()?;
        (2 * year - 1) * -31_556_952
    } else {
        0
    };
    Some((
        time.and_utc().timestamp().checked_add(shift)?,
        time.and_utc().timestamp_subsec_nanos(),
    ))
}

fn parse(text: &str) -> Option<NaiveDateTime> {
    if let Ok(time) = DateTime::<FixedOffset>::parse_from_rfc3339(text) {
        return Some(time.naive_utc());
    }
    let with_offset = [
        "%Y-%m-%dT%H:%M:%S%.f%#z",
        "%Y-%m-%d %H:%M:%S%.f%#z",
        "%Y-%m-%dT%H:%M%#z",
    ];
    let local = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
    ];
    let with_offset = with_offset
        .iter()
        .find_map(|format| DateTime::parse_from_str(text, format).ok());
    with_offset
        .map(|time| time.naive_utc())
        .or_else(|| {
            local
                .iter()
                .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        })
        .or_else(|| {
            Some(
                NaiveDate::parse_from_str(text, "%Y-%m-%d")
                    .ok()?
                    .and_time(NaiveTime::MIN),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(value: &Value) -> (u8, Vec<u8>) {
        match value {
            Value::Text(text) => (0, text.clone().into_bytes()),
            Value::Blob(bytes) => (1, bytes.clone()),
            other => panic!("no key: {other:?}"),
        }
    }

    #[test]
    fn times_compare_as_instants() {
        let sorted = [
            "0050-01-01 BC",
            "0044-03-15T00:00:00 BC",
            "0044-03-15",
            "2024-01-01T01:00:00+02:00",
            "2024-01-01",
            "2024-01-01T00:00:00.5Z",
            "2024-01-01 00:00:00.500001",
            "2024-01-01T00:00:01Z",
            "2024-01-01T00:00:00-0100",
        ];
        let keys: Vec<_> = sorted
            .iter()
            .map(|text| rank(&time_key(ValueRef::Text(text.as_bytes()))))
            .collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        let equal = [
            "2024-01-01T00:00:00Z",
            "2024-01-01 02:00:00+02",
            "2024-01-01T00:00",
        ];
        for text in equal {
            assert_eq!(
                time_key(ValueRef::Text(text.as_bytes())),
                time_key(ValueRef::Text(b"2024-01-01"))
            );
        }
        assert_eq!(
            time_key(ValueRef::Text(b"soon")),
            Value::Text("soon".to_owned())
        );
        assert_eq!(time_key(ValueRef::Null), Value::Null);
    }

    #[test]
    fn numbers_compare_whatever_their_storage() {
        let sorted = [
            ValueRef::Real(f64::NEG_INFINITY),
            ValueRef::Text(b"-18446744073709551616"),
            ValueRef::Integer(-5),
            ValueRef::Real(0.5),
            ValueRef::Integer(99),
            ValueRef::Text(b"99999999999999999999"),
            ValueRef::Text(b"100000000000000000000"),
            ValueRef::Real(f64::INFINITY),
            ValueRef::Text(b"NaN"),
        ];
        let keys: Vec<_> = sorted
            .iter()
            .map(|value| rank(&decimal_key(*value)))
            .collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
    }
}
