//! What templates put into a request: parameters, headers, bodies; and how the parts are merged.

use cdk_core::{ConnectorError, Result};
use serde_json::{Map, Value};

use crate::component::Component;
use crate::slice::Additions;
use crate::template::{Scope, Template, Types, python_text};

/// A mapping whose keys and values are templates, or one template that gives the whole.
#[derive(Debug, Clone, Default)]
pub(crate) enum Inputs {
    #[default]
    None,
    Text(Template),
    Pairs(Vec<(Template, Entry)>),
}

/// A value of a mapping: only texts are templates.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    Template(Template),
    Fixed(Value),
}

impl Inputs {
    pub(crate) fn build(component: &Component<'_>, key: &str) -> Result<Self> {
        match component.get(key) {
            None => Ok(Self::None),
            Some(value) => Self::of(value, component),
        }
    }

    pub(crate) fn of(value: &Value, component: &Component<'_>) -> Result<Self> {
        match value {
            Value::String(text) if text.is_empty() => Ok(Self::None),
            Value::String(text) => Ok(Self::Text(Template::with_default(text, "", component)?)),
            Value::Object(map) => {
                let pairs = map.iter().map(|(name, value)| {
                    let value = match value {
                        Value::String(text) => Entry::Template(Template::bare(text, component)?),
                        other => Entry::Fixed(other.clone()),
                    };
                    Ok((Template::bare(name, component)?, value))
                });
                Ok(Self::Pairs(pairs.collect::<Result<_>>()?))
            }
            _ => Err(component.error("request inputs must be an object or a template.")),
        }
    }

    /// Evaluates; members that come out null are left out.
    pub(crate) fn eval(&self, scope: &Scope<'_>, types: Types) -> Result<Value> {
        match self {
            Self::None => Ok(Value::Object(Map::new())),
            Self::Text(template) => Ok(without_null_members(template.eval(scope)?)),
            Self::Pairs(pairs) => {
                let mut map = Map::with_capacity(pairs.len());
                for (name, value) in pairs {
                    let value = match value {
                        Entry::Template(template) => template.typed(scope, types)?,
                        Entry::Fixed(value) => value.clone(),
                    };
                    let name = python_text(&name.typed(scope, Types::Text)?);
                    if !value.is_null() {
                        map.insert(name, value);
                    }
                }
                Ok(Value::Object(map))
            }
        }
    }
}

fn without_null_members(mut value: Value) -> Value {
    if let Value::Object(map) = &mut value {
        map.retain(|_, value| !value.is_null());
    }
    value
}

/// A nested JSON value whose texts, keys included, are templates.
#[derive(Debug, Clone)]
pub(crate) enum Nested {
    Template(Template),
    Fixed(Value),
    Object(Vec<(Template, Nested)>),
    Array(Vec<Nested>),
}

impl Nested {
    pub(crate) fn of(value: &Value, component: &Component<'_>) -> Result<Self> {
        Ok(match value {
            Value::String(text) => Self::Template(Template::bare(text, component)?),
            Value::Object(map) => {
                let pairs = map.iter().map(|(key, value)| {
                    Ok((Template::bare(key, component)?, Self::of(value, component)?))
                });
                Self::Object(pairs.collect::<Result<_>>()?)
            }
            Value::Array(items) => {
                let items = items.iter().map(|item| Self::of(item, component));
                Self::Array(items.collect::<Result<_>>()?)
            }
            other => Self::Fixed(other.clone()),
        })
    }

    /// The body of a request: one template gives the whole, and is empty by default.
    pub(crate) fn body(value: &Value, component: &Component<'_>) -> Result<Self> {
        match value {
            Value::String(text) => Ok(Self::Template(Template::with_default(text, "", component)?)),
            other => Self::of(other, component),
        }
    }

    pub(crate) fn eval(&self, scope: &Scope<'_>) -> Result<Value> {
        Ok(match self {
            Self::Template(template) => template.eval(scope)?,
            Self::Fixed(value) => value.clone(),
            Self::Array(items) => {
                let items = items.iter().map(|item| item.eval(scope));
                Value::Array(items.collect::<Result<_>>()?)
            }
            Self::Object(pairs) => {
                let mut map = Map::with_capacity(pairs.len());
                for (key, value) in pairs {
                    let key = python_text(&key.eval(scope)?);
                    let value = value.eval(scope)?;
                    if !value.is_null() {
                        map.insert(key, value);
                    }
                }
                Value::Object(map)
            }
        })
    }
}

