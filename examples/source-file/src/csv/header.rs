//! Column names.

use std::collections::HashSet;

/// Makes the names of a header usable as keys: each one different, none empty.
///
/// As in pandas, the second `a` is called `a.1`, and an empty name at place 3 (from 0) `Unnamed: 3`.
pub(super) fn distinct(names: Vec<String>) -> Vec<String> {
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    let mut seen = HashSet::new();
    let unique = |(place, name): (usize, String)| {
        let name = if name.is_empty() {
            format!("Unnamed: {place}")
        } else {
            name
        };
        if seen.insert(name.clone()) {
            return name;
        }
        let numbered = (1..).map(|number: u64| format!("{name}.{number}"));
        let mut free = numbered.filter(|candidate| !taken.contains(candidate));
        let name = free.next().unwrap_or(name);
        taken.insert(name.clone());
        seen.insert(name.clone());
        name
    };
    names.into_iter().enumerate().map(unique).collect()
}

/// Names for a file without a header: `0`, `1`, …, as pandas has them.
pub(super) fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|place| place.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_distinct_and_not_empty() {
        let names = ["a", "a", "", "a", "a.1", ""].map(str::to_owned).to_vec();
        let expected = ["a", "a.2", "Unnamed: 2", "a.3", "a.1", "Unnamed: 5"];
        assert_eq!(distinct(names), expected);
        assert_eq!(numbered(2), ["0", "1"]);
    }
}
