//! Templates: Jinja as manifests use it, with Python's values, methods and printing.
//!
//! A [`Template`] is parsed once. Constants and plain lookups (`{{ record.id }}`, `{{ config['key'] }}`) never render
//! a text. The result follows the Python CDK: the rendered text counts as a Python literal when it reads as one
//! (`"12"` is the number 12), an empty text gives the template's default.
//!
//! ```
//! use cdk_core::FixedClock;
//! use cdk_declarative::template::{Scope, Template};
//! use serde_json::json;
//!
//! let config = json!({"days": "7", "names": ["a", "b"]});
//! let clock = FixedClock::new(1_718_452_800_000);
//! let scope = Scope::new(&config, &clock);
//! let eval = |text: &str| Template::compile(text).eval(&scope);
//!
//! assert_eq!(eval("{{ config.days }}")?, json!(7));
//! assert_eq!(eval("{{ config.names | join('-') }}")?, json!("a-b"));
//! assert_eq!(eval("{{ (now_utc() - duration('P1D')).strftime('%Y-%m-%d') }}")?, json!("2024-06-14"));
//! assert!(eval("{{ config.missing.key }}").is_err());
//! # Ok::<(), cdk_core::ConnectorError>(())
//! ```

mod access;
mod condition;
mod digests;
mod eval;
mod filters;
mod functions;
mod list_filters;
mod methods;
mod number_filters;
mod ops;
mod printf;
mod program;
mod regexes;
mod scope;
mod strings;
mod syntax;
mod tests;
mod text_filters;
mod value;

use std::collections::BTreeSet;
use std::sync::Arc;

use cdk_core::{ConnectorError, Result};
use serde_json::{Map, Value};

use crate::component::Component;
use crate::python::Literal;
pub use crate::python::python_text;
pub use condition::Condition;
pub use scope::Scope;

use program::Program;
use syntax::Reads;
use value::Fault;
pub(crate) use value::Val;

/// Which types of literals a template may give; other results stay the text that was rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Types {
    /// All.
    Any,
    /// Texts.
    Text,
    /// Texts and lists.
    TextOrList,
    /// Numbers with a fraction.
    Float,
    /// Whole numbers, and booleans as in Python.
    Integer,
    /// Booleans.
    Boolean,
}

impl Types {
    fn take(self, literal: &Literal) -> bool {
        let Literal::Plain(value) = literal else {
            return self == Self::Any;
        };
        match self {
            Self::Any => true,
            Self::Text => value.is_string(),
            Self::TextOrList => value.is_string() || value.is_array(),
            Self::Float => value.is_f64(),
            Self::Integer => value.is_i64() || value.is_u64() || value.is_boolean(),
            Self::Boolean => value.is_boolean(),
        }
    }
}

/// A template, parsed.
#[derive(Debug, Clone)]
pub struct Template(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    program: Program,
    default: Fallback,
    parameters: Arc<Value>,
    /// The component, for messages.
    place: String,
}

/// What takes the place of an empty or undefined result.
#[derive(Debug)]
enum Fallback {
    /// The template's own text, which then is empty or undefined again.
    Own,
    Other(Program),
    Null,
}

impl Template {
    /// A template that stands on its own, without parameters.
    pub fn compile(text: &str) -> Self {
        let none = Arc::new(Value::Object(Map::new()));
        Self::build(text, Fallback::Own, none, String::new())
    }

    /// A template of a component's field. Its parameters are the component's; messages name the component.
    ///
    /// A syntax error shows when the template is evaluated, as in the Python CDK: a broken template that a sync never
    /// needs does not end it.
    pub fn new(text: &str, component: &Component<'_>) -> Result<Self> {
        Self::of(text, Fallback::Own, component)
    }

    /// The same with a template for the case that the first one gives nothing. An empty `default` is none.
    pub fn with_default(text: &str, default: &str, component: &Component<'_>) -> Result<Self> {
        let default = match default {
            "" => Fallback::Own,
            text => Fallback::Other(Program::new(text)),
        };
        Self::of(text, default, component)
    }

    /// The same with null for the case that the template gives nothing.
    pub fn bare(text: &str, component: &Component<'_>) -> Result<Self> {
        Self::of(text, Fallback::Null, component)
    }

    fn of(text: &str, default: Fallback, component: &Component<'_>) -> Result<Self> {
        let place = format!("{} at `{}`", component.kind(), component.path());
        let parameters = Arc::clone(component.parameters());
        Ok(Self::build(text, default, parameters, place))
    }

