//! Where the rows of a sync go: into what users see, or aside until the stream is complete.

use airbyte_protocol::{ConfiguredAirbyteStream, DestinationSyncMode};

/// The generation that a sync writes, and what becomes of older ones.
///
/// Source of the rules: `generation_id` and `minimum_generation_id` of the Airbyte protocol's
/// configured stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    id: Option<i64>,
    minimum_id: i64,
    mode: DestinationSyncMode,
}

/// What a destination holds of a stream when a sync starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// The generation that the visible rows were swapped in with, if any was.
    pub visible: Option<i64>,
    /// Rows staged by a run that did not complete, with their generation if they have one.
    pub staged: Option<Option<i64>>,
}

/// Where the rows of a sync go. What was staged and is not resumed must be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Straight to what users see.
    Visible,
    /// Aside, from nothing; swapped in when the stream is complete.
    NewStage,
    /// Aside, behind what an interrupted run of the same generation staged. Rows may come twice: they
    /// are merged by key, where there is one, before the swap.
    ResumedStage,
    /// Straight to what users see, which is of this generation already: an earlier run was stopped
    /// after its swap. Rows may come twice here too.
    ResumedVisible,
}

impl Target {
    /// Whether rows wait aside until the stream is complete.
    pub fn is_staged(self) -> bool {
        matches!(self, Self::NewStage | Self::ResumedStage)
    }

    /// Whether an earlier run wrote rows that this one may bring again.
    pub fn is_resumed(self) -> bool {
        matches!(self, Self::ResumedStage | Self::ResumedVisible)
    }
}

impl Generation {
    /// As the catalog says.
    pub fn of(stream: &ConfiguredAirbyteStream) -> Self {
        Self {
            id: stream.generation_id,
            minimum_id: stream.minimum_generation_id.unwrap_or(0),
            mode: stream.destination_sync_mode,
        }
    }

    /// Its number; `None` from platforms without refreshes.
    pub fn id(&self) -> Option<i64> {
        self.id
    }

    /// What goes to the rows' `_airbyte_generation_id`.
    pub fn column_value(&self) -> i64 {
        self.id.unwrap_or(0)
    }

    /// Whether the sync replaces older rows once it is complete: an overwrite, or a refresh.
    pub fn replaces(&self) -> bool {
        use DestinationSyncMode::{Overwrite, OverwriteDedup};
        matches!(self.mode, Overwrite | OverwriteDedup) || self.minimum_id > 0
    }

    /// Whether only the newest row of each key stays.
    pub fn dedups(&self) -> bool {
        use DestinationSyncMode::{AppendDedup, OverwriteDedup};
        matches!(self.mode, AppendDedup | OverwriteDedup)
    }

    /// Whether a later run can go on with what this one stages: only a generation's number tells that
    /// it is the same attempt.
    pub fn is_resumable(&self) -> bool {
        self.id.is_some()
    }

    /// Where the rows go, given what is there.
    pub fn target(&self, found: Found) -> Target {
        if !self.replaces() {
            return Target::Visible;
        }
        match self.id {
            Some(id) if found.visible == Some(id) => Target::ResumedVisible,
            Some(id) if found.staged == Some(Some(id)) => Target::ResumedStage,
            _ => Target::NewStage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DestinationSyncMode::{Append, AppendDedup, Overwrite, OverwriteDedup};

    fn target(mode: DestinationSyncMode, id: Option<i64>, minimum_id: i64, found: Found) -> Target {
        Generation {
            id,
            minimum_id,
            mode,
        }
        .target(found)
    }

    #[test]
    fn only_overwrites_and_refreshes_are_staged() {
        let nothing = Found::default();
        assert_eq!(target(Append, Some(3), 0, nothing), Target::Visible);
        assert_eq!(target(AppendDedup, None, 0, nothing), Target::Visible);
        for mode in [Append, AppendDedup, Overwrite, OverwriteDedup] {
            assert_eq!(target(mode, Some(3), 3, nothing), Target::NewStage);
        }
        assert_eq!(target(Overwrite, Some(3), 0, nothing), Target::NewStage);
        assert_eq!(target(Overwrite, None, 0, nothing), Target::NewStage);
    }

    #[test]
    fn staged_rows_are_resumed_by_their_own_generation_only() {
        let found = |staged| Found {
            visible: Some(1),
            staged,
        };
        assert_eq!(
            target(Overwrite, Some(2), 2, found(Some(Some(2)))),
            Target::ResumedStage
        );
        assert_eq!(
            target(Overwrite, Some(3), 3, found(Some(Some(2)))),
            Target::NewStage
        );
        assert_eq!(
            target(Overwrite, Some(2), 2, found(Some(None))),
            Target::NewStage
        );
        assert_eq!(
            target(Overwrite, None, 0, found(Some(None))),
            Target::NewStage
        );
    }

    #[test]
    fn a_generation_that_is_visible_already_goes_on_there() {
        let found = Found {
            visible: Some(2),
            staged: None,
        };
        assert_eq!(target(Append, Some(2), 2, found), Target::ResumedVisible);
        assert_eq!(target(Overwrite, Some(3), 3, found), Target::NewStage);
    }
}
