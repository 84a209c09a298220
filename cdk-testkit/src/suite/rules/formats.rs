//! The formats of the protocol's well-known types.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// Why a text is not what its schema says, if so. Schemas of other formats, and other values, are not judged.
pub(super) fn problem(schema: &Value, value: &Value) -> Option<&'static str> {
    let text = value.as_str()?;
    let airbyte_type = schema["airbyte_type"].as_str();
    let (pattern, what) = match (schema["format"].as_str()?, airbyte_type) {
        ("date", _) => (&DATE, "no date (YYYY-MM-DD)"),
        ("date-time", Some("timestamp_without_timezone")) => (
            &LOCAL_TIMESTAMP,
            "no timestamp without time zone (YYYY-MM-DDThh:mm:ss)",
        ),
        ("date-time", _) => (
            &TIMESTAMP,
            "no timestamp with time zone (YYYY-MM-DDThh:mm:ssZ)",
        ),
        ("time", Some("time_without_timezone")) => {
            (&LOCAL_TIME, "no time without time zone (hh:mm:ss)")
        }
        ("time", _) => (&TIME, "no time with time zone (hh:mm:ssZ)"),
        _ => return None,
    };
    (!pattern.is_match(text)).then_some(what)
}

/// A pattern that covers the whole text.
macro_rules! pattern {
    ($name:ident, $text:literal) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(concat!("^", $text, "$")).expect("the pattern is a regular expression")
        });
    };
}

pattern!(DATE, r"\d{4}-\d{2}-\d{2}( BC)?");
pattern!(
    LOCAL_TIMESTAMP,
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?( BC)?"
);
pattern!(
    TIMESTAMP,
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{1,2}:\d{2})( BC)?"
);
pattern!(LOCAL_TIME, r"\d{2}:\d{2}:\d{2}(\.\d+)?");
pattern!(TIME, r"\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{1,2}:\d{2})");

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn formats_are_those_of_the_well_known_types() {
        let zoned = json!({"format": "date-time"});
        let local = json!({"format": "date-time", "airbyte_type": "timestamp_without_timezone"});
        for (schema, text, is_right) in [
            (json!({"format": "date"}), "2024-02-29", true),
            (json!({"format": "date"}), "0044-03-15 BC", true),
            (json!({"format": "date"}), "29.2.2024", false),
            (zoned.clone(), "2024-02-29T01:02:03.5+14:00", true),
            (zoned.clone(), "2024-02-29T01:02:03", false),
            (zoned, "2024-02-29 01:02:03Z", false),
            (local.clone(), "2024-02-29T01:02:03", true),
            (local, "1709168523", false),
            (json!({"format": "time"}), "01:02:03Z", true),
            (json!({"format": "email"}), "whatever", true),
        ] {
            assert_eq!(
                problem(&schema, &json!(text)).is_none(),
                is_right,
                "{schema} {text}"
            );
        }
    }
}
