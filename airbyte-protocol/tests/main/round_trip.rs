//! Every message survives the wire, and the schema allows everything that is written.

use airbyte_protocol::codec::{Line, scan};
use airbyte_protocol::{AirbyteMessage, ConfiguredAirbyteCatalog};
use proptest::prelude::*;

use crate::{messages, schema};

fn line_of(message: &AirbyteMessage) -> Vec<u8> {
    let mut line = Vec::new();
    message.to_line(&mut line);
    line
}

proptest! {
    #[test]
    fn every_message_survives_the_wire(message in messages::message()) {
        let line = line_of(&message);
        prop_assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
        let read: AirbyteMessage = serde_json::from_slice(&line).unwrap();
        prop_assert_eq!(&read, &message);
        // Text too: equality of descriptors leaves out their unknown fields.
        prop_assert_eq!(line_of(&read), line);
    }

    #[test]
    fn every_message_is_allowed_by_the_schema(message in messages::message()) {
        prop_assert_eq!(schema::check(&line_of(&message)), Ok(()));
    }

    #[test]
    fn every_message_is_recognised_by_scan(message in messages::message()) {
        let line = line_of(&message);
        let line = line.trim_ascii_end();
        match (scan(line).unwrap(), &message) {
            (Line::Record(seen), AirbyteMessage::Record(record)) => {
                prop_assert_eq!(&seen.stream, &record.stream);
                prop_assert_eq!(seen.namespace.as_deref(), record.namespace.as_deref());
                prop_assert_eq!(seen.data, record.data.get());
                prop_assert_eq!(seen.emitted_at, Some(record.emitted_at));
                prop_assert_eq!(seen.meta.is_some(), record.meta.is_some());
                prop_assert_eq!(seen.file_reference.is_some(), record.file_reference.is_some());
            }
            (Line::Message(kind, text), message) => {
                prop_assert_eq!(kind, message.kind());
                prop_assert_eq!(text.as_bytes(), line);
            }
            (other, _) => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn configured_catalogs_survive_and_are_allowed(catalog in messages::configured_catalog()) {
        let text = serde_json::to_string(&catalog).unwrap();
        prop_assert_eq!(schema::check_catalog(text.as_bytes()), Ok(()));
        let read: ConfiguredAirbyteCatalog = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), text);
        prop_assert_eq!(read, catalog);
    }
}

#[test]
fn every_constructor_writes_what_the_schema_allows() {
    use airbyte_protocol::*;
    let stream = || StreamDescriptor::new("users").with_namespace("public");
    let blob = RawJson::empty_object;
    let part = AirbyteStreamState::new(stream(), Some(blob()));
    let status = AirbyteStreamStatusTraceMessage::new(stream(), AirbyteStreamStatus::Running);
    let error = AirbyteErrorTraceMessage::new("Broken", FailureType::ConfigError)
        .with_internal_message("why")
        .with_stack_trace("where")
        .with_stream(stream());
    let change = AirbyteRecordMessageMetaChange::new(
        "a",
        Change::Nulled,
        ChangeReason::DestinationTypecastError,
    );
    let source = AirbyteStream::new("users", serde_json::json!({}), vec![SyncMode::Incremental])
        .with_namespace("public")
        .with_primary_key(["id"])
        .with_source_cursor("updated_at")
        .with_resumable(true);
    let operation = DestinationOperation::new(
        "contact",
        DestinationSyncMode::Update,
        serde_json::json!({}),
    );
    let messages: Vec<AirbyteMessage> = vec![
        AirbyteRecordMessage::new("users", blob(), 1)
            .with_namespace("p")
            .with_changes(vec![change])
            .into(),
        AirbyteStateMessage::stream(stream(), None)
            .with_source_records(3)
            .into(),
        AirbyteStateMessage::global(Some(blob()), vec![part])
            .with_destination_records(u64::MAX)
            .into(),
        AirbyteStateMessage::legacy(blob()).into(),
        AirbyteLogMessage::new(LogLevel::Warn, "careful")
            .with_stack_trace("here")
            .into(),
        AirbyteTraceMessage::error(1.5, error).into(),
        AirbyteTraceMessage::stream_status(
            2.0,
            status.with_rate_limit(Some(9)).with_rate_limit(None),
        )
        .into(),
        AirbyteTraceMessage::estimate(
            3.0,
            AirbyteEstimateTraceMessage::new(&stream(), Some(5), None),
        )
        .into(),
        AirbyteTraceMessage::analytics(4.0, AirbyteAnalyticsTraceMessage::new("e").with_value("v"))
            .into(),
        AirbyteControlMessage::connector_config(5.0, blob()).into(),
        AirbyteConnectionStatus::succeeded().into(),
        AirbyteConnectionStatus::failed("no").into(),
        AirbyteCatalog::new(vec![source]).into(),
        ConnectorSpecification::new(serde_json::json!({"type": "object"}))
            .with_documentation_url("https://docs.example")
            .with_destination_sync_modes(vec![DestinationSyncMode::Append])
            .with_advanced_auth(AdvancedAuth::default())
            .into(),
        DestinationCatalog::new(vec![operation]).into(),
    ];
    for message in messages {
        assert_eq!(schema::check(&line_of(&message)), Ok(()), "{message:?}");
    }
}
