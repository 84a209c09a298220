//! What is wrong with a manifest: all of it at once, each with its place and path.

use std::fmt;

use super::components::{ComponentType, Components, Coverage, Shape, Tag};
use crate::template::Template;
use crate::words::{did_you_mean, nearest};
use crate::yaml::{Entry, Kind, Node, Place, Problem};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The connector does not start.
    Error,
    /// It starts, and fails once it gets to that part.
    Failure,
    /// It starts, but part of the manifest has no effect.
    Warning,
}

/// Something that is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where in the text.
    pub place: Place,
    /// Where in the tree: `streams[0].retriever`.
    pub path: String,
    /// What is wrong, and what to do.
    pub text: String,
}

impl From<Problem> for Finding {
    fn from(problem: Problem) -> Self {
        Self {
            severity: Severity::Error,
            place: problem.place,
            path: String::new(),
            text: problem.text,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.place;
        let path = if self.path.is_empty() {
            "manifest"
        } else {
            &self.path
        };
        write!(f, "line {line}, column {column}, `{path}`: {}", self.text)
    }
}

/// Checks a resolved tree.
pub(super) fn findings(root: &Node) -> Vec<Finding> {
    let mut check = Check {
        all: Components::all(),
        extra: Vec::new(),
        found: Vec::new(),
    };
    check.extra_fields(root);
    if let Some(source) = check.all.get("DeclarativeSource") {
        check.component(source, root, "");
    }
    if root.get("streams").is_none() && root.get("dynamic_streams").is_none() {
        check.error(
            root,
            "",
            "`streams` or `dynamic_streams` has to be there.".to_owned(),
        );
    }
    check.found
}

/// The variables that some component gives to templates.
const VARIABLES: [&str; 25] = [
    "components_values",
    "config",
    "creation_response",
    "download_target",
    "headers",
    "last_page_size",
    "last_record",
    "next_page_token",
    "page_size",
    "parameters",
    "path",
    "polling_response",
    "property",
    "query_properties",
    "raw_schema",
    "record",
    "response",
    "session_token",
    "slice",
    "stream_interval",
    "stream_partition",
    "stream_slice",
    "stream_state",
    "stream_template_config",
    "value",
];

struct Check {
    all: &'static Components,
    /// Fields of parents that ride along with slices, which are variables too.
    extra: Vec<String>,
    found: Vec<Finding>,
}

/// Types whose further fields are their own.
fn is_open(kind: &ComponentType) -> bool {
    kind.name.starts_with("Custom")
        || matches!(
            kind.name.as_str(),
            "RequestBodyGraphQlQuery" | "OAuthConfigSpecification"
        )
}

impl Check {
    fn error(&mut self, node: &Node, path: &str, text: String) {
        self.add(Severity::Error, node.place, path, text);
    }

    fn add(&mut self, severity: Severity, place: Place, path: &str, text: String) {
        self.found.push(Finding {
            severity,
            place,
            path: path.to_owned(),
            text,
        });
    }

    /// Notes the `extra_fields` of all parents.
    fn extra_fields(&mut self, node: &Node) {
        match &node.kind {
            Kind::List(items) => items.iter().for_each(|item| self.extra_fields(item)),
            Kind::Map(entries) => entries.iter().for_each(|entry| {
                if entry.key != "extra_fields" {
                    return self.extra_fields(&entry.value);
                }
                if let Kind::List(paths) = &entry.value.kind {
                    self.extra.extend(paths.iter().filter_map(dotted));
                }
            }),
            _ => {}
        }
    }

    fn component(&mut self, kind: &ComponentType, node: &Node, path: &str) {
        let Kind::Map(entries) = &node.kind else {
            let text = format!("This must be a {}, not {}.", kind.name, node.kind_name());
            return self.error(node, path, text);
        };
        if kind.coverage() == Coverage::Refused {
            let text = format!(
                "A {} is not available in this engine yet. Do without it.",
                kind.name
            );
            self.error(node, path, text);
        }
        for field in kind.fields.iter().filter(|field| field.is_required) {
            if !entries.iter().any(|entry| entry.key == field.name) {
                self.error(
                    node,
                    path,
                    format!("A {} needs `{}`, which is missing.", kind.name, field.name),
                );
            }
        }
        for entry in entries {
            let below = below(path, &entry.key);
            match kind.fields.iter().find(|field| field.name == entry.key) {
                Some(field) => self.value(&field.shape, &entry.value, &below),
                None if matches!(entry.key.as_str(), "type" | "$parameters" | "$options") => {}
                None => self.unknown(kind, entry, node, &below),
            }
        }
    }

