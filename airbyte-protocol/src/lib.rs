//! The Airbyte protocol on the wire, and nothing else: messages, catalogs, state, connector
//! specifications, the data types behind JSON schemas, and a fast codec for JSON lines.
//!
//! ```
//! use airbyte_protocol::{AirbyteMessage, AirbyteStateMessage, RawJson, StreamDescriptor};
//!
//! let cursor = RawJson::parse(r#"{"updated_at":"2026-01-01"}"#.to_owned())?;
//! let state = AirbyteStateMessage::stream(StreamDescriptor::new("users"), Some(cursor));
//! let mut line = Vec::new();
//! AirbyteMessage::State(state).to_line(&mut line);
//! assert!(line.starts_with(br#"{"type":"STATE","state":{"type":"STREAM""#));
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! | module | what |
//! |---|---|
//! | the crate root | one type per object of the protocol's schema, with the schema's names |
//! | [`codec`] | lines in and out without building trees: the hot path |
//! | [`types`] | Airbyte's data types and their JSON schemas |
//!
//! Rules that hold for every object: optional fields read as `None` when absent or null and aren't
//! written when `None`; unknown fields are kept in `extra` with their exact text and written back;
//! of duplicate keys the last wins; blobs (record data, state, config) are [`RawJson`], so their
//! numbers keep every digit. Errors name the field's path.
//!
//! Sources: the public Airbyte protocol schema 0.18.0, and `additionalStats` of 0.19.0.

pub mod codec;
pub mod types;

/// The protocol's own JSON schema, version 0.18.0, as YAML: what the messages are judged by in tests.
pub const PROTOCOL_SCHEMA: &str = include_str!("../schema/airbyte_protocol.yaml");

mod catalog;
mod configured;
mod connection_status;
mod control;
mod descriptor;
mod destination_catalog;
mod extra;
mod json;
mod log;
mod message;
mod number;
mod oauth;
mod record;
mod spec;
mod state;
mod trace;
mod wire_enum;
mod wire_struct;

pub use catalog::{AirbyteCatalog, AirbyteStream, SyncMode};
pub use configured::{ConfiguredAirbyteCatalog, ConfiguredAirbyteStream, DestinationSyncMode};
pub use connection_status::{AirbyteConnectionStatus, Status};
pub use control::{
    AirbyteControlConnectorConfigMessage, AirbyteControlMessage, AirbyteControlMessageType,
};
pub use descriptor::StreamDescriptor;
pub use destination_catalog::{DestinationCatalog, DestinationOperation};
pub use extra::Extra;
pub use json::RawJson;
pub use log::{AirbyteLogMessage, LogLevel};
pub use message::{AirbyteMessage, MessageType};
pub use oauth::{
    AdvancedAuth, AuthFlowType, AuthSpecification, AuthType, OAuth2Specification,
    OAuthConfigSpecification, OAuthConnectorInputSpecification, OAuthState,
};
pub use record::{
    AirbyteRecordMessage, AirbyteRecordMessageFileReference, AirbyteRecordMessageMeta,
    AirbyteRecordMessageMetaChange, Change, ChangeReason,
};
pub use spec::{ConnectorSpecification, PROTOCOL_VERSION};
pub use state::{
    AirbyteGlobalState, AirbyteStateMessage, AirbyteStateStats, AirbyteStateType,
    AirbyteStreamState,
};
pub use trace::{
    AirbyteAnalyticsTraceMessage, AirbyteErrorTraceMessage, AirbyteEstimateTraceMessage,
    AirbyteStreamStatus, AirbyteStreamStatusRateLimitedReason, AirbyteStreamStatusReason,
    AirbyteStreamStatusReasonType, AirbyteStreamStatusTraceMessage, AirbyteTraceMessage,
    EstimateType, FailureType, TraceType,
};
pub use wire_enum::UnknownName;
