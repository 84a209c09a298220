//! Placeholder until helper-2 moves its module in.
use airbyte_protocol::ConnectorSpecification;
use serde::de::DeserializeOwned;
use serde_json::Value;
use crate::error::{ErrorContext, Result};
use crate::secret::Secrets;
/// Parse.
pub fn parse<C: DeserializeOwned>(spec: &ConnectorSpecification, config: &Value, secrets: &Secrets) -> Result<C> {
    secrets.add_from_config(&spec.connection_specification, config);
    serde_json::from_value(config.clone()).config_error("bad config")
}
