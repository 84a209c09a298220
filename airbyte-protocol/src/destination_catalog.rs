//! DESTINATION_CATALOG messages: what a destination can write to (data activation).

use serde_json::Value;

use crate::wire_struct::wire_struct;
use crate::{DestinationSyncMode, Extra};

wire_struct! {
    /// What a destination can write to: its answer to `discover`.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct DestinationCatalog {
        /// The possible operations.
        required "operations" operations: Vec<DestinationOperation>,
    }
}

impl DestinationCatalog {
    /// A catalog of `operations`.
    #[must_use]
    pub fn new(operations: Vec<DestinationOperation>) -> Self {
        Self {
            operations,
            extra: Extra::new(),
        }
    }
}

wire_struct! {
    /// One way to write to one object of a destination.
    #[derive(Clone, Debug, PartialEq)]
    pub struct DestinationOperation {
        /// Name of the object.
        required "object_name" object_name: String,
        /// How records get there.
        required "sync_mode" sync_mode: DestinationSyncMode,
        /// JSON schema of the object.
        required "json_schema" json_schema: Value,
        /// Keys that may match a record with an existing object; each is a list of paths.
        optional "matching_keys" matching_keys: Vec<Vec<String>>,
    }
}

impl DestinationOperation {
    /// An operation without matching keys.
    pub fn new(
        object_name: impl Into<String>,
        sync_mode: DestinationSyncMode,
        json_schema: Value,
    ) -> Self {
        let extra = Extra::new();
        Self {
            object_name: object_name.into(),
            sync_mode,
            json_schema,
            matching_keys: None,
            extra,
        }
    }
}
