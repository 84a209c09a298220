//! Methods of Python's own types.

use std::rc::Rc;

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use super::eval::{Given, set_entry};
use super::value::{Eval, Val, other_fault, type_fault};
use crate::time::{Moment, isoformat_to, strftime};

const STR: [&str; 45] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];
const DICT: [&str; 10] = [
    "clear",
    "copy",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];
const LIST: [&str; 11] = [
    "append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse",
    "sort",
];
const DATE: [&str; 8] = [
    "ctime",
    "isocalendar",
    "isoformat",
    "isoweekday",
    "replace",
    "strftime",
    "toordinal",
    "weekday",
];
const TIME: [&str; 5] = ["astimezone", "date", "time", "timestamp", "utcoffset"];

/// True when the type of `value` has the method.
pub(crate) fn exists(value: &Val<'_>, name: &str) -> bool {
    match value {
        Val::Str(_) => STR.contains(&name),
        Val::Object(_) | Val::Picked(_) | Val::Dict(_) | Val::Slice(_) => DICT.contains(&name),
        Val::Array(_) | Val::List(_) => LIST.contains(&name),
        Val::Tuple(_) => matches!(name, "count" | "index"),
        Val::Date(_) => DATE.contains(&name),
        Val::Time(_) => DATE.contains(&name) || TIME.contains(&name),
        Val::Delta(_) => name == "total_seconds",
        Val::Float(_) => name == "is_integer",
        Val::Int(_) => name == "bit_length",
        _ => false,
    }
}

/// True for the names of a dict's methods.
pub(crate) fn is_of_dict(name: &str) -> bool {
    DICT.contains(&name)
}

/// Calls a method.
pub(crate) fn call<'a>(value: &Val<'a>, name: &str, args: &Given<'a>) -> Eval<Val<'a>> {
    match value {
        Val::Str(text) => super::strings::call(text, name, args),
        Val::Object(_) | Val::Picked(_) | Val::Dict(_) | Val::Slice(_) => dict(value, name, args),
        Val::Array(_) | Val::List(_) | Val::Tuple(_) => list(value, name, args),
        Val::Date(date) => date_method(
            Moment::new(date.and_time(NaiveTime::MIN), None),
            true,
            name,
            args,
        ),
        Val::Time(moment) => match time_method(moment, name)? {
            Some(found) => Ok(found),
            None => date_method(Some(*moment), false, name, args),
        },
        Val::Delta(us) => Ok(Val::Float(*us as f64 / 1e6)),
        Val::Float(float) => Ok(Val::Bool(float.fract() == 0.0)),
        Val::Int(int) => Ok(Val::Int((128 - int.unsigned_abs().leading_zeros()).into())),
        other => type_fault(format!("'{}' has no method '{name}'", other.type_name())),
    }
}

fn dict<'a>(value: &Val<'a>, name: &str, args: &Given<'a>) -> Eval<Val<'a>> {
    let entries = || value.entries().unwrap_or_default();
    Ok(match name {
        "get" => {
            let key = args.need(0, "key", "get")?;
            let default = args.get(1, "default").unwrap_or(Val::None);
            value.key(&key).unwrap_or(default)
        }
        "keys" => Val::list(entries().into_iter().map(|(key, _)| key).collect()),
        "values" => Val::list(entries().into_iter().map(|(_, value)| value).collect()),
        "items" => {
            let pairs = entries()
                .into_iter()
                .map(|(key, value)| Val::Tuple(Rc::new(vec![key, value])));
            Val::list(pairs.collect())
        }
        "copy" => Val::Dict(Rc::new(std::cell::RefCell::new(entries()))),
        _ => return change_dict(value, name, args),
    })
}

