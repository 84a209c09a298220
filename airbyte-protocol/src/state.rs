//! STATE messages: LEGACY, STREAM and GLOBAL.

use std::collections::BTreeMap;

use crate::number::{Double, Doubles};
use crate::wire_enum::wire_enum;
use crate::wire_struct::wire_struct;
use crate::{Extra, RawJson, StreamDescriptor};

wire_enum! {
    /// Which part of a STATE message holds the state.
    pub enum AirbyteStateType {
        /// `global`: one shared state, and one per stream.
        Global = "GLOBAL",
        /// `stream`: the state of one stream.
        Stream = "STREAM",
        /// `data`: one blob for everything (deprecated).
        Legacy = "LEGACY",
    }
}

wire_struct! {
    /// A point from which a sync can go on.
    ///
    /// A destination hands each state back unchanged and in order once the records before it are
    /// durable. Pass on the line itself where possible; a round trip through this type keeps
    /// every field and digit, but writes known fields first.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct AirbyteStateMessage {
        /// Kind of state; absent means LEGACY, see [`AirbyteStateMessage::kind`].
        optional "type" state_type: AirbyteStateType,
        /// The state of one stream (STREAM).
        optional "stream" stream: AirbyteStreamState,
        /// The state of all streams (GLOBAL).
        optional "global" global: AirbyteGlobalState,
        /// The state of the whole source (LEGACY).
        optional "data" data: RawJson,
        /// What the source counted since its previous state.
        optional "sourceStats" source_stats: AirbyteStateStats,
        /// What the destination counted since its previous state.
        optional "destinationStats" destination_stats: AirbyteStateStats,
    }
}

impl AirbyteStateMessage {
    /// The state of one stream; without a state it resets the stream.
    #[must_use]
    pub fn stream(descriptor: StreamDescriptor, state: Option<RawJson>) -> Self {
        Self {
            state_type: Some(AirbyteStateType::Stream),
            stream: Some(AirbyteStreamState::new(descriptor, state)),
            ..Self::default()
        }
    }

    /// The state of all streams. Every GLOBAL state must list every stream.
    #[must_use]
    pub fn global(shared: Option<RawJson>, streams: Vec<AirbyteStreamState>) -> Self {
        Self {
            state_type: Some(AirbyteStateType::Global),
            global: Some(AirbyteGlobalState {
                shared_state: shared,
                stream_states: streams,
                extra: Extra::new(),
            }),
            ..Self::default()
        }
    }

    /// One blob for the whole source.
    #[must_use]
    pub fn legacy(data: RawJson) -> Self {
        let state_type = Some(AirbyteStateType::Legacy);
        Self {
            state_type,
            data: Some(data),
            ..Self::default()
        }
    }

    /// The kind of state: `state_type`, or LEGACY when the message names none.
    #[must_use]
    pub fn kind(&self) -> AirbyteStateType {
        self.state_type.unwrap_or(AirbyteStateType::Legacy)
    }

    /// Sets the number of records that the source emitted since its previous state.
    #[must_use]
    pub fn with_source_records(mut self, count: u64) -> Self {
        self.source_stats = Some(AirbyteStateStats::records(count));
        self
    }

    /// Sets the number of records that the destination wrote since the previous state.
    #[must_use]
    pub fn with_destination_records(mut self, count: u64) -> Self {
        self.destination_stats = Some(AirbyteStateStats::records(count));
        self
    }
}

wire_struct! {
    /// The state of one stream.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AirbyteStreamState {
        /// The stream.
        required "stream_descriptor" stream_descriptor: StreamDescriptor,
        /// Its state, verbatim; `None` resets the stream.
        optional "stream_state" stream_state: RawJson,
    }
}

impl AirbyteStreamState {
    /// The state of the stream `descriptor`.
    #[must_use]
    pub fn new(descriptor: StreamDescriptor, state: Option<RawJson>) -> Self {
        Self {
            stream_descriptor: descriptor,
            stream_state: state,
            extra: Extra::new(),
        }
    }
}

wire_struct! {
    /// The state of all streams of a source.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct AirbyteGlobalState {
        /// What the streams share (for example a log position), verbatim.
        optional "shared_state" shared_state: RawJson,
        /// The state of each stream.
        required "stream_states" stream_states: Vec<AirbyteStreamState>,
    }
}

wire_struct! {
    /// Counts since the previous state. On the wire they always have a decimal point, as the
    /// protocol asks. NaN and infinities are written as null.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct AirbyteStateStats {
        /// Records sent (source) or written (destination).
        optional "recordCount" record_count: f64 as Double,
        /// Records that the destination refused.
        optional "rejectedRecordCount" rejected_record_count: f64 as Double,
        /// Further counts by name (protocol 0.19), such as `nulledValueCount`.
        optional "additionalStats" additional_stats: BTreeMap<String, f64> as Doubles,
    }
}

impl AirbyteStateStats {
    /// `count` records. Exact up to 2^53, the limit of the protocol's floats.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the protocol counts in floats")]
    pub fn records(count: u64) -> Self {
        Self {
            record_count: Some(count as f64),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_without_a_type_is_legacy() {
        let state: AirbyteStateMessage = serde_json::from_str(r#"{"data":{"a":1}}"#).unwrap();
        assert_eq!(state.kind(), AirbyteStateType::Legacy);
        assert_eq!(
            serde_json::to_string(&state).unwrap(),
            r#"{"data":{"a":1}}"#
        );
    }

    #[test]
    fn record_counts_are_written_with_a_point() {
        let state = AirbyteStateMessage::stream(StreamDescriptor::new("a"), None);
        let text = serde_json::to_string(&state.with_source_records(12)).unwrap();
        assert!(
            text.ends_with(r#""sourceStats":{"recordCount":12.0}}"#),
            "{text}"
        );
    }

    #[test]
    fn unknown_fields_of_every_level_survive_verbatim() {
        let text = concat!(
            r#"{"type":"GLOBAL","global":{"shared_state":{"lsn":1.10},"stream_states":"#,
            r#"[{"stream_descriptor":{"name":"a","x":1E5},"stream_state":{"c":12345678901234567890},"id":7}],"#,
            r#""g":null},"sourceStats":{"recordCount":1.0,"additionalStats":{"nulledValueCount":2.0},"s":[]},"#,
            r#""id":3,"partition_id":"ab12"}"#
        );
        let state: AirbyteStateMessage = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&state).unwrap(), text);
    }

    #[test]
    fn errors_name_the_path_of_the_field() {
        let text = r#"{"stream":{"stream_descriptor":{"name":5}}}"#;
        let error = serde_json::from_str::<AirbyteStateMessage>(text)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("stream: stream_descriptor: name: invalid type"),
            "{error}"
        );
    }

    #[test]
    fn unknown_state_type_names_itself_and_the_known_ones() {
        let error = serde_json::from_str::<AirbyteStateMessage>(r#"{"type":"PARTIAL"}"#);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("`PARTIAL`") && error.contains("GLOBAL, STREAM, LEGACY"),
            "{error}"
        );
    }
}
