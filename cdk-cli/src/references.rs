//! References to secrets in a config: environment variables and files instead of values.
//!
//! | written | means |
//! |---|---|
//! | `${NAME}`, `${ENV:NAME}` | the environment variable, anywhere in a text |
//! | `${FILE:path}` | the file's text without the last line break, anywhere in a text |
//! | `secret_reference::NAME` | the environment variable, as the whole text |
//! | `{file: path}` | the file's text, as the whole value |
//! | `$${` | `${` itself |

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cdk_core::Secrets;
use serde_json::{Map, Value};

use cdk_declarative::yaml::{Kind, Node, Place, Problem};

/// Placeholders that connectors fill in themselves (Airbyte's path formats): they pass through. An
/// environment variable of that name is still reached as `${ENV:NAME}`.
const PLACEHOLDERS: [&str; 14] = [
    "SOURCE_NAMESPACE",
    "NAMESPACE",
    "STREAM_NAME",
    "YEAR",
    "MONTH",
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "MILLISECOND",
    "EPOCH",
    "UUID",
    "DATE",
    "TIMESTAMP",
];
/// Shorter values are no secrets worth the name, and hiding them would make every message unreadable.
const MIN_SECRET_BYTES: usize = 4;

/// Resolves references, and remembers what they stood for as secrets.
pub(crate) struct Resolver<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    directory: PathBuf,
    secrets: &'a Secrets,
    found: Mutex<Vec<String>>,
}

impl<'a> Resolver<'a> {
    /// Looks variables up with `env`; relative files start at `directory`. Every value that is found is
    /// added to `secrets`, to be hidden in all that is printed.
    pub(crate) fn new(
        env: &'a dyn Fn(&str) -> Option<String>,
        directory: PathBuf,
        secrets: &'a Secrets,
    ) -> Self {
        Self {
            env,
            directory,
            secrets,
            found: Mutex::default(),
        }
    }

