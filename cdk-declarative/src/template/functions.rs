//! The functions that templates can call.

use chrono::DateTime;
use serde_json::Value;

use super::eval::{Given, set_entry};
use super::ops;
use super::scope::Scope;
use super::value::{Dict, Eval, Fault, Val, other_fault, type_fault};
use crate::time::{Format, Moment, Span, parse_iso, strftime, strptime};

/// A function, by its name in templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Function(&'static str);

const NAMES: [&str; 16] = [
    "camel_case_to_snake_case",
    "day_delta",
    "dict",
    "duration",
    "format_datetime",
    "generate_uuid",
    "json_loads",
    "max",
    "min",
    "namespace",
    "now_utc",
    "sanitize_url",
    "str_to_datetime",
    "timestamp",
    "today_utc",
    "today_with_timezone",
];

impl Function {
    pub(crate) fn of(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|known| **known == name)
            .map(|known| Self(known))
    }

    pub(crate) fn name(self) -> &'static str {
        self.0
    }

    pub(crate) fn call<'a>(self, args: &Given<'a>, scope: &Scope<'_>) -> Eval<Val<'a>> {
        let name = self.0;
        let now = || Moment::from_us(scope.now_us()).ok_or_else(out_of_range);
        match name {
            "now_utc" => args.at_most(0, name).and_then(|()| now().map(Val::Time)),
            "today_utc" => args
                .at_most(0, name)
                .and_then(|()| now().map(|now| Val::Date(now.local().date()))),
            "today_with_timezone" => today_in(&args.need(0, "timezone", name)?, scope.now_us()),
            "timestamp" => timestamp(&args.need(0, "dt", name)?),
            "str_to_datetime" => str_to_datetime(&args.need(0, "s", name)?).map(Val::Time),
            "day_delta" => day_delta(args, now()?),
            "duration" => duration(&args.need(0, "datestring", name)?),
            "format_datetime" => format_datetime(args).map(Val::text),
            "max" => extreme(args, true),
            "min" => extreme(args, false),
            "sanitize_url" => {
                let text = args.need(0, "value", name)?;
                Ok(Val::text(quote_plus(text.as_str(name)?)))
            }
            "camel_case_to_snake_case" => {
                let text = args.need(0, "value", name)?;
                Ok(Val::text(snake_case(text.as_str(name)?)))
            }
            "generate_uuid" => Ok(Val::text(uuid::Uuid::new_v4().to_string())),
            "json_loads" if scope.has_json_loads() => {
                let text = args.need(0, "s", name)?;
                match serde_json::from_str::<Value>(text.as_str(name)?) {
                    Ok(value) => Ok(Val::owned(value)),
                    Err(error) => other_fault(format!("json_loads: {error}")),
                }
            }
            "json_loads" => Err(Fault::Undefined("'json_loads' is undefined".to_owned())),
            _ => {
                let dict = Dict::default();
                if let Some(entries) = args.positional.first().and_then(Val::entries) {
                    entries
                        .into_iter()
                        .for_each(|(key, value)| set_entry(&dict, key, value));
                }
                for (key, value) in &args.named {
                    set_entry(&dict, Val::text(*key), value.clone());
                }
                Ok(if name == "dict" {
                    Val::Dict(dict)
                } else {
                    Val::Namespace(dict)
                })
            }
        }
    }
}

fn out_of_range() -> Fault {
    Fault::Other("date value out of range".to_owned())
}

fn today_in<'a>(zone: &Val<'a>, now_us: i64) -> Eval<Val<'a>> {
    let name = zone.as_str("today_with_timezone")?;
    let Ok(zone) = name.parse::<chrono_tz::Tz>() else {
        return other_fault(format!("`{name}` is no time zone such as Europe/Paris"));
    };
    let now = DateTime::from_timestamp_micros(now_us).ok_or_else(out_of_range)?;
    Ok(Val::Date(now.with_timezone(&zone).date_naive()))
}

