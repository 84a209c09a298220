//! The validator's errors as a list of problems for people.

use std::collections::HashSet;
use std::fmt;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::path::Path;
use super::{branch, lookup, phrase};

/// One thing to change in a config.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Problem {
    path: Path,
    /// Continues the path's text: " is missing", ": 7 is greater than…".
    text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.path, self.text)
    }
}

/// Every problem once, in the order of the config; what is missing comes last in its object.
pub(super) fn problems<'a>(
    schema: &Value,
    config: &Value,
    errors: impl Iterator<Item = ValidationError<'a>>,
) -> Vec<Problem> {
    let mut explainer = Explainer {
        schema,
        config,
        problems: Vec::new(),
    };
    errors.for_each(|error| explainer.explain(&error));
    let mut problems = explainer.problems;
    // A wrong type is found by `type` and again by the `oneOf` beside it.
    let mut seen = HashSet::new();
    problems.retain(|problem| seen.insert(problem.clone()));
    // The validator's own order depends on how it compiled the schema.
    problems.sort_by_cached_key(|problem| problem.path.rank(config));
    problems
}

pub(super) struct Explainer<'a> {
    pub(super) schema: &'a Value,
    config: &'a Value,
    problems: Vec<Problem>,
}

impl Explainer<'_> {
    pub(super) fn explain(&mut self, error: &ValidationError<'_>) {
        let path = Path::new(error.instance_path(), self.config);
        match error.kind() {
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                self.add(path.key(name), " is missing".to_owned());
            }
            Kind::OneOfNotValid { context }
            | Kind::OneOfMultipleValid { context }
            | Kind::AnyOf { context } => branch::explain(self, error, context, path),
            _ => {
                let hidden = lookup::is_secret(self.schema, &path);
                let text = phrase::of(error, self.keyword_owner(error), hidden);
                self.add(path, text);
            }
        }
    }

    pub(super) fn add(&mut self, path: Path, text: String) {
        self.problems.push(Problem { path, text });
    }

    /// The schema whose keyword failed.
    fn keyword_owner(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let (owner, _) = error.schema_path().as_str().rsplit_once('/')?;
        self.schema.pointer(owner)
    }
}