fn change_dict<'a>(value: &Val<'a>, name: &str, args: &Given<'a>) -> Eval<Val<'a>> {
    let Val::Dict(dict) = value else {
        return other_fault(format!(
            "`{name}` would change a value that belongs to the connector"
        ));
    };
    match name {
        "update" => {
            if let Some(more) = args.positional.first() {
                let Some(entries) = more.entries() else {
                    return type_fault("update needs a dict");
                };
                entries
                    .into_iter()
                    .for_each(|(key, value)| set_entry(dict, key, value));
            }
            for (key, value) in &args.named {
                set_entry(dict, Val::text((*key).to_owned()), value.clone());
            }
            Ok(Val::None)
        }
        "setdefault" => {
            let key = args.need(0, "key", name)?;
            if let Some(found) = value.key(&key) {
                return Ok(found);
            }
            let default = args.get(1, "default").unwrap_or(Val::None);
            set_entry(dict, key, default.clone());
            Ok(default)
        }
        "pop" => {
            let key = args.need(0, "key", name)?;
            let at = dict.borrow().iter().position(|(name, _)| name.equals(&key));
            match (at, args.get(1, "default")) {
                (Some(at), _) => Ok(dict.borrow_mut().remove(at).1),
                (None, Some(default)) => Ok(default),
                (None, None) => other_fault(format!("there is no key {}", key.to_text())),
            }
        }
        "popitem" => match dict.borrow_mut().pop() {
            Some(entry) => Ok(Val::Tuple(Rc::new(vec![entry.0, entry.1]))),
            None => other_fault("popitem(): dictionary is empty"),
        },
        _ => {
            dict.borrow_mut().clear();
            Ok(Val::None)
        }
    }
}

fn list<'a>(value: &Val<'a>, name: &str, args: &Given<'a>) -> Eval<Val<'a>> {
    match name {
        "count" => {
            let wanted = args.need(0, "value", name)?;
            let count = value
                .items()?
                .iter()
                .filter(|item| item.equals(&wanted))
                .count();
            Ok(Val::Int(count as i128))
        }
        "index" => {
            let wanted = args.need(0, "value", name)?;
            let items = value.items()?;
            let start = args.get(1, "start").and_then(|start| start.as_int());
            let start = place(start.unwrap_or(0), items.len());
            let mut rest = items.iter().skip(start);
            match rest.position(|item| item.equals(&wanted)) {
                Some(at) => Ok(Val::Int((start + at) as i128)),
                None => other_fault("the value is not in the list"),
            }
        }
        "copy" => Ok(Val::list(value.items()?)),
        _ => change_list(value, name, args),
    }
}

/// A place in a list; negative ones count from its end.
fn place(at: i128, length: usize) -> usize {
    let at = if at < 0 { at + length as i128 } else { at };
    usize::try_from(at.max(0)).unwrap_or(usize::MAX).min(length)
}

fn change_list<'a>(value: &Val<'a>, name: &str, args: &Given<'a>) -> Eval<Val<'a>> {
    let Val::List(list) = value else {
        return other_fault(format!(
            "`{name}` would change a value that belongs to the connector"
        ));
    };
    match name {
        "append" => list.borrow_mut().push(args.need(0, "object", name)?),
        "extend" => {
            let more = args.need(0, "iterable", name)?.items()?;
            list.borrow_mut().extend(more);
        }
        "insert" => {
            let at = args.need(0, "index", name)?.as_int().unwrap_or(0);
            let item = args.need(1, "object", name)?;
            let mut list = list.borrow_mut();
            let at = place(at, list.len());
            list.insert(at, item);
        }
        "pop" => {
            let mut list = list.borrow_mut();
            let at = args
                .get(0, "index")
                .and_then(|at| at.as_int())
                .unwrap_or(-1);
            let at = place(at, list.len());
            if at >= list.len() {
                return other_fault("pop index out of range");
            }
            return Ok(list.remove(at));
        }
        "remove" => {
            let wanted = args.need(0, "value", name)?;
            let at = list.borrow().iter().position(|item| item.equals(&wanted));
            match at {
                Some(at) => drop(list.borrow_mut().remove(at)),
                None => return other_fault("the value is not in the list"),
            }
        }
        "clear" => list.borrow_mut().clear(),
        "reverse" => list.borrow_mut().reverse(),
        _ => {
            let mut sorted = super::list_filters::sorted(value.items()?)?;
            if args
                .get(usize::MAX, "reverse")
                .is_some_and(|reverse| reverse.is_true())
            {
                sorted.reverse();
            }
            *list.borrow_mut() = sorted;
        }
    }
    Ok(Val::None)
}

