//! TABLE_MAP events: which table the next rows are of, and how its columns are stored.

use super::event::BadEvent;
use super::reader::Reader;

/// A table as the log sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableMap {
    pub(crate) id: u64,
    pub(crate) database: String,
    pub(crate) table: String,
    pub(crate) columns: Vec<Stored>,
    /// Names of the columns, with `binlog_row_metadata=FULL`.
    pub(crate) names: Option<Vec<String>>,
}

/// How the values of a column are stored in row images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The type's number; for what is stored as a string, the number of its real type.
    pub(crate) kind: u8,
    /// What the size of a value depends on: see [`Stored::new`].
    pub(crate) meta: u16,
}

pub(crate) const TINY: u8 = 1;
pub(crate) const SHORT: u8 = 2;
pub(crate) const LONG: u8 = 3;
pub(crate) const FLOAT: u8 = 4;
pub(crate) const DOUBLE: u8 = 5;
pub(crate) const TIMESTAMP: u8 = 7;
pub(crate) const LONGLONG: u8 = 8;
pub(crate) const INT24: u8 = 9;
pub(crate) const DATE: u8 = 10;
pub(crate) const TIME: u8 = 11;
pub(crate) const DATETIME: u8 = 12;
pub(crate) const YEAR: u8 = 13;
pub(crate) const NEWDATE: u8 = 14;
pub(crate) const VARCHAR: u8 = 15;
pub(crate) const BIT: u8 = 16;
pub(crate) const TIMESTAMP2: u8 = 17;
pub(crate) const DATETIME2: u8 = 18;
pub(crate) const TIME2: u8 = 19;
pub(crate) const MARIADB_BLOB_COMPRESSED: u8 = 140;
pub(crate) const MARIADB_VARCHAR_COMPRESSED: u8 = 141;
pub(crate) const VECTOR: u8 = 242;
pub(crate) const JSON: u8 = 245;
pub(crate) const NEWDECIMAL: u8 = 246;
pub(crate) const ENUM: u8 = 247;
pub(crate) const SET: u8 = 248;
pub(crate) const BLOB: u8 = 252;
pub(crate) const VAR_STRING: u8 = 253;
pub(crate) const STRING: u8 = 254;
pub(crate) const GEOMETRY: u8 = 255;

/// The optional metadata that holds column names.
const COLUMN_NAMES: u8 = 4;

impl TableMap {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, BadEvent> {
        Self::try_parse(body).ok_or(BadEvent("a TABLE_MAP event can't be read"))
    }

    fn try_parse(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let id = table_id(&mut reader)?;
        let _flags = reader.u16()?;
        let name = |reader: &mut Reader<'_>| {
            let length = usize::from(reader.u8()?);
            let name = String::from_utf8(reader.take(length)?.to_vec()).ok();
            reader.skip(1)?;
            name
        };
        let (database, table) = (name(&mut reader)?, name(&mut reader)?);
        let count = reader.length()?;
        let kinds = reader.take(count)?;
        let mut metas = Reader::new(reader.sized()?);
        let columns: Option<Vec<_>> = kinds
            .iter()
            .map(|kind| Stored::new(*kind, &mut metas))
            .collect();
        let columns = columns?;
        // Which columns may be NULL.
        reader.skip(count.div_ceil(8))?;
        let mut names = None;
        while !reader.is_empty() {
            let kind = reader.u8()?;
            let mut value = Reader::new(reader.sized()?);
            if kind == COLUMN_NAMES {
                let mut found = Vec::with_capacity(count);
                while !value.is_empty() {
                    found.push(String::from_utf8(value.sized()?.to_vec()).ok()?);
                }
                names = Some(found).filter(|found| found.len() == count);
            }
        }
        Some(Self {
            id,
            database,
            table,
            columns,
            names,
        })
    }
}

/// The number of a table in TABLE_MAP and row events.
pub(crate) fn table_id(reader: &mut Reader<'_>) -> Option<u64> {
    let (low, high) = (reader.u32()?, reader.u16()?);
    Some(u64::from(high) << 32 | u64::from(low))
}

impl Stored {
    /// Reads a column's metadata: digits of a second, length of a length, longest value, or size.
    fn new(kind: u8, metas: &mut Reader<'_>) -> Option<Self> {
        let meta = match kind {
            FLOAT
            | DOUBLE
            | TIMESTAMP2
            | DATETIME2
            | TIME2
            | JSON
            | VECTOR
            | BLOB
            | GEOMETRY
            | MARIADB_BLOB_COMPRESSED
            | 249..=251 => u16::from(metas.u8()?),
            VARCHAR | BIT | NEWDECIMAL | MARIADB_VARCHAR_COMPRESSED => metas.u16()?,
            ENUM | SET | VAR_STRING | STRING => return Self::string(metas.u8()?, metas.u8()?),
            _ => 0,
        };
        Some(Self { kind, meta })
    }

    /// Types that are stored as a fixed string: the real one and its size are packed into two bytes, and two bits of a
    /// long size into the type.
    fn string(first: u8, second: u8) -> Option<Self> {
        if first & 0x30 == 0x30 {
            return Some(Self {
                kind: first,
                meta: u16::from(second),
            });
        }
        let high = u16::from((first & 0x30) ^ 0x30) << 4;
        Some(Self {
            kind: first | 0x30,
            meta: high | u16::from(second),
        })
    }

    /// Cuts a value off `reader`: without the length in front of it, if it has one.
    #[inline]
    pub(crate) fn value<'a>(&self, reader: &mut Reader<'a>) -> Option<&'a [u8]> {
        let fraction = |meta: u16| usize::from(meta).div_ceil(2);
        let size = match self.kind {
            TINY | YEAR => 1,
            SHORT => 2,
            INT24 | DATE | NEWDATE | TIME => 3,
            LONG | FLOAT | TIMESTAMP => 4,
            LONGLONG | DOUBLE | DATETIME => 8,
            TIMESTAMP2 => 4 + fraction(self.meta),
            DATETIME2 => 5 + fraction(self.meta),
            TIME2 => 3 + fraction(self.meta),
            NEWDECIMAL => super::decimal::stored_bytes(self.precision(), self.scale()),
            BIT => usize::from(self.meta >> 8) + usize::from(self.meta & 0xff != 0),
            ENUM | SET => usize::from(self.meta),
            VARCHAR | VAR_STRING | STRING | MARIADB_VARCHAR_COMPRESSED => match self.meta {
                0..=255 => usize::from(reader.u8()?),
                _ => usize::from(reader.u16()?),
            },
            BLOB | JSON | GEOMETRY | VECTOR | MARIADB_BLOB_COMPRESSED | 249..=251 => {
                let length = reader.take(usize::from(self.meta))?;
                usize::try_from(super::reader::little_endian(length)).ok()?
            }
            _ => return None,
        };
        reader.take(size)
    }

    /// Of a decimal: its digits.
    pub(crate) fn precision(&self) -> usize {
        usize::from(self.meta & 0xff)
    }

    /// Of a decimal: its digits behind the point.
    pub(crate) fn scale(&self) -> usize {
        usize::from(self.meta >> 8)
    }
}