    /// What relative files are relative to.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The secrets found so far.
    pub(crate) fn found(&self) -> Vec<String> {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The value of `node`, references replaced and nulls in mappings dropped. `path` leads the paths in
    /// messages.
    pub(crate) fn value(&self, node: &Node, path: &str) -> Result<Value, Problem> {
        Ok(match &node.kind {
            Kind::Null => Value::Null,
            Kind::Bool(truth) => Value::Bool(*truth),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(self.text(text, node.place, path)?),
            Kind::List(items) => {
                let items = items.iter().enumerate();
                let items = items.map(|(at, item)| self.value(item, &format!("{path}[{at}]")));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Kind::Map(entries) => {
                if let [only] = entries.as_slice()
                    && only.key == "file"
                    && let Kind::Text(file) = &only.value.kind
                {
                    return Ok(Value::String(self.file(file, node.place, path)?));
                }
                let mut members = Map::new();
                for entry in entries
                    .iter()
                    .filter(|entry| entry.value.kind != Kind::Null)
                {
                    let value = self.value(&entry.value, &format!("{path}.{}", entry.key))?;
                    members.insert(entry.key.clone(), value);
                }
                Value::Object(members)
            }
        })
    }

    /// `text` with its references replaced.
    pub(crate) fn text(&self, text: &str, place: Place, path: &str) -> Result<String, Problem> {
        if let Some(name) = text.strip_prefix("secret_reference::") {
            return self.variable(name, place, path);
        }
        let mut resolved = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, reference) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                resolved.push_str(before);
                resolved.push_str("${");
                rest = &reference[2..];
                continue;
            }
            resolved.push_str(before);
            let Some(end) = reference.find('}') else {
                let text =
                    format!("`{path}` has a `${{` without `}}`. Write `$${{` for the characters.");
                return Err(Problem::new(place, text));
            };
            resolved.push_str(&self.reference(&reference[2..end], place, path)?);
            rest = &reference[end + 1..];
        }
        resolved.push_str(rest);
        Ok(resolved)
    }

    fn reference(&self, inner: &str, place: Place, path: &str) -> Result<String, Problem> {
        if let Some(file) = inner.strip_prefix("FILE:") {
            return self.file(file, place, path);
        }
        match inner.strip_prefix("ENV:") {
            Some(name) => self.variable(name, place, path),
            None if PLACEHOLDERS.contains(&inner) => Ok(format!("${{{inner}}}")),
            None => self.variable(inner, place, path),
        }
    }

    fn variable(&self, name: &str, place: Place, path: &str) -> Result<String, Problem> {
        let is_name = !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            let text = format!(
                "`{path}` refers to `{name}`, which can't be an environment variable. Write `$${{` for \
                 the characters `${{`."
            );
            return Err(Problem::new(place, text));
        }
        let Some(value) = (self.env)(name) else {
            let text = format!(
                "`{path}` refers to the environment variable {name}, which is not set. Set it, for \
                 example with `export {name}=…`."
            );
            return Err(Problem::new(place, text));
        };
        self.remember(&value);
        Ok(value)
    }

    fn file(&self, file: &str, place: Place, path: &str) -> Result<String, Problem> {
        let file = self.directory.join(Path::new(file));
        let text = std::fs::read_to_string(&file).map_err(|error| {
            let file = file.display();
            Problem::new(
                place,
                format!("`{path}` refers to the file {file}: {error}."),
            )
        })?;
        let value = text.strip_suffix('\n').unwrap_or(&text);
        let value = value.strip_suffix('\r').unwrap_or(value).to_owned();
        self.remember(&value);
        Ok(value)
    }

    fn remember(&self, value: &str) {
        if value.len() >= MIN_SECRET_BYTES {
            self.secrets.add(value);
            self.found
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(value.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cdk_declarative::yaml;

    fn resolve(text: &str, directory: &Path) -> (Result<Value, Problem>, Secrets) {
        let secrets = Secrets::default();
        let env = |name: &str| (name == "PASSWORD").then(|| "s3cret!".to_owned());
        let resolver = Resolver::new(&env, directory.to_owned(), &secrets);
        let value = resolver.value(&yaml::load(text).unwrap(), "source.config");
        (value, secrets)
    }

    #[test]
    fn every_kind_of_reference_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key"), "line 1\nline 2\n").unwrap();
        for (text, expected) in [
            ("${PASSWORD}", "s3cret!"),
            ("u:${ENV:PASSWORD}@h", "u:s3cret!@h"),
            ("secret_reference::PASSWORD", "s3cret!"),
            ("{file: key}", "line 1\nline 2"),
            ("<${FILE:key}>", "<line 1\nline 2>"),
            ("$${PASSWORD} pa$$word $", "${PASSWORD} pa$$word $"),
            (
                "a/${NAMESPACE}/${STREAM_NAME}",
                "a/${NAMESPACE}/${STREAM_NAME}",
            ),
        ] {
            let (value, _) = resolve(text, dir.path());
            assert_eq!(value, Ok(Value::String(expected.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_references_stand_for_is_masked() {
        let (_, secrets) = resolve("a: ${PASSWORD}", Path::new("."));
        assert_eq!(secrets.mask("pw s3cret!"), "pw ****");
    }

    #[test]
    fn an_unset_variable_is_named_with_path_and_place() {
        let (value, _) = resolve("a:\n  - {b: '${NOPE}'}", Path::new("."));
        let problem = value.unwrap_err();
        assert_eq!(problem.place, Place { line: 2, column: 9 });
        assert!(
            problem.text.contains("`source.config.a[0].b`"),
            "{}",
            problem.text
        );
        assert!(
            problem.text.contains("variable NOPE, which is not set"),
            "{}",
            problem.text
        );
    }

    #[test]
    fn half_a_reference_is_refused() {
        for (text, expected) in [
            ("'a ${PASSWORD'", "without `}`"),
            ("'${a b}'", "can't be an environment variable"),
            ("'${FILE:nope}'", "refers to the file ./nope: "),
        ] {
            let problem = resolve(text, Path::new(".")).0.unwrap_err();
            assert!(problem.text.contains(expected), "{text}: {}", problem.text);
        }
    }

    #[test]
    fn nulls_in_mappings_are_dropped() {
        let (value, _) = resolve("a:\nb: 1\nc: {d: ~}\ne: [~]", Path::new("."));
        assert_eq!(
            value.unwrap(),
            serde_json::json!({"b": 1, "c": {}, "e": [null]})
        );
    }
}