    fn unknown(&mut self, kind: &ComponentType, entry: &Entry, node: &Node, path: &str) {
        let parameters = node.get("$parameters");
        let is_parameter =
            parameters.is_some_and(|parameters| parameters.get(&entry.key).is_some());
        if is_parameter || is_open(kind) {
            return;
        }
        let known = kind.fields.iter().map(|field| field.name.as_str());
        let guess = did_you_mean(&entry.key, known);
        let (severity, text) = match kind.name.as_str() {
            "DeclarativeSource" => (
                Severity::Error,
                format!(
                    "A manifest has no field `{}`. Take it out.{guess}",
                    entry.key
                ),
            ),
            name => (
                Severity::Warning,
                format!(
                    "A {name} has no field `{}`: it has no effect.{guess}",
                    entry.key
                ),
            ),
        };
        self.add(severity, entry.place, path, text);
    }

    fn value(&mut self, shape: &Shape, node: &Node, path: &str) {
        let choices = self.choices(shape);
        match &node.kind {
            Kind::Map(_) => self.map(&choices, node, path),
            Kind::List(items) => self.list(&choices, items, node, path),
            Kind::Text(text) if text.contains("{{") || text.contains("{%") => {
                self.template(text, node, path);
                self.scalar(&choices, node, path);
            }
            _ => self.scalar(&choices, node, path),
        }
    }

    fn template(&mut self, text: &str, node: &Node, path: &str) {
        let template = Template::compile(text);
        let mut fails = |why: String| self.add(Severity::Failure, node.place, path, why);
        if let Some(why) = template.syntax_error() {
            return fails(format!("The template `{text}` can't be read: {why}."));
        }
        let mut unknown: Vec<String> = Vec::new();
        for name in template.variables() {
            if name == "stream_state" {
                fails(format!(
                    "The template `{text}` uses `stream_state`, which is no longer available. Use `stream_interval`."
                ));
            } else if !VARIABLES.contains(&name) {
                unknown.push(name.to_owned());
            }
        }
        unknown.retain(|name| !self.extra.contains(name));
        for name in unknown {
            let guess = did_you_mean(&name, VARIABLES);
            let why = format!(
                "The template `{text}` reads the variable `{name}`, which no component gives it.{guess}"
            );
            self.add(Severity::Failure, node.place, path, why);
        }
    }

    /// The alternatives of a shape, names of shapes replaced.
    fn choices<'s>(&self, shape: &'s Shape) -> Vec<&'s Shape>
    where
        Self: 's,
    {
        match shape {
            Shape::Union(shapes) => shapes
                .iter()
                .flat_map(|shape| self.choices(shape))
                .collect(),
            Shape::Named(name) => match self.all.alias(name) {
                Some(shape) => self.choices(shape),
                None => vec![shape],
            },
            other => vec![other],
        }
    }

    fn map(&mut self, choices: &[&Shape], node: &Node, path: &str) {
        let kinds = choices.iter().filter_map(|shape| match shape {
            Shape::Named(name) => self.all.get(name),
            _ => None,
        });
        let kinds: Vec<_> = kinds.collect();
        let tag = node.get("type").and_then(|tag| match &tag.kind {
            Kind::Text(tag) => Some(tag.as_str()),
            _ => None,
        });
        let takes = |kind: &&ComponentType| match (&kind.tag, tag) {
            (Tag::None, _) | (Tag::Optional(_), None) => true,
            (Tag::Required(wanted) | Tag::Optional(wanted), Some(tag)) => wanted == tag,
            (Tag::Required(_), None) => false,
        };
        if let Some(kind) = kinds.iter().copied().find(takes) {
            return self.component(kind, node, path);
        }
        for shape in choices {
            match shape {
                Shape::Any | Shape::Object => return,
                Shape::Map(value) => {
                    if let Kind::Map(entries) = &node.kind {
                        for entry in entries.iter().filter(|entry| entry.key != "$parameters") {
                            self.value(value, &entry.value, &below(path, &entry.key));
                        }
                    }
                    return;
                }
                _ => {}
            }
        }
        let names: Vec<_> = kinds.iter().map(|kind| kind.name.as_str()).collect();
        let text = match (names.is_empty(), tag) {
            (true, _) => format!("This must be {}, not a mapping.", wanted(choices)),
            (false, None) => format!("The component needs a `type`: {}.", either(&names)),
            (false, Some(tag)) => {
                let known = self.all.get(tag).is_some();
                let what = if known {
                    "can't stand here"
                } else {
                    "is no component type"
                };
                format!(
                    "`{tag}` {what}. Use {}.{}",
                    either(&names),
                    did_you_mean(tag, names.iter().copied())
                )
            }
        };
        self.error(node, path, text);
        // What is meant can be guessed: its fields are looked at too.
        let meant = tag.and_then(|tag| nearest(tag, names.iter().copied()));
        if let Some(kind) = meant.and_then(|name| self.all.get(name)) {
            self.component(kind, node, path);
        }
    }

