//! Name and namespace of a stream.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::Extra;
use crate::wire_struct::wire_struct;

wire_struct! {
    /// Which stream a message is about.
    ///
    /// A map key: equality, order and hash look at namespace and name only. Unknown fields in
    /// `extra` still survive a round trip, since a state goes back to the platform as it came.
    #[derive(Clone, Debug, Default)]
    pub struct StreamDescriptor {
        /// Name of the stream.
        required "name" name: String,
        /// Namespace of the stream. `None` and an empty one are different.
        optional "namespace" namespace: String,
    }
}

impl StreamDescriptor {
    /// The stream `name` without a namespace.
    pub fn new(name: impl Into<String>) -> Self {
        Self::from_parts(name, None)
    }

    /// The stream `name` in `namespace`.
    pub fn from_parts(name: impl Into<String>, namespace: Option<String>) -> Self {
        Self {
            name: name.into(),
            namespace,
            extra: Extra::new(),
        }
    }

    /// Sets the namespace.
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    fn identity(&self) -> (Option<&str>, &str) {
        (self.namespace.as_deref(), &self.name)
    }
}

/// `namespace.name`, or the name alone.
impl fmt::Display for StreamDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl PartialEq for StreamDescriptor {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for StreamDescriptor {}

impl Hash for StreamDescriptor {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl PartialOrd for StreamDescriptor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StreamDescriptor {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_namespace_before_the_name() {
        assert_eq!(StreamDescriptor::new("users").to_string(), "users");
        let public = StreamDescriptor::new("users").with_namespace("public");
        assert_eq!(public.to_string(), "public.users");
    }

    #[test]
    fn unknown_fields_do_not_count_for_identity_but_survive() {
        let text = r#"{"name":"users","namespace":"a","id":1.10}"#;
        let read: StreamDescriptor = serde_json::from_str(text).unwrap();
        assert_eq!(read, StreamDescriptor::new("users").with_namespace("a"));
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
