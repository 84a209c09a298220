//! What streams are called at the destination: namespace and prefix.

use std::collections::HashMap;
use std::sync::Arc;

use airbyte_protocol::{AirbyteStateMessage, StreamDescriptor};

use crate::error::{ConnectorError, Result};

/// Where the destination puts the streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Namespace {
    /// The destination's own default.
    #[default]
    Destination,
    /// The stream's namespace at the source.
    Source,
    /// A format in which `${SOURCE_NAMESPACE}` stands for the stream's namespace (or nothing).
    Custom(String),
}

impl Namespace {
    fn of(&self, source: Option<&str>) -> Option<String> {
        match self {
            Self::Destination => None,
            Self::Source => source.map(str::to_owned),
            Self::Custom(format) => {
                let name = format.replace("${SOURCE_NAMESPACE}", source.unwrap_or_default());
                (!name.trim().is_empty()).then_some(name)
            }
        }
    }
}

/// The names of a sync's streams on both sides.
#[derive(Debug, Default)]
pub(super) struct NameMap {
    to_destination: HashMap<StreamDescriptor, Arc<StreamDescriptor>>,
    to_source: HashMap<StreamDescriptor, StreamDescriptor>,
}

impl NameMap {
    /// Maps every stream; two that end up with one name are a config error.
    pub(super) fn new(
        streams: impl IntoIterator<Item = StreamDescriptor>,
        namespace: &Namespace,
        prefix: &str,
    ) -> Result<Self> {
        let mut map = Self::default();
        for source in streams {
            let mut there = StreamDescriptor::new(format!("{prefix}{}", source.name));
            there.namespace = namespace.of(source.namespace.as_deref());
            if let Some(other) = map.to_source.insert(there.clone(), source.clone()) {
                return Err(ConnectorError::config(format!(
                    "Streams {other} and {source} would both be called {there} at the destination. \
                     Use the source's namespaces, or a namespace format with ${{SOURCE_NAMESPACE}}."
                )));
            }
            map.to_destination.insert(source, Arc::new(there));
        }
        Ok(map)
    }

    /// The name at the destination.
    pub(super) fn there(&self, source: &StreamDescriptor) -> Option<&Arc<StreamDescriptor>> {
        self.to_destination.get(source)
    }

    /// The name at the source.
    pub(super) fn here(&self, destination: &StreamDescriptor) -> Option<&StreamDescriptor> {
        self.to_source.get(destination)
    }

    /// A state under the destination's names.
    pub(super) fn state_there(&self, state: AirbyteStateMessage) -> AirbyteStateMessage {
        rename(state, |name| {
            self.there(name).map(|there| there.as_ref().clone())
        })
    }

    /// A state under the source's names.
    pub(super) fn state_here(&self, state: AirbyteStateMessage) -> AirbyteStateMessage {
        rename(state, |name| self.here(name).cloned())
    }
}

fn rename(
    mut state: AirbyteStateMessage,
    name: impl Fn(&StreamDescriptor) -> Option<StreamDescriptor>,
) -> AirbyteStateMessage {
    let own = state.stream.iter_mut();
    let global = state
        .global
        .iter_mut()
        .flat_map(|global| &mut global.stream_states);
    for stream in own.chain(global) {
        if let Some(renamed) = name(&stream.stream_descriptor) {
            stream.stream_descriptor = renamed;
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(namespace: Option<&str>, name: &str) -> StreamDescriptor {
        let mut descriptor = StreamDescriptor::new(name);
        descriptor.namespace = namespace.map(str::to_owned);
        descriptor
    }

    #[test]
    fn the_three_namespace_rules_and_the_prefix() {
        let users = named(Some("public"), "users");
        let custom = Namespace::Custom("production_${SOURCE_NAMESPACE}".to_owned());
        for (rule, source, expected) in [
            (
                Namespace::Destination,
                users.clone(),
                named(None, "p_users"),
            ),
            (
                Namespace::Source,
                users.clone(),
                named(Some("public"), "p_users"),
            ),
            (
                custom.clone(),
                users.clone(),
                named(Some("production_public"), "p_users"),
            ),
            (
                custom,
                named(None, "users"),
                named(Some("production_"), "p_users"),
            ),
            (
                Namespace::Custom("${SOURCE_NAMESPACE}".to_owned()),
                named(None, "users"),
                named(None, "p_users"),
            ),
        ] {
            let map = NameMap::new([source.clone()], &rule, "p_").unwrap();
            assert_eq!(map.there(&source).unwrap().as_ref(), &expected, "{rule:?}");
            assert_eq!(map.here(&expected), Some(&source));
        }
    }

    #[test]
    fn two_streams_with_one_name_are_refused() {
        let streams = [named(Some("a"), "users"), named(Some("b"), "users")];
        let error = NameMap::new(streams, &Namespace::Destination, "").unwrap_err();
        assert!(error.message().contains("a.users and b.users"), "{error}");
    }
}
