//! Character sets: text stands in the binary log in the set of its column.

use std::borrow::Cow;
use std::sync::Arc;

use encoding_rs::Encoding;

use crate::wire::{Connection, Failure};

/// How the bytes of a text column become text.
#[derive(Debug, Clone)]
pub(crate) enum Charset {
    /// UTF-8 already.
    Utf8,
    /// One byte a character: the server's own table.
    Single(Arc<[char]>),
    /// Several bytes a character.
    Multi(&'static Encoding),
    /// Four bytes a character.
    Utf32,
}

impl Charset {
    /// A set of one byte a character, as the server has it.
    pub(crate) async fn ask(name: &str, connection: &mut Connection) -> Result<Self, Failure> {
        let bytes: String = (0..=255_u8).map(|byte| format!("{byte:02x}")).collect();
        let sql = format!(
            "SELECT CONVERT(CAST(x'{bytes}' AS CHAR CHARACTER SET `{name}`) USING utf8mb4)"
        );
        let text = connection.value(&sql).await?.unwrap_or_default();
        let table: Vec<char> = text.chars().collect();
        match table.len() {
            256 => Ok(Self::Single(table.into())),
            _ => {
                tracing::warn!(
                    "Character set `{name}` is not known; text in it is read as UTF-8 where it is."
                );
                Ok(Self::Utf8)
            }
        }
    }

    /// The sets that need no asking.
    pub(crate) fn known(name: &str) -> Option<Self> {
        Some(match name {
            "utf8mb4" | "utf8mb3" | "utf8" | "ascii" | "binary" => Self::Utf8,
            "ucs2" | "utf16" => Self::Multi(encoding_rs::UTF_16BE),
            "utf16le" => Self::Multi(encoding_rs::UTF_16LE),
            "utf32" => Self::Utf32,
            "gbk" | "gb2312" => Self::Multi(encoding_rs::GBK),
            "gb18030" => Self::Multi(encoding_rs::GB18030),
            "big5" => Self::Multi(encoding_rs::BIG5),
            "sjis" | "cp932" => Self::Multi(encoding_rs::SHIFT_JIS),
            "ujis" | "eucjpms" => Self::Multi(encoding_rs::EUC_JP),
            "euckr" => Self::Multi(encoding_rs::EUC_KR),
            _ => return None,
        })
    }

    /// The text of these bytes. What is none becomes U+FFFD.
    pub(crate) fn decode<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match self {
            Self::Utf8 => Cow::Borrowed(bytes),
            Self::Single(table) => {
                let char = |byte: &u8| {
                    table
                        .get(usize::from(*byte))
                        .copied()
                        .unwrap_or(char::REPLACEMENT_CHARACTER)
                };
                let text: String = bytes.iter().map(char).collect();
                Cow::Owned(text.into_bytes())
            }
            Self::Multi(encoding) => match encoding.decode_without_bom_handling(bytes).0 {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            },
            Self::Utf32 => {
                let char = |four: &[u8]| char::from_u32(super::reader::big_endian(four) as u32);
                let text = bytes
                    .chunks(4)
                    .map(|four| char(four).unwrap_or(char::REPLACEMENT_CHARACTER));
                Cow::Owned(text.collect::<String>().into_bytes())
            }
        }
    }
}
