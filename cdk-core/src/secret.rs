//! Secrets: a text type that never prints itself, and the mask that hides every known secret in what leaves the process.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// What stands where a secret stood.
pub const MASK: &str = "****";

/// A secret text. In a config struct it marks its property `airbyte_secret`; `Debug` shows a mask.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretString(String);

impl SecretString {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl JsonSchema for SecretString {
    fn schema_name() -> Cow<'static, str> {
        "SecretString".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "airbyte_secret": true})
    }
}

/// The secrets known to a process. Cheap to clone; clones share the set.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    forms: BTreeSet<String>,
    matcher: Option<AhoCorasick>,
}

impl Secrets {
    /// Registers a secret and its usual encodings (JSON-escaped, base64, URL-encoded).
    ///
    /// Call it for tokens fetched at run time before anything is logged about them.
    pub fn add(&self, secret: &str) {
        self.add_all([secret]);
    }

    /// `text` with every known secret replaced by [`MASK`]; of overlapping ones the longest wins.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(matcher) = &known.matcher else {
            return Cow::Borrowed(text);
        };
        if !matcher.is_match(text) {
            return Cow::Borrowed(text);
        }
        let mut masked = String::with_capacity(text.len());
        matcher.replace_all_with(text, &mut masked, |_, _, out| {
            out.push_str(MASK);
            true
        });
        Cow::Owned(masked)
    }

    /// Registers several secrets at once, which is cheaper than one by one.
    pub fn add_all(&self, secrets: impl IntoIterator<Item = impl AsRef<str>>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.forms.len();
        secrets
            .into_iter()
            .for_each(|secret| add_forms(&mut known.forms, secret.as_ref()));
        if known.forms.len() > before {
            known.matcher = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&known.forms)
                .ok();
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Secrets({} forms)", known.forms.len())
    }
}

/// What RFC 3986 leaves as it is in a URL, besides letters and digits.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn add_forms(forms: &mut BTreeSet<String>, secret: &str) {
    if secret.is_empty() {
        return;
    }
    forms.insert(secret.to_owned());
    // Of a shorter secret the encoded forms are too common to mean anything.
    if secret.len() < 4 {
        return;
    }
    forms.insert(utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string());
    forms.insert(utf8_percent_encode(secret, &UNRESERVED).to_string());
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        forms.insert(engine.encode(secret));
    }
    if let Ok(quoted) = serde_json::to_string(secret) {
        forms.insert(quoted.trim_matches('"').to_owned());
    }
    // A key of several lines is often logged line by line.
    let lines = secret.lines().map(str::trim).filter(|line| line.len() >= 8);
    forms.extend(lines.map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_contains_another_is_hidden_whole() {
        let secrets = Secrets::default();
        secrets.add("hunter");
        secrets.add("hunter2-and-more");
        assert_eq!(secrets.mask("pw=hunter2-and-more;"), "pw=****;");
    }

    #[test]
    fn encoded_forms_are_hidden() {
        let secrets = Secrets::default();
        secrets.add("p@ss w\"rd");
        for form in ["p%40ss%20w%22rd", "cEBzcyB3InJk", r#"p@ss w\"rd"#] {
            assert_eq!(secrets.mask(&format!("<{form}>")), "<****>", "{form}");
        }
    }

    #[test]
    fn debug_of_a_secret_string_shows_nothing() {
        assert_eq!(format!("{:?}", SecretString::new("x")), MASK);
    }
}
