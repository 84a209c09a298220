//! Why none of the branches of a `oneOf` fits: the config picks a branch by its constant, and only that
//! branch's problems help.

use jsonschema::ValidationError;
use serde_json::Value;

use super::explain::Explainer;
use super::path::Path;
use super::{lookup, phrase};

/// Adds the problems behind a failed `oneOf` or `anyOf` at `path`; `context` has the errors per branch.
pub(super) fn explain(
    explainer: &mut Explainer<'_>,
    error: &ValidationError<'_>,
    context: &[Vec<ValidationError<'static>>],
    path: Path,
) {
    let schema = explainer.schema;
    let branches = schema
        .pointer(error.schema_path().as_str())
        .and_then(Value::as_array);
    let branches: Vec<&Value> = branches
        .into_iter()
        .flatten()
        .map(|one| target(schema, one))
        .collect();
    let Some(tag) = Tag::of(&branches) else {
        return match likely(error, context) {
            Some(errors) => errors.iter().for_each(|error| explainer.explain(error)),
            None => explainer.add(path, shapes(&branches)),
        };
    };
    let Value::Object(members) = error.instance().as_ref() else {
        return explainer.add(path, phrase::wrong_type("an object", error.instance()));
    };
    let Some(value) = members.get(tag.name) else {
        let text = format!(" is missing and must be {}", phrase::one_of(&tag.values));
        return explainer.add(path.key(tag.name), text);
    };
    match tag
        .values
        .iter()
        .position(|allowed| *allowed == value)
        .and_then(|at| context.get(at))
    {
        Some(errors) => errors.iter().for_each(|error| explainer.explain(error)),
        None => {
            let text = format!(" must be {}", phrase::one_of(&tag.values));
            explainer.add(path.key(tag.name), text);
        }
    }
}

/// The property that has a constant of its own in every branch.
struct Tag<'a> {
    name: &'a str,
    values: Vec<&'a Value>,
}

impl<'a> Tag<'a> {
    fn of(branches: &[&'a Value]) -> Option<Self> {
        let first = branches.first()?.get("properties")?.as_object()?;
        first.keys().find_map(|name| {
            let values: Vec<&Value> = branches
                .iter()
                .map(|branch| constant(branch, name))
                .collect::<Option<_>>()?;
            let is_distinct = (1..values.len()).all(|at| !values[..at].contains(&values[at]));
            is_distinct.then_some(Self { name, values })
        })
    }
}

pub(super) fn constant<'a>(branch: &'a Value, name: &str) -> Option<&'a Value> {
    let property = branch.get("properties")?.get(name)?;
    property
        .get("const")
        .or_else(|| match property.get("enum")?.as_array()?.as_slice() {
            [only] => Some(only),
            _ => None,
        })
}

pub(super) fn target<'a>(root: &'a Value, branch: &'a Value) -> &'a Value {
    lookup::referenced(root, branch).unwrap_or(branch)
}

/// The errors of the only branch that fits on the outside and fails further in.
fn likely<'e>(
    error: &ValidationError<'_>,
    context: &'e [Vec<ValidationError<'static>>],
) -> Option<&'e Vec<ValidationError<'static>>> {
    let is_inside = |inner: &ValidationError<'_>| inner.instance_path() != error.instance_path();
    let mut fitting = context
        .iter()
        .filter(|errors| !errors.is_empty() && errors.iter().all(is_inside));
    match (fitting.next(), fitting.next(), context) {
        (Some(only), None, _) | (_, _, [only]) => Some(only),
        _ => None,
    }
}

fn shapes(branches: &[&Value]) -> String {
    let names: Vec<String> = branches.iter().map(|branch| shape(branch)).collect();
    format!(" must be exactly one of: {}", names.join(", "))
}

fn shape(branch: &Value) -> String {
    let text = |keyword: &str| branch.get(keyword).and_then(Value::as_str);
    let keys = branch
        .get("required")
        .and_then(Value::as_array)
        .filter(|keys| !keys.is_empty());
    match (
        text("title"),
        keys,
        branch.get("enum").and_then(Value::as_array),
    ) {
        (Some(title), _, _) => format!("\"{title}\""),
        (_, Some(keys), _) => format!("an object with {}", phrase::list(keys)),
        (_, _, Some(values)) => phrase::list(values),
        _ => text("type")
            .map_or("another shape", phrase::type_name)
            .to_owned(),
    }
}
