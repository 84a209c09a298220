//! The list of a stream's files.

use cdk_core::{ConnectorError, Result};
use serde::{Deserialize, Serialize};

/// Which files a stream has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// What readers see.
    pub(super) visible: Vec<Object>,
    /// Committed, but of a generation that is not visible yet.
    pub(super) staged: Vec<Object>,
    /// Begun and not committed.
    pub(super) begun: Vec<Begun>,
    /// What is staged takes the place of what is visible: whoever reads this carries it out.
    pub(super) is_swap_decided: bool,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Object {
    /// Where readers find it.
    pub(super) key: String,
    /// Where it lies until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) staged_key: Option<String>,
    pub(super) generation_id: i64,
    pub(super) part: u64,
}

/// A file in the making.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) key: String,
    /// The store's id of the upload, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) upload: Option<String>,
}

impl Object {
    /// Where it was written.
    pub(super) fn written_to(&self) -> &str {
        self.staged_key.as_deref().unwrap_or(&self.key)
    }
}

impl Manifest {
    pub(super) fn from_json(text: Option<&[u8]>, path: &str) -> Result<Self> {
        let Some(text) = text else {
            return Ok(Self::default());
        };
        serde_json::from_slice(text).map_err(|error| {
            ConnectorError::config(format!(
                "`{path}`, which lists the stream's files, is damaged. Remove it together with the stream's files and \
                 reset the stream."
            ))
            .caused_by(error)
        })
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|error| ConnectorError::system("A manifest is no JSON.").caused_by(error))
    }
}
