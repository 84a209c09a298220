//! The spec of a connector out of its config type: a draft-07 JSON schema in the shape that Airbyte's
//! form and its acceptance tests ask for.
//!
//! ```
//! use cdk_core::{SecretString, spec};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Config {
//!     /// Where the API lives
//!     base_url: String,
//!     /// Created under Settings, API keys.
//!     api_key: SecretString,
//!     /// Rows per request.
//!     #[serde(default)]
//!     #[schemars(range(min = 1, max = 500), extend("order" = 10))]
//!     page_size: Option<u32>,
//! }
//!
//! let spec = spec::of::<Config>().with_documentation_url("https://docs.example.com");
//! let properties = &spec.connection_specification["properties"];
//! assert_eq!(properties["base_url"]["title"], "Base URL");
//! assert_eq!(properties["base_url"]["description"], "Where the API lives.");
//! assert_eq!(properties["api_key"]["airbyte_secret"], true);
//! assert_eq!(properties["page_size"]["type"], "integer");
//! ```
//!
//! | Rust | spec |
//! |---|---|
//! | `Option<T>` | `T`, not required |
//! | enum of unit variants | `type: string` with `enum` |
//! | `#[serde(tag = "mode")]` enum | `oneOf`; the branches share the property `mode` with a `const` each |
//! | doc comment, `#[schemars(title = …)]` | `description`, `title` (else the field's name in words) |
//! | `#[schemars(extend("order" = 3))]` | as it is; other fields get the free numbers in field order |
//!
//! Every other annotation of Airbyte (`airbyte_hidden`, `always_show`, `display_type`, `group`,
//! `multiline`, `pattern_descriptor`) passes through `#[schemars(extend(…))]` unchanged.

use airbyte_protocol::ConnectorSpecification;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

mod annotate;
mod shape;
#[cfg(test)]
mod tests;
mod words;

type Object = Map<String, Value>;

/// The spec whose `connectionSpecification` describes `C`.
///
/// Add the rest with the `with_…` methods of [`ConnectorSpecification`].
///
/// # Panics
/// If `C` has no equivalent in an Airbyte spec: it contains itself, flattens two enums or an optional
/// one into the same object, or has a hand-written keyword that Airbyte forbids (such as `if` or
/// `not`). The message names the place. The outcome depends on the type only, so one test of
/// `spec::of` settles it.
pub fn of<C: JsonSchema>() -> ConnectorSpecification {
    match connection_specification::<C>() {
        Ok(schema) => ConnectorSpecification::new(schema),
        Err(problem) => panic!(
            "The config type {} has no Airbyte spec: {problem}",
            C::schema_name()
        ),
    }
}

fn connection_specification<C: JsonSchema>() -> Result<Value, String> {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    let generated = settings.into_generator().into_root_schema_for::<C>();
    let mut schema = generated.to_value();
    shape::reshape(&mut schema, "the config")?;
    if let Value::Object(root) = &mut schema {
        complete_root(root, &C::schema_name());
    }
    annotate::annotate(&mut schema);
    Ok(schema)
}

/// The keywords that every `connectionSpecification` has.
fn complete_root(root: &mut Object, type_name: &str) {
    if root.get("title").is_none_or(|title| title == type_name) {
        root.insert("title".to_owned(), json!(words::title(type_name)));
    }
    // A config is an object even if its type has no field.
    root.insert("type".to_owned(), json!("object"));
    root.entry("required").or_insert_with(|| json!([]));
    root.entry("properties").or_insert_with(|| json!({}));
    root.insert("additionalProperties".to_owned(), json!(true));
}

/// The schemas directly below a schema, each with the name it goes by in messages.
fn children(schema: &mut Object) -> impl Iterator<Item = (&str, &mut Value)> {
    schema
        .iter_mut()
        .flat_map(|(keyword, below)| -> Vec<(&str, &mut Value)> {
            match (keyword.as_str(), below) {
                ("properties", Value::Object(all)) => all
                    .iter_mut()
                    .map(|(name, property)| (name.as_str(), property))
                    .collect(),
                ("items" | "oneOf", Value::Array(all)) => all
                    .iter_mut()
                    .map(|schema| (keyword.as_str(), schema))
                    .collect(),
                ("items" | "additionalProperties", schema @ Value::Object(_)) => {
                    vec![(keyword.as_str(), schema)]
                }
                _ => Vec::new(),
            }
        })
}
