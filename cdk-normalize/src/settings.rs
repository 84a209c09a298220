//! What a user may choose.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How nested values become tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nested objects become columns of their parent (`contact_email`), lists of objects child tables.
    #[default]
    Guide,
    /// Nested objects and lists of objects become child tables, as Airbyte's own normalization of 2023 made
    /// them; their parent keeps the nested value as a JSON column.
    Classic,
}

/// How to normalize.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How nested values become tables.
    pub mode: Mode,
    /// How many levels of nesting become columns and tables; what is nested deeper stays JSON.
    pub max_depth: usize,
}

impl Settings {
    /// Levels of nesting unless told otherwise.
    pub const DEFAULT_DEPTH: usize = 10;

    /// The default depth.
    pub fn of_mode(mode: Mode) -> Self {
        Self {
            mode,
            max_depth: Self::DEFAULT_DEPTH,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::of_mode(Mode::default())
    }
}
