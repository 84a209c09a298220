//! A record that `jsonb` does not take as it is: the fields that it would refuse become null.

use airbyte_protocol::ChangeReason;
use airbyte_protocol::codec::{FieldsError, fields};

use crate::encode;

/// A record that `jsonb` takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sanitized {
    pub(crate) text: String,
    /// The fields that became null, and why.
    pub(crate) nulled: Vec<(String, ChangeReason)>,
}

/// Nulls the top-level fields that `jsonb` would refuse. One whose name it would refuse is left out.
pub(crate) fn record(data: &str) -> Result<Sanitized, FieldsError> {
    let mut sanitized = Sanitized {
        text: String::with_capacity(data.len()),
        nulled: Vec::new(),
    };
    let mut separator = '{';
    for member in fields(data) {
        let (key, value) = member?;
        let name = serde_json::Value::from(key.as_ref()).to_string();
        let mut refused = None;
        let is_name = encode::check_json(&name);
        if let Err(reason) = is_name.and_then(|()| encode::check_json(value)) {
            sanitized.nulled.push((key.into_owned(), reason));
            refused = Some(reason);
        }
        if is_name.is_err() {
            continue;
        }
        sanitized.text.push(separator);
        sanitized.text.push_str(&name);
        sanitized.text.push(':');
        sanitized
            .text
            .push_str(if refused.is_some() { "null" } else { value });
        separator = ',';
    }
    if separator == '{' {
        sanitized.text.push('{');
    }
    sanitized.text.push('}');
    // Each field is small enough; together they may not be.
    if let Err(reason) = encode::check_json(&sanitized.text) {
        sanitized.text = "{}".to_owned();
        sanitized.nulled.extend(
            fields(data)
                .flatten()
                .map(|(key, _)| (key.into_owned(), reason)),
        );
    }
    Ok(sanitized)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_fields_that_are_refused_become_null() {
        let data = r#"{"id":1,"a":"x\u0000y","b":{"c":["\ud800"]},"z\u0000":2,"ok":[1.50]}"#;
        let sanitized = record(data).unwrap();
        assert_eq!(sanitized.text, r#"{"id":1,"a":null,"b":null,"ok":[1.50]}"#);
        let nulled: Vec<_> = sanitized
            .nulled
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(nulled, ["a", "b", "z\0"]);
        assert_eq!(record(r#"{"\u0000":1}"#).unwrap().text, "{}");
        assert!(record("[]").is_err());
    }
}
