//! Records of which only some members become a tree: filters and transformations mostly name the members they need.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use crate::dpath;
use crate::picked::{Change, Picked};
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
            Some(first) if !dpath::is_glob(first) => {
                self.written.insert(first.clone());
                if path.len() > 1 {
                    self.read.insert(first.clone());
                }
            }
            _ => self.all(),
        }
    }

    /// How to take records apart; `None` if that needs all of them.
    pub(crate) fn into_partial(self) -> Option<Partial> {
        (!self.is_all).then(|| {
            let taken: Vec<_> = self.read.union(&self.written).cloned().collect();
            let uses = taken.iter().map(|name| Use {
                is_read: self.read.contains(name),
                is_written: self.written.contains(name),
            });
            Partial {
                uses: uses.collect(),
                quoted: taken.iter().map(|name| json_text(name)).collect(),
                taken,
            }
        })
    }
}

/// Takes some members out of a record's text and puts them back.
#[derive(Debug, Clone)]
pub(crate) struct Partial {
    taken: Vec<String>,
    /// The same names as JSON.
    quoted: Vec<String>,
    /// What is done with each of them.
    uses: Vec<Use>,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    is_read: bool,
    is_written: bool,
}

fn json_text(name: &str) -> String {
    Value::from(name).to_string()
}

impl Partial {
    /// The members that matter. Records' spans have to be noted with these names first.
    pub(crate) fn taken(&self) -> &[String] {
        &self.taken
    }

    /// The members that matter; `None` if one is too deep for a tree.
    pub(crate) fn pick<'r>(&'r self, record: &'r Slice) -> Option<Picked<'r>> {
        let mut picked = Picked::new(&self.taken);
        for span in record.spans() {
            match self.uses.get(span.key) {
                Some(Use { is_read: true, .. }) => {
                    picked.read(span.key, &record.page()[span.value.clone()])?;
                }
                Some(_) => picked.pass(span.key),
                None => {}
            }
        }
        Some(picked)
    }