/// Merges what several components put into the same part of a request.
///
/// Two of them giving the same key is an error; only JSON bodies merge objects and take equal values.
pub(crate) fn merge(parts: Vec<Value>, is_json: bool) -> Result<Value> {
    let is_empty = |part: &Value| match part {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    let mut parts: Vec<Value> = parts.into_iter().filter(|part| !is_empty(part)).collect();
    if parts.iter().any(Value::is_string) {
        if parts.len() > 1 {
            return Err(ConnectorError::system(
                "A part of the request is given as one text by one component and extended by another. Give it as an \
                 object.",
            ));
        }
        return Ok(parts.remove(0));
    }
    let mut merged = Map::new();
    for part in parts {
        if let Value::Object(part) = part {
            merge_into(&mut merged, part, is_json, &mut Vec::new())?;
        }
    }
    Ok(Value::Object(merged))
}

fn merge_into(
    target: &mut Map<String, Value>,
    source: Map<String, Value>,
    is_json: bool,
    path: &mut Vec<String>,
) -> Result<()> {
    for (key, value) in source {
        let Some(before) = target.get_mut(&key) else {
            target.insert(key, value);
            continue;
        };
        path.push(key);
        match (before, value) {
            (Value::Object(before), Value::Object(value)) if is_json => {
                merge_into(before, value, is_json, path)?;
            }
            (before, value) if is_json && *before == value => {}
            _ => {
                return Err(ConnectorError::system(format!(
                    "Two components set `{}` of the same request. Keep one of them.",
                    path.join(".")
                )));
            }
        }
        path.pop();
    }
    Ok(())
}

/// Where and under which name a value is put into a request.
#[derive(Debug, Clone)]
pub struct RequestOption {
    target: Target,
    path: Vec<Template>,
}

/// A part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A query parameter.
    Parameter,
    /// A header.
    Header,
    /// A form field.
    BodyData,
    /// A member of the JSON body.
    BodyJson,
}

impl RequestOption {
    /// Reads a `RequestOption`.
    pub fn build(component: &Component<'_>) -> Result<Self> {
        let target = match component.need_text("inject_into")? {
            "request_parameter" => Target::Parameter,
            "header" => Target::Header,
            "body_data" => Target::BodyData,
            "body_json" => Target::BodyJson,
            other => {
                return Err(component.error(format!(
                    "`inject_into` must be request_parameter, header, body_data or body_json, not `{other}`."
                )));
            }
        };
        let steps = match (
            component.text_like("field_name"),
            component.get("field_path"),
        ) {
            (Some(name), None) => vec![name],
            (None, Some(_)) if target == Target::BodyJson => component.texts("field_path")?,
            (None, Some(_)) => {
                return Err(component.error("`field_path` needs `inject_into: body_json`."));
            }
            _ => {
                return Err(component.error("give one of `field_name` and `field_path`."));
            }
        };
        let path = steps.iter().map(|step| Template::new(step, component));
        Ok(Self {
            target,
            path: path.collect::<Result<_>>()?,
        })
    }

    /// A header of that name.
    pub(crate) fn header(name: &str, component: &Component<'_>) -> Result<Self> {
        Ok(Self {
            target: Target::Header,
            path: vec![Template::new(name, component)?],
        })
    }

    /// The part it belongs to.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Puts `value` into that part.
    pub fn inject(
        &self,
        part: &mut Map<String, Value>,
        value: Value,
        scope: &Scope<'_>,
    ) -> Result<()> {
        let mut steps = Vec::with_capacity(self.path.len());
        for step in &self.path {
            steps.push(step.text(scope)?);
        }
        let Some(last) = steps.pop() else {
            return Ok(());
        };
        let mut at = part;
        for step in steps {
            let next = at.entry(step).or_insert_with(|| Value::Object(Map::new()));
            at = next.as_object_mut().ok_or_else(|| {
                ConnectorError::system(
                    "A field of the JSON body can't be set: a value that is no object is in the way.",
                )
            })?;
        }
        at.insert(last, value);
        Ok(())
    }
}

impl Additions {
    /// Adds a value where `option` says.
    pub fn inject(
        &mut self,
        option: &RequestOption,
        value: Value,
        scope: &Scope<'_>,
    ) -> Result<()> {
        let part = match option.target() {
            Target::Parameter => &mut self.params,
            Target::Header => &mut self.headers,
            Target::BodyData => &mut self.body_data,
            Target::BodyJson => &mut self.body_json,
        };
        option.inject(part, value, scope)
    }

    /// What two components add, as [`merge`] has it.
    pub(crate) fn merged(self, other: Self) -> Result<Self> {
        let both = |a: Map<String, Value>, b: Map<String, Value>, is_json| match merge(
            vec![Value::Object(a), Value::Object(b)],
            is_json,
        )? {
            Value::Object(map) => Ok::<_, ConnectorError>(map),
            _ => Ok(Map::new()),
        };
        Ok(Self {
            params: both(self.params, other.params, false)?,
            headers: both(self.headers, other.headers, false)?,
            body_data: both(self.body_data, other.body_data, false)?,
            body_json: both(self.body_json, other.body_json, true)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_keys_collide_except_equal_values_in_json() {
        let both = |a: Value, b: Value, is_json| merge(vec![a, b], is_json);
        assert!(both(json!({"a": 1}), json!({"a": 1}), false).is_err());
        assert!(both(json!({"a": 1}), json!({"a": 2}), true).is_err());
        assert_eq!(
            both(json!({"a": {"b": 1}}), json!({"a": {"c": 2, "b": 1}}), true).unwrap(),
            json!({"a": {"b": 1, "c": 2}})
        );
        assert_eq!(
            both(json!("text"), json!({}), false).unwrap(),
            json!("text")
        );
        assert!(both(json!("text"), json!({"a": 1}), false).is_err());
    }
}
