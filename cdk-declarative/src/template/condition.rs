//! Templates that decide.

use std::collections::BTreeSet;

use cdk_core::Result;
use serde_json::Value;

use super::{Scope, Template};
use crate::component::Component;

/// A template whose result is true or false.
///
/// False are `False`, `0`, `0.0`, null, empty lists, objects and texts, and the texts `false`, `False`, `{}`, `[]`, `()`,
/// `0`, `0.0`. Everything else is true; what is undefined is false.
#[derive(Debug, Clone)]
pub struct Condition(Template);

impl Condition {
    /// A condition of a component.
    pub fn new(text: &str, component: &Component<'_>) -> Result<Self> {
        Template::with_default(text, "False", component).map(Self)
    }

    /// The condition in a field; `None` when the field is missing or empty.
    pub fn optional(component: &Component<'_>, key: &str) -> Result<Option<Self>> {
        match component.text_like(key) {
            Some(text) if !text.is_empty() => Self::new(&text, component).map(Some),
            _ => Ok(None),
        }
    }

    /// True when the template reads the variable.
    pub fn mentions(&self, variable: &str) -> bool {
        self.0.mentions(variable)
    }

    /// The members of the variable that it reads; `None` when it may depend on others too.
    pub(crate) fn members_read(&self, variable: &str) -> Option<BTreeSet<&str>> {
        self.0.members_read(variable)
    }

    /// Evaluates.
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool> {
        self.0.eval(scope).map(|value| is_true(&value))
    }
}

/// Whether a result counts as true.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !matches!(
            text.as_str(),
            "False" | "false" | "{}" | "[]" | "()" | "" | "0" | "0.0"
        ),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}
