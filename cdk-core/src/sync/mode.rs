//! The sync modes a user chooses from.

use std::fmt;
use std::str::FromStr;

use airbyte_protocol::{AirbyteStream, DestinationSyncMode, SyncMode};

/// How a stream is read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Read all, replace what the destination has; visible only after success.
    FullRefreshOverwrite,
    /// Read all, keep earlier copies.
    FullRefreshAppend,
    /// Read what is new or changed, add it.
    IncrementalAppend,
    /// Read what is new or changed, keep one row per primary key: the one with the newest cursor.
    IncrementalDeduped,
    /// Read all, replace, keep one row per primary key.
    FullRefreshOverwriteDeduped,
}

impl Mode {
    /// All modes, in the order of the documentation.
    pub const ALL: [Self; 5] = [
        Self::FullRefreshOverwrite,
        Self::FullRefreshAppend,
        Self::IncrementalAppend,
        Self::IncrementalDeduped,
        Self::FullRefreshOverwriteDeduped,
    ];

    /// The mode a stream gets when nobody chose: deduped where cursor and key are known, else overwrite.
    pub fn default_for(stream: &AirbyteStream) -> Self {
        let has_cursor = stream.source_defined_cursor == Some(true)
            || stream
                .default_cursor_field
                .as_ref()
                .is_some_and(|path| !path.is_empty());
        let has_key = stream
            .source_defined_primary_key
            .as_ref()
            .is_some_and(|key| !key.is_empty());
        if stream.supports(SyncMode::Incremental) && has_cursor && has_key {
            Self::IncrementalDeduped
        } else {
            Self::FullRefreshOverwrite
        }
    }

    /// The source's half.
    pub fn source(self) -> SyncMode {
        match self {
            Self::IncrementalAppend | Self::IncrementalDeduped => SyncMode::Incremental,
            _ => SyncMode::FullRefresh,
        }
    }

    /// The destination's half.
    pub fn destination(self) -> DestinationSyncMode {
        match self {
            Self::FullRefreshOverwrite => DestinationSyncMode::Overwrite,
            Self::FullRefreshAppend | Self::IncrementalAppend => DestinationSyncMode::Append,
            Self::IncrementalDeduped => DestinationSyncMode::AppendDedup,
            Self::FullRefreshOverwriteDeduped => DestinationSyncMode::OverwriteDedup,
        }
    }

    /// True when one row per primary key is kept.
    pub fn is_deduped(self) -> bool {
        matches!(
            self,
            Self::IncrementalDeduped | Self::FullRefreshOverwriteDeduped
        )
    }

    /// True when the old data goes once the new is complete.
    pub fn is_overwrite(self) -> bool {
        matches!(
            self,
            Self::FullRefreshOverwrite | Self::FullRefreshOverwriteDeduped
        )
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FullRefreshOverwrite => "full_refresh_overwrite",
            Self::FullRefreshAppend => "full_refresh_append",
            Self::IncrementalAppend => "incremental_append",
            Self::IncrementalDeduped => "incremental_deduped",
            Self::FullRefreshOverwriteDeduped => "full_refresh_overwrite_deduped",
        })
    }
}

impl FromStr for Mode {
    type Err = String;

    /// Reads `full_refresh_overwrite`, `Full Refresh | Overwrite`, `incremental-append`… alike.
    fn from_str(text: &str) -> Result<Self, String> {
        let words: String = text
            .split(|char: char| !char.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect::<Vec<_>>()
            .join("_");
        let words = words.replace("_append_dedup", "_deduped");
        let known = Self::ALL.into_iter();
        known
            .clone()
            .find(|mode| {
                [
                    mode.to_string(),
                    mode.to_string().replace("deduped", "dedup"),
                ]
                .contains(&words)
            })
            .ok_or_else(|| {
                let known: Vec<_> = known.map(|mode| mode.to_string()).collect();
                format!(
                    "`{text}` is not a sync mode. Choose one of {}.",
                    known.join(", ")
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_in_the_spellings_people_use() {
        for (text, mode) in [
            ("Full Refresh | Overwrite", Mode::FullRefreshOverwrite),
            ("full_refresh_append", Mode::FullRefreshAppend),
            ("Incremental| Append", Mode::IncrementalAppend),
            ("Incremental | Deduped", Mode::IncrementalDeduped),
            ("incremental-append-dedup", Mode::IncrementalDeduped),
            ("incremental_dedup", Mode::IncrementalDeduped),
        ] {
            assert_eq!(text.parse(), Ok(mode), "{text}");
        }
        assert!(
            "sometimes"
                .parse::<Mode>()
                .unwrap_err()
                .contains("full_refresh_append")
        );
    }
}
