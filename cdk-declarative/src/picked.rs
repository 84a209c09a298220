//! What filters and transformations work on: a record's tree, or only those members of its text that they name.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::dpath;
use crate::template::{Scope, Val};

/// A record that templates read and transformations change.
pub(crate) trait Fields {
    /// `scope` with this as the variable `record`.
    fn bind<'b>(&'b self, scope: &'b Scope<'_>) -> Scope<'b>;

    /// A top-level field.
    fn field(&self, name: &str) -> Option<Cow<'_, Value>>;

    /// All of it.
    fn tree(&self) -> Cow<'_, Value>;

    /// Sets the value at a path as [`dpath::set`] does.
    fn set(&mut self, path: &[String], new: Value) -> bool;

    /// Removes what a path leads to as [`dpath::remove`] does.
    fn remove(&mut self, path: &[String]);
}

impl Fields for Value {
    fn bind<'b>(&'b self, scope: &'b Scope<'_>) -> Scope<'b> {
        scope.with("record", self)
    }

    fn field(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.get(name).map(Cow::Borrowed)
    }

    fn tree(&self) -> Cow<'_, Value> {
        Cow::Borrowed(self)
    }

    fn set(&mut self, path: &[String], new: Value) -> bool {
        dpath::set(self, path, new)
    }

    fn remove(&mut self, path: &[String]) {
        dpath::remove(self, path);
    }
}

/// Some members of a record. Texts are read where they stand.
#[derive(Debug)]
pub(crate) struct Picked<'r> {
    names: &'r [String],
    /// One for each name.
    members: Vec<Member<'r>>,
    /// Those that the record did not have, in the order they were added in.
    added: Vec<usize>,
}

#[derive(Debug, Clone)]
enum Member<'r> {
    /// The record never had it.
    Absent,
    /// It is there, and nothing looks at its value.
    Unread,
    /// A text without escapes.
    Letters(&'r str),
    /// Any other value.
    Read(Value),
    New(Value),
    Removed,
}

/// What has become of a member that the record had.
pub(crate) enum Change<'a> {
    To(&'a Value),
    Removed,
}

impl<'r> Picked<'r> {
    /// None yet of the members called `names`.
    pub(crate) fn new(names: &'r [String]) -> Self {
        Self {
            names,
            members: vec![Member::Absent; names.len()],
            added: Vec::new(),
        }
    }

    /// Notes that the record has a member whose value nothing looks at.
    pub(crate) fn pass(&mut self, at: usize) {
        self.members[at] = Member::Unread;
    }

    /// Takes a member's value out of its JSON text; `None` if it is nested too deeply.
    pub(crate) fn read(&mut self, at: usize, text: &'r str) -> Option<()> {
        let quoted = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        self.members[at] = match quoted {
            Some(letters) if !letters.contains('\\') => Member::Letters(letters),
            _ => Member::Read(serde_json::from_str(text).ok()?),
        };
        Some(())
    }

    /// What has become of a member that the record had; `None` if it is as it was.
    pub(crate) fn change(&self, at: usize) -> Option<Change<'_>> {
        match &self.members[at] {
            Member::Unread | Member::Letters(_) | Member::Read(_) => None,
            Member::New(value) => Some(Change::To(value)),
            Member::Absent | Member::Removed => Some(Change::Removed),
        }
    }

    /// The members that the record did not have, as they were added.
    pub(crate) fn added(&self) -> impl Iterator<Item = (usize, &Value)> {
        self.added.iter().filter_map(|at| match &self.members[*at] {
            Member::New(value) => Some((*at, value)),
            _ => None,
        })
    }

    /// A member as templates see it.
    pub(crate) fn value(&self, name: &str) -> Option<Val<'_>> {
        match &self.members[self.position(name)?] {
            Member::Letters(letters) => Some(Val::text(*letters)),
            Member::Read(value) | Member::New(value) => Some(Val::of(value)),
            Member::Absent | Member::Unread | Member::Removed => None,
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|other| other == name)
    }

    fn value_at(&self, at: usize) -> Option<Cow<'_, Value>> {
        match &self.members[at] {
            Member::Letters(letters) => Some(Cow::Owned((*letters).into())),
            Member::Read(value) | Member::New(value) => Some(Cow::Borrowed(value)),
            Member::Absent | Member::Unread | Member::Removed => None,
        }
    }

    fn put(&mut self, at: usize, value: Value) {
        let old = std::mem::replace(&mut self.members[at], Member::New(value));
        if matches!(old, Member::Absent) {
            self.added.push(at);
        }
    }
}

impl Fields for Picked<'_> {
    fn bind<'b>(&'b self, scope: &'b Scope<'_>) -> Scope<'b> {
        scope.with_picked("record", self)
    }

    fn field(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.value_at(self.position(name)?)
    }

    fn tree(&self) -> Cow<'_, Value> {
        let members = self.names.iter().enumerate();
        let members = members.filter_map(|(at, name)| {
            let value = self.value_at(at)?;
            Some((name.clone(), value.into_owned()))
        });
        Cow::Owned(Value::Object(members.collect::<Map<_, _>>()))
    }

    fn set(&mut self, path: &[String], new: Value) -> bool {
        let Some((step, rest)) = path.split_first() else {
            return false;
        };
        let Some(at) = self.position(step) else {
            return false;
        };
        if rest.is_empty() {
            self.put(at, new);
            return true;
        }
        let mut value = self.value_at(at).map_or(Value::Null, Cow::into_owned);
        let is_set = dpath::fill(&mut value, rest, new);
        self.put(at, value);
        is_set
    }

    fn remove(&mut self, path: &[String]) {
        let Some((step, rest)) = path.split_first() else {
            return;
        };
        let Some(at) = self.position(step) else {
            return;
        };
        if rest.is_empty() {
            let was_added = self.added.contains(&at);
            self.added.retain(|added| *added != at);
            self.members[at] = match (&self.members[at], was_added) {
                (Member::Absent, _) | (_, true) => Member::Absent,
                _ => Member::Removed,
            };
        } else if let Some(value) = self.value_at(at) {
            let mut value = value.into_owned();
            dpath::remove(&mut value, rest);
            self.put(at, value);
        }
    }
}
