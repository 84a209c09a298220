//! Names of tables and columns that a destination makes of the names of streams and fields: stable from
//! run to run, and different where the system would take two for the same.

use std::collections::HashSet;

/// What a system makes of names.
#[derive(Debug, Clone, Copy)]
pub struct NameRules {
    /// A name without what the system can't take. Two fields may get the same one.
    pub plain: fn(&str) -> String,
    /// What the system compares: equal for names that it can't tell apart.
    pub fold: fn(&str) -> String,
    /// Bytes that a name may have.
    pub max_bytes: usize,
}

impl NameRules {
    /// The name, within the limit: a longer one keeps its beginning, and a hash of the whole follows.
    pub fn name(&self, name: &str) -> String {
        shortened(&(self.plain)(name), name, self.max_bytes)
    }

    /// The column of each field, in their order. A name stays unless the system takes it for another one
    /// or for one of `reserved`: then a hash of the field's own name follows. Of names that look alike the
    /// smallest stays, whatever the order of the fields.
    pub fn columns(&self, fields: &[&str], reserved: &[&str]) -> Vec<String> {
        let mut taken: HashSet<String> = reserved.iter().map(|name| (self.fold)(name)).collect();
        let mut sorted = fields.to_vec();
        sorted.sort_unstable();
        let keeps: HashSet<&str> = sorted
            .into_iter()
            .filter(|field| taken.insert((self.fold)(&self.name(field))))
            .collect();
        let named = fields.iter().map(|field| {
            if keeps.contains(field) {
                return self.name(field);
            }
            let suffixed = format!("{}_{:08x}", (self.plain)(field), hash(field) as u32);
            shortened(&suffixed, field, self.max_bytes)
        });
        named.collect()
    }
}

/// `name`, or its beginning and `_` and eight digits of the hash of `of` when it has more than `max` bytes.
pub fn shortened(name: &str, of: &str, max: usize) -> String {
    if name.len() <= max {
        return name.to_owned();
    }
    let mut end = max.saturating_sub(9);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let start = name.get(..end).unwrap_or_default();
    format!("{start}_{:08x}", hash(of) as u32)
}

/// FNV-1a: stable across versions and machines, as names must be.
pub fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: NameRules = NameRules {
        plain: |name| name.replace(' ', "_"),
        fold: str::to_ascii_lowercase,
        max_bytes: 20,
    };

    #[test]
    fn fields_that_look_alike_get_different_columns_whatever_their_order() {
        let first = RULES.columns(&["id", "Id", "a b", "a_b", "_META"], &["_meta"]);
        assert_eq!(first[1], "Id");
        assert_eq!(first[2], "a_b");
        assert!(
            first[0].starts_with("id_") && first[3].starts_with("a_b_"),
            "{first:?}"
        );
        assert!(first[4].starts_with("_META_"), "{first:?}");
        let second = RULES.columns(&["_META", "a_b", "a b", "Id", "id"], &["_meta"]);
        assert_eq!(second.into_iter().rev().collect::<Vec<_>>(), first);
    }

    #[test]
    fn long_names_keep_their_beginning_and_stay_apart() {
        let (a, b) = ("a_rather_long_name_1", "a_rather_long_name_12");
        assert_eq!(RULES.name(a), a);
        let short = RULES.name(b);
        assert_eq!(short.len(), 20);
        assert!(short.starts_with("a_rather_lo_"), "{short}");
        assert_ne!(short, RULES.name("a_rather_long_name_13"));
        // No letter is cut in two.
        assert_eq!(RULES.name("ééééééééééé").len(), 10 + 9);
    }
}
