//! The API's own words, found in the body of an error.

use serde_json::Value;

/// Longer messages are cut: nobody reads them, and they may hold data.
const MAX_CHARS: usize = 500;

/// Where APIs put their words, in the order in which they are looked for.
const KEYS: [&str; 13] = [
    "message",
    "messages",
    "error",
    "errors",
    "failures",
    "failure",
    "detail",
    "err",
    "error_message",
    "msg",
    "reason",
    "status_message",
    "error_description",
];

/// The message in an error's body: of JSON the usual members, else the text itself if it is short and no web page.
pub fn api_message(body: &[u8]) -> Option<String> {
    let message = match serde_json::from_slice::<Value>(body) {
        Ok(json) => find(&json)?,
        Err(_) => plain(body)?,
    };
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if message.is_empty() {
        return None;
    }
    let end = message.char_indices().nth(MAX_CHARS);
    Some(match end {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message,
    })
}

fn find(json: &Value) -> Option<String> {
    match json {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let found: Vec<String> = items.iter().filter_map(find).collect();
            (!found.is_empty()).then(|| found.join(", "))
        }
        Value::Object(members) => KEYS
            .iter()
            .filter_map(|key| members.get(*key))
            .find_map(find),
        _ => None,
    }
}

fn plain(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    // A page for people says in its title what matters.
    if text.starts_with('<') {
        let (_, rest) = text.split_once("<title>")?;
        return rest
            .split_once("</title>")
            .map(|(title, _)| title.to_owned());
    }
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_where_apis_put_them() {
        for (body, expected) in [
            (r#"{"message":"no"}"#, Some("no")),
            (
                r#"{"error":{"code":5,"message":"bad  key"}}"#,
                Some("bad key"),
            ),
            (
                r#"{"errors":[{"detail":"a"},{"msg":"b"},{"x":1}]}"#,
                Some("a, b"),
            ),
            (
                r#"{"error":"invalid_grant","error_description":"x"}"#,
                Some("invalid_grant"),
            ),
            (r#"["a","b"]"#, Some("a, b")),
            (r#"{"data":[]}"#, None),
            ("Too many requests\n", Some("Too many requests")),
            (
                "<html><title>502 Bad Gateway</title></html>",
                Some("502 Bad Gateway"),
            ),
            ("<html>", None),
            ("", None),
        ] {
            assert_eq!(api_message(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let body = serde_json::json!({"message": "é".repeat(600)}).to_string();
        let message = api_message(body.as_bytes()).unwrap();
        assert_eq!(message.chars().count(), MAX_CHARS + 1);
    }
}
