//! A table's columns at a point of the log.

use serde::{Deserialize, Serialize};

use crate::binlog::table_map::{self as stored, Stored, TableMap};
use crate::column::Kind;
use crate::discovery::json_columns_of;
use crate::literal::text;
use crate::wire::{Connection, Failure};

/// Columns in the table's order: name, type, and character set of text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Definition(pub(crate) Vec<(String, String, Option<String>)>);

/// A column of the log's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoggedColumn {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

impl Definition {
    /// The table's columns as they are now; empty if there is no such table.
    pub(crate) async fn read(
        connection: &mut Connection,
        database: &str,
        table: &str,
    ) -> Result<Self, Failure> {
        let sql = format!(
            "SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} ORDER BY ORDINAL_POSITION",
            text(database),
            text(table)
        );
        let mut columns = Vec::new();
        for row in connection.rows(&sql).await? {
            let mut row = row.into_iter();
            let mut next = || row.next().flatten();
            let (name, type_name, charset) = (
                next().unwrap_or_default(),
                next().unwrap_or_default(),
                next(),
            );
            columns.push((name, type_name, charset));
        }
        if columns
            .iter()
            .any(|(_, type_name, _)| type_name == "longtext")
        {
            let checked = json_columns_of(connection, database, table).await?;
            let json = columns
                .iter_mut()
                .filter(|(name, type_name, _)| type_name == "longtext" && checked.contains(name));
            json.for_each(|(_, type_name, charset)| {
                (*type_name, *charset) = ("json".to_owned(), None)
            });
        }
        Ok(Self(columns))
    }

    fn kind(&self, name: &str) -> Option<Kind> {
        let (_, type_name, charset) = self.0.iter().find(|(column, ..)| column == name)?;
        Kind::parse(type_name, charset.as_deref())
    }

    /// What the columns of a logged table are, if this definition fits it.
    pub(crate) fn resolve(&self, map: &TableMap) -> Option<Vec<LoggedColumn>> {
        let names: Vec<&String> = match &map.names {
            Some(names) => names.iter().collect(),
            None => self.0.iter().map(|(name, ..)| name).collect(),
        };
        if names.len() != map.columns.len() {
            return None;
        }
        let column = |(name, stored): (&String, &Stored)| {
            let kind = self.kind(name).filter(|kind| fits(kind, *stored))?;
            Some(LoggedColumn {
                name: name.clone(),
                kind,
            })
        };
        names.into_iter().zip(&map.columns).map(column).collect()
    }

    /// The same with the names of the log, and a guess where the type is not known: for columns that were changed
    /// more than once since, and in between held values that no definition tells of any more.
    pub(crate) fn guess(&self, map: &TableMap) -> Option<Vec<LoggedColumn>> {
        let names = map.names.as_ref()?;
        let column = |(name, stored): (&String, &Stored)| {
            let kind = self.kind(name).filter(|kind| fits(kind, *stored));
            LoggedColumn {
                name: name.clone(),
                kind: kind.unwrap_or_else(|| plain(*stored)),
            }
        };
        Some(names.iter().zip(&map.columns).map(column).collect())
    }
}

/// Whether values of this kind are stored in this way.
fn fits(kind: &Kind, at: Stored) -> bool {
    let is_string = matches!(
        at.kind,
        stored::STRING | stored::VARCHAR | stored::VAR_STRING
    );
    let is_blob = matches!(at.kind, stored::BLOB | 249..=251);
    match kind {
        Kind::Boolean => at.kind == stored::TINY,
        Kind::Integer { .. } => {
            matches!(
                at.kind,
                stored::TINY | stored::SHORT | stored::INT24 | stored::LONG | stored::LONGLONG
            )
        }
        Kind::Year => at.kind == stored::YEAR,
        Kind::Decimal => at.kind == stored::NEWDECIMAL,
        Kind::Float => at.kind == stored::FLOAT,
        Kind::Double => at.kind == stored::DOUBLE,
        Kind::Bit { .. } => at.kind == stored::BIT,
        Kind::Date => matches!(at.kind, stored::DATE | stored::NEWDATE),
        Kind::DateTime => matches!(at.kind, stored::DATETIME | stored::DATETIME2),
        Kind::Timestamp => matches!(at.kind, stored::TIMESTAMP | stored::TIMESTAMP2),
        Kind::Time => matches!(at.kind, stored::TIME | stored::TIME2),
        Kind::Enum(_) => at.kind == stored::ENUM,
        Kind::Set(_) => at.kind == stored::SET,
        Kind::Json => at.kind == stored::JSON || is_blob,
        Kind::Text { .. } => is_string || is_blob,
        Kind::Binary { .. } => is_string || is_blob || at.kind == stored::VECTOR,
        Kind::Uuid | Kind::Inet4 | Kind::Inet6 => is_string,
        Kind::Geometry => at.kind == stored::GEOMETRY || is_blob,
    }
}

