//! CATALOG messages: the streams of a source, its answer to `discover`.

use serde_json::Value;

use crate::wire_enum::wire_enum;
use crate::wire_struct::wire_struct;
use crate::{Extra, StreamDescriptor};

wire_enum! {
    /// How a source reads a stream.
    pub enum SyncMode {
        /// Everything, each time.
        FullRefresh = "full_refresh",
        /// What is new since the last state.
        Incremental = "incremental",
    }
}

wire_struct! {
    /// The streams of a source.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct AirbyteCatalog {
        /// The streams.
        required "streams" streams: Vec<AirbyteStream>,
    }
}

impl AirbyteCatalog {
    /// A catalog of `streams`.
    #[must_use]
    pub fn new(streams: Vec<AirbyteStream>) -> Self {
        Self {
            streams,
            extra: Extra::new(),
        }
    }
}

wire_struct! {
    /// What a source can say about one stream.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AirbyteStream {
        /// Name of the stream.
        required "name" name: String,
        /// JSON schema of its records; [`crate::types::fields_of`] reads it.
        required "json_schema" json_schema: Value,
        /// How it can be read; at least one way.
        required "supported_sync_modes" supported_sync_modes: Vec<SyncMode>,
        /// Whether the source chooses the cursor; must be set when `is_resumable` is true.
        optional "source_defined_cursor" source_defined_cursor: bool,
        /// Path of the field that orders records by age.
        optional "default_cursor_field" default_cursor_field: Vec<String>,
        /// Paths of the fields that identify a record.
        optional "source_defined_primary_key" source_defined_primary_key: Vec<Vec<String>>,
        /// Namespace of the stream, such as a database schema.
        optional "namespace" namespace: String,
        /// Whether an interrupted read can go on from a state, even in full refresh.
        optional "is_resumable" is_resumable: bool,
        /// Whether records describe files that travel beside them.
        optional "is_file_based" is_file_based: bool,
    }
}

impl AirbyteStream {
    /// A stream with no cursor and no key.
    pub fn new(name: impl Into<String>, json_schema: Value, modes: Vec<SyncMode>) -> Self {
        Self {
            name: name.into(),
            json_schema,
            supported_sync_modes: modes,
            source_defined_cursor: None,
            default_cursor_field: None,
            source_defined_primary_key: None,
            namespace: None,
            is_resumable: None,
            is_file_based: None,
            extra: Extra::new(),
        }
    }

    /// Sets the namespace.
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Sets the primary key from the names of top-level fields.
    #[must_use]
    pub fn with_primary_key<K: Into<String>>(
        mut self,
        fields: impl IntoIterator<Item = K>,
    ) -> Self {
        let paths = fields.into_iter().map(|field| vec![field.into()]);
        self.source_defined_primary_key = Some(paths.collect());
        self
    }

    /// Makes the top-level field `field` the cursor, fixed by the source.
    #[must_use]
    pub fn with_source_cursor(mut self, field: impl Into<String>) -> Self {
        self.source_defined_cursor = Some(true);
        self.with_default_cursor(field)
    }

    /// Proposes the top-level field `field` as the cursor; the user may choose another.
    #[must_use]
    pub fn with_default_cursor(mut self, field: impl Into<String>) -> Self {
        self.default_cursor_field = Some(vec![field.into()]);
        self
    }

    /// Says whether an interrupted read can go on from a state.
    #[must_use]
    pub fn with_resumable(mut self, is_resumable: bool) -> Self {
        self.is_resumable = Some(is_resumable);
        self
    }

    /// Name and namespace.
    #[must_use]
    pub fn descriptor(&self) -> StreamDescriptor {
        StreamDescriptor::from_parts(self.name.clone(), self.namespace.clone())
    }

    /// Whether the stream can be read in `mode`.
    #[must_use]
    pub fn supports(&self, mode: SyncMode) -> bool {
        self.supported_sync_modes.contains(&mode)
    }
}
