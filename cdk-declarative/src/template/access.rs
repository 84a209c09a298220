//! Attributes, items and slices of values.

use std::rc::Rc;

use super::methods;
use super::value::{Eval, Val, type_fault};
use crate::slice::StreamSlice;
use chrono::{Datelike, Timelike};

/// `value.name`: the attribute of that name, else the item.
pub(crate) fn attribute<'a>(value: &Val<'a>, name: &'a str) -> Val<'a> {
    let found = match value {
        Val::Slice(slice) => slice_attribute(slice, name),
        Val::Time(moment) => {
            let time = moment.local();
            let us = time.nanosecond() / 1000;
            match name {
                "hour" => Some(int(time.hour())),
                "minute" => Some(int(time.minute())),
                "second" => Some(int(time.second())),
                "microsecond" => Some(int(us)),
                _ => date_attribute(&time.date(), name),
            }
        }
        Val::Date(date) => date_attribute(date, name),
        Val::Delta(us) => delta_attribute(*us, name),
        Val::Namespace(_) => value.key(&Val::text(name)),
        _ => None,
    };
    let method =
        || methods::exists(value, name).then(|| Val::Method(Rc::new(value.clone()), name.into()));
    found
        .or_else(method)
        .or_else(|| value.key(&Val::text(name)))
        .unwrap_or_else(|| missing(value, name))
}

fn missing<'a>(value: &Val<'a>, name: &str) -> Val<'a> {
    let kind = match value.type_name() {
        "dict" => "dict object",
        other => other,
    };
    Val::undefined(format!("'{kind}' has no attribute '{name}'"))
}

fn slice_attribute<'a>(slice: &'a StreamSlice, name: &str) -> Option<Val<'a>> {
    let map = match name {
        "partition" | "_partition" => slice.partition(),
        "cursor_slice" => slice.cursor(),
        "extra_fields" => slice.extra_fields(),
        _ => return None,
    };
    Some(Val::Object(map))
}

fn int<'a>(number: u32) -> Val<'a> {
    Val::Int(number.into())
}

fn date_attribute<'a>(date: &chrono::NaiveDate, name: &str) -> Option<Val<'a>> {
    match name {
        "year" => Some(Val::Int(date.year().into())),
        "month" => Some(int(date.month())),
        "day" => Some(int(date.day())),
        _ => None,
    }
}

fn delta_attribute<'a>(us: i128, name: &str) -> Option<Val<'a>> {
    const DAY: i128 = 86_400_000_000;
    match name {
        "days" => Some(Val::Int(us.div_euclid(DAY))),
        "seconds" => Some(Val::Int(us.rem_euclid(DAY) / 1_000_000)),
        "microseconds" => Some(Val::Int(us.rem_euclid(1_000_000))),
        _ => None,
    }
}

/// `value[key]`: the item, else the attribute of that name.
pub(crate) fn item<'a>(value: &Val<'a>, key: &Val<'a>) -> Eval<Val<'a>> {
    if let Some(found) = value.key(key) {
        return Ok(found);
    }
    if let Some(index) = key.as_int() {
        let found = match value {
            Val::Str(text) => text.chars().nth_wrapped(index, || text.chars().count()),
            Val::Array(items) => index_of(index, items.len()).map(|at| Val::of(&items[at])),
            Val::List(items) => {
                index_of(index, items.borrow().len()).map(|at| items.borrow()[at].clone())
            }
            Val::Tuple(items) => index_of(index, items.len()).map(|at| items[at].clone()),
            _ => None,
        };
        return Ok(found.unwrap_or_else(|| Val::undefined(format!("there is no item {index}"))));
    }
    match key {
        Val::Undefined(_) => Ok(Val::undefined("the key is undefined")),
        Val::Str(name) if value.entries().is_none() || methods::exists(value, name) => {
            let name = name.clone().into_owned();
            Ok(match methods::exists(value, &name) {
                true => Val::Method(Rc::new(value.clone()), name.into()),
                false => missing(value, &name),
            })
        }
        _ => Ok(missing(value, &key.to_text())),
    }
}

trait NthWrapped {
    fn nth_wrapped<'a>(self, index: i128, length: impl FnOnce() -> usize) -> Option<Val<'a>>;
}

impl NthWrapped for std::str::Chars<'_> {
    fn nth_wrapped<'a>(mut self, index: i128, length: impl FnOnce() -> usize) -> Option<Val<'a>> {
        let at = index_of(index, length())?;
        self.nth(at).map(|letter| Val::text(letter.to_string()))
    }
}

fn index_of(index: i128, length: usize) -> Option<usize> {
    let at = if index < 0 {
        index + length as i128
    } else {
        index
    };
    usize::try_from(at).ok().filter(|at| *at < length)
}

/// `value[start:stop:step]`.
pub(crate) fn slice<'a>(
    value: &Val<'a>,
    start: Option<Val<'a>>,
    stop: Option<Val<'a>>,
    step: Option<Val<'a>>,
) -> Eval<Val<'a>> {
    let bound = |part: Option<Val<'a>>| match part {
        None | Some(Val::None) => Ok(None),
        Some(value) => match value.as_int() {
            Some(int) => Ok(Some(int)),
            None => type_fault("slice indices must be integers or None"),
        },
    };
    let step = bound(step)?.unwrap_or(1);
    if step == 0 {
        return super::value::other_fault("slice step cannot be zero");
    }
    let (start, stop) = (bound(start)?, bound(stop)?);
    let picked = |length: usize| indices(start, stop, step, length as i128);
    Ok(match value {
        Val::Str(text) => {
            let letters: Vec<char> = text.chars().collect();
            Val::text(
                picked(letters.len())
                    .map(|at| letters[at])
                    .collect::<String>(),
            )
        }
        Val::Tuple(items) => Val::Tuple(Rc::new(
            picked(items.len()).map(|at| items[at].clone()).collect(),
        )),
        list if super::ops::is_list(list) => {
            let items = list.items()?;
            Val::list(picked(items.len()).map(|at| items[at].clone()).collect())
        }
        // Jinja hands the slice on as a key, which nothing has.
        other => Val::undefined(format!("'{}' can't be sliced", other.type_name())),
    })
}

fn indices(
    start: Option<i128>,
    stop: Option<i128>,
    step: i128,
    length: i128,
) -> impl Iterator<Item = usize> {
    let (low, high) = if step > 0 {
        (0, length)
    } else {
        (-1, length - 1)
    };
    let clamped = |at: i128| (if at < 0 { at + length } else { at }).clamp(low, high);
    let first = start.map_or(if step > 0 { low } else { high }, clamped);
    let end = stop.map_or(if step > 0 { high } else { low }, clamped);
    let mut at = first;
    std::iter::from_fn(move || {
        let is_inside = if step > 0 { at < end } else { at > end };
        let now = at;
        at = at.saturating_add(step);
        is_inside.then_some(now as usize)
    })
}
