//! Columns: what their values are, and how they are told to Airbyte.

use std::sync::Arc;

use airbyte_protocol::types::AirbyteType;

/// What the values of a column are, as far as reading them goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `TINYINT(1)`, by MySQL's convention a boolean.
    Boolean,
    /// Whole numbers of up to 64 bits.
    Integer {
        /// Whether the sign bit is a value bit.
        is_unsigned: bool,
    },
    /// `YEAR`.
    Year,
    /// Decimals with up to 65 digits.
    Decimal,
    /// 32-bit floats.
    Float,
    /// 64-bit floats.
    Double,
    /// Bit strings; `BIT(1)` is a boolean.
    Bit {
        /// 1 to 64.
        width: u8,
    },
    /// Days.
    Date,
    /// Date and time of no time zone.
    DateTime,
    /// Instants.
    Timestamp,
    /// Times of day, and spans of up to 838 hours.
    Time,
    /// Text. In the binary log it stands in the column's own character set.
    Text {
        /// Name of the character set.
        charset: Arc<str>,
    },
    /// One of several labels.
    Enum(Arc<[String]>),
    /// Several of up to 64 labels.
    Set(Arc<[String]>),
    /// JSON: a type of its own in MySQL, text with a check in MariaDB.
    Json,
    /// Bytes.
    Binary {
        /// `BINARY(n)` is filled up with zeros to this many bytes.
        padded: Option<u16>,
    },
    /// MariaDB's `UUID`.
    Uuid,
    /// MariaDB's `INET4`.
    Inet4,
    /// MariaDB's `INET6`.
    Inet6,
    /// Points, lines and so on: SRID and well-known binary.
    Geometry,
}

impl Kind {
    /// The kind of a column as `information_schema` describes it: `column_type` is `int(10) unsigned`, `enum('a','b')`
    /// and the like, `charset` is set for text. `None` for a type that is not known here.
    pub fn parse(column_type: &str, charset: Option<&str>) -> Option<Self> {
        let end = column_type.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = column_type.split_at(end.unwrap_or(column_type.len()));
        let arguments = rest
            .strip_prefix('(')
            .and_then(|rest| rest.rsplit_once(')'));
        let arguments = arguments.map_or("", |(arguments, _)| arguments);
        let is_unsigned = rest.contains("unsigned") || rest.contains("zerofill");
        Some(match name.to_ascii_lowercase().as_str() {
            "tinyint" if arguments == "1" && !is_unsigned => Self::Boolean,
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => {
                Self::Integer { is_unsigned }
            }
            "year" => Self::Year,
            "decimal" => Self::Decimal,
            "float" => Self::Float,
            "double" => Self::Double,
            "bit" => Self::Bit {
                width: arguments.parse().unwrap_or(1),
            },
            "date" => Self::Date,
            "datetime" => Self::DateTime,
            "timestamp" => Self::Timestamp,
            "time" => Self::Time,
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Self::Text {
                charset: charset.unwrap_or("utf8mb4").into(),
            },
            "enum" => Self::Enum(labels(arguments)),
            "set" => Self::Set(labels(arguments)),
            "json" => Self::Json,
            "binary" => Self::Binary {
                padded: arguments.parse().ok(),
            },
            "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "vector" => {
                Self::Binary { padded: None }
            }
            "uuid" => Self::Uuid,
            "inet4" => Self::Inet4,
            "inet6" => Self::Inet6,
            "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
            | "multipolygon" | "geometrycollection" | "geomcollection" => Self::Geometry,
            _ => return None,
        })
    }

    /// How it is told to Airbyte.
    pub fn airbyte_type(&self) -> AirbyteType {
        match self {
            Self::Boolean | Self::Bit { width: 1 } => AirbyteType::Boolean,
            Self::Integer { .. } | Self::Year => AirbyteType::Integer,
            Self::Decimal | Self::Float | Self::Double => AirbyteType::Number,
            Self::Date => AirbyteType::Date,
            Self::DateTime => AirbyteType::TimestampWithoutTimezone,
            Self::Timestamp => AirbyteType::TimestampWithTimezone,
            Self::Time => AirbyteType::TimeWithoutTimezone,
            Self::Text { .. }
            | Self::Enum(_)
            | Self::Set(_)
            | Self::Uuid
            | Self::Inet4
            | Self::Inet6 => AirbyteType::String,
            Self::Json => AirbyteType::Unknown,
            Self::Bit { .. } | Self::Binary { .. } | Self::Geometry => AirbyteType::Binary,
        }
    }

    /// Whether `ORDER BY` and comparison with a literal agree on it, so that a read can be resumed behind a value.
    pub fn is_ordered(&self) -> bool {
        !matches!(
            self,
            // Floats of 32 bits compare with no literal as they do among themselves.
            Self::Float | Self::Json | Self::Geometry
        )
    }
}

/// The labels of `'a','it''s'`.
fn labels(arguments: &str) -> Arc<[String]> {
    let mut labels = Vec::new();
    let mut rest = arguments;
    while let Some(text) = rest.trim_start_matches(',').strip_prefix('\'') {
        let mut label = String::new();
        let mut chars = text.char_indices().peekable();
        let mut end = text.len();
        while let Some((at, char)) = chars.next() {
            if char != '\'' {
                label.push(char);
            } else if chars.next_if(|(_, next)| *next == '\'').is_some() {
                label.push('\'');
            } else {
                end = at + 1;
                break;
            }
        }
        labels.push(label);
        rest = text.get(end..).unwrap_or_default();
    }
    labels.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_both_servers_has_a_kind() {
        let text = |charset: &str| Kind::Text {
            charset: charset.into(),
        };
        let cases = [
            ("tinyint(1)", Kind::Boolean),
            ("tinyint(1) unsigned", Kind::Integer { is_unsigned: true }),
            ("tinyint(4)", Kind::Integer { is_unsigned: false }),
            ("bigint unsigned", Kind::Integer { is_unsigned: true }),
            (
                "int(10) unsigned zerofill",
                Kind::Integer { is_unsigned: true },
            ),
            ("decimal(65,30)", Kind::Decimal),
            ("float(7,2)", Kind::Float),
            ("double unsigned", Kind::Double),
            ("bit(64)", Kind::Bit { width: 64 }),
            ("year(4)", Kind::Year),
            ("datetime(6)", Kind::DateTime),
            ("timestamp /* mariadb-5.3 */", Kind::Timestamp),
            ("time(3)", Kind::Time),
            ("varchar(10)", text("latin1")),
            ("longtext", text("latin1")),
            ("json", Kind::Json),
            ("binary(16)", Kind::Binary { padded: Some(16) }),
            ("varbinary(16)", Kind::Binary { padded: None }),
            ("geomcollection", Kind::Geometry),
            ("uuid", Kind::Uuid),
        ];
        for (column_type, kind) in cases {
            assert_eq!(
                Kind::parse(column_type, Some("latin1")),
                Some(kind),
                "{column_type}"
            );
        }
        assert_eq!(Kind::parse("teapot(1)", None), None);
    }

    #[test]
    fn labels_keep_quotes_commas_and_brackets() {
        let kind = Kind::parse("enum('a','it''s','x,y','(z)','')", None);
        let labels = ["a", "it's", "x,y", "(z)", ""].map(str::to_owned);
        assert_eq!(kind, Some(Kind::Enum(labels.into())));
    }
}
