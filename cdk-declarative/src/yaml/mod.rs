//! YAML text as a tree that remembers where everything stands, so that errors can name line and column.
//!
//! [`load`] gives scalars the meaning of YAML 1.2's core schema and refuses keys that are there twice. [`load_11`] reads
//! manifests as the Python library PyYAML does: YAML 1.1 with its own habits. JSON is YAML too.

mod core;
mod yaml_11;

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::Number;

/// Aliases may repeat what they stand for; this many nodes are enough for any config,
const MAX_NODES: usize = 100_000;
/// and this many for any manifest.
const MAX_MANIFEST_NODES: usize = 1_000_000;
const MAX_DEPTH: usize = 128;
/// How the message of a syntax error begins.
const NOT_YAML: &str = "This is not YAML";

/// A place in the text, both numbers from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of values, those of JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Entries in the order of the text.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub place: Place,
    /// The value.
    pub value: Node,
}

/// Why a text is not what it should be, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what to do.
    pub text: String,
}

impl Problem {
    /// A problem at a place.
    pub fn new(place: Place, text: impl Into<String>) -> Self {
        Self {
            place,
            text: text.into(),
        }
    }
}

impl Node {
    /// What the value is called in messages.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The entries of a mapping; `what` names it in the error.
    pub fn entries(&self, what: &str) -> Result<&[Entry], Problem> {
        match &self.kind {
            Kind::Map(entries) => Ok(entries),
            _ => Err(self.expected(what, "a mapping (`key: value` lines)")),
        }
    }

    /// A scalar as text, numbers and booleans as they are written in JSON.
    pub fn text(&self, what: &str) -> Result<String, Problem> {
        match &self.kind {
            Kind::Text(text) => Ok(text.clone()),
            Kind::Number(number) => Ok(number.to_string()),
            Kind::Bool(truth) => Ok(truth.to_string()),
            _ => Err(self.expected(what, "a text")),
        }
    }

    /// A tree without places: the whole text is the best that can be said.
    pub fn from_json(value: serde_json::Value) -> Self {
        let place = Place { line: 1, column: 1 };
        let kind = match value {
            serde_json::Value::Null => Kind::Null,
            serde_json::Value::Bool(truth) => Kind::Bool(truth),
            serde_json::Value::Number(number) => Kind::Number(number),
            serde_json::Value::String(text) => Kind::Text(text),
            serde_json::Value::Array(items) => {
                Kind::List(items.into_iter().map(Self::from_json).collect())
            }
            serde_json::Value::Object(members) => {
                let entry = |(key, value)| Entry {
                    key,
                    place,
                    value: Self::from_json(value),
                };
                Kind::Map(members.into_iter().map(entry).collect())
            }
        };
        Self { place, kind }
    }

    /// The tree as JSON.
    pub fn into_json(self) -> serde_json::Value {
        match self.kind {
            Kind::Null => serde_json::Value::Null,
            Kind::Bool(truth) => truth.into(),
            Kind::Number(number) => number.into(),
            Kind::Text(text) => text.into(),
            Kind::List(items) => items.into_iter().map(Self::into_json).collect(),
            Kind::Map(entries) => {
                let members = entries
                    .into_iter()
                    .map(|entry| (entry.key, entry.value.into_json()));
                serde_json::Value::Object(members.collect())
            }
        }
    }

    /// The value of a key, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => {
                let entry = entries.iter().find(|entry| entry.key == key);
                entry.map(|entry| &entry.value)
            }
            _ => None,
        }
    }

    /// That `what` should be something else.
    pub fn expected(&self, what: &str, wanted: &str) -> Problem {
        Problem::new(
            self.place,
            format!("`{what}` must be {wanted}, not {}.", self.kind_name()),
        )
    }
}

/// Reads one document. An empty one is [`Kind::Null`].
pub fn load(text: &str) -> Result<Node, Problem> {
    load_by(text, Rules::Core)
}

/// Reads one document as PyYAML's `safe_load` does: YAML 1.1, of equal keys the last counts, `<<` merges.
///
/// Timestamps stay texts, and whole numbers beyond 64 bits too.
pub fn load_11(text: &str) -> Result<Node, Problem> {
    load_by(text, Rules::Yaml11)
}