    /// The record with the members as they are in `picked`; all others keep their text.
    ///
    /// `None` if nothing has changed.
    pub(crate) fn text(&self, record: &Slice, picked: &Picked<'_>) -> Option<Changed> {
        let is_written = |key: usize| self.uses.get(key).is_some_and(|at| at.is_written);
        let mut changes = record
            .spans()
            .iter()
            .filter_map(|span| {
                if !is_written(span.key) {
                    return None;
                }
                Some((span, picked.change(span.key)?))
            })
            .peekable();
        let mut added = picked.added().peekable();
        if changes.peek().is_none() && added.peek().is_none() {
            return None;
        }
        let mut out = Writer::new(record);
        let mut put: Vec<usize> = Vec::new();
        let mut kept_from = record.range().start + 1;
        for (span, change) in changes {
            out.keep(kept_from..span.name.start);
            kept_from = span.value.end;
            // Of equal keys one is left.
            if let Change::To(value) = change
                && !put.contains(&span.key)
            {
                out.put(&record.page()[span.name.clone()], span.key, value);
                put.push(span.key);
            }
        }
        out.keep(kept_from..record.range().end - 1);
        for (at, value) in added {
            out.put(&self.quoted[at], at, value);
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

    /// Writes a member.
    fn put(&mut self, quoted: &str, key: usize, value: &Value) {
        self.comma();
        self.out.text.push_str(quoted);
        self.out.text.push(':');
        let start = self.out.text.len();
        write!(self.out.text, "{value}").expect("a string takes all that is written");
        self.out.values.push((key, start..self.out.text.len()));
        self.out.has_nulls |= value.is_null();
    }

    fn finish(mut self) -> Changed {
        self.out.text.push('}');
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picked::Fields;
    use crate::raw_json::{Found, find};
    use crate::record::{Record, Slices};
    use proptest::prelude::*;
    use serde_json::json;
    use std::borrow::Cow;

    fn partial(read: &[&str], written: &[&str]) -> Partial {
        let mut members = Members::default();
        members.reads(Some(read.iter().copied()));
        for name in written {
            members.writes(&[(*name).to_owned()]);
        }
        members.into_partial().unwrap()
    }

    fn path(name: &str) -> Vec<String> {
        name.split('.').map(str::to_owned).collect()
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
        let mut picked = partial.pick(&record).unwrap();
        assert_eq!(*picked.tree(), json!({"a": 1.10}));
        assert!(partial.text(&record, &picked).is_none());
        picked.remove(&path("gone"));
        assert!(picked.set(&path("b"), json!({"c": "d"})));
        assert!(picked.set(&path("new"), json!(null)));
        let changed = partial.text(&record, &picked).unwrap();
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
        let record = slice("{ }", &partial);
        let mut picked = partial.pick(&record).unwrap();
        picked.set(&path("new"), json!(1));
        let changed = partial.text(&record, &picked);
        assert_eq!(changed.unwrap().text, r#"{"new":1}"#);
    }

    #[test]
    fn a_member_that_was_removed_again_is_not_added() {
        let partial = partial(&[], &["old", "new"]);
        let record = slice(r#"{"old":1}"#, &partial);
        let mut picked = partial.pick(&record).unwrap();
        for name in ["old", "new"] {
            picked.set(&path(name), json!(2));
            picked.remove(&path(name));
        }
        picked.set(&path("old"), json!(3));
        let changed = partial.text(&record, &picked);
        assert_eq!(changed.unwrap().text, r#"{"old":3}"#);
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

    /// A path that is set to a value, or removed.
    fn step() -> impl Strategy<Value = (Vec<String>, Option<Value>)> {
        let paths = proptest::sample::select(&["a", "b", "b.a", "new", "new.x.y", "z"][..]);
        let path = paths.prop_map(path);
        let values = [json!(null), json!("x\"y"), json!({"a": 1})];
        (
            path,
            proptest::option::of(proptest::sample::select(values.to_vec())),
        )
    }

    proptest! {
        #[test]
        fn changing_the_text_is_changing_the_tree(
            text in object(), steps in proptest::collection::vec(step(), 0..5)
        ) {
            let mut members = Members::default();
            members.reads(Some(["a"]));
            for (path, _) in &steps {
                members.writes(path);
            }
            let partial = members.into_partial().unwrap();
            let record = slice(&text, &partial);
            let mut expected: Value = serde_json::from_str(&text).unwrap();
            let mut picked = partial.pick(&record).unwrap();
            let a = picked.field("a").map(Cow::into_owned);
            prop_assert_eq!(a.as_ref(), expected.get("a"));
            for (path, new) in &steps {
                match new {
                    None => {
                        picked.remove(path);
                        expected.remove(path);
                    }
                    Some(new) => {
                        let is_set = picked.set(path, new.clone());
                        prop_assert_eq!(is_set, expected.set(path, new.clone()));
                        // A value in the way ends the sync.
                        prop_assume!(is_set);
                    }
                }
                let name = &path[0];
                if let Some(value) = picked.field(name).map(Cow::into_owned) {
                    prop_assert_eq!(Some(&value), expected.get(name));
                }
            }
            let changed = match partial.text(&record, &picked) {
                Some(changed) => Record::Text(changed),
                None => Record::Slice(record.clone()),
            };
            let tree: Value = serde_json::from_str(changed.text().unwrap()).unwrap();
            prop_assert_eq!(&tree, &expected);
            for name in ["a", "b", "c", "new", "z"] {
                let value = changed.get(name);
                prop_assert_eq!(value.as_ref(), expected.get(name), "{}", name);
            }
            let has_nulls = expected.as_object().unwrap().values().any(Value::is_null);
            prop_assert!(changed.may_have_nulls() || !has_nulls);
        }
    }
}
