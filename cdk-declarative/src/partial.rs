//! Records of which only some members become a tree: filters and transformations mostly name the members they need.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::dpath;
use crate::raw_json::Span;
use crate::record::{Changed, Slice};

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
    /// The members that matter.
    pub(crate) fn taken(&self) -> &[String] {
        &self.taken
    }

    fn is_written(&self, name: &str) -> bool {
        self.written.iter().any(|written| written == name)
    }

    /// An object of the members that matter; `None` if one is too deep for a tree.
    pub(crate) fn tree(&self, record: &Slice) -> Option<Value> {
        let mut tree = Map::new();
        for span in record.spans() {
            let name = &record.wanted()[span.key];
            if self.taken.contains(name) {
                let value = &record.page()[span.value.clone()];
                tree.insert(name.clone(), serde_json::from_str(value).ok()?);
            }
        }
        Some(Value::Object(tree))
    }

    /// The record with the members as they are in `tree`; all others keep their text.
    pub(crate) fn text(&self, record: &Slice, tree: &Value) -> Option<Changed> {
        let mut out = Writer::new(record);
        let mut put: Vec<&str> = Vec::new();
        let mut kept_from = record.range().start + 1;
        for span in record.spans() {
            let name = record.wanted()[span.key].as_str();
            if !self.is_written(name) {
                continue;
            }
            out.keep(kept_from..span.name.start);
            kept_from = span.value.end;
            // Of equal keys one is left.
            if let (Some(value), false) = (tree.get(name), put.contains(&name)) {
                out.put(&record.page()[span.name.clone()], Some(span.key), value)?;
                put.push(name);
            }
        }
        out.keep(kept_from..record.range().end - 1);
        for (name, value) in tree.as_object()? {
            if self.is_written(name) && !put.contains(&name.as_str()) {
                let key = record.wanted().iter().position(|wanted| wanted == name);
                out.put(&serde_json::to_string(name).ok()?, key, value)?;
            }
        }
        Some(out.finish())
    }
}

/// Writes the text of a changed record.
struct Writer<'a> {
    record: &'a Slice,
    out: Changed,
    /// Spans of the record that are not passed yet.
    spans: std::iter::Peekable<std::slice::Iter<'a, Span>>,
}

impl<'a> Writer<'a> {
    fn new(record: &'a Slice) -> Self {
        let mut text = String::with_capacity(record.text().len() + 64);
        text.push('{');
        Self {
            record,
            out: Changed {
                text,
                values: Vec::new(),
                wanted: Arc::clone(record.wanted()),
                has_nulls: record.has_nulls(),
            },
            spans: record.spans().iter().peekable(),
        }
    }

    fn comma(&mut self) {
        if self.out.text.len() > 1 {
            self.out.text.push(',');
        }
    }

    /// Copies the members in a range of the page, with what separates them.
    fn keep(&mut self, range: Range<usize>) {
        let is_outside = |c: char| matches!(c, ',' | ' ' | '\t' | '\n' | '\r');
        let text = &self.record.page()[range.clone()];
        let members = text.trim_start_matches(is_outside);
        let start = range.end - members.len();
        let members = members.trim_end_matches(is_outside);
        if members.is_empty() {
            return;
        }
        self.comma();
        let moved = |at: usize| at - start + self.out.text.len();
        while let Some(span) = self.spans.next_if(|span| span.name.start < range.end) {
            if span.name.start >= start {
                let value = moved(span.value.start)..moved(span.value.end);
                self.out.values.push((span.key, value));
            }
        }
        self.out.text.push_str(members);
    }

    /// Writes a member. `None` if its value can't be written.
    fn put(&mut self, quoted: &str, key: Option<usize>, value: &Value) -> Option<()> {
        self.comma();
        self.out.text.push_str(quoted);
        self.out.text.push(':');
        let start = self.out.text.len();
        self.out.text.push_str(&serde_json::to_string(value).ok()?);
        if let Some(key) = key {
            self.out.values.push((key, start..self.out.text.len()));
        }
        self.out.has_nulls |= value.is_null();
        Some(())
    }