/// The same, with the keys that are there twice in one mapping.
pub fn load_11_with_repeats(text: &str) -> Result<(Node, Vec<Problem>), Problem> {
    load_all(text, Rules::Yaml11)
}

/// The value of one document as PyYAML reads it. A text that is no YAML is a config error.
pub fn parse(text: &str) -> cdk_core::Result<serde_json::Value> {
    load_11(text).map(Node::into_json).map_err(|problem| {
        let Place { line, column } = problem.place;
        cdk_core::ConnectorError::config(format!("Line {line}, column {column}: {}", problem.text))
    })
}

/// What scalars and keys mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    Core,
    Yaml11,
}

fn load_by(text: &str, rules: Rules) -> Result<Node, Problem> {
    load_all(text, rules).map(|(node, _)| node)
}

fn load_all(text: &str, rules: Rules) -> Result<(Node, Vec<Problem>), Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    load_yaml(text, rules).or_else(|problem| {
        if !problem.text.starts_with(NOT_YAML) {
            return Err(problem);
        }
        // JSON is YAML but for one thing: escapes of characters beyond U+FFFF come in pairs.
        let json = serde_json::from_str::<serde_json::Value>(text);
        json.map(|json| (Node::from_json(json), Vec::new()))
            .map_err(|_| problem)
    })
}

fn load_yaml(text: &str, rules: Rules) -> Result<(Node, Vec<Problem>), Problem> {
    let mut loader = Loader {
        rules,
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        repeats: Vec::new(),
    };
    let mut document = None;
    loop {
        let (event, span) = loader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::Nothing | Event::DocumentStart(_) | Event::DocumentEnd => {}
            _ if document.is_some() => {
                return Err(Problem::new(
                    place(&span),
                    "Only one document (`---`) is read.",
                ));
            }
            event => document = Some(loader.node(event, &span, 0)?),
        }
    }
    let empty = Node {
        place: Place { line: 1, column: 1 },
        kind: Kind::Null,
    };
    Ok((document.unwrap_or(empty), loader.repeats))
}

struct Loader<'a> {
    rules: Rules,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// What each anchor stands for, and how many nodes that is.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    /// Keys that were there before, where the last one counts.
    repeats: Vec<Problem>,
}

