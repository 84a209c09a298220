//! Values inside of expressions, with Python's meaning.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use chrono::NaiveDate;
use serde_json::{Map, Number, Value};

use super::functions::Function;
use crate::picked::{Fields, Picked};
use crate::python::{float_text, push_array, push_object, push_repr, push_str_repr};
use crate::slice::StreamSlice;
use crate::time::{Moment, Span};

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Something undefined was used: the template's default takes its place.
    Undefined(String),
    /// Python's TypeError: the template's text stays as it is.
    Type(String),
    /// Any other error ends the evaluation.
    Other(String),
}

pub(crate) type Eval<T> = Result<T, Fault>;

pub(crate) fn type_fault<T>(text: impl Into<String>) -> Eval<T> {
    Err(Fault::Type(text.into()))
}

pub(crate) fn other_fault<T>(text: impl Into<String>) -> Eval<T> {
    Err(Fault::Other(text.into()))
}

/// A list that expressions may change.
pub(crate) type List<'a> = Rc<RefCell<Vec<Val<'a>>>>;
/// A dict that expressions may change, in the order of insertion.
pub(crate) type Dict<'a> = Rc<RefCell<Vec<(Val<'a>, Val<'a>)>>>;

/// A value. JSON is borrowed from where it stands.
#[derive(Debug, Clone)]
pub(crate) enum Val<'a> {
    /// Says what is not there.
    Undefined(Cow<'a, str>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Cow<'a, str>),
    Array(&'a [Value]),
    Object(&'a Map<String, Value>),
    Slice(&'a StreamSlice),
    /// A record of which only the members matter that templates name.
    Picked(&'a Picked<'a>),
    List(List<'a>),
    Tuple(Rc<Vec<Val<'a>>>),
    Dict(Dict<'a>),
    Time(Moment),
    Date(NaiveDate),
    /// A Python `timedelta`.
    Delta(i128),
    /// An isodate `Duration`, with months.
    Duration(Span),
    Function(Function),
    /// A method, not yet called.
    Method(Rc<Val<'a>>, Cow<'a, str>),
    /// The `namespace()` of Jinja, whose members may be set.
    Namespace(Dict<'a>),
}

impl<'a> Val<'a> {
    /// A JSON value, borrowed where it is large.
    pub(crate) fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::None,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => Self::of_number(number),
            Value::String(text) => Self::Str(Cow::Borrowed(text)),
            Value::Array(items) => Self::Array(items),
            Value::Object(map) => Self::Object(map),
        }
    }

    fn of_number(number: &Number) -> Self {
        if let Some(int) = number.as_i64() {
            return Self::Int(int.into());
        }
        match number.as_u64() {
            Some(int) => Self::Int(int.into()),
            None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    /// A JSON value that nothing else holds.
    pub(crate) fn owned(value: Value) -> Self {
        match value {
            Value::Null => Self::None,
            Value::Bool(truth) => Self::Bool(truth),
            Value::Number(number) => Self::of_number(&number),
            Value::String(text) => Self::Str(Cow::Owned(text)),
            Value::Array(items) => Self::list(items.into_iter().map(Self::owned).collect()),
            Value::Object(map) => {
                let entries = map
                    .into_iter()
                    .map(|(key, value)| (Self::text(key), Self::owned(value)));
                Self::Dict(Rc::new(RefCell::new(entries.collect())))
            }
        }
    }

    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Str(text.into())
    }

    pub(crate) fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(RefCell::new(items)))
    }

    pub(crate) fn undefined(what: impl Into<Cow<'a, str>>) -> Self {
        Self::Undefined(what.into())
    }

    /// The value, or the fault of using what is undefined.
    pub(crate) fn defined(self) -> Eval<Self> {
        match self {
            Self::Undefined(what) => Err(Fault::Undefined(what.into_owned())),
            other => Ok(other),
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(truth) => *truth,
            Self::Int(int) => *int != 0,
            Self::Float(float) => *float != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::Array(items) => !items.is_empty(),
            Self::Object(map) => !map.is_empty(),
            Self::List(items) => !items.borrow().is_empty(),
            Self::Tuple(items) => !items.is_empty(),
            Self::Dict(entries) => !entries.borrow().is_empty(),
            Self::Slice(slice) => slice
                .fields()
                .as_object()
                .is_some_and(|map| !map.is_empty()),
            Self::Picked(picked) => picked.tree().as_object().is_some_and(|map| !map.is_empty()),
            Self::Delta(us) => *us != 0,
            Self::Duration(span) => !span.is_zero(),
            _ => true,
        }
    }

    /// The name of the Python type, for messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::Array(_) | Self::List(_) => "list",
            Self::Object(_) | Self::Picked(_) | Self::Dict(_) => "dict",
            Self::Slice(_) => "StreamSlice",
            Self::Tuple(_) => "tuple",
            Self::Time(_) => "datetime.datetime",
            Self::Date(_) => "datetime.date",
            Self::Delta(_) => "datetime.timedelta",
            Self::Duration(_) => "isodate.Duration",
            Self::Function(_) => "function",
            Self::Method(..) => "method",
            Self::Namespace(_) => "Namespace",
        }
    }

    /// A number, booleans included.
    pub(crate) fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Bool(truth) => Some(i128::from(*truth)),
            _ => None,
        }
    }

    pub(crate) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(float) => Some(*float),
            other => other.as_int().map(|int| int as f64),
        }
    }

    /// The text of a `str`; a type fault for anything else.
    pub(crate) fn as_str(&self, wanted_by: &str) -> Eval<&str> {
        match self {
            Self::Str(text) => Ok(text),
            other => type_fault(format!(
                "{wanted_by} needs a text, not {}",
                other.type_name()
            )),
        }
    }

    /// What iterating gives: items, keys, letters.
    pub(crate) fn items(&self) -> Eval<Vec<Self>> {
        Ok(match self {
            Self::Undefined(_) => Vec::new(),
            Self::Str(text) => text
                .chars()
                .map(|letter| Self::text(letter.to_string()))
                .collect(),
            Self::Array(items) => items.iter().map(Self::of).collect(),
            Self::Object(map) => map.keys().map(|key| Self::text(key.as_str())).collect(),
            Self::Slice(slice) => Self::of(slice.fields()).items()?,
            Self::Picked(picked) => Self::owned(picked.tree().into_owned()).items()?,
            Self::List(items) => items.borrow().clone(),
            Self::Tuple(items) => items.to_vec(),
            Self::Dict(entries) => entries
                .borrow()
                .iter()
                .map(|(key, _)| key.clone())
                .collect(),
            other => return type_fault(format!("'{}' object is not iterable", other.type_name())),
        })
    }

    /// Keys and values of a dict; `None` for other values.
    pub(crate) fn entries(&self) -> Option<Vec<(Self, Self)>> {
        match self {
            Self::Object(map) => {
                let entries = map
                    .iter()
                    .map(|(key, value)| (Self::text(key.as_str()), Self::of(value)));
                Some(entries.collect())
            }
            Self::Slice(slice) => Self::of(slice.fields()).entries(),
            Self::Picked(picked) => Self::owned(picked.tree().into_owned()).entries(),
            Self::Dict(entries) => Some(entries.borrow().clone()),
            _ => None,
        }
    }

    pub(crate) fn len(&self) -> Eval<usize> {
        Ok(match self {
            Self::Str(text) => text.chars().count(),
            Self::Array(items) => items.len(),
            Self::Object(map) => map.len(),
            Self::Slice(slice) => slice.fields().as_object().map_or(0, Map::len),
            Self::Picked(picked) => picked.tree().as_object().map_or(0, Map::len),
            Self::List(items) => items.borrow().len(),
            Self::Tuple(items) => items.len(),
            Self::Dict(entries) => entries.borrow().len(),
            Self::Undefined(_) => 0,
            other => {
                return type_fault(format!(
                    "object of type '{}' has no len()",
                    other.type_name()
                ));
            }
        })
    }

    /// The value of a dict's key.
    pub(crate) fn key(&self, key: &Val<'_>) -> Option<Self> {
        match (self, key) {
            (Self::Object(map), Val::Str(key)) => map.get(key.as_ref()).map(Self::of),
            (Self::Picked(picked), Val::Str(key)) => picked.value(key),
            (Self::Slice(slice), Val::Str(key)) => slice.fields().get(key.as_ref()).map(Self::of),
            (Self::Dict(entries) | Self::Namespace(entries), key) => {
                let entries = entries.borrow();
                let found = entries.iter().find(|(name, _)| name.equals(key));
                found.map(|(_, value)| value.clone())
            }
            _ => None,
        }
    }

    /// As Python's `str` has it. What is undefined is empty.
    pub(crate) fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Undefined(_) => Cow::Borrowed(""),
            Self::Str(text) => Cow::Borrowed(text),
            other => {
                let mut out = String::new();
                other.push_text(&mut out);
                Cow::Owned(out)
            }
        }
    }

    fn push_text(&self, out: &mut String) {
        match self {
            Self::Time(moment) => out.push_str(&crate::time::isoformat(moment, ' ')),
            Self::Date(date) => out.push_str(&date.format("%Y-%m-%d").to_string()),
            Self::Delta(us) => out.push_str(&delta_text(*us)),
            Self::Duration(span) => out.push_str(&duration_text(span)),
            other => other.push_repr(out),
        }
    }

    /// As Python's `repr` has it.
    pub(crate) fn push_repr(&self, out: &mut String) {
        match self {
            Self::Undefined(_) => out.push_str("Undefined"),
            Self::None => out.push_str("None"),
            Self::Bool(truth) => out.push_str(if *truth { "True" } else { "False" }),
            Self::Int(int) => out.push_str(&int.to_string()),
            Self::Float(float) => out.push_str(&float_text(*float)),
            Self::Str(text) => push_str_repr(out, text),
            Self::Array(items) => push_array(out, items),
            Self::Object(map) => push_object(out, map),
            Self::Slice(slice) => push_repr(out, slice.fields()),
            Self::Picked(picked) => push_repr(out, &picked.tree()),
            Self::List(items) => push_items(out, '[', &items.borrow(), "]"),
            Self::Tuple(items) => {
                push_items(out, '(', items, if items.len() == 1 { ",)" } else { ")" })
            }
            Self::Dict(entries) => {
                out.push('{');
                for (at, (key, value)) in entries.borrow().iter().enumerate() {
                    if at > 0 {
                        out.push_str(", ");
                    }
                    key.push_repr(out);
                    out.push_str(": ");
                    value.push_repr(out);
                }
                out.push('}');
            }
            Self::Time(_) | Self::Date(_) | Self::Delta(_) | Self::Duration(_) => {
                out.push_str(self.type_name());
                out.push('(');
                self.push_text(out);
                out.push(')');
            }
            Self::Function(function) => out.push_str(&format!("<function {}>", function.name())),
            Self::Method(value, name) => {
                out.push_str(&format!("<method {name} of {}>", value.type_name()));
            }
            Self::Namespace(_) => out.push_str("<Namespace>"),
        }
    }

    /// As JSON, when Python could write it as JSON.
    pub(crate) fn to_json(&self) -> Option<Value> {
        Some(match self {
            Self::None => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Int(int) => match i64::try_from(*int) {
                Ok(int) => int.into(),
                Err(_) => u64::try_from(*int).ok()?.into(),
            },
            Self::Float(float) => Value::Number(Number::from_f64(*float)?),
            Self::Str(text) => Value::String(text.clone().into_owned()),
            Self::Array(items) => Value::Array(items.to_vec()),
            Self::Object(map) => Value::Object((*map).clone()),
            Self::Slice(slice) => slice.fields().clone(),
            Self::Picked(picked) => picked.tree().into_owned(),
            Self::List(items) => Value::Array(
                items
                    .borrow()
                    .iter()
                    .map(Self::to_json)
                    .collect::<Option<_>>()?,
            ),
            Self::Tuple(items) => {
                Value::Array(items.iter().map(Self::to_json).collect::<Option<_>>()?)
            }
            Self::Dict(entries) => {
                let entries = entries.borrow();
                let entries = entries.iter().map(|(key, value)| {
                    let key = match key {
                        Self::Str(key) => key.clone().into_owned(),
                        Self::None => "null".to_owned(),
                        Self::Bool(truth) => truth.to_string(),
                        Self::Int(_) | Self::Float(_) => key.to_text().into_owned(),
                        _ => return None,
                    };
                    Some((key, value.to_json()?))
                });
                Value::Object(entries.collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }
}

fn push_items(out: &mut String, open: char, items: &[Val<'_>], close: &str) {
    out.push(open);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        item.push_repr(out);
    }
    out.push_str(close);
}

/// A `timedelta` as text: `1 day, 2:03:04.000005`.
fn delta_text(us: i128) -> String {
    const DAY: i128 = 86_400_000_000;
    let (days, rest) = (us.div_euclid(DAY), us.rem_euclid(DAY));
    let (seconds, us) = (rest / 1_000_000, rest % 1_000_000);
    let mut text = match days {
        0 => String::new(),
        1 | -1 => format!("{days} day, "),
        _ => format!("{days} days, "),
    };
    text.push_str(&format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    ));
    if us > 0 {
        text.push_str(&format!(".{us:06}"));
    }
    text
}

fn duration_text(span: &Span) -> String {
    let (years, months) = (span.months / 12, span.months % 12);
    let mut parts = Vec::new();
    if years != 0 {
        // isodate has no singular here.
        parts.push(format!("{years} years"));
    }
    if months != 0 {
        parts.push(match months {
            2.. => format!("{months} months"),
            // Negative ones too.
            _ => format!("{months} month"),
        });
    }
    parts.push(delta_text(span.us.into()));
    parts.join(", ")
}
