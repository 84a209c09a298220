//! Where a sync keeps what it must remember between runs.

use std::any::Any;
use std::collections::BTreeMap;

use airbyte_protocol::{AirbyteStateMessage, RawJson, StreamDescriptor};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::source::InputState;

/// Everything a connection remembers. As JSON it is a stable, documented shape; `state` is the list that
/// any Airbyte source takes as its `--state` file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedConnection {
    /// The id of the last sync.
    #[serde(default)]
    pub sync_id: i64,
    /// The newest state whose records are all durable at the destination.
    #[serde(default)]
    pub state: Vec<AirbyteStateMessage>,
    /// Generations.
    #[serde(default)]
    pub streams: Vec<SavedStream>,
    /// A config the source asked to persist (a rotated credential), with the one it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_config: Option<SavedConfig>,
    /// The same for the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_config: Option<SavedConfig>,
}

/// What a connection remembers of a stream besides its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedStream {
    /// The stream, under its name at the source.
    pub stream: StreamDescriptor,
    /// The generation its rows belong to; grows with every full refresh.
    pub generation_id: i64,
    /// True between the start of a full refresh and its success.
    #[serde(default)]
    pub is_unfinished: bool,
    /// True when that refresh is to replace what the destination has.
    #[serde(default)]
    pub is_replacing: bool,
}

/// A config that a connector changed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedConfig {
    /// What the user gave. When the user gives something else, `current` is obsolete.
    pub given: RawJson,
    /// What the connector made of it.
    pub current: RawJson,
}

impl std::fmt::Debug for SavedConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SavedConfig(****)")
    }
}

impl SavedConnection {
    /// The state by stream.
    pub fn input_state(&self) -> InputState {
        InputState::from_messages(self.state.iter().cloned())
    }

    /// Takes a newer state in. It replaces what it speaks of: a STREAM state its stream, a GLOBAL state the
    /// shared part and the streams it names, a LEGACY state everything.
    pub fn apply(&mut self, state: AirbyteStateMessage) {
        if let Some(stream) = &state.stream {
            self.forget(&stream.stream_descriptor);
        } else if let Some(global) = &state.global {
            self.state.retain(|old| old.stream.is_some());
            let named = global.stream_states.iter();
            for name in named.map(|stream| stream.stream_descriptor.clone()) {
                self.forget(&name);
            }
        } else {
            self.state.clear();
        }
        self.state.push(state);
    }

    /// Forgets the state of one stream, also inside a GLOBAL or LEGACY one.
    pub fn forget(&mut self, name: &StreamDescriptor) {
        self.state.retain(|state| {
            let stream = state.stream.as_ref();
            stream.is_none_or(|stream| stream.stream_descriptor != *name)
        });
        for state in &mut self.state {
            if let Some(global) = &mut state.global {
                let streams = &mut global.stream_states;
                streams.retain(|stream| stream.stream_descriptor != *name);
            }
            if let Some(data) = &mut state.data
                && let Ok(mut by_name) = data.parse_as::<BTreeMap<String, RawJson>>()
                && by_name.remove(&name.name).is_some()
                && let Ok(rest) = RawJson::from_serialize(&by_name)
            {
                *data = rest;
            }
        }
    }

    /// The stream's entry, made when it is missing.
    pub fn stream_mut(&mut self, name: &StreamDescriptor) -> &mut SavedStream {
        let at = self.streams.iter().position(|saved| saved.stream == *name);
        let at = at.unwrap_or_else(|| {
            let stream = name.clone();
            self.streams.push(SavedStream {
                stream,
                generation_id: 0,
                is_unfinished: false,
                is_replacing: false,
            });
            self.streams.len() - 1
        });
        &mut self.streams[at]
    }
}

/// Held while a sync runs; dropping it lets the next one start.
pub type Lease = Box<dyn Any + Send + Sync>;

/// Keeps [`SavedConnection`]s by connection name. Implement it to keep them in your own database.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// Makes sure that no other sync of this connection runs; an error when one does.
    async fn acquire(&self, connection: &str) -> Result<Lease>;

    /// What was saved last; `None` before the first run.
    async fn load(&self, connection: &str) -> Result<Option<SavedConnection>>;

    /// Saves atomically: after a crash either the old or the new is there. Durable on return.
    async fn save(&self, connection: &str, saved: &SavedConnection) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use airbyte_protocol::AirbyteStreamState;

    fn state(name: &str, id: i64) -> AirbyteStateMessage {
        AirbyteStateMessage::stream(
            StreamDescriptor::new(name),
            Some(RawJson::from_serialize(&id).unwrap()),
        )
    }

    #[test]
    fn a_newer_state_replaces_the_older_of_its_stream_only() {
        let mut saved = SavedConnection::default();
        for (name, id) in [("a", 1), ("b", 2), ("a", 3)] {
            saved.apply(state(name, id));
        }
        assert_eq!(saved.state, [state("b", 2), state("a", 3)]);
    }

    #[test]
    fn global_and_stream_states_stand_beside_each_other() {
        let (a, b) = (StreamDescriptor::new("a"), StreamDescriptor::new("b"));
        let one = |id: i64| Some(RawJson::from_serialize(&id).unwrap());
        let global = |id: i64| {
            let parts = vec![AirbyteStreamState::new(a.clone(), one(id))];
            AirbyteStateMessage::global(one(id), parts)
        };
        let mut saved = SavedConnection::default();
        for newer in [state("a", 1), global(2), state("b", 3), global(4)] {
            saved.apply(newer);
        }
        let input = saved.input_state();
        assert_eq!(input.shared(), one(4).as_ref());
        assert_eq!(input.stream(&a), one(4).as_ref());
        assert_eq!(input.stream(&b), one(3).as_ref());
    }

    #[test]
    fn a_stream_is_forgotten_in_legacy_states_too() {
        let mut saved = SavedConnection::default();
        let data = RawJson::parse(r#"{"a":{"at":1},"b":{"at":2}}"#.to_owned()).unwrap();
        saved.apply(AirbyteStateMessage::legacy(data));
        saved.forget(&StreamDescriptor::new("a"));
        let input = saved.input_state();
        assert!(input.stream(&StreamDescriptor::new("a")).is_none());
        assert!(input.stream(&StreamDescriptor::new("b")).is_some());
    }

    #[test]
    fn the_saved_shape_round_trips_with_every_digit() {
        let mut saved = SavedConnection {
            sync_id: 3,
            ..Default::default()
        };
        let exact = RawJson::parse(r#"{"n":12345678901234567890.10}"#.to_owned()).unwrap();
        saved.apply(AirbyteStateMessage::stream(
            StreamDescriptor::new("a"),
            Some(exact),
        ));
        saved.stream_mut(&StreamDescriptor::new("a")).generation_id = 7;
        let text = serde_json::to_string(&saved).unwrap();
        assert!(text.contains("12345678901234567890.10"), "{text}");
        assert_eq!(
            serde_json::from_str::<SavedConnection>(&text).unwrap(),
            saved
        );
    }
}
