//! What the user sets. The comments are the user's documentation.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// {{ crate_name | title_case }}
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The directory that gets the files. It is created if it does not exist.
    pub directory: PathBuf,
}
