//! The state a read starts from: STREAM, GLOBAL and LEGACY messages brought to one shape.

use std::collections::HashMap;

use airbyte_protocol::{
    AirbyteGlobalState, AirbyteStateMessage, AirbyteStateType, AirbyteStreamState, RawJson,
    StreamDescriptor,
};
use serde_json::value::RawValue;

use crate::error::{ConnectorError, ErrorContext, Result};

/// Saved state by stream, with the shared part of a GLOBAL state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputState {
    shared: Option<RawJson>,
    streams: HashMap<StreamDescriptor, RawJson>,
    /// LEGACY state: by stream name, without namespaces.
    legacy: HashMap<String, RawJson>,
}

impl InputState {
    /// Reads the text of a `--state` file: a JSON list of state messages.
    ///
    /// `[]`, `{}` and an empty file are "no state"; an object that is no state message is a LEGACY
    /// state; of several states for one stream the last wins. Anything else is a config error.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Ok(Self::default());
        }
        let messages: Vec<AirbyteStateMessage> = match text.as_bytes().first() {
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).config_error(SHAPE)?;
                let parsed = items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| parse_entry(item.get(), at));
                parsed.collect::<Result<_>>()?
            }
            Some(b'{') => vec![parse_object(text)?],
            _ => return Err(ConnectorError::config(SHAPE)),
        };
        Ok(Self::from_messages(messages))
    }

    /// Brings state messages to one shape.
    pub fn from_messages(messages: impl IntoIterator<Item = AirbyteStateMessage>) -> Self {
        let mut state = Self::default();
        for message in messages {
            match message.kind() {
                AirbyteStateType::Stream => state.add_stream(message.stream),
                AirbyteStateType::Global => state.add_global(message.global),
                AirbyteStateType::Legacy => state.add_legacy(message.data.as_ref()),
            }
        }
        state
    }

    /// The state of one stream.
    pub fn stream(&self, descriptor: &StreamDescriptor) -> Option<&RawJson> {
        self.streams
            .get(descriptor)
            .or_else(|| self.legacy.get(&descriptor.name))
    }

    /// The shared part of a GLOBAL state.
    pub fn shared(&self) -> Option<&RawJson> {
        self.shared.as_ref()
    }

    /// True when there is nothing to resume from.
    pub fn is_empty(&self) -> bool {
        self.shared.is_none() && self.streams.is_empty() && self.legacy.is_empty()
    }

    /// The messages that bring this state back, for a connector in another process.
    pub fn to_messages(&self) -> Vec<AirbyteStateMessage> {
        let mut streams: Vec<_> = self.streams.iter().collect();
        streams.sort_by(|a, b| a.0.cmp(b.0));
        let streams = streams
            .into_iter()
            .map(|(descriptor, state)| (descriptor.clone(), Some(state.clone())));
        if let Some(shared) = &self.shared {
            let streams = streams.map(|(name, state)| AirbyteStreamState::new(name, state));
            return vec![AirbyteStateMessage::global(
                Some(shared.clone()),
                streams.collect(),
            )];
        }
        let mut messages: Vec<_> = streams
            .map(|(name, state)| AirbyteStateMessage::stream(name, state))
            .collect();
        if !self.legacy.is_empty() {
            let data = RawJson::from_serialize(&self.legacy);
            messages.extend(data.ok().map(AirbyteStateMessage::legacy));
        }
        messages
    }

    fn add_stream(&mut self, stream: Option<AirbyteStreamState>) {
        let Some(stream) = stream else { return };
        let descriptor = stream.stream_descriptor;
        let state = stream
            .stream_state
            .filter(|state| !state.is_null() && !says_nothing(state));
        // A stream without state is a reset of that stream.
        let Some(state) = state else {
            return drop(self.streams.remove(&descriptor));
        };
        if self.streams.insert(descriptor.clone(), state).is_some() {
            tracing::warn!(
                "Several states were given for stream {descriptor}; the last one is used."
            );
        }
    }

    fn add_global(&mut self, global: Option<AirbyteGlobalState>) {
        let Some(global) = global else { return };
        self.shared = global.shared_state.filter(|state| !state.is_null());
        global
            .stream_states
            .into_iter()
            .for_each(|stream| self.add_stream(Some(stream)));
    }

    fn add_legacy(&mut self, data: Option<&RawJson>) {
        let parsed = data.map(RawJson::parse_as::<HashMap<String, RawJson>>);
        if let Some(Ok(by_name)) = parsed {
            self.legacy
                .extend(by_name.into_iter().filter(|(_, state)| !state.is_null()));
        }
    }
}

/// The reference CDK's mark on full-refresh streams, which our scheduler writes too.
pub(super) const NO_CURSOR_KEY: &str = "__ab_no_cursor_state_message";

