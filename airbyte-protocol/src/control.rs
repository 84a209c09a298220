//! CONTROL messages: a connector asks for its new configuration to be stored.

use std::fmt;

use crate::wire_enum::wire_enum;
use crate::wire_struct::wire_struct;
use crate::{Extra, RawJson};

wire_enum! {
    /// Which part of a CONTROL message is filled.
    pub enum AirbyteControlMessageType {
        /// `connectorConfig`.
        ConnectorConfig = "CONNECTOR_CONFIG",
    }
}

wire_struct! {
    /// A request of a connector to whoever runs it.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AirbyteControlMessage {
        /// Kind of request.
        required "type" control_type: AirbyteControlMessageType,
        /// When it was emitted, in milliseconds since the Unix epoch; a float in the protocol.
        required "emitted_at" emitted_at: f64,
        /// The new configuration.
        optional "connectorConfig" connector_config: AirbyteControlConnectorConfigMessage,
    }
}

impl AirbyteControlMessage {
    /// Asks to store `config`, the whole new configuration (a JSON object), at `emitted_at`
    /// milliseconds since the Unix epoch.
    #[must_use]
    pub fn connector_config(emitted_at: f64, config: RawJson) -> Self {
        let body = AirbyteControlConnectorConfigMessage {
            config,
            extra: Extra::new(),
        };
        Self {
            control_type: AirbyteControlMessageType::ConnectorConfig,
            emitted_at,
            connector_config: Some(body),
            extra: Extra::new(),
        }
    }
}

wire_struct! {
    /// A new configuration to store.
    #[derive(Clone, PartialEq)]
    pub struct AirbyteControlConnectorConfigMessage {
        /// The whole configuration: a JSON object that holds secrets.
        required "config" config: RawJson,
    }
}

/// Leaves out the configuration, because it holds secrets.
impl fmt::Debug for AirbyteControlConnectorConfigMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AirbyteControlConnectorConfigMessage")
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_configuration() {
        let config = RawJson::parse(r#"{"token":"s3cret"}"#.to_owned()).unwrap();
        let message = AirbyteControlMessage::connector_config(1.0, config);
        assert!(!format!("{message:?}").contains("s3cret"));
        assert!(serde_json::to_string(&message).unwrap().contains("s3cret"));
    }
}