/// What stored values are when nothing else is known.
fn plain(at: Stored) -> Kind {
    match at.kind {
        stored::YEAR => Kind::Year,
        stored::NEWDECIMAL => Kind::Decimal,
        stored::FLOAT => Kind::Float,
        stored::DOUBLE => Kind::Double,
        stored::DATE | stored::NEWDATE => Kind::Date,
        stored::DATETIME | stored::DATETIME2 => Kind::DateTime,
        stored::TIMESTAMP | stored::TIMESTAMP2 => Kind::Timestamp,
        stored::TIME | stored::TIME2 => Kind::Time,
        stored::JSON => Kind::Json,
        stored::STRING | stored::VARCHAR | stored::VAR_STRING => Kind::Text {
            charset: "utf8mb4".into(),
        },
        stored::TINY | stored::SHORT | stored::INT24 | stored::LONG | stored::LONGLONG => {
            Kind::Integer { is_unsigned: false }
        }
        _ => Kind::Binary { padded: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(names: Option<&[&str]>, kinds: &[u8]) -> TableMap {
        TableMap {
            id: 1,
            database: "shop".to_owned(),
            table: "t".to_owned(),
            columns: kinds
                .iter()
                .map(|kind| Stored {
                    kind: *kind,
                    meta: 0,
                })
                .collect(),
            names: names.map(|names| names.iter().map(ToString::to_string).collect()),
        }
    }

    fn definition(columns: &[(&str, &str)]) -> Definition {
        let column =
            |(name, type_name): &(&str, &str)| ((*name).to_owned(), (*type_name).to_owned(), None);
        Definition(columns.iter().map(column).collect())
    }

    #[test]
    fn names_in_the_log_find_their_columns_in_any_order() {
        let definition = definition(&[("a", "int(11)"), ("b", "date"), ("c", "double")]);
        let columns = definition
            .resolve(&map(Some(&["b", "a"]), &[stored::DATE, stored::LONG]))
            .unwrap();
        assert_eq!(
            columns[0],
            LoggedColumn {
                name: "b".to_owned(),
                kind: Kind::Date
            }
        );
        assert_eq!(columns[1].kind, Kind::Integer { is_unsigned: false });
    }

    #[test]
    fn without_names_number_and_types_of_the_columns_must_agree() {
        let definition = definition(&[("a", "int(11)"), ("b", "date")]);
        assert!(
            definition
                .resolve(&map(None, &[stored::LONG, stored::DATE]))
                .is_some()
        );
        assert!(
            definition
                .resolve(&map(None, &[stored::DATE, stored::LONG]))
                .is_none()
        );
        assert!(definition.resolve(&map(None, &[stored::LONG])).is_none());
        assert!(definition.guess(&map(None, &[stored::LONG])).is_none());
    }

    #[test]
    fn a_type_that_no_definition_tells_of_is_guessed_from_the_storage() {
        let definition = definition(&[("a", "int(11)")]);
        let map = map(Some(&["a", "gone"]), &[stored::VARCHAR, stored::LONGLONG]);
        assert_eq!(definition.resolve(&map), None);
        let columns = definition.guess(&map).unwrap();
        assert_eq!(
            columns[0].kind,
            Kind::Text {
                charset: "utf8mb4".into()
            }
        );
        assert_eq!(columns[1].kind, Kind::Integer { is_unsigned: false });
    }
}