/// The mark and the empty object tell that there is nothing to resume from.
fn says_nothing(state: &RawJson) -> bool {
    let keys = state.parse_as::<HashMap<String, RawJson>>();
    keys.is_ok_and(|keys| keys.keys().all(|key| key == NO_CURSOR_KEY))
}

const SHAPE: &str = "The state is not a JSON list of Airbyte state messages. Give the list that an \
    earlier run saved, or no state to start over.";

/// One entry of the list. It must say what it is the state of.
fn parse_entry(text: &str, at: usize) -> Result<AirbyteStateMessage> {
    let message: AirbyteStateMessage = serde_json::from_str(text).config_error(format!(
        "Entry {at} of the state is not an Airbyte state message. Give the list that an earlier \
         run saved, or no state to start over."
    ))?;
    let has_body = match message.kind() {
        AirbyteStateType::Stream => message.stream.is_some(),
        AirbyteStateType::Global => message.global.is_some(),
        AirbyteStateType::Legacy => message.data.is_some(),
    };
    if has_body {
        return Ok(message);
    }
    Err(ConnectorError::config(format!(
        "Entry {at} of the state has no `stream`, `global` or `data` that fits its `type`. Give the \
         list that an earlier run saved, or no state to start over."
    )))
}

/// A bare object: a single state message, or the oldest form, `{"<stream>": {…}}`.
fn parse_object(text: &str) -> Result<AirbyteStateMessage> {
    let message: AirbyteStateMessage = serde_json::from_str(text).config_error(SHAPE)?;
    let is_message = message.stream.is_some() || message.global.is_some() || message.data.is_some();
    if is_message {
        return parse_entry(text, 0);
    }
    let data = RawJson::parse(text.to_owned()).config_error(SHAPE)?;
    Ok(AirbyteStateMessage::legacy(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> StreamDescriptor {
        StreamDescriptor::new("users")
    }

    #[test]
    fn nothing_is_no_state() {
        for text in ["", " \n", "[]", "{}", "\u{feff}[]"] {
            assert!(InputState::parse(text).unwrap().is_empty(), "{text:?}");
        }
    }

    #[test]
    fn pyairbyte_states_with_nulls_and_unknown_keys_are_read() {
        let text = r#"[{"type":"STREAM","stream":{"stream_descriptor":{"name":"users","namespace":null},
            "stream_state":{"id":12345678901234567890123}},"global_":null,"global":null,"data":null,
            "sourceStats":{"recordCount":1.0},"destinationStats":null}]"#;
        let state = InputState::parse(text).unwrap();
        assert_eq!(
            state.stream(&users()).unwrap().get(),
            r#"{"id":12345678901234567890123}"#
        );
    }

    #[test]
    fn the_last_of_several_states_wins() {
        let one = |id: i64| {
            let state = RawJson::from_serialize(&serde_json::json!({"id": id})).unwrap();
            AirbyteStateMessage::stream(users(), Some(state))
        };
        let state = InputState::from_messages([one(1), one(2)]);
        assert_eq!(state.stream(&users()).unwrap().get(), r#"{"id":2}"#);
    }

    #[test]
    fn legacy_states_are_found_by_name() {
        for text in [
            r#"[{"type":"LEGACY","data":{"users":{"id":7}}}]"#,
            r#"[{"data":{"users":{"id":7}}}]"#,
            r#"{"users":{"id":7}}"#,
        ] {
            let state = InputState::parse(text).unwrap();
            assert_eq!(
                state.stream(&users()).unwrap().get(),
                r#"{"id":7}"#,
                "{text}"
            );
        }
    }

    #[test]
    fn global_state_comes_back_as_global() {
        let text = r#"[{"type":"GLOBAL","global":{"shared_state":{"lsn":9},"stream_states":[
            {"stream_descriptor":{"name":"users"},"stream_state":{"done":true}}]}}]"#;
        let state = InputState::parse(text).unwrap();
        assert_eq!(state.shared().unwrap().get(), r#"{"lsn":9}"#);
        assert_eq!(InputState::from_messages(state.to_messages()), state);
    }

    #[test]
    fn a_foreign_shape_is_a_config_error_that_names_the_entry() {
        let cases = [
            ("17", "The state is not a JSON list"),
            ("[1]", "Entry 0 of the state is not"),
            (r#"[{"type":"STREAM"}]"#, "Entry 0 of the state has no"),
            ("[{]", "The state is not a JSON list"),
        ];
        for (text, start) in cases {
            let error = InputState::parse(text).unwrap_err();
            assert!(error.message().starts_with(start), "{text}: {error}");
            assert_eq!(
                error.failure_type(),
                airbyte_protocol::FailureType::ConfigError
            );
        }
    }
}
