//! Records of which only some members become a tree: filters and transformations mostly name the members they need.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::dpath;
use crate::raw_json::Member;

/// The members of a record that something reads or changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members {
    read: BTreeSet<String>,
    written: BTreeSet<String>,
    is_all: bool,
}

impl Members {
    /// Notes that all members matter.
    pub(crate) fn all(&mut self) {
        self.is_all = true;
    }

    /// Notes members that are read; `None` stands for all.
    pub(crate) fn reads<'a>(&mut self, names: Option<impl IntoIterator<Item = &'a str>>) {
        match names {
            Some(names) => self.read.extend(names.into_iter().map(str::to_owned)),
            None => self.all(),
        }
    }

    /// Notes the member in which the path of a change begins.
    pub(crate) fn writes(&mut self, path: &[String]) {
        match path.first() {
            Some(first) if !dpath::is_glob(first) => drop(self.written.insert(first.clone())),
            _ => self.all(),
        }
    }

    /// How to take records apart; `None` if that needs all of them.
    pub(crate) fn into_partial(self) -> Option<Partial> {
        (!self.is_all).then(|| Partial {
            taken: self.read.union(&self.written).cloned().collect(),
            written: self.written.into_iter().collect(),
        })
    }
}

/// Takes some members out of a record's text and puts them back.
#[derive(Debug, Clone)]
pub(crate) struct Partial {
    taken: Vec<String>,
    /// Those that may have changed.
    written: Vec<String>,
}

impl Partial {
    /// An object of the members that matter; `None` if one is too deep for a tree.
    pub(crate) fn tree(&self, members: &[Member<'_>]) -> Option<Value> {
        let mut tree = Map::new();
        for member in members {
            if let Some(key) = self.taken.iter().find(|key| member.name.is(key)) {
                tree.insert(key.clone(), serde_json::from_str(member.value).ok()?);
            }
        }
        Some(Value::Object(tree))
    }

    /// The record with the members as they are in `tree`; all others keep their text.
    pub(crate) fn text(&self, members: &[Member<'_>], tree: &Value) -> Option<String> {
        let length: usize = members.iter().map(Member::length).sum();
        let mut text = String::with_capacity(length + 64);
        text.push('{');
        let mut put: Vec<&str> = Vec::new();
        for member in members {
            let Some(key) = self.written.iter().find(|key| member.name.is(key)) else {
                push(&mut text, member.name.quoted(), member.value);
                continue;
            };
            // Of equal keys one is left.
            if let (Some(value), false) = (tree.get(key), put.contains(&key.as_str())) {
                push(
                    &mut text,
                    member.name.quoted(),
                    &serde_json::to_string(value).ok()?,
                );
                put.push(key);
            }
        }
        let added = tree.as_object()?.iter();
        for (key, value) in added.filter(|(key, _)| self.written.contains(key)) {
            if !put.contains(&key.as_str()) {
                let key = serde_json::to_string(key).ok()?;
                push(&mut text, &key, &serde_json::to_string(value).ok()?);
            }
        }
        text.push('}');
        Some(text)
    }
}

fn push(text: &mut String, quoted: &str, value: &str) {
    if text.len() > 1 {
        text.push(',');
    }
    text.push_str(quoted);
    text.push(':');
    text.push_str(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw_json::members;
    use serde_json::json;

    fn partial(read: &[&str], written: &[&str]) -> Partial {
        let mut members = Members::default();
        members.reads(Some(read.iter().copied()));
        for name in written {
            members.writes(&[(*name).to_owned()]);
        }
        members.into_partial().unwrap()
    }

    #[test]
    fn members_that_nothing_changes_keep_their_text() {
        let partial = partial(&["a"], &["b", "new", "gone"]);
        let text = r#"{"a": 1.10,"b" :2,"\u0062":3,"gone":[{}],"z":12345678901234567890123}"#;
        let mut tree = partial.tree(&members(text).unwrap()).unwrap();
        assert_eq!(tree, json!({"a": 1.10, "b": 3, "gone": [{}]}));
        let map = tree.as_object_mut().unwrap();
        map.remove("gone");
        map.insert("b".to_owned(), json!({"c": "d"}));
        map.insert("new".to_owned(), json!(null));
        assert_eq!(
            partial.text(&members(text).unwrap(), &tree).unwrap(),
            r#"{"a":1.10,"b":{"c":"d"},"z":12345678901234567890123,"new":null}"#
        );
        assert_eq!(
            partial.text(&[], &json!({"new": 1})).unwrap(),
            r#"{"new":1}"#
        );
    }

    #[test]
    fn what_needs_all_members_is_left_to_trees() {
        let mut members = Members::default();
        members.writes(&["a*".to_owned()]);
        assert!(members.into_partial().is_none());
        let mut members = Members::default();
        members.reads(None::<[&str; 0]>);
        assert!(members.into_partial().is_none());
    }
}
