//! Names of tables and columns.

use std::collections::HashSet;

use cdk_core::destination::names::{hash, shortened};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::settings::Mode;

/// The names that a database takes.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// Bytes that a name may have.
    pub max_bytes: usize,
    /// Whether the database takes `Id` and `id` for one name.
    pub ignores_case: bool,
}

/// Characters of a name in [`Mode::Classic`], as its model left room for suffixes.
const CLASSIC_CHARS: usize = 43;

impl Names {
    /// PostgreSQL: 63 bytes, `Id` and `id` differ when quoted.
    pub const POSTGRES: Self = Self {
        max_bytes: 63,
        ignores_case: false,
    };
    /// SQLite: any length; the case of ASCII letters does not count.
    pub const SQLITE: Self = Self {
        max_bytes: 255,
        ignores_case: true,
    };

    /// A name that needs no quotes, but for letters outside ASCII and keywords, within the limit.
    pub(crate) fn clean(&self, name: &str, mode: Mode) -> String {
        let plain = match mode {
            Mode::Guide => plain(name.chars()),
            Mode::Classic => {
                let decomposed = name.nfd().filter(|char| !is_combining_mark(*char));
                let ascii = decomposed.map(|char| if char.is_ascii() { char } else { '_' });
                plain(ascii)
            }
        };
        match mode {
            Mode::Guide => shortened(&plain, name, self.max_bytes),
            Mode::Classic => middle_cut(&plain, CLASSIC_CHARS.min(self.max_bytes)),
        }
    }

    /// `name`, or `name_1`, `name_2` and so on: the first that is not taken, which it is then.
    pub(crate) fn numbered(&self, name: &str, taken: &mut HashSet<String>) -> String {
        let numbers = (1..).map(|number| self.with_suffix(name, &format!("_{number}")));
        self.first_free(name, numbers, taken)
    }

    /// `name`, or `name_` and three digits of a hash of `path` (eight when those are taken too).
    pub(crate) fn hashed(&self, name: &str, path: &str, taken: &mut HashSet<String>) -> String {
        let digits = format!("{:016x}", hash(path));
        let digits = &digits;
        let suffixes = [3, 8]
            .into_iter()
            .map(move |count| format!("_{}", &digits[..count]));
        let hashed = suffixes.map(|suffix| self.with_suffix(name, &suffix));
        let numbers = (1..).map(|number| self.with_suffix(name, &format!("_{number}")));
        self.first_free(name, hashed.chain(numbers), taken)
    }

    /// Takes a name that others must not get.
    pub(crate) fn reserve(&self, name: &str, taken: &mut HashSet<String>) -> bool {
        taken.insert(self.folded(name))
    }

    fn first_free(
        &self,
        name: &str,
        others: impl Iterator<Item = String>,
        taken: &mut HashSet<String>,
    ) -> String {
        let mut all = std::iter::once(name.to_owned()).chain(others);
        let free = all.find(|name| taken.insert(self.folded(name)));
        free.expect("numbers never end, so one of the names is free")
    }

    /// The suffix is never what is cut off.
    fn with_suffix(&self, name: &str, suffix: &str) -> String {
        let mut end = name.len().min(self.max_bytes.saturating_sub(suffix.len()));
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}{suffix}", name.get(..end).unwrap_or_default())
    }

    fn folded(&self, name: &str) -> String {
        match self.ignores_case {
            true => name.to_ascii_lowercase(),
            false => name.to_owned(),
        }
    }
}

/// Letters, digits and `_`; the rest becomes `_`, and a name does not begin with a digit.
fn plain(chars: impl Iterator<Item = char>) -> String {
    let mut name: String = chars
        .map(|char| if char.is_alphanumeric() { char } else { '_' })
        .collect();
    if name.chars().next().is_none_or(|first| first.is_numeric()) {
        name.insert(0, '_');
    }
    name
}

/// A longer name keeps both of its ends, with `__` between them.
fn middle_cut(name: &str, max: usize) -> String {
    if name.chars().count() <= max {
        return name.to_owned();
    }
    let half = max / 2 - 1;
    let start: String = name.chars().take(half).collect();
    let skipped = name.chars().count() - half;
    let end: String = name.chars().skip(skipped).collect();
    format!("{start}__{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_and_underscores() {
        let guide = |name| Names::POSTGRES.clean(name, Mode::Guide);
        assert_eq!(guide("Straße nr."), "Straße_nr_");
        assert_eq!(guide("2nd"), "_2nd");
        assert_eq!(guide(""), "_");
        assert_eq!(guide("a\0\"b"), "a__b");
        assert_eq!(guide(&"x".repeat(70)).len(), 63);
        let classic = |name| Names::POSTGRES.clean(name, Mode::Classic);
        assert_eq!(classic("Crème brûlée"), "Creme_brulee");
        assert_eq!(classic("日本"), "__");
        let long = format!("{}{}", "a".repeat(30), "b".repeat(30));
        assert_eq!(
            classic(&long),
            format!("{}__{}", "a".repeat(20), "b".repeat(20))
        );
    }

    #[test]
    fn a_taken_name_gets_a_suffix_within_the_limit() {
        let mut taken = HashSet::new();
        let names = Names {
            max_bytes: 6,
            ignores_case: true,
        };
        assert_eq!(names.numbered("abcdef", &mut taken), "abcdef");
        assert_eq!(names.numbered("ABCDEF", &mut taken), "ABCD_1");
        assert_eq!(names.numbered("abcdef", &mut taken), "abcd_2");
        let hashed = names.hashed("abcdef", "some.path", &mut taken);
        assert!(hashed.starts_with("ab_") && hashed.len() == 6, "{hashed}");
    }
}
