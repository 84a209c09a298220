//! The order of a table's columns, those of the stream and those of the normalization.

use crate::plan::Table;
use crate::settings::Mode;

/// The id of the raw row.
pub(crate) const AB_ID: &str = "_airbyte_ab_id";
/// When the source read the record.
pub(crate) const EMITTED_AT: &str = "_airbyte_emitted_at";
/// When the row was made of the raw one.
pub(crate) const NORMALIZED_AT: &str = "_airbyte_normalized_at";
/// All whose names do not depend on the table.
pub(crate) const OWN: [&str; 3] = [AB_ID, EMITTED_AT, NORMALIZED_AT];

/// What a column of a normalized table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `_airbyte_<parent>_hashid`: the id of the row that this one was nested in. Text.
    ParentHashid,
    /// A value of the record: the column of this number.
    Field(usize),
    /// `_airbyte_ab_id`: the id of the raw row. Text.
    AbId,
    /// `_airbyte_emitted_at`: when the source read the record. A time with zone.
    EmittedAt,
    /// `_airbyte_normalized_at`: when this row was made. A time with zone.
    NormalizedAt,
    /// `_airbyte_<table>_hashid`: the id of this row. Text.
    Hashid,
}

impl Table {
    /// Name and role of every column, in the order of the table.
    ///
    /// The parent's id comes first, then the values. In [`Mode::Guide`] `_airbyte_normalized_at` follows them,
    /// as the integration guide prints it, then the other columns; [`Mode::Classic`] keeps the order of 2023.
    pub fn layout(&self, mode: Mode) -> Vec<(&str, Role)> {
        let parent = self.parent_hashid.as_deref();
        let mut layout: Vec<_> = parent
            .map(|name| (name, Role::ParentHashid))
            .into_iter()
            .collect();
        let fields = self.columns.iter().enumerate();
        layout.extend(fields.map(|(at, column)| (column.name.as_str(), Role::Field(at))));
        let (ab_id, emitted_at) = ((AB_ID, Role::AbId), (EMITTED_AT, Role::EmittedAt));
        let normalized_at = (NORMALIZED_AT, Role::NormalizedAt);
        layout.extend(match mode {
            Mode::Guide => [normalized_at, ab_id, emitted_at],
            Mode::Classic => [ab_id, emitted_at, normalized_at],
        });
        layout.push((&self.hashid, Role::Hashid));
        layout
    }
}