    fn list(&mut self, choices: &[&Shape], items: &[Node], node: &Node, path: &str) {
        if choices
            .iter()
            .any(|shape| matches!(shape, Shape::Any | Shape::Array))
        {
            return;
        }
        let lists = choices.iter().filter_map(|shape| match shape {
            Shape::List(item) => Some(item),
            _ => None,
        });
        let before = self.found.len();
        let mut first: Option<Vec<Finding>> = None;
        for item_shape in lists {
            for (at, item) in items.iter().enumerate() {
                self.value(item_shape, item, &format!("{path}[{at}]"));
            }
            let found = self.found.split_off(before);
            let is_error = |finding: &Finding| finding.severity == Severity::Error;
            if !found.iter().any(is_error) {
                return self.found.extend(found);
            }
            first.get_or_insert(found);
        }
        match first {
            Some(found) => self.found.extend(found),
            None => self.error(
                node,
                path,
                format!("This must be {}, not a list.", wanted(choices)),
            ),
        }
    }

    fn scalar(&mut self, choices: &[&Shape], node: &Node, path: &str) {
        let fits = |shape: &&Shape| match (*shape, &node.kind) {
            (Shape::Any, _)
            | (Shape::Null, Kind::Null)
            | (Shape::Boolean, Kind::Bool(_))
            | (Shape::Number, Kind::Number(_))
            | (Shape::Text, Kind::Text(_)) => true,
            (Shape::Integer, Kind::Number(number)) => {
                !number.is_f64() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
            }
            (Shape::Constant(wanted), Kind::Text(text)) => wanted == text,
            _ => false,
        };
        if choices.iter().any(fits) {
            return;
        }
        let shown = match &node.kind {
            Kind::Text(text) => format!("the text `{text}`"),
            _ => node.kind_name().to_owned(),
        };
        let takes_text = choices.iter().any(|shape| matches!(shape, Shape::Text));
        let hint = match &node.kind {
            Kind::Number(_) | Kind::Bool(_) if takes_text => " Put it in quotes.".to_owned(),
            Kind::Text(text) => {
                did_you_mean(text, choices.iter().filter_map(|shape| constant(shape)))
            }
            _ => String::new(),
        };
        self.error(
            node,
            path,
            format!("This must be {}, not {shown}.{hint}", wanted(choices)),
        );
    }
}

/// A path of fields as the variable that it becomes.
fn dotted(path: &Node) -> Option<String> {
    let Kind::List(steps) = &path.kind else {
        return None;
    };
    let steps = steps.iter().map(|step| match &step.kind {
        Kind::Text(text) => Some(text.as_str()),
        _ => None,
    });
    steps
        .collect::<Option<Vec<_>>>()
        .map(|steps| steps.join("."))
}

fn constant(shape: &Shape) -> Option<&str> {
    match shape {
        Shape::Constant(text) => Some(text),
        _ => None,
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn either(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, [])) => format!("`{last}`"),
        Some((last, before)) => format!("`{}` or `{last}`", before.join("`, `")),
        None => String::new(),
    }
}

/// The alternatives in words.
fn wanted(choices: &[&Shape]) -> String {
    let mut words: Vec<String> = Vec::new();
    for shape in choices {
        let word = match shape {
            Shape::Any => "anything".to_owned(),
            Shape::Text => "a text".to_owned(),
            Shape::Integer => "a whole number".to_owned(),
            Shape::Number => "a number".to_owned(),
            Shape::Boolean => "true or false".to_owned(),
            Shape::Null => "null".to_owned(),
            Shape::Object | Shape::Map(_) => "a mapping".to_owned(),
            Shape::Array | Shape::List(_) => "a list".to_owned(),
            Shape::Constant(text) => format!("`{text}`"),
            Shape::Named(name) => format!("a component of type {name}"),
            Shape::Union(_) => continue,
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(" or ")
}
