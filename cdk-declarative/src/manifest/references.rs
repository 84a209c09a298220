//! References: texts that begin with `#/`, and objects with `$ref`.

use std::collections::HashSet;

use super::MAX_NODES;
use super::validate::{Finding, Severity};
use crate::yaml::{Entry, Kind, Node, Place};

/// Fields with values of a config: what looks like a reference there is none.
const CONFIG_FIELDS: [&str; 1] = ["config_overrides"];

/// The parts of a manifest that only count where something refers to them.
const DEFINITIONS: [&str; 2] = ["definitions", "schemas"];

/// The tree with all references replaced by what they point to, and those that point to nothing or to themselves, of
/// which nothing is left.
pub(super) fn resolved(root: &Node) -> Result<(Node, Vec<Finding>), Finding> {
    let mut resolver = Resolver {
        root,
        open: Vec::new(),
        path: Vec::new(),
        nodes: 0,
        broken: Vec::new(),
        seen: HashSet::new(),
    };
    let tree = resolver.node(root)?;
    Ok((tree, resolver.broken))
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Item(usize),
}

struct Resolver<'a> {
    root: &'a Node,
    /// The references that are being followed.
    open: Vec<&'a str>,
    /// Where the walk is, in the resolved tree.
    path: Vec<Step<'a>>,
    nodes: usize,
    broken: Vec<Finding>,
    seen: HashSet<Place>,
}

impl<'a> Resolver<'a> {
    fn node(&mut self, node: &'a Node) -> Result<Node, Finding> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let text = "References refer too much: the manifest gets too large.";
            return Err(self.finding(node, text.to_owned()));
        }
        let kind = match &node.kind {
            Kind::List(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    resolved.push(self.below(Step::Item(at), item)?);
                }
                Kind::List(resolved)
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

    fn below(&mut self, step: Step<'a>, node: &'a Node) -> Result<Node, Finding> {
        self.path.push(step);
        let resolved = self.node(node);
        self.path.pop();
        resolved
    }

    fn map(&mut self, node: &'a Node, entries: &'a [Entry]) -> Result<Node, Finding> {
        let mut own = Vec::with_capacity(entries.len());
        let mut reference = None;
        for entry in entries {
            if entry.key == "$ref" {
                reference = Some(&entry.value);
                continue;
            }
            let value = match CONFIG_FIELDS.contains(&entry.key.as_str()) {
                true => entry.value.clone(),
                false => self.below(Step::Key(&entry.key), &entry.value)?,
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

    fn reference(&mut self, node: &'a Node, text: &'a str) -> Result<Node, Finding> {
        if self.open.contains(&text) {
            let why =
                format!("The reference `{text}` refers to itself. Take one of its references out.");
            return Ok(self.nothing(node, why));
        }
        let Some(found) = lookup(self.root, &text[2..]) else {
            let why = format!("`{text}` points to nothing. Define it, or correct the reference.");
            return Ok(self.nothing(node, why));
        };
        self.open.push(text);
        let resolved = self.node(found);
        self.open.pop();
        resolved
    }

    /// What is left of a broken reference, which is told of once.
    fn nothing(&mut self, node: &Node, why: String) -> Node {
        if self.seen.insert(node.place) {
            let finding = self.finding(node, why);
            self.broken.push(finding);
        }
        Node {
            place: node.place,
            kind: Kind::Null,
        }
    }

    fn finding(&self, node: &Node, text: String) -> Finding {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => path.push_str(&format!(".{key}")),
                Step::Item(at) => path.push_str(&format!("[{at}]")),
            }
        }
        Finding {
            severity: Severity::Error,
            place: node.place,
            path,
            text,
        }
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

/// Definitions of the tree as it was written that nothing refers to.
pub(super) fn unused(root: &Node) -> Vec<Finding> {
    let mut reached = Reached {
        root,
        nodes: HashSet::new(),
    };
    let Kind::Map(entries) = &root.kind else {
        return Vec::new();
    };
    let (definitions, used): (Vec<_>, Vec<_>) = entries
        .iter()
        .partition(|entry| DEFINITIONS.contains(&entry.key.as_str()));
    used.iter().for_each(|entry| reached.walk(&entry.value));
    let mut found = Vec::new();
    for definition in definitions {
        if let Kind::Map(entries) = &definition.value.kind {
            let path = &definition.key;
            entries
                .iter()
                .for_each(|entry| reached.unused(entry, path, &mut found));
        }
    }
    found
}

/// What references lead to, from the parts that count by themselves.
struct Reached<'a> {
    root: &'a Node,
    nodes: HashSet<*const Node>,
}

impl<'a> Reached<'a> {
    fn walk(&mut self, node: &'a Node) {
        match &node.kind {
            Kind::List(items) => items.iter().for_each(|item| self.walk(item)),
            Kind::Map(entries) => entries
                .iter()
                .filter(|entry| !CONFIG_FIELDS.contains(&entry.key.as_str()))
                .for_each(|entry| self.walk(&entry.value)),
            Kind::Text(text) if text.starts_with("#/") => {
                if let Some(found) = lookup(self.root, &text[2..])
                    && self.nodes.insert(std::ptr::from_ref(found))
                {
                    self.walk(found);
                }
            }
            _ => {}
        }
    }

    /// Adds what is unused of a definition: the whole, or parts of a mapping that only groups others.
    fn unused(&self, entry: &'a Entry, above: &str, found: &mut Vec<Finding>) {
        let path = format!("{above}.{}", entry.key);
        if self.nodes.contains(&std::ptr::from_ref(&entry.value)) {
            return;
        }
        if !self.is_reached_below(&entry.value) {
            found.push(Finding {
                severity: Severity::Warning,
                place: entry.place,
                path,
                text: "Nothing refers to this definition: it has no effect.".to_owned(),
            });
        } else if let Kind::Map(entries) = &entry.value.kind
            && entry.value.get("type").is_none()
        {
            entries
                .iter()
                .for_each(|entry| self.unused(entry, &path, found));
        }
    }

    fn is_reached_below(&self, node: &Node) -> bool {
        let is_reached = |node: &Node| {
            self.nodes.contains(&std::ptr::from_ref(node)) || self.is_reached_below(node)
        };
        match &node.kind {
            Kind::List(items) => items.iter().any(is_reached),
            Kind::Map(entries) => entries.iter().any(|entry| is_reached(&entry.value)),
            _ => false,
        }
    }
}
