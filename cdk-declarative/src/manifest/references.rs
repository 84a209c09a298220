//! References: texts that begin with `#/`, and objects with `$ref`.

use super::MAX_NODES;
use crate::yaml::{Entry, Kind, Node, Problem};

/// Fields with values of a config: what looks like a reference there is none.
const CONFIG_FIELDS: [&str; 1] = ["config_overrides"];

/// The tree with all references replaced by what they point to.
pub(super) fn resolved(root: &Node) -> Result<Node, Problem> {
    let mut resolver = Resolver {
        root,
        open: Vec::new(),
        nodes: 0,
    };
    resolver.node(root)
}

struct Resolver<'a> {
    root: &'a Node,
    /// The references that are being followed.
    open: Vec<&'a str>,
    nodes: usize,
}

impl<'a> Resolver<'a> {
    fn node(&mut self, node: &'a Node) -> Result<Node, Problem> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Problem::new(
                node.place,
                "References refer too much: the manifest gets too large.",
            ));
        }
        let kind = match &node.kind {
            Kind::List(items) => {
                let items = items.iter().map(|item| self.node(item));
                Kind::List(items.collect::<Result<_, _>>()?)
            }
            Kind::Map(entries) => return self.map(node, entries),
            Kind::Text(text) if text.starts_with("#/") => return self.reference(node, text),
            other => other.clone(),
        };
        Ok(Node {
            place: node.place,
            kind,
        })
    }

    fn map(&mut self, node: &'a Node, entries: &'a [Entry]) -> Result<Node, Problem> {
        let mut own = Vec::with_capacity(entries.len());
        let mut reference = None;
        for entry in entries {
            if entry.key == "$ref" {
                reference = Some(&entry.value);
                continue;
            }
            let value = match CONFIG_FIELDS.contains(&entry.key.as_str()) {
                true => entry.value.clone(),
                false => self.node(&entry.value)?,
            };
            own.push(Entry {
                key: entry.key.clone(),
                place: entry.place,
                value,
            });
        }
        let Some(reference) = reference else {
            return Ok(Node {
                place: node.place,
                kind: Kind::Map(own),
            });
        };
        let mut found = self.node(reference)?;
        if let Kind::Map(entries) = &mut found.kind {
            for entry in own {
                match entries.iter_mut().find(|known| known.key == entry.key) {
                    Some(known) => *known = entry,
                    None => entries.push(entry),
                }
            }
            found.place = node.place;
        }
        Ok(found)
    }

    fn reference(&mut self, node: &'a Node, text: &'a str) -> Result<Node, Problem> {
        if self.open.contains(&text) {
            let text =
                format!("The reference `{text}` refers to itself. Take one of its references out.");
            return Err(Problem::new(node.place, text));
        }
        let Some(found) = lookup(self.root, &text[2..]) else {
            let text = format!("`{text}` points to nothing. Define it, or correct the reference.");
            return Err(Problem::new(node.place, text));
        };
        self.open.push(text);
        let resolved = self.node(found)?;
        self.open.pop();
        Ok(resolved)
    }
}

/// The whole rest of a path is tried as a key before it is split at the next `/`.
fn lookup<'a>(root: &'a Node, path: &str) -> Option<&'a Node> {
    let mut node = root;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(found) = node.get(rest) {
            return Some(found);
        }
        let (head, tail) = rest.split_once('/').unwrap_or((rest, ""));
        node = match &node.kind {
            Kind::List(items) => items.get(head.parse::<usize>().ok()?)?,
            _ => node.get(head)?,
        };
        rest = tail;
    }
    Some(node)
}
