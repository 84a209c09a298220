//! The files a verb is given: config, catalog, state.

use std::path::Path;

use airbyte_protocol::ConfiguredAirbyteCatalog;
use serde_json::Value;

use crate::error::{ConnectorError, ErrorContext, Result};
use crate::source::InputState;

/// The config: one JSON object.
pub(super) fn config(path: &Path) -> Result<Value> {
    let text = text(path, "--config")?;
    // The parser's message may quote the text, which may hold secrets: only the place is kept.
    let parsed: Value = serde_json::from_str(&text).map_err(|error| {
        ConnectorError::config(format!(
            "The file given by --config, {}, is not valid JSON (line {}, column {}).",
            path.display(),
            error.line(),
            error.column()
        ))
    })?;
    if parsed.is_object() {
        return Ok(parsed);
    }
    let path = path.display();
    Err(ConnectorError::config(format!(
        "The config in {path} must be a JSON object."
    )))
}

/// The configured catalog.
pub(super) fn catalog(path: &Path) -> Result<ConfiguredAirbyteCatalog> {
    let text = text(path, "--catalog")?;
    serde_json::from_str(&text).config_error(format!(
        "The file given by --catalog, {}, is not a configured Airbyte catalog.",
        path.display()
    ))
}

/// The state to resume from; none without a file.
pub(super) fn state(path: Option<&Path>) -> Result<InputState> {
    match path {
        Some(path) => InputState::parse(&text(path, "--state")?),
        None => Ok(InputState::default()),
    }
}

fn text(path: &Path, option: &str) -> Result<String> {
    std::fs::read_to_string(path).config_error(format!(
        "The file given by {option}, {}, can't be read. Check that it exists, is UTF-8 text and may be \
         read.",
        path.display()
    ))
}
