//! The source or the destination of a connection.

use std::path::{Path, PathBuf};

use cdk_core::entrypoint::Connector;
use cdk_core::{ConnectorError, ErrorContext, ProcessCommand, Result};
use serde_json::{Map, Value};

use super::keys::CONNECTOR;
use crate::references::Resolver;
use crate::registry::{Reference, Role};
use cdk_declarative::yaml::{self, Kind, Node, Problem};

/// A connector and its config, references not resolved yet.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) role: Role,
    pub(crate) reference: Reference,
    config: Option<Node>,
}

impl Part {
    pub(super) fn parse(node: &Node, role: Role, directory: &Path) -> Result<Self, Problem> {
        let what = format!("`{}`", role.name());
        if let Kind::Text(name) = &node.kind {
            let reference = Reference::parse(name, directory);
            return Ok(Self {
                role,
                reference,
                config: None,
            });
        }
        let mut reference = None;
        let mut config = None;
        for (key, entry) in CONNECTOR.read(node.entries(role.name())?, &what)? {
            if key == "config" {
                config = Some(entry.value.clone());
                continue;
            }
            let named = named(key, &entry.value, directory)?;
            if reference.replace(named).is_some() {
                let text = format!("{what} names its connector twice. Keep one of the keys.");
                return Err(Problem::new(entry.place, text));
            }
        }
        let reference = reference.ok_or_else(|| {
            let text = format!(
                "{what} names no connector. Add `name: …`, `manifest: …`, `path: …` or `docker: …`."
            );
            Problem::new(node.place, text)
        })?;
        Ok(Self {
            role,
            reference,
            config,
        })
    }

    /// The connector, ready to run.
    pub(crate) fn connect(&self) -> Result<Connector> {
        self.reference.connect(Some(self.role))
    }

    /// The config with its references resolved. `file` is the connection file, for messages.
    pub(crate) fn config(&self, resolver: &Resolver<'_>, file: &Path) -> Result<Value> {
        let path = format!("{}.config", self.role.name());
        match &self.config {
            None => Ok(Value::Object(Map::new())),
            Some(Node {
                kind: Kind::Null, ..
            }) => Ok(Value::Object(Map::new())),
            Some(Node {
                kind: Kind::Text(other),
                ..
            }) => read_config(&resolver.directory().join(other), resolver),
            Some(node) => resolve_object(node, resolver, &path, file),
        }
    }
}

fn named(key: &str, value: &Node, directory: &Path) -> Result<Reference, Problem> {
    if key == "command" {
        let Kind::List(words) = &value.kind else {
            return Err(value.expected(key, "a list: the program and its arguments"));
        };
        let words = words
            .iter()
            .map(|word| word.text(key))
            .collect::<Result<Vec<_>, _>>()?;
        let Some((program, args)) = words.split_first() else {
            return Err(Problem::new(value.place, "`command` is empty."));
        };
        return Ok(Reference::Command(ProcessCommand::new(
            program,
            args.to_vec(),
        )));
    }
    let text = value.text(key)?;
    if text.is_empty() {
        return Err(Problem::new(value.place, format!("`{key}` is empty.")));
    }
    Ok(match key {
        "docker" => Reference::Command(ProcessCommand::docker(text)),
        "manifest" => Reference::Manifest(directory.join(text)),
        "path" => Reference::path(&text, directory),
        "name" => Reference::Name(text),
        _ => Reference::parse(&text, directory),
    })
}

/// Reads a config from a file of its own, JSON or YAML.
pub(crate) fn read_config(path: &Path, resolver: &Resolver<'_>) -> Result<Value> {
    let text = read(path)?;
    let node = yaml::load(&text).map_err(|problem| at(path, &problem))?;
    resolve_object(&node, resolver, "config", path)
}

fn resolve_object(node: &Node, resolver: &Resolver<'_>, path: &str, file: &Path) -> Result<Value> {
    let value = match &node.kind {
        Kind::Map(_) => resolver.value(node, path),
        _ => Err(node.expected(path, "a mapping (`key: value` lines)")),
    };
    value.map_err(|problem| at(file, &problem))
}

/// The text of a file the user named.
pub(super) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).config_error(format!(
        "The file {} can't be read. Check that it exists, is UTF-8 text and may be read.",
        path.display()
    ))
}

/// A problem in a file as an error for the user.
pub(super) fn at(file: &Path, problem: &Problem) -> ConnectorError {
    let Problem { place, text } = problem;
    let file: PathBuf = file.into();
    ConnectorError::config(format!(
        "{}:{}:{}: {text}",
        file.display(),
        place.line,
        place.column
    ))
}
