//! Unknown fields of a message, kept as they came.

use std::collections::HashMap;

use serde::ser::SerializeMap;

use crate::RawJson;

/// The fields of an object that this crate doesn't know, in their order, with their exact text.
///
/// Every object of the protocol allows additional fields, and the platform relies on getting them
/// back (it adds an `id` to each STATE). They are written after the known fields. A field named
/// like a known one doesn't belong here: it would be written a second time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra(Vec<(String, RawJson)>);

impl Extra {
    /// No unknown fields; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of the field `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&RawJson> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Sets the field `name`, in its old place if it was there, and returns its old value.
    pub fn insert(&mut self, name: impl Into<String>, value: RawJson) -> Option<RawJson> {
        let name = name.into();
        if let Some((_, old)) = self.0.iter_mut().find(|(key, _)| *key == name) {
            return Some(std::mem::replace(old, value));
        }
        self.0.push((name, value));
        None
    }

    /// Removes the field `name` and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<RawJson> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1)
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawJson)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no unknown fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn write_into<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.0
            .iter()
            .try_for_each(|(key, value)| map.serialize_entry(key, value))
    }
}

/// Of several fields with one name the last value wins, in the place of the first.
impl FromIterator<(String, RawJson)> for Extra {
    fn from_iter<I: IntoIterator<Item = (String, RawJson)>>(fields: I) -> Self {
        let mut kept: Vec<(String, RawJson)> = Vec::new();
        // Not `insert` in a loop: hostile input may hold very many names.
        let mut places: HashMap<String, usize> = HashMap::new();
        for (key, value) in fields {
            if let Some(slot) = places.get(&key).and_then(|&at| kept.get_mut(at)) {
                slot.1 = value;
                continue;
            }
            places.insert(key.clone(), kept.len());
            kept.push((key, value));
        }
        Self(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: i64) -> RawJson {
        RawJson::from(serde_json::Value::from(n))
    }

    #[test]
    fn last_of_several_equal_names_wins_in_the_first_place() {
        let fields = [("a", 1), ("b", 2), ("a", 3)].map(|(k, v)| (k.to_owned(), number(v)));
        let extra: Extra = fields.into_iter().collect();
        let seen: Vec<_> = extra.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(seen, ["a=3", "b=2"]);
    }

    #[test]
    fn insert_replaces_and_remove_returns() {
        let mut extra = Extra::new();
        assert_eq!(extra.insert("id", number(1)), None);
        assert_eq!(extra.insert("id", number(2)), Some(number(1)));
        assert_eq!(extra.get("id"), Some(&number(2)));
        assert_eq!(extra.remove("id"), Some(number(2)));
        assert!(extra.is_empty());
    }
}
