//! The configured catalog: which streams a sync moves, and how.

use crate::wire_enum::wire_enum;
use crate::wire_struct::wire_struct;
use crate::{AirbyteStream, Extra, StreamDescriptor, SyncMode};

wire_enum! {
    /// What a destination does with the records of a stream.
    pub enum DestinationSyncMode {
        /// Adds them.
        Append = "append",
        /// Replaces what was there once the sync succeeds.
        Overwrite = "overwrite",
        /// Adds them and keeps the newest of each key.
        AppendDedup = "append_dedup",
        /// Changes existing objects (data activation).
        Update = "update",
        /// Marks existing objects as deleted (data activation).
        SoftDelete = "soft_delete",
        /// Replaces what was there and keeps the newest of each key. Not in the public schema;
        /// the platform uses it internally, so it is understood when read.
        OverwriteDedup = "overwrite_dedup",
    }
}

wire_struct! {
    /// The streams that a sync moves.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct ConfiguredAirbyteCatalog {
        /// The streams.
        required "streams" streams: Vec<ConfiguredAirbyteStream>,
    }
}

impl ConfiguredAirbyteCatalog {
    /// A catalog of `streams`.
    #[must_use]
    pub fn new(streams: Vec<ConfiguredAirbyteStream>) -> Self {
        Self {
            streams,
            extra: Extra::new(),
        }
    }
}

wire_struct! {
    /// How a sync moves one stream.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ConfiguredAirbyteStream {
        /// The stream as discovered.
        required "stream" stream: AirbyteStream,
        /// How the source reads it.
        required "sync_mode" sync_mode: SyncMode,
        /// What the destination does with it.
        required "destination_sync_mode" destination_sync_mode: DestinationSyncMode,
        /// The user's cursor; see [`ConfiguredAirbyteStream::cursor`] for the one that counts.
        optional "cursor_field" cursor_field: Vec<String>,
        /// The user's key; see [`ConfiguredAirbyteStream::key`] for the one that counts.
        optional "primary_key" primary_key: Vec<Vec<String>>,
        /// Object of the destination to write to (data activation).
        optional "destination_object_name" destination_object_name: String,
        /// Generation of the rows this sync writes; grows with each refresh of the stream.
        optional "generation_id" generation_id: i64,
        /// Rows of older generations go once the stream is complete; 0 keeps all.
        optional "minimum_generation_id" minimum_generation_id: i64,
        /// Id of this sync.
        optional "sync_id" sync_id: i64,
        /// For file-based streams: whether the files travel too.
        optional "include_files" include_files: bool,
    }
}

impl ConfiguredAirbyteStream {
    /// Moves `stream` with the source's own cursor and key.
    #[must_use]
    pub fn new(
        stream: AirbyteStream,
        sync_mode: SyncMode,
        destination_sync_mode: DestinationSyncMode,
    ) -> Self {
        Self {
            stream,
            sync_mode,
            destination_sync_mode,
            cursor_field: None,
            primary_key: None,
            destination_object_name: None,
            generation_id: None,
            minimum_generation_id: None,
            sync_id: None,
            include_files: None,
            extra: Extra::new(),
        }
    }

    /// Sets the user's cursor to the top-level field `field`.
    #[must_use]
    pub fn with_cursor(mut self, field: impl Into<String>) -> Self {
        self.cursor_field = Some(vec![field.into()]);
        self
    }

    /// Sets the user's primary key from the names of top-level fields.
    #[must_use]
    pub fn with_primary_key<K: Into<String>>(
        mut self,
        fields: impl IntoIterator<Item = K>,
    ) -> Self {
        self.primary_key = Some(fields.into_iter().map(|field| vec![field.into()]).collect());
        self
    }

    /// Sets generation, minimum generation and sync id.
    #[must_use]
    pub fn with_generation(mut self, generation_id: i64, minimum: i64, sync_id: i64) -> Self {
        self.generation_id = Some(generation_id);
        self.minimum_generation_id = Some(minimum);
        self.sync_id = Some(sync_id);
        self
    }

    /// Name and namespace.
    #[must_use]
    pub fn descriptor(&self) -> StreamDescriptor {
        self.stream.descriptor()
    }

    /// Path of the cursor that counts: the source's where the source defines it, else the user's,
    /// else the source's proposal (Airbyte protocol, "cursor field"). Empty paths count as none.
    #[must_use]
    pub fn cursor(&self) -> Option<&[String]> {
        let proposed = given(self.stream.default_cursor_field.as_deref());
        let chosen = given(self.cursor_field.as_deref());
        if self.stream.source_defined_cursor == Some(true) {
            // A source may define its cursor without naming a field; the user's is then all we know.
            return proposed.or(chosen);
        }
        chosen.or(proposed)
    }

    /// Paths of the key that counts: the user's if there is one, else the source's.
    #[must_use]
    pub fn key(&self) -> Option<&[Vec<String>]> {
        let chosen = given(self.primary_key.as_deref());
        chosen.or(given(self.stream.source_defined_primary_key.as_deref()))
    }
}

fn given<T>(list: Option<&[T]>) -> Option<&[T]> {
    list.filter(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(stream: AirbyteStream) -> ConfiguredAirbyteStream {
        let destination = DestinationSyncMode::AppendDedup;
        ConfiguredAirbyteStream::new(stream, SyncMode::Incremental, destination)
    }

    fn stream() -> AirbyteStream {
        AirbyteStream::new("a", serde_json::json!({}), vec![SyncMode::Incremental])
    }

    #[test]
    fn source_defined_cursor_beats_the_users() {
        let stream = configured(stream().with_source_cursor("theirs")).with_cursor("mine");
        assert_eq!(stream.cursor(), Some(&["theirs".to_owned()][..]));
    }

    #[test]
    fn users_cursor_beats_the_proposed_one() {
        let stream = configured(stream().with_default_cursor("proposed"));
        assert_eq!(stream.cursor(), Some(&["proposed".to_owned()][..]));
        assert_eq!(
            stream.with_cursor("mine").cursor(),
            Some(&["mine".to_owned()][..])
        );
    }

    #[test]
    fn empty_cursor_and_key_count_as_none() {
        let mut stream = configured(stream());
        stream.cursor_field = Some(Vec::new());
        stream.primary_key = Some(Vec::new());
        assert_eq!((stream.cursor(), stream.key()), (None, None));
        stream.stream.source_defined_primary_key = Some(vec![vec!["id".to_owned()]]);
        assert_eq!(stream.key(), Some(&[vec!["id".to_owned()]][..]));
    }

    #[test]
    fn unknown_sync_mode_is_an_error_that_names_it() {
        let error = "upsert"
            .parse::<DestinationSyncMode>()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`upsert`") && error.contains("append_dedup"),
            "{error}"
        );
    }
}
