//! What the user sets. The comments are the user's documentation.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// {{ crate_name | title_case }}
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The directory with the files.
    pub directory: PathBuf,
    /// Only files whose names end so are read.
    #[serde(default = "ending")]
    pub ending: String,
}

fn ending() -> String {
    ".jsonl".to_owned()
}
