//! One compiled text, and the shortcuts for the common ones.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::Types;
use super::eval::Evaluator;
use super::scope::Scope;
use super::syntax::{self, Expr, Parsed, Reads, Stmt};
use super::value::{Eval, Fault, Val, other_fault};
use crate::python::{Literal, literal_eval};
use crate::words::did_you_mean;

/// A text, parsed.
#[derive(Debug)]
pub(super) struct Program {
    text: String,
    kind: Kind,
    uses_stream_state: bool,
}

#[derive(Debug)]
enum Kind {
    /// No template at all: what it reads as, and the text itself.
    Constant(Option<Literal>),
    Parsed(Parsed),
    Broken(String),
}

impl Program {
    pub(super) fn new(text: &str) -> Self {
        let is_constant = !["{{", "{%", "{#"].iter().any(|mark| text.contains(mark));
        let kind = if is_constant {
            // A text without marks renders as itself, but for one line break at its end.
            Kind::Constant(literal_eval(rendered(text)))
        } else {
            syntax::parse(text).map_or_else(Kind::Broken, Kind::Parsed)
        };
        Self {
            text: text.to_owned(),
            kind,
            uses_stream_state: text.contains("stream_state"),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn syntax_error(&self) -> Option<&str> {
        match &self.kind {
            Kind::Broken(why) => Some(why),
            _ => None,
        }
    }

    /// True for templates that read the state of the stream, which the CDK refuses.
    pub(super) fn uses_stream_state(&self) -> bool {
        self.uses_stream_state
    }

    pub(super) fn is_constant(&self) -> bool {
        matches!(self.kind, Kind::Constant(_))
    }

    pub(super) fn variables(&self) -> Option<&BTreeMap<String, Reads>> {
        match &self.kind {
            Kind::Parsed(parsed) => Some(&parsed.variables),
            _ => None,
        }
    }

    pub(super) fn mentions(&self, variable: &str) -> bool {
        self.variables()
            .is_some_and(|variables| variables.contains_key(variable))
    }

    /// The result; `None` when it is empty.
    pub(super) fn eval(
        &self,
        scope: &Scope<'_>,
        parameters: &Value,
        types: Types,
    ) -> Eval<Option<Literal>> {
        if self.uses_stream_state {
            return other_fault("`stream_state` is not available");
        }
        let parsed = match &self.kind {
            Kind::Constant(literal) => {
                return Ok(match literal {
                    Some(literal) if types.take(literal) => Some(literal.clone()),
                    _ => as_text(Cow::Borrowed(rendered(&self.text))),
                });
            }
            Kind::Broken(why) => return other_fault(why.clone()),
            Kind::Parsed(parsed) => parsed,
        };
        let unknown = |name: &&String| scope.variable(name, parameters).is_none();
        if let Some(name) = parsed.variables.keys().find(unknown) {
            let guess = did_you_mean(name, scope.names());
            return other_fault(format!(
                "the variable `{name}` is not available here.{guess}"
            ));
        }
        match run(parsed, scope, parameters, types) {
            // What Python calls a TypeError leaves the text as it is.
            Err(Fault::Type(_)) => Ok(literal(Cow::Borrowed(&self.text), types)),
            other => other,
        }
    }
}

fn run(
    parsed: &Parsed,
    scope: &Scope<'_>,
    parameters: &Value,
    types: Types,
) -> Eval<Option<Literal>> {
    let mut evaluator = Evaluator::new(scope, parameters);
    if let [Stmt::Emit(expr)] = parsed.body.as_slice() {
        return single(expr, &mut evaluator, types);
    }
    let mut out = String::new();
    evaluator.body(&parsed.body, &mut out)?;
    Ok(literal(Cow::Owned(out), types))
}

/// One expression and nothing round it: most values need no detour over their text.
fn single<'a>(
    expr: &'a Expr,
    evaluator: &mut Evaluator<'a>,
    types: Types,
) -> Eval<Option<Literal>> {
    let value = evaluator.expr(expr)?;
    let reads_back = match &value {
        Val::None | Val::Bool(_) | Val::Array(_) | Val::Object(_) | Val::Slice(_) => true,
        Val::Int(int) => i64::try_from(*int).is_ok(),
        Val::Float(float) => float.is_finite(),
        _ => false,
    };
    if reads_back && let Some(json) = value.to_json() {
        let found = Literal::Plain(json);
        if types.take(&found) {
            return Ok(Some(found));
        }
    }
    Ok(match value {
        Val::Str(text) => literal(text, types),
        other => literal(other.to_text(), types),
    })
}

fn rendered(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

fn as_text(text: Cow<'_, str>) -> Option<Literal> {
    (!text.is_empty()).then(|| Literal::Plain(Value::String(text.into_owned())))
}

fn literal(text: Cow<'_, str>, types: Types) -> Option<Literal> {
    match literal_eval(&text) {
        Some(literal) if types.take(&literal) => Some(literal),
        _ => as_text(text),
    }
}