/// Methods that only a `datetime` has.
fn time_method<'a>(moment: &Moment, name: &str) -> Eval<Option<Val<'a>>> {
    Ok(Some(match name {
        "timestamp" => Val::Float(moment.timestamp()),
        "date" => Val::Date(moment.local().date()),
        "time" => Val::text(moment.local().time().format("%H:%M:%S%.f").to_string()),
        "astimezone" => match moment.to_utc() {
            Some(moment) => Val::Time(moment),
            None => return other_fault("date value out of range"),
        },
        "utcoffset" => match moment.offset() {
            Some(offset) => Val::Delta(i128::from(offset) * 1_000_000),
            None => Val::None,
        },
        _ => return Ok(None),
    }))
}

/// Methods of `date` and `datetime`.
fn date_method<'a>(
    moment: Option<Moment>,
    is_date: bool,
    name: &str,
    args: &Given<'a>,
) -> Eval<Val<'a>> {
    let Some(moment) = moment else {
        return other_fault("date value out of range");
    };
    let date = moment.local().date();
    let number = |number: u32| Val::Int(number.into());
    Ok(match name {
        "strftime" => {
            let format = args.need(0, "format", name)?;
            Val::text(strftime(format.as_str(name)?, &moment))
        }
        "isoformat" if is_date => Val::text(strftime("%F", &moment)),
        "isoformat" => {
            let separator = args.get(0, "sep").unwrap_or(Val::text("T"));
            let separator = separator.as_str(name)?.chars().next().unwrap_or('T');
            let unit = args.get(1, "timespec").unwrap_or(Val::text("auto"));
            match isoformat_to(&moment, separator, unit.as_str(name)?) {
                Some(text) => Val::text(text),
                None => return other_fault("Unknown timespec value"),
            }
        }
        "weekday" => number(date.weekday().num_days_from_monday()),
        "isoweekday" => number(date.weekday().number_from_monday()),
        "toordinal" => Val::Int(date.num_days_from_ce().into()),
        "isocalendar" => {
            let week = date.iso_week();
            let parts = vec![
                Val::Int(week.year().into()),
                number(week.week()),
                number(date.weekday().number_from_monday()),
            ];
            Val::Tuple(Rc::new(parts))
        }
        "ctime" => Val::text(strftime("%c", &moment)),
        _ => {
            let local = replaced(moment.local(), args)?;
            if is_date {
                Val::Date(local.date())
            } else {
                let moment = moment.with_local(local);
                let drops_zone = args.get(7, "tzinfo").is_some_and(|zone| zone.is_none());
                Val::Time(if drops_zone { moment.naive() } else { moment })
            }
        }
    })
}

fn replaced(time: NaiveDateTime, args: &Given<'_>) -> Eval<NaiveDateTime> {
    let part = |at: usize, name: &str, now: u32| match args.get(at, name) {
        None => Some(now),
        Some(value) => value.as_int().and_then(|int| u32::try_from(int).ok()),
    };
    let replaced = || {
        let year = part(0, "year", time.year().unsigned_abs())?;
        let date = NaiveDate::from_ymd_opt(
            i32::try_from(year).ok()?,
            part(1, "month", time.month())?,
            part(2, "day", time.day())?,
        )?;
        date.and_hms_micro_opt(
            part(3, "hour", time.hour())?,
            part(4, "minute", time.minute())?,
            part(5, "second", time.second())?,
            part(6, "microsecond", time.nanosecond() / 1000)?,
        )
    };
    replaced().ok_or_else(|| super::value::Fault::Other("there is no such date or time".to_owned()))
}
