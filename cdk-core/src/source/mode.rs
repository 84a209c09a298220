//! The mode a stream is read in: what the catalog asks for, as far as the stream can.

use airbyte_protocol::{AirbyteStream, ConfiguredAirbyteStream, SyncMode};

use crate::error::{ConnectorError, Result};

/// Brings an entry of the configured catalog to what the stream offers.
///
/// Some hosts (PyAirbyte) ask for incremental whatever a stream supports: it is then read in full, with a
/// warning. The cursor is the source's own, else the configured one, else the default; an incremental
/// read without any is a config error. Source of the rules: "Cursor" in Airbyte's protocol documentation.
pub(super) fn resolve(
    stream: &AirbyteStream,
    mut configured: ConfiguredAirbyteStream,
) -> Result<ConfiguredAirbyteStream> {
    if configured.sync_mode != SyncMode::Incremental {
        return Ok(configured);
    }
    let name = stream.descriptor();
    if !stream.supported_sync_modes.contains(&SyncMode::Incremental) {
        tracing::warn!("Stream {name} has no incremental mode and is read in full.");
        configured.sync_mode = SyncMode::FullRefresh;
        return Ok(configured);
    }
    let is_set = |path: &Option<Vec<String>>| path.as_ref().is_some_and(|path| !path.is_empty());
    let has_cursor = stream.source_defined_cursor == Some(true)
        || is_set(&configured.cursor_field)
        || is_set(&stream.default_cursor_field);
    if has_cursor {
        return Ok(configured);
    }
    Err(ConnectorError::config(format!(
        "Stream {name} can't be read incrementally without a cursor. Set `cursor_field` to a column \
         that grows with every change, or choose full refresh."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use airbyte_protocol::{DestinationSyncMode, FailureType};
    use serde_json::json;

    fn resolved(stream: &AirbyteStream, cursor: Option<&str>) -> Result<SyncMode> {
        let mode = SyncMode::Incremental;
        let append = DestinationSyncMode::Append;
        let mut configured = ConfiguredAirbyteStream::new(stream.clone(), mode, append);
        configured.cursor_field = cursor.map(|field| vec![field.to_owned()]);
        resolve(stream, configured).map(|configured| configured.sync_mode)
    }

    #[test]
    fn incremental_needs_a_stream_that_has_it_and_a_cursor() {
        let both = vec![SyncMode::FullRefresh, SyncMode::Incremental];
        let mut stream = AirbyteStream::new("users", json!({}), both);
        let error = resolved(&stream, None).unwrap_err();
        assert_eq!(error.failure_type(), FailureType::ConfigError);
        assert!(error.message().contains("users") && error.message().contains("`cursor_field`"));
        assert_eq!(
            resolved(&stream, Some("at")).unwrap(),
            SyncMode::Incremental
        );
        stream.default_cursor_field = Some(vec!["at".to_owned()]);
        assert_eq!(resolved(&stream, None).unwrap(), SyncMode::Incremental);
        stream.supported_sync_modes = vec![SyncMode::FullRefresh];
        assert_eq!(
            resolved(&stream, Some("at")).unwrap(),
            SyncMode::FullRefresh
        );
    }
}
