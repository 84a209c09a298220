//! SPEC messages: what a connector needs to be configured, its answer to `spec`.

use serde_json::Value;

use crate::wire_struct::wire_struct;
use crate::{AdvancedAuth, AuthSpecification, DestinationSyncMode, Extra};

/// The version of the protocol that this crate speaks; a spec names it in `protocol_version`.
/// (The platform takes a spec without a version for 0.2.0.)
pub const PROTOCOL_VERSION: &str = "0.18.0";

wire_struct! {
    /// What a connector is and how it is configured.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ConnectorSpecification {
        /// Address of the user's documentation.
        optional "documentationUrl" documentation_url: String,
        /// Address of the changelog.
        optional "changelogUrl" changelog_url: String,
        /// JSON schema (draft 7) of the configuration, with Airbyte's annotations.
        required "connectionSpecification" connection_specification: Value,
        /// Whether the connector reads incrementally (deprecated).
        optional "supportsIncremental" supports_incremental: bool,
        /// Whether the destination normalises (deprecated).
        optional "supportsNormalization" supports_normalization: bool,
        /// Whether the destination works with dbt (deprecated).
        optional "supportsDBT" supports_dbt: bool,
        /// What a destination can do with records.
        optional "supported_destination_sync_modes" supported_destination_sync_modes: Vec<DestinationSyncMode>,
        /// OAuth description (deprecated in favour of `advanced_auth`).
        optional "authSpecification" auth_specification: AuthSpecification,
        /// OAuth description.
        optional "advanced_auth" advanced_auth: AdvancedAuth,
        /// Version of the protocol that the connector speaks.
        optional "protocol_version" protocol_version: String,
    }
}

impl ConnectorSpecification {
    /// A spec with the configuration's JSON schema and the version of this crate's protocol.
    #[must_use]
    pub fn new(connection_specification: Value) -> Self {
        Self {
            documentation_url: None,
            changelog_url: None,
            connection_specification,
            supports_incremental: None,
            supports_normalization: None,
            supports_dbt: None,
            supported_destination_sync_modes: None,
            auth_specification: None,
            advanced_auth: None,
            protocol_version: Some(PROTOCOL_VERSION.to_owned()),
            extra: Extra::new(),
        }
    }

    /// Sets the address of the user's documentation.
    #[must_use]
    pub fn with_documentation_url(mut self, url: impl Into<String>) -> Self {
        self.documentation_url = Some(url.into());
        self
    }

    /// Sets what a destination can do with records.
    #[must_use]
    pub fn with_destination_sync_modes(mut self, modes: Vec<DestinationSyncMode>) -> Self {
        self.supported_destination_sync_modes = Some(modes);
        self
    }

    /// Sets the OAuth description.
    #[must_use]
    pub fn with_advanced_auth(mut self, auth: AdvancedAuth) -> Self {
        self.advanced_auth = Some(auth);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spec_keeps_camel_case_names_and_unknown_fields() {
        let text = concat!(
            r#"{"documentationUrl":"https://x.example","connectionSpecification":{"type":"object"},"#,
            r#""supportsDBT":false,"advanced_auth":{"auth_flow_type":"oauth2.0","x":1.50},"y":{"z":1E2}}"#
        );
        let spec: ConnectorSpecification = serde_json::from_str(text).unwrap();
        assert_eq!(spec.supports_dbt, Some(false));
        assert_eq!(serde_json::to_string(&spec).unwrap(), text);
    }
}
