//! The envelope of every message.

use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::wire_enum::wire_enum;
use crate::wire_struct::{Key, in_field};
use crate::{
    AirbyteCatalog, AirbyteConnectionStatus, AirbyteControlMessage, AirbyteLogMessage,
    AirbyteRecordMessage, AirbyteStateMessage, AirbyteTraceMessage, ConnectorSpecification,
    DestinationCatalog,
};

wire_enum! {
    /// The kind of a message.
    pub enum MessageType {
        /// A record.
        Record = "RECORD",
        /// A state.
        State = "STATE",
        /// A log message.
        Log = "LOG",
        /// The answer to `spec`.
        Spec = "SPEC",
        /// The answer to `check`.
        ConnectionStatus = "CONNECTION_STATUS",
        /// The answer to `discover`.
        Catalog = "CATALOG",
        /// A message about the sync itself.
        Trace = "TRACE",
        /// A request to whoever runs the connector.
        Control = "CONTROL",
        /// A destination's answer to `discover`.
        DestinationCatalog = "DESTINATION_CATALOG",
    }
}

impl MessageType {
    /// The envelope's field that holds a message of this kind.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::State => "state",
            Self::Log => "log",
            Self::Spec => "spec",
            Self::ConnectionStatus => "connectionStatus",
            Self::Catalog => "catalog",
            Self::Trace => "trace",
            Self::Control => "control",
            Self::DestinationCatalog => "destination_catalog",
        }
    }

    /// The kind whose body is in the envelope's field `field`.
    pub(crate) fn of_field(field: &[u8]) -> Option<Self> {
        if field == b"record" {
            return Some(Self::Record);
        }
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.field().as_bytes() == field)
    }
}

/// A message of the protocol: one line on stdout or stdin.
///
/// Reading takes the envelope's keys in any order, ignores the bodies of other kinds (some
/// connectors write them as null) and drops unknown keys of the envelope itself; a missing or null
/// body of the named kind is an error. It works with `serde_json` only.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "messages are rare; records travel in batches"
)]
pub enum AirbyteMessage {
    /// A record.
    Record(AirbyteRecordMessage),
    /// A state.
    State(AirbyteStateMessage),
    /// A log message.
    Log(AirbyteLogMessage),
    /// The answer to `spec`.
    Spec(ConnectorSpecification),
    /// The answer to `check`.
    ConnectionStatus(AirbyteConnectionStatus),
    /// The answer to `discover`.
    Catalog(AirbyteCatalog),
    /// A message about the sync itself.
    Trace(AirbyteTraceMessage),
    /// A request to whoever runs the connector.
    Control(AirbyteControlMessage),
    /// A destination's answer to `discover`.
    DestinationCatalog(DestinationCatalog),
}

/// Runs `$then` with `$body` bound to the message's body, whatever its kind.
macro_rules! with_body {
    ($message:expr, $body:ident => $then:expr) => {
        match $message {
            AirbyteMessage::Record($body) => $then,
            AirbyteMessage::State($body) => $then,
            AirbyteMessage::Log($body) => $then,
            AirbyteMessage::Spec($body) => $then,
            AirbyteMessage::ConnectionStatus($body) => $then,
            AirbyteMessage::Catalog($body) => $then,
            AirbyteMessage::Trace($body) => $then,
            AirbyteMessage::Control($body) => $then,
            AirbyteMessage::DestinationCatalog($body) => $then,
        }
    };
}

impl AirbyteMessage {
    /// The kind of the message.
    #[must_use]
    pub const fn kind(&self) -> MessageType {
        match self {
            Self::Record(_) => MessageType::Record,
            Self::State(_) => MessageType::State,
            Self::Log(_) => MessageType::Log,
            Self::Spec(_) => MessageType::Spec,
            Self::ConnectionStatus(_) => MessageType::ConnectionStatus,
            Self::Catalog(_) => MessageType::Catalog,
            Self::Trace(_) => MessageType::Trace,
            Self::Control(_) => MessageType::Control,
            Self::DestinationCatalog(_) => MessageType::DestinationCatalog,
        }
    }

    /// Appends the message to `out` as one line, with its line break.
    pub fn to_line(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(&mut *out, self)
            .expect("messages hold only strings as keys, and a Vec takes every write");
        out.push(b'\n');
    }
}

impl Serialize for AirbyteMessage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.kind();
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", &kind)?;
        with_body!(self, body => map.serialize_entry(kind.field(), body)?);
        map.end()
    }
}

