//! The part of a destination's config that is about normalization.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::settings::{Mode, Settings};

/// Whether and how to normalize.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Normalization {
    /// `basic` and `guide`: nested objects become columns, lists of objects child tables. `classic`: both become
    /// child tables, as in 2023.
    #[serde(default)]
    #[schemars(title = "Mode", extend("order" = 0))]
    pub mode: NormalizationMode,
    /// Levels of nesting that become columns and tables; what is nested deeper stays JSON.
    #[serde(default = "default_depth")]
    #[schemars(title = "Depth", extend("order" = 1), range(min = 0, max = 60))]
    pub max_depth: u8,
}

/// The kinds of normalization.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum NormalizationMode {
    /// No normalization.
    #[default]
    None,
    /// The same as `guide`.
    Basic,
    /// Objects become columns, lists of objects tables.
    Guide,
    /// Objects and lists of objects become tables.
    Classic,
}

const DEFAULT_DEPTH: u8 = 10;

fn default_depth() -> u8 {
    DEFAULT_DEPTH
}

impl Default for Normalization {
    fn default() -> Self {
        Self {
            mode: NormalizationMode::None,
            max_depth: DEFAULT_DEPTH,
        }
    }
}

impl Normalization {
    /// How to normalize, if at all.
    pub fn settings(self) -> Option<Settings> {
        let mode = match self.mode {
            NormalizationMode::None => return None,
            NormalizationMode::Basic | NormalizationMode::Guide => Mode::Guide,
            NormalizationMode::Classic => Mode::Classic,
        };
        Some(Settings {
            mode,
            max_depth: self.max_depth.into(),
        })
    }

    /// Brings the spellings of the integration guide to the keys of the config: `true`, `Basic`, `{Mode: Basic}`,
    /// `{Enable: true, Option: Basic Normalization}` → `{"mode": "basic"}`. What is unknown stays as it is.
    pub fn spelt_out(value: Value) -> Value {
        let members = match value {
            Value::Bool(is_on) => return json!({"mode": if is_on { "basic" } else { "none" }}),
            Value::String(mode) => return json!({"mode": mode_of(&mode)}),
            Value::Object(members) => members,
            other => return other,
        };
        let mut normalization = Map::new();
        for (key, value) in members {
            match (fold(&key).as_str(), value) {
                ("mode" | "option", Value::String(mode)) => {
                    let mode = || mode_of(&mode).into();
                    normalization.entry("mode").or_insert_with(mode);
                }
                ("enable" | "enabled" | "activer", Value::Bool(false)) => {
                    normalization.insert("mode".to_owned(), "none".into());
                }
                ("enable" | "enabled" | "activer", Value::Bool(true)) => {
                    normalization
                        .entry("mode")
                        .or_insert_with(|| "basic".into());
                }
                ("depth" | "maxdepth", value) => {
                    drop(normalization.insert("max_depth".to_owned(), value));
                }
                (_, value) => drop(normalization.insert(key, value)),
            }
        }
        Value::Object(normalization)
    }
}

/// `Basic Normalization` is `basic`.
fn mode_of(text: &str) -> String {
    let folded = fold(text);
    let mode = folded.strip_suffix("normalization").unwrap_or(&folded);
    mode.to_owned()
}

/// Letters and digits, in lower case.
fn fold(text: &str) -> String {
    let letters = text.chars().filter(|char| char.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalization_is_found_in_all_its_spellings() {
        for (given, mode) in [
            (json!(true), NormalizationMode::Basic),
            (json!("Classic"), NormalizationMode::Classic),
            (json!({"Mode": "Basic"}), NormalizationMode::Basic),
            (
                json!({"Enable": true, "Option": "Basic Normalization"}),
                NormalizationMode::Basic,
            ),
            (
                json!({"Enable": false, "Option": "Basic Normalization"}),
                NormalizationMode::None,
            ),
            (
                json!({"Option": "Basic Normalization", "Enable": false}),
                NormalizationMode::None,
            ),
            (json!({}), NormalizationMode::None),
        ] {
            let spelt = Normalization::spelt_out(given.clone());
            let normalization: Normalization = serde_json::from_value(spelt).unwrap();
            assert_eq!(normalization.mode, mode, "{given}");
            assert_eq!(normalization.max_depth, DEFAULT_DEPTH);
        }
        let deep = Normalization::spelt_out(json!({"mode": "guide", "Max Depth": 3}));
        assert_eq!(deep, json!({"mode": "guide", "max_depth": 3}));
    }
}
