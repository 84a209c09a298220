//! Parameters that nothing reads.

use std::collections::HashSet;

use super::components::Components;
use super::validate::{Finding, Severity};
use crate::yaml::{Entry, Kind, Node};

const PARAMETERS: &str = "$parameters";

/// The `$parameters` in the tree as it was written that no component of the `resolved` one has as a field and no template
/// reads.
pub(super) fn findings(written: &Node, resolved: &Node) -> Vec<Finding> {
    let mut read = Read::default();
    read.walk(resolved);
    let mut found = Vec::new();
    declared(written, "", &mut |entry, path| {
        if !read.reads(&entry.key) {
            found.push(Finding {
                severity: Severity::Warning,
                place: entry.place,
                path: format!("{path}.{}", entry.key),
                text: format!(
                    "Nothing reads the parameter `{}`: it has no effect.",
                    entry.key
                ),
            });
        }
    });
    found
}

/// What is read, anywhere.
#[derive(Default)]
struct Read<'a> {
    names: HashSet<&'a str>,
    /// Templates that mention parameters.
    templates: Vec<&'a str>,
}

impl<'a> Read<'a> {
    fn walk(&mut self, node: &'a Node) {
        match &node.kind {
            Kind::Text(text) if text.contains("parameters") => self.templates.push(text),
            Kind::List(items) => items.iter().for_each(|item| self.walk(item)),
            Kind::Map(entries) => {
                if let Some(Kind::Map(parameters)) = node.get(PARAMETERS).map(|node| &node.kind) {
                    let reads = |entry: &&Entry| has_field(node, &entry.key);
                    let names = parameters.iter().filter(reads);
                    self.names.extend(names.map(|entry| entry.key.as_str()));
                }
                entries.iter().for_each(|entry| self.walk(&entry.value));
            }
            _ => {}
        }
    }

    fn reads(&self, name: &str) -> bool {
        self.names.contains(name) || self.templates.iter().any(|text| text.contains(name))
    }
}

/// Whether a component has a field of that name. Code may read any.
fn has_field(component: &Node, name: &str) -> bool {
    let kind = component.get("type").and_then(|kind| match &kind.kind {
        Kind::Text(kind) => Components::all().get(kind),
        _ => None,
    });
    kind.is_none_or(|kind| {
        kind.name.starts_with("Custom") || kind.fields.iter().any(|field| field.name == name)
    })
}

/// Calls `visit` for every parameter that is declared, with the path of its `$parameters`.
fn declared<'a>(node: &'a Node, path: &str, visit: &mut impl FnMut(&'a Entry, &str)) {
    match &node.kind {
        Kind::List(items) => {
            for (at, item) in items.iter().enumerate() {
                declared(item, &format!("{path}[{at}]"), visit);
            }
        }
        Kind::Map(entries) => {
            for entry in entries {
                let below = match path {
                    "" => entry.key.clone(),
                    path => format!("{path}.{}", entry.key),
                };
                match &entry.value.kind {
                    Kind::Map(parameters) if entry.key == PARAMETERS => {
                        parameters.iter().for_each(|entry| visit(entry, &below));
                    }
                    _ => declared(&entry.value, &below, visit),
                }
            }
        }
        _ => {}
    }
}