impl<'de> Deserialize<'de> for AirbyteMessage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = AirbyteMessage;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object (AirbyteMessage)")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AirbyteMessage, A::Error> {
        let mut kind: Option<MessageType> = None;
        // The type may come after its body, so bodies wait as text. Later entries win.
        let mut bodies: Vec<(MessageType, Option<Box<RawValue>>)> = Vec::new();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            if key.0 == "type" {
                kind = Some(map.next_value().map_err(|e| in_field("type", &e))?);
            } else if let Some(field) = MessageType::of_field(key.0.as_bytes()) {
                let body = map.next_value()?;
                bodies.retain(|(other, _)| *other != field);
                bodies.push((field, body));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        let kind = kind.ok_or_else(|| A::Error::missing_field("type"))?;
        let body = bodies
            .into_iter()
            .find(|(field, _)| *field == kind)
            .and_then(|(_, body)| body);
        let body = body.ok_or_else(|| A::Error::missing_field(kind.field()))?;
        read_body(kind, body.get()).map_err(|e| in_field(kind.field(), &A::Error::custom(e)))
    }
}

fn read_body(kind: MessageType, text: &str) -> serde_json::Result<AirbyteMessage> {
    Ok(match kind {
        MessageType::Record => AirbyteMessage::Record(serde_json::from_str(text)?),
        MessageType::State => AirbyteMessage::State(serde_json::from_str(text)?),
        MessageType::Log => AirbyteMessage::Log(serde_json::from_str(text)?),
        MessageType::Spec => AirbyteMessage::Spec(serde_json::from_str(text)?),
        MessageType::ConnectionStatus => {
            AirbyteMessage::ConnectionStatus(serde_json::from_str(text)?)
        }
        MessageType::Catalog => AirbyteMessage::Catalog(serde_json::from_str(text)?),
        MessageType::Trace => AirbyteMessage::Trace(serde_json::from_str(text)?),
        MessageType::Control => AirbyteMessage::Control(serde_json::from_str(text)?),
        MessageType::DestinationCatalog => {
            AirbyteMessage::DestinationCatalog(serde_json::from_str(text)?)
        }
    })
}

/// Each body becomes a message of its kind.
macro_rules! from_body {
    ($($body:ident => $variant:ident),* $(,)?) => {
        $(impl From<$body> for AirbyteMessage {
            fn from(body: $body) -> Self {
                Self::$variant(body)
            }
        })*
    };
}

from_body! {
    AirbyteRecordMessage => Record,
    AirbyteStateMessage => State,
    AirbyteLogMessage => Log,
    ConnectorSpecification => Spec,
    AirbyteConnectionStatus => ConnectionStatus,
    AirbyteCatalog => Catalog,
    AirbyteTraceMessage => Trace,
    AirbyteControlMessage => Control,
    DestinationCatalog => DestinationCatalog,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AirbyteMessage, String> {
        serde_json::from_str(text).map_err(|e| e.to_string())
    }

    #[test]
    fn reads_any_key_order_null_bodies_and_unknown_keys() {
        let log = AirbyteMessage::from(AirbyteLogMessage::new(crate::LogLevel::Info, "hi"));
        let body = r#""log":{"level":"INFO","message":"hi","stack_trace":null}"#;
        for text in [
            format!(r#"{{"type":"LOG",{body}}}"#),
            format!(r#"{{{body},"record":null,"type":"LOG","connectionStatus":null}}"#),
            format!(r#"{{"x":[1,{{}}],"type":"LOG","state":{{}},{body}}}"#),
            format!(r#"{{"type":"RECORD","log":{{}},{body},"type":"LOG"}}"#),
        ] {
            assert_eq!(read(&text).unwrap(), log, "{text}");
        }
    }

    #[test]
    fn missing_parts_are_errors_that_name_them() {
        let missing = [
            (r#"{"record":{}}"#, "missing field `type`"),
            (r#"{"type":"RECORD"}"#, "missing field `record`"),
            (
                r#"{"type":"RECORD","record":null}"#,
                "missing field `record`",
            ),
            (
                r#"{"type":"LOG","log":{"level":"INFO"}}"#,
                "log: missing field `message`",
            ),
            (r#"{"type":"NEWS","news":{}}"#, "unknown MessageType `NEWS`"),
            ("[]", "AirbyteMessage"),
        ];
        for (text, part) in missing {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn trees_and_readers_work_as_well_as_text() {
        let stats = crate::AirbyteStateMessage::legacy(crate::RawJson::empty_object());
        let state = AirbyteMessage::from(stats.with_source_records(3));
        let tree = serde_json::to_value(&state).unwrap();
        assert_eq!(
            serde_json::from_value::<AirbyteMessage>(tree.clone()).unwrap(),
            state
        );
        let text = tree.to_string();
        let mut stream = serde_json::Deserializer::from_reader(text.as_bytes());
        assert_eq!(AirbyteMessage::deserialize(&mut stream).unwrap(), state);
    }

    #[test]
    fn line_ends_with_one_line_break() {
        let mut line = Vec::new();
        AirbyteMessage::from(AirbyteConnectionStatus::succeeded()).to_line(&mut line);
        let text = r#"{"type":"CONNECTION_STATUS","connectionStatus":{"status":"SUCCEEDED"}}"#;
        assert_eq!(line, format!("{text}\n").into_bytes());
    }
}
