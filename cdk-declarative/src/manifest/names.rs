//! Names of streams: each is there once, and the check names no other.

use super::validate::{Finding, Severity};
use crate::words::did_you_mean;
use crate::yaml::{Kind, Node};

/// What is wrong with the names in a resolved tree.
pub(super) fn findings(root: &Node) -> Vec<Finding> {
    let streams = Streams::of(root);
    let mut found = streams.repeated();
    if !streams.has_others {
        found.extend(streams.unknown(root));
    }
    found
}

struct Named<'a> {
    name: &'a str,
    node: &'a Node,
    path: String,
    /// It may be left out, so that another one can have its name.
    is_conditional: bool,
}

struct Streams<'a> {
    named: Vec<Named<'a>>,
    /// Further streams get their names at run time.
    has_others: bool,
}

impl<'a> Streams<'a> {
    fn of(root: &'a Node) -> Self {
        let mut streams = Self {
            named: Vec::new(),
            has_others: root.get("dynamic_streams").is_some(),
        };
        for (at, stream) in items(root.get("streams")).iter().enumerate() {
            let path = format!("streams[{at}]");
            if stream.get("type").and_then(text) != Some("ConditionalStreams") {
                streams.add(stream, &path, false);
                continue;
            }
            for (at, inner) in items(stream.get("streams")).iter().enumerate() {
                streams.add(inner, &format!("{path}.streams[{at}]"), true);
            }
        }
        streams
    }

    fn add(&mut self, stream: &'a Node, path: &str, is_conditional: bool) {
        match stream.get("name").map(|node| (node, text(node))) {
            Some((node, Some(name))) if !name.contains("{{") => self.named.push(Named {
                name,
                node,
                path: format!("{path}.name"),
                is_conditional,
            }),
            _ => self.has_others = true,
        }
    }

    fn repeated(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for (at, stream) in self.named.iter().enumerate() {
            let mut before = self.named.iter().take(at);
            let first = before.find(|other| {
                other.name == stream.name && !(other.is_conditional || stream.is_conditional)
            });
            if let Some(first) = first {
                let text = format!(
                    "Two streams are called `{}`; the other one is in line {}. Give each a name of its own.",
                    stream.name, first.node.place.line
                );
                found.push(failure(stream.node, &stream.path, text));
            }
        }
        found
    }

    /// Streams to check that there are not.
    fn unknown(&self, root: &Node) -> Vec<Finding> {
        let names = root
            .get("check")
            .and_then(|check| check.get("stream_names"));
        let mut found = Vec::new();
        for (at, node) in items(names).iter().enumerate() {
            let Some(name) = text(node).filter(|name| !name.contains("{{")) else {
                continue;
            };
            if self.named.iter().any(|stream| stream.name == name) {
                continue;
            }
            let guess = did_you_mean(name, self.named.iter().map(|stream| stream.name));
            let why = format!("There is no stream `{name}` to check.{guess}");
            found.push(failure(node, &format!("check.stream_names[{at}]"), why));
        }
        found
    }
}

fn failure(node: &Node, path: &str, text: String) -> Finding {
    Finding {
        severity: Severity::Failure,
        place: node.place,
        path: path.to_owned(),
        text,
    }
}

fn items(list: Option<&Node>) -> &[Node] {
    match list.map(|list| &list.kind) {
        Some(Kind::List(items)) => items,
        _ => &[],
    }
}

fn text(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Text(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn found(text: &str) -> Vec<String> {
        let findings = findings(&yaml::load_11(text).unwrap());
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn streams_have_names_of_their_own_and_those_to_check_are_there() {
        let text = "check: {stream_names: [a, itms]}\nstreams:\n  - {name: a}\n  - {name: items}\n  - {name: a}\n";
        assert_eq!(
            found(text),
            [
                "line 5, column 12, `streams[2].name`: Two streams are called `a`; the other one is in line 3. Give each a name of its own.",
                "line 1, column 27, `check.stream_names[1]`: There is no stream `itms` to check. Did you mean `items`?",
            ]
        );
    }

    #[test]
    fn what_is_named_at_run_time_may_be_anything() {
        for streams in [
            "streams: [{name: \"{{ config['x'] }}\"}]",
            "dynamic_streams: []",
            "streams: [{type: ConditionalStreams, streams: [{name: b}]}, {name: b}]",
        ] {
            assert_eq!(
                found(&format!("check: {{stream_names: [b]}}\n{streams}\n")),
                [""; 0]
            );
        }
    }
}