    fn build(text: &str, default: Fallback, parameters: Arc<Value>, place: String) -> Self {
        Self(Arc::new(Inner {
            program: Program::new(text),
            default,
            parameters,
            place,
        }))
    }

    /// The template as it was given.
    pub fn source(&self) -> &str {
        self.0.program.text()
    }

    /// What is wrong with its syntax, if something is.
    pub fn syntax_error(&self) -> Option<&str> {
        self.0.program.syntax_error()
    }

    /// True when the template reads the variable.
    pub fn mentions(&self, variable: &str) -> bool {
        let default = match &self.0.default {
            Fallback::Other(program) => program.mentions(variable),
            Fallback::Own | Fallback::Null => false,
        };
        default || self.0.program.mentions(variable)
    }

    /// The variables that it reads.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let variables = self.0.program.variables().into_iter().flatten();
        variables.map(|(name, _)| name.as_str())
    }

    /// The members of the variable that it reads; `None` when it may depend on others too.
    pub(crate) fn members_read(&self, variable: &str) -> Option<BTreeSet<&str>> {
        let default = match &self.0.default {
            Fallback::Other(program) => program.variables(),
            Fallback::Own | Fallback::Null => None,
        };
        let mut read = BTreeSet::new();
        for variables in self.0.program.variables().into_iter().chain(default) {
            match variables.get(variable) {
                Some(Reads::Members(members)) => read.extend(members.iter().map(String::as_str)),
                Some(Reads::Whole) => return None,
                None => {}
            }
        }
        Some(read)
    }

    /// True when the result is the same in every scope.
    pub fn is_constant(&self) -> bool {
        self.0.program.is_constant()
    }

    /// The result as JSON.
    pub fn eval(&self, scope: &Scope<'_>) -> Result<Value> {
        self.typed(scope, Types::Any)
    }

    /// The result as JSON; literals of other types stay texts.
    pub fn typed(&self, scope: &Scope<'_>, types: Types) -> Result<Value> {
        self.literal(scope, types).map(Literal::into_json)
    }

    /// The result as text, written as Python writes it.
    pub fn text(&self, scope: &Scope<'_>) -> Result<String> {
        Ok(match self.literal(scope, Types::Any)? {
            Literal::Plain(Value::String(text)) => text,
            other => other.text(),
        })
    }

    fn literal(&self, scope: &Scope<'_>, types: Types) -> Result<Literal> {
        self.try_literal(scope, types)
            .map_err(|fault| self.error(&fault))
    }

    fn try_literal(&self, scope: &Scope<'_>, types: Types) -> std::result::Result<Literal, Fault> {
        let inner = &*self.0;
        let found = match inner.program.eval(scope, &inner.parameters, types) {
            Err(Fault::Undefined(what)) => match &inner.default {
                Fallback::Own => return Err(Fault::Undefined(what)),
                _ => None,
            },
            other => other?,
        };
        match (found, &inner.default) {
            (Some(literal), _) => Ok(literal),
            (None, Fallback::Other(default)) => {
                let literal = default.eval(scope, &inner.parameters, types)?;
                Ok(literal.unwrap_or_else(|| Literal::Plain("".into())))
            }
            (None, Fallback::Own) => Ok(Literal::Plain("".into())),
            (None, Fallback::Null) => Ok(Literal::Plain(Value::Null)),
        }
    }

    fn error(&self, fault: &Fault) -> ConnectorError {
        let (text, place) = (self.source(), &self.0.place);
        let of = if place.is_empty() {
            String::new()
        } else {
            format!(" of {place}")
        };
        if self.0.program.uses_stream_state() {
            return ConnectorError::config(format!(
                "The template `{text}`{of} uses `stream_state`, which is no longer available. Use `stream_interval`."
            ));
        }
        let what = match fault {
            Fault::Undefined(what) | Fault::Type(what) | Fault::Other(what) => what,
        };
        let remedy = match fault {
            _ if self.syntax_error().is_some() => {
                "Correct its syntax; `cdk manifest validate` shows where it is wrong."
            }
            Fault::Undefined(_) => {
                "Correct the name, or say what takes its place: `| default('…')`."
            }
            _ => "`cdk manifest eval` shows what it gives for which values.",
        };
        let what = what.trim_end_matches('.');
        let stop = if what.ends_with('?') { "" } else { "." };
        ConnectorError::system(format!(
            "The template `{text}`{of} has no value: {what}{stop} {remedy}"
        ))
    }
}
