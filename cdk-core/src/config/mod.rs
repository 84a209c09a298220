//! A config by its spec: every problem at once, each with its path and none with a secret's value.
//!
//! The platform validates with the same schema before a connector starts, yet configs also come from
//! files, embedders and older versions of the form.
//!
//! ```
//! use cdk_core::config;
//! use airbyte_protocol::ConnectorSpecification;
//! use serde_json::json;
//!
//! let spec = ConnectorSpecification::new(json!({
//!     "type": "object",
//!     "required": ["host", "port"],
//!     "properties": {"host": {"type": "string"}, "port": {"type": "integer", "maximum": 65535}}
//! }));
//! let error = config::validate(&spec, &json!({"port": 70000})).unwrap_err();
//! assert_eq!(
//!     error.message(),
//!     "The config has 2 problems: `port`: 70000 is greater than the maximum of 65535; `host` is missing."
//! );
//! ```

use std::borrow::Cow;

use airbyte_protocol::ConnectorSpecification;
use jsonschema::{Draft, Validator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{ConnectorError, ErrorContext, Result};
use crate::secret::Secrets;

mod absent;
mod branch;
mod explain;
mod lookup;
mod path;
mod phrase;
#[cfg(test)]
mod tests;

use explain::Problem;
pub use lookup::secrets_of;
use path::Path;

/// Top-level keys that the Python CDK keeps for itself; a spec never declares them.
const INTERNAL_KEYS: [&str; 2] = ["_limit", "_page_size"];

/// More problems than this are counted, not listed.
const MAX_LISTED: usize = 100;

/// Checks `config` against `spec` (draft 7, formats included).
///
/// A null at an optional property that cannot be null counts as left out, at every depth: platforms write
/// fields that nobody filled in that way.
///
/// # Errors
/// A `config_error` that lists every problem with its path, such as `streams[0].name`; of a `oneOf`
/// the problems of the branch that the config picks by its constant. Values at paths that the spec marks
/// `airbyte_secret` and texts of any kind never appear. A `system_error` if the spec's schema is itself
/// invalid.
pub fn validate(spec: &ConnectorSpecification, config: &Value) -> Result<()> {
    let schema = &spec.connection_specification;
    check(schema, &external(schema, config))
}

/// Registers the config's secrets, validates the config and reads it into its type.
///
/// `C` never sees the internal keys, see [`strip_internal`], nor nulls that count as left out, see
/// [`validate`].
///
/// # Errors
/// Those of [`validate`]; and a `config_error` with the path if `C` is stricter than the schema (a time zone
/// that does not exist, a number with a fraction of zero).
pub fn parse<C: DeserializeOwned>(
    spec: &ConnectorSpecification,
    config: &Value,
    secrets: &Secrets,
) -> Result<C> {
    let schema = &spec.connection_specification;
    secrets.add_all(secrets_of(schema, config));
    let config = external(schema, config);
    check(schema, &config)?;
    serde_path_to_error::deserialize(config.as_ref())
        .map_err(|error| unreadable(schema, &error, secrets))
}

/// Removes the keys `_limit` and `_page_size`, which no spec declares. Other keys with `_` stay.
pub fn strip_internal(config: &mut Value) {
    if let Value::Object(members) = config {
        // `shift_remove`, and not `remove`, keeps the order of the rest.
        INTERNAL_KEYS.iter().for_each(|key| {
            members.shift_remove(*key);
        });
    }
}

fn external<'a>(schema: &Value, config: &'a Value) -> Cow<'a, Value> {
    let has_internal = INTERNAL_KEYS.iter().any(|key| config.get(key).is_some());
    if !has_internal && !absent::has_null(config) {
        return Cow::Borrowed(config);
    }
    let mut config = config.clone();
    strip_internal(&mut config);
    absent::drop_nulls(schema, &mut config);
    Cow::Owned(config)
}

fn check(schema: &Value, config: &Value) -> Result<()> {
    let problems = explain::problems(schema, config, compile(schema)?.iter_errors(config));
    if problems.is_empty() {
        Ok(())
    } else {
        Err(ConnectorError::config(summary(&problems)))
    }
}

fn compile(schema: &Value) -> Result<Validator> {
    jsonschema::options()
        .with_draft(Draft::Draft7)
        .should_validate_formats(true)
        .offline()
        .build(schema)
        .system_error(
            "The connector's spec is not a valid JSON schema, so no config can be checked.",
        )
}

fn summary(problems: &[Problem]) -> String {
    let listed: Vec<String> = problems
        .iter()
        .take(MAX_LISTED)
        .map(Problem::to_string)
        .collect();
    let more = match problems.len().saturating_sub(MAX_LISTED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    format!("The config has {count}: {}{more}.", listed.join("; "))
}

/// The error of a config that fits the schema but not the type.
fn unreadable(
    schema: &Value,
    error: &serde_path_to_error::Error<serde_json::Error>,
    secrets: &Secrets,
) -> ConnectorError {
    let path = Path::from(error.path());
    let text = error.inner().to_string();
    // Serde quotes values the way Rust does. Its escapes below are none of the forms that `secrets` knows.
    let is_masked = !text.contains("\\u{") && !text.contains("\\0");
    let text = if is_masked && !lookup::is_secret(schema, &path) {
        secrets.mask(&text).into_owned()
    } else {
        "the value is not usable (it is not shown because it may be a secret)".to_owned()
    };
    ConnectorError::config(format!("The config has 1 problem: {path}: {text}."))
}
