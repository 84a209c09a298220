//! The messages of the output plugin `pgoutput`, protocol version 1 ("Logical Replication Message Formats" in the
//! server's manual).
//!
//! In this version a transaction is sent when it is committed, from disk if it is large: neither side holds more of
//! it in memory than passes.

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// A transaction begins.
    Begin {
        /// Where its commit record begins.
        commit: u64,
        /// When it was committed, in microseconds since 2000-01-01 UTC.
        at: i64,
    },
    /// It ends.
    Commit {
        /// Where the log goes on behind it.
        end: u64,
    },
    /// What the tables of the following changes look like.
    Relation(Relation),
    /// A new row.
    Insert {
        /// The table's `oid`.
        relation: u32,
        /// The row.
        new: Tuple<'a>,
    },
    /// A changed row.
    Update {
        /// The table's `oid`.
        relation: u32,
        /// What is known of the row as it was, if it is sent.
        old: Option<Old<'a>>,
        /// The row.
        new: Tuple<'a>,
    },
    /// A row that is gone.
    Delete {
        /// The table's `oid`.
        relation: u32,
        /// What is known of it.
        old: Old<'a>,
    },
    /// Tables that were emptied.
    Truncate {
        /// Their `oid`s.
        relations: Vec<u32>,
    },
    /// Origins, types, messages, and what later versions may add.
    Other(u8),
}

/// The row before the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Old<'a> {
    /// The columns of the replica identity; all others are null.
    Key(Tuple<'a>),
    /// All columns (`REPLICA IDENTITY FULL`).
    Full(Tuple<'a>),
}

impl<'a> Old<'a> {
    /// The columns, whatever is known of them.
    pub fn tuple(&self) -> &Tuple<'a> {
        match self {
            Self::Key(tuple) | Self::Full(tuple) => tuple,
        }
    }
}

/// A table as the changes that follow describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Schema.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Columns in the order of the tuples.
    pub columns: Vec<RelationColumn>,
}

/// A column of a [`Relation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationColumn {
    /// Whether it belongs to the replica identity.
    pub is_key: bool,
    /// Name.
    pub name: String,
    /// `pg_type.oid`.
    pub type_oid: u32,
}

/// The values of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuple<'a>(pub Vec<Value<'a>>);

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Null.
    Null,
    /// A large value that was not changed, and so is not in the log.
    Unchanged,
    /// The server's text.
    Text(&'a [u8]),
}

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

impl<'a> Message<'a> {
    /// Reads one message.
    ///
    /// # Errors
    /// When the bytes are cut off or hold what the format does not have.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Broken> {
        let mut rest = Reader(bytes);
        Ok(match rest.u8()? {
            b'B' => {
                let (commit, at) = (rest.u64()?, rest.u64()?.cast_signed());
                Self::Begin { commit, at }
            }
            b'C' => {
                let (_flags, _commit) = (rest.u8()?, rest.u64()?);
                Self::Commit { end: rest.u64()? }
            }
            b'R' => Self::Relation(rest.relation()?),
            b'I' => {
                let relation = rest.u32()?;
                rest.expect(b'N')?;
                Self::Insert {
                    relation,
                    new: rest.tuple()?,
                }
            }
            b'U' => {
                let relation = rest.u32()?;
                let old = match rest.u8()? {
                    b'N' => None,
                    kind => {
                        let old = rest.old(kind)?;
                        rest.expect(b'N')?;
                        Some(old)
                    }
                };
                Self::Update {
                    relation,
                    old,
                    new: rest.tuple()?,
                }
            }
            b'D' => {
                let relation = rest.u32()?;
                let kind = rest.u8()?;
                Self::Delete {
                    relation,
                    old: rest.old(kind)?,
                }
            }
            b'T' => {
                let count = rest.u32()?;
                let _options = rest.u8()?;
                let relations: Result<Vec<u32>, Broken> = (0..count).map(|_| rest.u32()).collect();
                Self::Truncate {
                    relations: relations?,
                }
            }
            other => Self::Other(other),
        })
    }
}

