//! What the variables of templates stand for.

use cdk_core::Clock;
use serde_json::Value;

use super::value::Val;
use crate::picked::Picked;
use crate::slice::StreamSlice;

/// The variables of an evaluation: the config, and what the component adds. Values are borrowed.
///
/// `parameters` is the component's own, see [`Template::new`](super::Template::new).
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    config: &'a Value,
    clock: &'a dyn Clock,
    slice: Option<&'a StreamSlice>,
    has_json_loads: bool,
    /// The variable of this step; the ones before stand in the scope it was made of.
    own: Option<Variable<'a>>,
    outer: Option<&'a Scope<'a>>,
}

#[derive(Debug, Clone, Copy)]
struct Variable<'a> {
    name: &'a str,
    value: Bound<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Bound<'a> {
    Json(&'a Value),
    Picked(&'a Picked<'a>),
}

static NO_FIELDS: Value = Value::Null;

impl<'a> Scope<'a> {
    /// The config alone; `clock` is what `now_utc()` reads.
    pub fn new(config: &'a Value, clock: &'a dyn Clock) -> Self {
        Self {
            config,
            clock,
            slice: None,
            has_json_loads: false,
            own: None,
            outer: None,
        }
    }

    /// The same with one more variable, which hides one of the same name.
    #[must_use]
    pub fn with<'b>(&'b self, name: &'b str, value: &'b Value) -> Scope<'b> {
        self.bound(name, Bound::Json(value))
    }

    /// The same with one more variable of which templates read only members that were picked.
    #[must_use]
    pub(crate) fn with_picked<'b>(&'b self, name: &'b str, picked: &'b Picked<'b>) -> Scope<'b> {
        self.bound(name, Bound::Picked(picked))
    }

    fn bound<'b>(&'b self, name: &'b str, value: Bound<'b>) -> Scope<'b> {
        Scope {
            own: Some(Variable { name, value }),
            outer: Some(self),
            ..*self
        }
    }

    /// The same with `stream_slice` and its other names, `stream_interval` and `stream_partition`.
    #[must_use]
    pub fn of_slice<'b>(&'b self, slice: &'b StreamSlice) -> Scope<'b> {
        Scope {
            slice: Some(slice),
            ..*self
        }
    }

    /// The config alone, without the other variables.
    #[must_use]
    pub fn only_config(&self) -> Scope<'a> {
        Scope::new(self.config, self.clock)
    }

    /// The same with the function `json_loads`, which only some components know.
    #[must_use]
    pub fn with_json_loads(&self) -> Self {
        Self {
            has_json_loads: true,
            ..*self
        }
    }

    /// The connector's config.
    pub fn config(&self) -> &'a Value {
        self.config
    }

    /// Partition and window of the slice as one object; null without a slice.
    pub fn slice(&self) -> &'a Value {
        self.slice.map_or(&NO_FIELDS, StreamSlice::fields)
    }

    /// Microseconds since the Unix epoch by the scope's clock.
    pub fn now_us(&self) -> i64 {
        self.clock.now_us()
    }

    pub(super) fn has_json_loads(&self) -> bool {
        self.has_json_loads
    }

    /// The names of the variables.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names = vec!["config", "parameters"];
        if self.slice.is_some() {
            names.extend(["stream_slice", "stream_interval", "stream_partition"]);
        }
        let mut scope = Some(self);
        while let Some(at) = scope {
            names.extend(at.own.map(|own| own.name));
            scope = at.outer;
        }
        names
    }

    /// The value of a variable; `None` when there is none of that name.
    pub(super) fn variable(&self, name: &str, parameters: &'a Value) -> Option<Val<'a>> {
        let mut scope = Some(self);
        while let Some(at) = scope {
            if let Some(own) = at.own.filter(|own| own.name == name) {
                return Some(match own.value {
                    Bound::Json(value) => Val::of(value),
                    Bound::Picked(picked) => Val::Picked(picked),
                });
            }
            scope = at.outer;
        }
        match name {
            "config" => Some(Val::of(self.config)),
            "parameters" => Some(Val::of(parameters)),
            "stream_slice" | "stream_interval" | "stream_partition" => self.slice.map(Val::Slice),
            _ => None,
        }
    }
}
