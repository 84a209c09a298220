//! Row events: the rows before and after a change.

use std::borrow::Cow;

use super::event::{BadEvent, Event, decompressed};
use super::reader::Reader;
use super::table_map::{TableMap, table_id};

/// What happened to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Insert,
    Update,
    Delete,
}

/// A row event, its rows not cut yet.
#[derive(Debug)]
pub(crate) struct RowsEvent<'a> {
    pub(crate) change: Change,
    pub(crate) table: u64,
    columns: usize,
    /// Which columns the images hold: before the change, and after an update.
    present: [&'a [u8]; 2],
    rows: Cow<'a, [u8]>,
}

/// The values of a row image by column: `None` where the image leaves the column out, `Some(None)` for NULL.
pub(crate) type Image<'a> = Vec<Option<Option<&'a [u8]>>>;

const BAD: BadEvent = BadEvent("a row event can't be read");

/// What a type of event does, and whether it is of the second version or compressed by MariaDB.
fn kind(kind: u8) -> Option<(Change, bool, bool)> {
    let change = |at: u8| {
        [Change::Insert, Change::Update, Change::Delete]
            .get(usize::from(at))
            .copied()
    };
    match kind {
        23..=25 => Some((change(kind - 23)?, false, false)),
        30..=32 => Some((change(kind - 30)?, true, false)),
        166..=168 => Some((change(kind - 166)?, false, true)),
        169..=171 => Some((change(kind - 169)?, true, true)),
        _ => None,
    }
}

impl<'a> RowsEvent<'a> {
    /// The event's rows, if it is a row event.
    pub(crate) fn parse(event: &Event<'a>) -> Result<Option<Self>, BadEvent> {
        let Some((change, is_second, is_compressed)) = kind(event.kind) else {
            return Ok(None);
        };
        let head = Self::head(event.body, change, is_second).ok_or(BAD)?;
        let rows = match (&head.rows, is_compressed) {
            (Cow::Borrowed(rows), true) => Cow::Owned(decompressed(rows)?),
            _ => head.rows,
        };
        Ok(Some(Self { rows, ..head }))
    }

    fn head(body: &'a [u8], change: Change, is_second: bool) -> Option<Self> {
        let mut reader = Reader::new(body);
        let table = table_id(&mut reader)?;
        let _flags = reader.u16()?;
        if is_second {
            // The length counts itself.
            let extra = usize::from(reader.u16()?).checked_sub(2)?;
            reader.skip(extra)?;
        }
        let columns = reader.length()?;
        let bytes = columns.div_ceil(8);
        let first = reader.take(bytes)?;
        let second = if change == Change::Update {
            reader.take(bytes)?
        } else {
            first
        };
        Some(Self {
            change,
            table,
            columns,
            present: [first, second],
            rows: Cow::Borrowed(reader.rest()),
        })
    }

    /// The bytes of all rows.
    pub(crate) fn rows(&self) -> Reader<'_> {
        Reader::new(&self.rows)
    }

    /// Cuts one image off the front of `rows`.
    pub(crate) fn image<'r>(
        &self,
        rows: &mut Reader<'r>,
        map: &TableMap,
        is_after: bool,
        image: &mut Image<'r>,
    ) -> Result<(), BadEvent> {
        image.clear();
        if map.columns.len() != self.columns {
            return Err(BadEvent("a row event has other columns than its table"));
        }
        let [before, after] = self.present;
        let present = if is_after { after } else { before };
        let count = (0..self.columns).filter(|at| bit(present, *at)).count();
        let nulls = rows.take(count.div_ceil(8)).ok_or(BAD)?;
        let mut number = 0;
        for (at, stored) in map.columns.iter().enumerate() {
            if !bit(present, at) {
                image.push(None);
                continue;
            }
            let value = match bit(nulls, number) {
                true => None,
                false => Some(stored.value(rows).ok_or(BAD)?),
            };
            image.push(Some(value));
            number += 1;
        }
        Ok(())
    }
}

#[inline]
fn bit(bits: &[u8], at: usize) -> bool {
    bits.get(at / 8)
        .is_some_and(|byte| byte >> (at % 8) & 1 == 1)
}
