//! New names for keys.

use cdk_core::Result;
use serde_json::Value;

use super::rekey;
use crate::component::Component;
use crate::template::{Scope, Template};

/// Replaces a part of every key.
#[derive(Debug, Clone)]
pub(crate) struct Replace {
    old: Template,
    new: Template,
}

impl Replace {
    pub(super) fn build(component: &Component<'_>) -> Result<Self> {
        Ok(Self {
            old: Template::new(component.need_text("old")?, component)?,
            new: Template::new(component.need_text("new")?, component)?,
        })
    }

    pub(super) fn apply(&self, record: &mut Value, scope: &Scope<'_>) -> Result<()> {
        let (old, new) = {
            let scope = scope.with("record", record);
            (self.old.text(&scope)?, self.new.text(&scope)?)
        };
        rekey(record, true, &|key| key.replace(&old, &new));
        Ok(())
    }
}

/// `FirstName` and `first-name` become `first_name`; letters beyond ASCII become the ASCII letters nearest to them.
pub(super) fn snake_case(key: &str) -> String {
    let ascii = any_ascii::any_ascii(key);
    let mut tokens = tokens(&ascii);
    if tokens.len() >= 3 {
        let last = tokens.len() - 1;
        let mut at = 0;
        tokens.retain(|token| {
            let keep = at == 0 || at == last || !token.is_empty();
            at += 1;
            keep
        });
    }
    if tokens
        .first()
        .is_some_and(|first| first.starts_with(|c: char| c.is_ascii_digit()))
    {
        tokens.insert(0, "");
    }
    let lower: Vec<String> = tokens
        .iter()
        .map(|token| token.to_ascii_lowercase())
        .collect();
    lower.join("_")
}

/// Runs of capitals with the small letters behind them, of small letters, of digits; all else is an empty token.
fn tokens(key: &str) -> Vec<&str> {
    let bytes = key.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    let run = |from: usize, is_in: fn(&u8) -> bool| {
        bytes[from..]
            .iter()
            .position(|byte| !is_in(byte))
            .map_or(bytes.len(), |len| from + len)
    };
    while at < bytes.len() {
        let (end, is_token) = match bytes[at] {
            b'A'..=b'Z' => (
                run(run(at, u8::is_ascii_uppercase), u8::is_ascii_lowercase),
                true,
            ),
            b'a'..=b'z' => (run(at, u8::is_ascii_lowercase), true),
            b'0'..=b'9' => (run(at, u8::is_ascii_digit), true),
            _ => (run(at, |byte| !byte.is_ascii_alphanumeric()), false),
        };
        tokens.push(if is_token { &key[at..end] } else { "" });
        at = end;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_snake_case_as_in_the_reference() {
        for (key, expected) in [
            ("FirstName", "first_name"),
            ("first name", "first_name"),
            ("HTTPServer2Go", "httpserver_2_go"),
            ("2fa", "_2_fa"),
            ("_id", "_id"),
            ("id_", "id_"),
            ("a--b", "a_b"),
            ("Größe", "grosse"),
            ("", ""),
        ] {
            assert_eq!(snake_case(key), expected, "{key}");
        }
    }
}