impl<'a> Loader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let mark = error.marker();
                let place = Place {
                    line: mark.line(),
                    column: mark.col() + 1,
                };
                Err(Problem::new(
                    place,
                    format!("{NOT_YAML}: {}.", error.info()),
                ))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node, Problem> {
        let place = place(span);
        self.count(1, place)?;
        if depth > MAX_DEPTH {
            return Err(Problem::new(
                place,
                format!("This is nested deeper than {MAX_DEPTH}."),
            ));
        }
        let before = self.nodes;
        let (kind, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, place),
            Event::Scalar(text, style, anchor, tag) => {
                let kind = match self.rules {
                    Rules::Core => core::scalar(&text, style, tag.as_deref(), place)?,
                    Rules::Yaml11 => yaml_11::scalar(&text, style, tag.as_deref()),
                };
                (kind, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            _ => return Err(Problem::new(place, "A value is missing here.")),
        };
        let node = Node { place, kind };
        if anchor > 0 {
            self.anchors
                .insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<Node, Problem> {
        match self.anchors.get(&anchor).cloned() {
            Some((node, size)) => {
                self.count(size, place)?;
                Ok(Node { place, ..node })
            }
            None => Err(Problem::new(
                place,
                "This alias stands inside what it stands for.",
            )),
        }
    }

    fn count(&mut self, nodes: usize, place: Place) -> Result<(), Problem> {
        self.nodes += nodes;
        let most = match self.rules {
            Rules::Core => MAX_NODES,
            Rules::Yaml11 => MAX_MANIFEST_NODES,
        };
        if self.nodes > most {
            let text = format!("The document has more than {most} values, aliases included.");
            return Err(Problem::new(place, text));
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<Kind, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Kind::List(items)),
                (event, span) => items.push(self.node(event, &span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Kind, Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Kind::Map(yaml_11::merge(merged, entries)));
            }
            let merges = self.rules == Rules::Yaml11
                && matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.node(event, &span, depth + 1)?;
            let place = key.place;
            let key = match key.kind {
                Kind::Null => "null".to_owned(),
                _ => key.text("key")?,
            };
            let (event, span) = self.next()?;
            let value = self.node(event, &span, depth + 1)?;
            if merges {
                yaml_11::add_merged(&mut merged, value)?;
                continue;
            }
            match entries.iter_mut().find(|entry| entry.key == key) {
                None => entries.push(Entry { key, place, value }),
                Some(first) if self.rules == Rules::Yaml11 => {
                    let text = format!(
                        "`{key}` is here twice, and only this one counts. Take the one in line {} out.",
                        first.place.line
                    );
                    self.repeats.push(Problem::new(place, text));
                    first.value = value;
                }
                Some(first) => {
                    let text =
                        format!("`{key}` is here twice; first in line {}.", first.place.line);
                    return Err(Problem::new(place, text));
                }
            }
        }
    }
}

fn place(span: &Span) -> Place {
    Place {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(text: &str) -> Kind {
        load(text).unwrap().kind
    }

    fn refused(text: &str) -> (usize, usize, String) {
        let problem = load(text).unwrap_err();
        (problem.place.line, problem.place.column, problem.text)
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        for (text, kind) in [
            ("~", Kind::Null),
            ("", Kind::Null),
            ("True", Kind::Bool(true)),
            ("yes", Kind::Text("yes".to_owned())),
            ("-9223372036854775808", Kind::Number(i64::MIN.into())),
            ("18446744073709551615", Kind::Number(u64::MAX.into())),
            ("0x1F", Kind::Number(31.into())),
            ("1e3", Kind::Number(Number::from_f64(1000.0).unwrap())),
            (".5", Kind::Number(Number::from_f64(0.5).unwrap())),
            ("'12'", Kind::Text("12".to_owned())),
            ("!!str 12", Kind::Text("12".to_owned())),
            ("1.2.3", Kind::Text("1.2.3".to_owned())),
            ("2024-01-01", Kind::Text("2024-01-01".to_owned())),
            (".", Kind::Text(".".to_owned())),
        ] {
            assert_eq!(value_of(text), kind, "{text}");
        }
    }

    #[test]
    fn entries_know_their_place() {
        let node = load("a: 1\nb:\n  - x\n  - c: 2\n").unwrap();
        let Kind::Map(entries) = node.kind else {
            panic!("not a mapping")
        };
        let Kind::List(items) = &entries[1].value.kind else {
            panic!("not a list")
        };
        assert_eq!(entries[1].place, Place { line: 2, column: 1 });
        assert_eq!(items[1].place, Place { line: 4, column: 5 });
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let (line, _, text) = refused("a: 1\nb: [1, 2\n");
        assert!(
            line >= 2 && text.starts_with("This is not YAML"),
            "{line} {text}"
        );
        assert_eq!(
            refused("a: 1\na: 2").2,
            "`a` is here twice; first in line 1."
        );
        assert_eq!(refused("a: 1\nb: 123456789012345678901").0, 2);
        assert!(
            refused("{\"a\": 123456789012345678901}")
                .2
                .contains("Quote it")
        );
        assert!(refused("a: 1\n---\nb: 2").2.contains("Only one document"));
        assert!(refused("&a [*a]").2.contains("inside what it stands for"));
    }

    #[test]
    fn json_is_yaml_even_with_tabs_and_surrogates() {
        let json = "{\n\t\"a\": \"\\ud83d\\ude00 \\/\",\n\t\"b\": [1,2,{\"c\":null}]\n}\n";
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(value["a"], "😀 /");
        let Kind::Map(entries) = value_of(json) else {
            panic!("not a mapping")
        };
        assert_eq!(entries[0].value.kind, Kind::Text("😀 /".to_owned()));
    }

    #[test]
    fn aliases_repeat_their_anchor_but_no_bomb_goes_off() {
        let node = load("a: &x {k: 1}\nb: *x").unwrap();
        let Kind::Map(entries) = node.kind else {
            panic!("not a mapping")
        };
        assert_eq!(entries[0].value.kind, entries[1].value.kind);
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for at in 1..9 {
            let refs = vec![format!("*a{}", at - 1); 10].join(", ");
            bomb.push_str(&format!("a{at}: &a{at} [{refs}]\n"));
        }
        assert!(refused(&bomb).2.contains("more than 100000 values"));
        let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
        assert!(load(&deep).is_err());
    }
}
