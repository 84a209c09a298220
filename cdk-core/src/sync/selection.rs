//! What a user wants of one stream.

use airbyte_protocol::StreamDescriptor;

use crate::sync::mode::Mode;

/// One stream of a sync, and how to sync it.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamSelection {
    pub(super) stream: StreamDescriptor,
    pub(super) mode: Option<Mode>,
    pub(super) cursor_field: Option<Vec<String>>,
    pub(super) primary_key: Option<Vec<Vec<String>>>,
    pub(super) is_refresh: bool,
}

impl StreamSelection {
    /// A stream by its name at the source. Without a namespace the name must be unique there.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            stream: StreamDescriptor::new(name),
            mode: None,
            cursor_field: None,
            primary_key: None,
            is_refresh: false,
        }
    }

    /// Sets the stream's namespace at the source.
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.stream.namespace = Some(namespace.into());
        self
    }

    /// Sets the mode; without it [`Mode::default_for`] decides.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Sets the cursor, a top-level field. Ignored for full refreshes and source-defined cursors.
    #[must_use]
    pub fn with_cursor(mut self, field: impl Into<String>) -> Self {
        self.cursor_field = Some(vec![field.into()]);
        self
    }

    /// Sets the primary key: top-level fields. Ignored when the source defines one.
    #[must_use]
    pub fn with_primary_key<F: Into<String>>(
        mut self,
        fields: impl IntoIterator<Item = F>,
    ) -> Self {
        self.primary_key = Some(fields.into_iter().map(|field| vec![field.into()]).collect());
        self
    }

    /// Reads the stream from the start and replaces what the destination has, whatever the mode: a new
    /// generation, visible once complete.
    #[must_use]
    pub fn refreshed(mut self) -> Self {
        self.is_refresh = true;
        self
    }
}
