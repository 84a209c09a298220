//! The types of columns.

use airbyte_protocol::types::AirbyteType;

/// The type of a column in PostgreSQL, as far as this connector writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PgType {
    Boolean,
    Bigint,
    /// Without precision: every digit is kept.
    Numeric,
    Text,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Jsonb,
    Bytea,
}

impl PgType {
    pub(crate) fn of(data_type: &AirbyteType) -> Self {
        match data_type {
            AirbyteType::Boolean => Self::Boolean,
            AirbyteType::Integer => Self::Bigint,
            AirbyteType::Number => Self::Numeric,
            AirbyteType::String => Self::Text,
            AirbyteType::Date => Self::Date,
            AirbyteType::TimeWithoutTimezone => Self::Time,
            AirbyteType::TimeWithTimezone => Self::TimeTz,
            AirbyteType::TimestampWithoutTimezone => Self::Timestamp,
            AirbyteType::TimestampWithTimezone => Self::TimestampTz,
            AirbyteType::Binary => Self::Bytea,
            AirbyteType::Array(_)
            | AirbyteType::Object(_)
            | AirbyteType::Union(_)
            | AirbyteType::Unknown => Self::Jsonb,
        }
    }

    /// As in a statement.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Bigint => "bigint",
            Self::Numeric => "numeric",
            Self::Text => "varchar",
            Self::Date => "date",
            Self::Time => "time",
            Self::TimeTz => "timetz",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            Self::Jsonb => "jsonb",
            Self::Bytea => "bytea",
        }
    }

    /// By what `format_type` says of a column; `None` for types that this connector does not write.
    pub(crate) fn of_existing(format: &str) -> Option<Self> {
        Some(match format {
            "boolean" => Self::Boolean,
            "bigint" => Self::Bigint,
            "numeric" => Self::Numeric,
            "text" | "character varying" => Self::Text,
            "date" => Self::Date,
            "time without time zone" => Self::Time,
            "time with time zone" => Self::TimeTz,
            "timestamp without time zone" => Self::Timestamp,
            "timestamp with time zone" => Self::TimestampTz,
            "jsonb" => Self::Jsonb,
            "bytea" => Self::Bytea,
            _ => return None,
        })
    }

    /// A type that holds the values of both.
    pub(crate) fn widen(self, other: Self) -> Self {
        use PgType::{Bigint, Date, Jsonb, Numeric, Text, Timestamp, TimestampTz};
        match (self, other) {
            (a, b) if a == b => a,
            (Bigint, Numeric) | (Numeric, Bigint) => Numeric,
            (Date, Timestamp) | (Timestamp, Date) => Timestamp,
            (Date | Timestamp, TimestampTz) | (TimestampTz, Date | Timestamp) => TimestampTz,
            (Text, _) | (_, Text) => Text,
            (Jsonb, _) | (_, Jsonb) => Jsonb,
            _ => Text,
        }
    }

    /// The expression that brings a column of another type to this one.
    pub(crate) fn converted(self, column: &str) -> String {
        match self {
            Self::Jsonb => format!("to_jsonb({column})"),
            other => format!("{column}::{}", other.sql()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [PgType; 11] = [
        PgType::Boolean,
        PgType::Bigint,
        PgType::Numeric,
        PgType::Text,
        PgType::Date,
        PgType::Time,
        PgType::TimeTz,
        PgType::Timestamp,
        PgType::TimestampTz,
        PgType::Jsonb,
        PgType::Bytea,
    ];

    #[test]
    fn widening_does_not_depend_on_the_order() {
        for a in ALL {
            for b in ALL {
                assert_eq!(a.widen(b), b.widen(a), "{a:?} {b:?}");
                assert_eq!(a.widen(b).widen(b), a.widen(b));
            }
        }
    }
}
