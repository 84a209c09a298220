//! Which cells stand for null.

use crate::csv::Kind;

/// What pandas takes for a missing value, besides the empty cell.
const DEFAULT_WORDS: [&str; 18] = [
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// The rules for null, from `keep_default_na` and `na_values`.
#[derive(Debug, Clone)]
pub(crate) struct Nulls {
    defaults: Defaults,
    words: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defaults {
    /// The default words are null where they can't be values; in text, only the empty cell is. `NA`
    /// stays Namibia.
    WhereTyped,
    /// As in pandas: everywhere, and `""` too.
    Everywhere,
    /// Nowhere.
    Off,
}

impl Nulls {
    pub(crate) fn new(keep_default_na: Option<bool>, words: Vec<String>) -> Self {
        let defaults = match keep_default_na {
            None => Defaults::WhereTyped,
            Some(true) => Defaults::Everywhere,
            Some(false) => Defaults::Off,
        };
        Self { defaults, words }
    }

    /// Whether the user listed `text`: it is null in every column.
    pub(crate) fn is_listed(&self, text: &str) -> bool {
        self.words.iter().any(|word| word == text)
    }

    /// Whether a cell that is no value of its column's kind stands for null.
    pub(crate) fn is_null(&self, text: &str, kind: Kind, is_quoted: bool) -> bool {
        match (kind, self.defaults) {
            (Kind::Text, Defaults::Off) => false,
            (Kind::Text, Defaults::WhereTyped) => text.is_empty() && !is_quoted,
            (Kind::Text, Defaults::Everywhere) => text.is_empty() || is_default(text),
            (_, Defaults::Off) => text.trim_ascii().is_empty(),
            (_, _) => text.trim_ascii().is_empty() || is_default(text.trim_ascii()),
        }
    }

    /// Whether a cell says nothing about its column's kind.
    pub(crate) fn says_nothing(&self, text: &str) -> bool {
        self.is_listed(text) || self.is_null(text, Kind::Number, false)
    }
}

fn is_default(text: &str) -> bool {
    DEFAULT_WORDS.contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_words_are_null_only_where_they_cannot_be_values() {
        let nulls = Nulls::new(None, vec![]);
        assert!(nulls.is_null("NA", Kind::Integer, false));
        assert!(!nulls.is_null("NA", Kind::Text, false));
        assert!(nulls.is_null("", Kind::Text, false));
        assert!(!nulls.is_null("", Kind::Text, true));
        assert!(nulls.is_null(" ", Kind::Number, true));
    }

    #[test]
    fn keep_default_na_decides_for_all_columns() {
        let everywhere = Nulls::new(Some(true), vec![]);
        assert!(
            everywhere.is_null("NA", Kind::Text, false) && everywhere.is_null("", Kind::Text, true)
        );
        let off = Nulls::new(Some(false), vec!["-".to_owned()]);
        assert!(!off.is_null("", Kind::Text, false) && !off.is_null("NA", Kind::Integer, false));
        assert!(off.is_listed("-") && !off.is_listed(""));
    }
}
