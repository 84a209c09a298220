//! RECORD messages as typed structs, for the places that handle few of them. The hot path reads
//! records with [`crate::codec::scan`] and writes them with [`crate::codec::RecordEnvelope`].

use crate::number::Whole;
use crate::wire_enum::wire_enum;
use crate::wire_struct::wire_struct;
use crate::{Extra, RawJson};

wire_struct! {
    /// One record of a stream.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AirbyteRecordMessage {
        /// Namespace of the stream.
        optional "namespace" namespace: String,
        /// Name of the stream.
        required "stream" stream: String,
        /// The record: a JSON object, verbatim.
        required "data" data: RawJson,
        /// When the source emitted the record, in milliseconds since the Unix epoch. A float on
        /// the wire is accepted; its fraction is cut off.
        required "emitted_at" emitted_at: i64 as Whole,
        /// What changed in the record on its way.
        optional "meta" meta: AirbyteRecordMessageMeta,
        /// The file that the record describes, in file transfers.
        optional "file_reference" file_reference: AirbyteRecordMessageFileReference,
    }
}

impl AirbyteRecordMessage {
    /// A record of `stream` emitted at `emitted_at` (milliseconds since the Unix epoch).
    pub fn new(stream: impl Into<String>, data: RawJson, emitted_at: i64) -> Self {
        Self {
            namespace: None,
            stream: stream.into(),
            data,
            emitted_at,
            meta: None,
            file_reference: None,
            extra: Extra::new(),
        }
    }

    /// Sets the namespace.
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Sets the changes made to the record.
    #[must_use]
    pub fn with_changes(mut self, changes: Vec<AirbyteRecordMessageMetaChange>) -> Self {
        self.meta = Some(AirbyteRecordMessageMeta {
            changes,
            extra: Extra::new(),
        });
        self
    }
}

wire_struct! {
    /// Information about a record that was added during the sync.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct AirbyteRecordMessageMeta {
        /// Changes to the record's content, oldest first.
        defaulted "changes" changes: Vec<AirbyteRecordMessageMetaChange>,
    }
}

wire_struct! {
    /// A change to one field of a record.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AirbyteRecordMessageMetaChange {
        /// The field that changed.
        required "field" field: String,
        /// What happened to it.
        required "change" change: Change,
        /// Why.
        required "reason" reason: ChangeReason,
    }
}

impl AirbyteRecordMessageMetaChange {
    /// A change of `field`.
    pub fn new(field: impl Into<String>, change: Change, reason: ChangeReason) -> Self {
        Self {
            field: field.into(),
            change,
            reason,
            extra: Extra::new(),
        }
    }
}

wire_struct! {
    /// A file in the staging area that a record describes.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct AirbyteRecordMessageFileReference {
        /// Absolute path in the staging area.
        optional "staging_file_url" staging_file_url: String,
        /// Relative path in the source.
        optional "source_file_relative_path" source_file_relative_path: String,
        /// Size of the file in bytes; the platform counts it as the record's size.
        optional "file_size_bytes" file_size_bytes: i64,
    }
}

wire_enum! {
    /// What happened to a field of a record.
    pub enum Change {
        /// The value became null.
        Nulled = "NULLED",
        /// The value lost a part.
        Truncated = "TRUNCATED",
    }
}

wire_enum! {
    /// Why a field of a record changed.
    pub enum ChangeReason {
        /// The whole record is too large for the source.
        SourceRecordSizeLimitation = "SOURCE_RECORD_SIZE_LIMITATION",
        /// The whole record is too large for the destination.
        DestinationRecordSizeLimitation = "DESTINATION_RECORD_SIZE_LIMITATION",
        /// The whole record is too large for the platform.
        PlatformRecordSizeLimitation = "PLATFORM_RECORD_SIZE_LIMITATION",
        /// The field is too large for the source.
        SourceFieldSizeLimitation = "SOURCE_FIELD_SIZE_LIMITATION",
        /// The field is too large for the destination.
        DestinationFieldSizeLimitation = "DESTINATION_FIELD_SIZE_LIMITATION",
        /// The field is too large for the platform.
        PlatformFieldSizeLimitation = "PLATFORM_FIELD_SIZE_LIMITATION",
        /// The source could not read or write the field.
        SourceSerializationError = "SOURCE_SERIALIZATION_ERROR",
        /// The destination could not read or write the field.
        DestinationSerializationError = "DESTINATION_SERIALIZATION_ERROR",
        /// The platform could not read or write the field.
        PlatformSerializationError = "PLATFORM_SERIALIZATION_ERROR",
        /// The source could not get the field.
        SourceRetrievalError = "SOURCE_RETRIEVAL_ERROR",
        /// The value doesn't fit the field's type at the destination.
        DestinationTypecastError = "DESTINATION_TYPECAST_ERROR",
    }
}