fn str_to_datetime(value: &Val<'_>) -> Eval<Moment> {
    let value = value.clone().defined()?;
    let text = value.as_str("str_to_datetime")?;
    let moment = parse_iso(text).and_then(|moment| moment.to_utc());
    moment.ok_or_else(|| Fault::Other(format!("`{text}` is no ISO 8601 date or time")))
}

fn timestamp<'a>(value: &Val<'a>) -> Eval<Val<'a>> {
    match (value.as_int(), value) {
        (Some(int), _) => Ok(Val::Int(int)),
        (None, Val::Float(float)) => Ok(Val::Int(float.trunc() as i128)),
        _ => str_to_datetime(value).map(|moment| Val::Float(moment.timestamp())),
    }
}

fn day_delta<'a>(args: &Given<'a>, now: Moment) -> Eval<Val<'a>> {
    let Some(days) = args.need(0, "num_days", "day_delta")?.as_float() else {
        return type_fault("day_delta needs a number of days");
    };
    let us = (days * 86_400e6).round_ties_even();
    let moment = if us.abs() < 9e18 {
        now.plus_us(us as i64)
    } else {
        None
    };
    let moment = moment.ok_or_else(out_of_range)?;
    let format = args
        .get(1, "format")
        .unwrap_or(Val::text("%Y-%m-%dT%H:%M:%S.%f%z"));
    Ok(Val::text(strftime(format.as_str("day_delta")?, &moment)))
}

fn duration<'a>(value: &Val<'a>) -> Eval<Val<'a>> {
    let text = value.as_str("duration")?;
    match Span::parse(text) {
        Some(span) if span.months == 0 => Ok(Val::Delta(span.us.into())),
        Some(span) => Ok(Val::Duration(span)),
        None => other_fault(format!("`{text}` is no ISO 8601 duration such as P1D")),
    }
}

fn format_datetime(args: &Given<'_>) -> Eval<String> {
    let name = "format_datetime";
    let value = args.need(0, "dt", name)?;
    let format = args.need(1, "format", name)?;
    let format = format.as_str(name)?;
    let input = args.get(2, "input_format").filter(Val::is_true);
    let input = input.as_ref().map(|input| input.as_str(name)).transpose()?;
    let moment = match (&value, value.as_int()) {
        (Val::Time(moment), _) => return Ok(strftime(format, moment)),
        (_, Some(int)) => Format::new(input.unwrap_or("%s"))
            .parse(&int.to_string())
            .map_err(Fault::Other)?,
        _ => match input {
            Some(input) => strptime(value.as_str(name)?, input).map_err(Fault::Other)?,
            None => str_to_datetime(&value)?,
        },
    };
    Ok(Format::new(format).format(&moment.or_utc()))
}

fn extreme<'a>(args: &Given<'a>, is_max: bool) -> Eval<Val<'a>> {
    let items = match args.positional.as_slice() {
        [] => return type_fault("max and min need something to compare"),
        [one] => one.items()?,
        several => several.to_vec(),
    };
    let wanted = if is_max {
        std::cmp::Ordering::Greater
    } else {
        std::cmp::Ordering::Less
    };
    let mut best: Option<Val<'a>> = None;
    for item in items {
        let is_better = match &best {
            None => true,
            Some(best) => ops::compare(&item, best)? == Some(wanted),
        };
        if is_better {
            best = Some(item);
        }
    }
    match best {
        Some(best) => Ok(best),
        None => other_fault("there is nothing to compare"),
    }
}

/// Percent-encodes as a form field: blanks become `+`.
pub(crate) fn quote_plus(text: &str) -> String {
    quote(text, "").replace("%20", "+")
}

/// Percent-encodes all but letters, digits, `_.-~` and what is `safe`.
pub(crate) fn quote(text: &str, safe: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric()
            || b"_.-~".contains(&byte)
            || safe.as_bytes().contains(&byte)
        {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn snake_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    for (at, letter) in text.chars().enumerate() {
        if at > 0 && letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}