    fn finish(mut self) -> Changed {
        self.out.text.push('}');
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw_json::{Found, find};
    use crate::record::{Record, Slices};
    use proptest::prelude::*;
    use serde_json::json;

    fn partial(read: &[&str], written: &[&str]) -> Partial {
        let mut members = Members::default();
        members.reads(Some(read.iter().copied()));
        for name in written {
            members.writes(&[(*name).to_owned()]);
        }
        members.into_partial().unwrap()
    }

    /// The record in a text, with the members that `partial` takes and `z` noted.
    fn slice(text: &str, partial: &Partial) -> Slice {
        let wanted: Vec<_> = partial
            .taken()
            .iter()
            .cloned()
            .chain(["z".to_owned()])
            .collect();
        let document = find(text, &[], &wanted).unwrap();
        let Found::One(item) = document.found else {
            panic!("no object");
        };
        let text = text.to_owned().into();
        let mut slices = Slices::new(text, vec![item], document.spans, wanted.into());
        slices.next().unwrap()
    }

    #[test]
    fn members_that_nothing_changes_keep_their_text() {
        let partial = partial(&["a"], &["b", "new", "gone"]);
        let text = r#" {"a": 1.10,"b" :2,"\u0062":3 , "gone":[{}],"z":12345678901234567890123 } "#;
        let record = slice(text, &partial);
        let mut tree = partial.tree(&record).unwrap();
        assert_eq!(tree, json!({"a": 1.10, "b": 3, "gone": [{}]}));
        let map = tree.as_object_mut().unwrap();
        map.remove("gone");
        map.insert("b".to_owned(), json!({"c": "d"}));
        map.insert("new".to_owned(), json!(null));
        let changed = partial.text(&record, &tree).unwrap();
        assert_eq!(
            changed.text,
            r#"{"a": 1.10,"b":{"c":"d"},"z":12345678901234567890123,"new":null}"#
        );
        let changed = Record::Text(changed);
        assert!(changed.may_have_nulls());
        assert_eq!(changed.get("b"), Some(json!({"c": "d"})));
        assert_eq!(changed.get("new"), Some(json!(null)));
        assert_eq!(changed.get("gone"), None);
        let z = changed.get("z").unwrap();
        assert_eq!(z, Record::Slice(record).get("z").unwrap());
    }

    #[test]
    fn members_are_added_to_an_empty_object() {
        let partial = partial(&[], &["new"]);
        let changed = partial.text(&slice("{ }", &partial), &json!({"new": 1}));
        assert_eq!(changed.unwrap().text, r#"{"new":1}"#);
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

    /// Objects as servers write them: white space, repeated and escaped names, odd values.
    fn object() -> impl Strategy<Value = String> {
        let blank = proptest::sample::select(&["", " ", "\n\t"][..]);
        let name = proptest::sample::select(&["a", "b", "c", "z", "\\u0061", "", ","][..]);
        let value = proptest::sample::select(
            &[
                "1.10",
                "null",
                "\", }\"",
                "{\"a\": [1 , 2]}",
                "[]",
                "\"\\\\\"",
            ][..],
        );
        let member = (blank.clone(), name, blank.clone(), value, blank.clone());
        proptest::collection::vec(member, 0..6).prop_map(|members| {
            let members = members
                .into_iter()
                .map(|(a, name, b, value, c)| format!("{a}\"{name}\"{b}:{a}{value}{c}"));
            let members: Vec<_> = members.collect();
            format!("{{{}}}", members.join(","))
        })
    }

    proptest! {
        #[test]
        fn changing_the_text_is_changing_the_tree(
            text in object(), b in 0..3, new in proptest::option::of(0..2)
        ) {
            let partial = partial(&["a"], &["b", "new"]);
            let record = slice(&text, &partial);
            let change = |tree: &mut Value| {
                let map = tree.as_object_mut().unwrap();
                match b {
                    0 => drop(map.remove("b")),
                    1 => drop(map.insert("b".to_owned(), json!({"changed": true}))),
                    _ => {}
                }
                if let Some(new) = new {
                    map.insert("new".to_owned(), json!(new));
                }
            };
            let mut tree = partial.tree(&record).unwrap();
            change(&mut tree);
            let changed = partial.text(&record, &tree).unwrap();
            let mut expected: Value = serde_json::from_str(&text).unwrap();
            change(&mut expected);
            prop_assert_eq!(&serde_json::from_str::<Value>(&changed.text).unwrap(), &expected);
            let changed = Record::Text(changed);
            for name in ["a", "b", "c", "new", "z"] {
                let value = changed.get(name);
                prop_assert_eq!(value.as_ref(), expected.get(name), "{}", name);
            }
            let has_nulls = expected.as_object().unwrap().values().any(Value::is_null);
            prop_assert!(changed.may_have_nulls() || !has_nulls);
        }
    }
}