/// Takes values from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Broken)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, Broken> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16, Broken> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, Broken> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Broken> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn expect(&mut self, byte: u8) -> Result<(), Broken> {
        match self.u8()? == byte {
            true => Ok(()),
            false => Err(Broken),
        }
    }

    fn text(&mut self) -> Result<String, Broken> {
        let end = memchr::memchr(0, self.0).ok_or(Broken)?;
        let text = String::from_utf8_lossy(&self.0[..end]).into_owned();
        self.0 = &self.0[end + 1..];
        Ok(text)
    }

    fn relation(&mut self) -> Result<Relation, Broken> {
        let (oid, namespace, name) = (self.u32()?, self.text()?, self.text()?);
        let _identity = self.u8()?;
        let count = self.u16()?;
        let mut columns = Vec::new();
        for _ in 0..count {
            let (flags, name, type_oid) = (self.u8()?, self.text()?, self.u32()?);
            let _modifier = self.u32()?;
            columns.push(RelationColumn {
                is_key: flags & 1 == 1,
                name,
                type_oid,
            });
        }
        // An empty schema name stands for pg_catalog.
        Ok(Relation {
            oid,
            namespace,
            name,
            columns,
        })
    }

    fn old(&mut self, kind: u8) -> Result<Old<'a>, Broken> {
        match kind {
            b'K' => Ok(Old::Key(self.tuple()?)),
            b'O' => Ok(Old::Full(self.tuple()?)),
            _ => Err(Broken),
        }
    }

    fn tuple(&mut self) -> Result<Tuple<'a>, Broken> {
        let count = self.u16()?;
        // A column takes at least a byte: the count of broken bytes allocates nothing.
        let mut values = Vec::with_capacity(usize::from(count).min(self.0.len()));
        for _ in 0..count {
            values.push(match self.u8()? {
                b'n' => Value::Null,
                b'u' => Value::Unchanged,
                b't' => {
                    let length = usize::try_from(self.u32()?).map_err(|_| Broken)?;
                    let (value, rest) = self.0.split_at_checked(length).ok_or(Broken)?;
                    self.0 = rest;
                    Value::Text(value)
                }
                _ => return Err(Broken),
            });
        }
        Ok(Tuple(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_and_every_cut_of_it_is_an_error() {
        let mut bytes = b"U\0\0\0\x07K\0\x02t\0\0\0\x011nN\0\x02t\0\0\0\x012u".to_vec();
        let expected = Message::Update {
            relation: 7,
            old: Some(Old::Key(Tuple(vec![Value::Text(b"1"), Value::Null]))),
            new: Tuple(vec![Value::Text(b"2"), Value::Unchanged]),
        };
        assert_eq!(Message::parse(&bytes), Ok(expected));
        while bytes.pop().is_some() {
            assert_eq!(Message::parse(&bytes), Err(Broken));
        }
    }

    #[test]
    fn a_relation_is_read() {
        let bytes = b"R\0\0\0\x07public\0t\0d\0\x01\x01id\0\0\0\0\x17\xff\xff\xff\xff";
        let Ok(Message::Relation(relation)) = Message::parse(bytes) else {
            panic!("no relation")
        };
        assert_eq!(
            (
                relation.oid,
                relation.namespace.as_str(),
                relation.name.as_str()
            ),
            (7, "public", "t")
        );
        assert_eq!(
            relation.columns,
            [RelationColumn {
                is_key: true,
                name: "id".to_owned(),
                type_oid: 23
            }]
        );
    }

    #[test]
    fn a_count_without_values_allocates_nothing_and_fails() {
        assert_eq!(Message::parse(b"I\0\0\0\x07N\xff\xff"), Err(Broken));
        assert_eq!(Message::parse(b"T\xff\xff\xff\xff\0"), Err(Broken));
        assert_eq!(Message::parse(b"Y whatever"), Ok(Message::Other(b'Y')));
    }
}
