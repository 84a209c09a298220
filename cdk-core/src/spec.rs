//! Placeholder until helper-2 moves its module in.
use airbyte_protocol::ConnectorSpecification;
use schemars::JsonSchema;
/// Spec.
pub fn of<C: JsonSchema>() -> ConnectorSpecification {
    ConnectorSpecification::new(schemars::schema_for!(C).to_value())
}
