//! One component of a resolved manifest: typed access to its fields, errors that say where it stands.

use std::sync::Arc;

use cdk_core::{ConnectorError, Result};
use serde_json::{Map, Value};

/// A component, and the path to it.
#[derive(Debug, Clone)]
pub struct Component<'a> {
    fields: &'a Map<String, Value>,
    path: String,
    parameters: Arc<Value>,
}

impl<'a> Component<'a> {
    /// The component in `value`, which stands at `path` of the manifest.
    pub fn new(value: &'a Value, path: impl Into<String>) -> Result<Self> {
        let path = path.into();
        let Some(fields) = value.as_object() else {
            return Err(ConnectorError::config(format!(
                "`{path}` of the manifest must be an object that describes a component."
            )));
        };
        let parameters = fields.get("$parameters").cloned();
        Ok(Self {
            fields,
            path,
            parameters: Arc::new(parameters.unwrap_or_else(|| Value::Object(Map::new()))),
        })
    }

    /// The value of `type`.
    pub fn kind(&self) -> &'a str {
        self.fields
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Where the component stands in the manifest.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// All fields.
    pub fn fields(&self) -> &'a Map<String, Value> {
        self.fields
    }

    /// The parameters that reach the component, for its templates.
    pub fn parameters(&self) -> &Arc<Value> {
        &self.parameters
    }

    /// A config error that names this component.
    pub fn error(&self, problem: impl AsRef<str>) -> ConnectorError {
        let kind = self.kind();
        let problem = problem.as_ref();
        ConnectorError::config(format!("{kind} at `{}`: {problem}", self.path))
    }

    /// A field that is there and not null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    /// A field that has to be there.
    pub fn need(&self, key: &str) -> Result<&'a Value> {
        self.get(key)
            .ok_or_else(|| self.error(format!("the field `{key}` is missing.")))
    }

    /// A text.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.error(format!("the field `{key}` must be a text."))),
        }
    }

    /// A text that has to be there.
    pub fn need_text(&self, key: &str) -> Result<&'a str> {
        self.need(key)?;
        Ok(self.text(key)?.unwrap_or_default())
    }

    /// A text, or a number or boolean as the text of a template.
    pub fn text_like(&self, key: &str) -> Option<String> {
        match self.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Bool(true) => Some("True".to_owned()),
            Value::Bool(false) => Some("False".to_owned()),
            other => Some(other.to_string()),
        }
    }

    /// A list of texts; one text is a list of one.
    pub fn texts(&self, key: &str) -> Result<Vec<String>> {
        let wrong = || self.error(format!("the field `{key}` must be a list of texts."));
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text.clone()),
                    Value::Number(number) => Ok(number.to_string()),
                    _ => Err(wrong()),
                })
                .collect(),
            Some(_) => Err(wrong()),
        }
    }

    /// A boolean, `default` when it is not set.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.error(format!("the field `{key}` must be true or false."))),
        }
    }

    /// A component below this one.
    pub fn child(&self, key: &str) -> Result<Option<Component<'a>>> {
        self.get(key)
            .map(|value| Component::new(value, self.below(key)))
            .transpose()
    }

    /// A component below this one that has to be there.
    pub fn need_child(&self, key: &str) -> Result<Component<'a>> {
        Component::new(self.need(key)?, self.below(key))
    }

    /// A list of components; one component is a list of one.
    pub fn children(&self, key: &str) -> Result<Vec<Component<'a>>> {
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(at, item)| Component::new(item, format!("{}[{at}]", self.below(key))))
                .collect(),
            Some(value) => Ok(vec![Component::new(value, self.below(key))?]),
        }
    }

    fn below(&self, key: &str) -> String {
        if self.path.is_empty() {
            return key.to_owned();
        }
        format!("{}.{key}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_name_the_component_and_its_place() {
        let value = json!({"a": {"type": "Outer", "list": [{"type": "Inner", "n": 1}]}});
        let root = Component::new(&value, "").unwrap();
        let outer = root.need_child("a").unwrap();
        let inner = outer.children("list").unwrap().remove(0);
        let error = inner.text("n").unwrap_err();
        assert_eq!(
            error.message(),
            "Inner at `a.list[0]`: the field `n` must be a text."
        );
        assert!(
            inner
                .need("m")
                .unwrap_err()
                .message()
                .contains("`m` is missing")
        );
    }
}
