//! Records on their way from the thread that parses to the task that emits.

use airbyte_protocol::{AirbyteRecordMessageMetaChange, Change, ChangeReason};

use crate::position::Position;

/// Records as JSON text, with the place in the file behind the last of them.
#[derive(Debug)]
pub(crate) struct Block {
    text: String,
    ends: Vec<usize>,
    /// For the few records that lost values: the record, and what it lost.
    changes: Vec<(usize, Vec<AirbyteRecordMessageMetaChange>)>,
    /// Things to log, in order.
    pub(crate) warnings: Vec<String>,
    /// Where to go on after these records.
    pub(crate) after: Position,
}

/// A record of a block, with what it lost.
pub(crate) type BlockRecord<'a> = (&'a str, &'a [AirbyteRecordMessageMetaChange]);

impl Block {
    pub(crate) fn new() -> Self {
        Self {
            text: String::new(),
            ends: Vec::new(),
            changes: Vec::new(),
            warnings: Vec::new(),
            after: Position::START,
        }
    }

    /// Makes it empty and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.changes.clear();
        self.warnings.clear();
    }

    /// The text to write the next record behind.
    pub(crate) fn text(&mut self) -> &mut String {
        &mut self.text
    }

    /// Notes that `field` of the record being written became null since its value does not fit.
    pub(crate) fn note_null(&mut self, field: &str) {
        let record = self.ends.len();
        let change = AirbyteRecordMessageMetaChange::new(
            field,
            Change::Nulled,
            ChangeReason::SourceSerializationError,
        );
        match self.changes.last_mut().filter(|(at, _)| *at == record) {
            Some((_, changes)) => changes.push(change),
            None => self.changes.push((record, vec![change])),
        }
    }

    /// Ends the record being written.
    pub(crate) fn end_record(&mut self) {
        self.ends.push(self.text.len());
    }

    /// Bytes of text.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The records in order.
    pub(crate) fn records(&self) -> impl Iterator<Item = BlockRecord<'_>> {
        let mut start = 0;
        let mut changes = self.changes.iter().peekable();
        self.ends.iter().enumerate().map(move |(record, end)| {
            let data = self.text.get(start..*end).unwrap_or_default();
            start = *end;
            let changes = changes.next_if(|(at, _)| *at == record);
            (
                data,
                changes.map_or(&[][..], |(_, changes)| changes.as_slice()),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_with_what_they_lost() {
        let mut block = Block::new();
        for (data, lost) in [("{1}", &["a", "b"][..]), ("{2}", &[]), ("{3}", &["c"])] {
            block.text().push_str(data);
            lost.iter().for_each(|field| block.note_null(field));
            block.end_record();
        }
        let seen: Vec<_> = block
            .records()
            .map(|(data, lost)| {
                (
                    data,
                    lost.iter().map(|l| l.field.as_str()).collect::<String>(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("{1}", "ab".into()),
                ("{2}", "".into()),
                ("{3}", "c".into())
            ]
        );
    }
}
