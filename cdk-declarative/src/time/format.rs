//! Formats of dates: compiled once, then used to write and to read.

use std::fmt::Write;

use chrono::{Datelike, NaiveDateTime, Timelike};
use serde_json::Value;

use super::parse::Pattern;
use super::{Moment, SECOND_US};
use crate::python::{float_text, int_of_text, python_text};

/// A `datetime_format`: Python's codes, and Airbyte's `%s`, `%s_as_float`, `%ms`, `%epoch_microseconds`, `%_ms`.
#[derive(Debug, Clone)]
pub struct Format {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Seconds,
    FloatSeconds,
    Millis,
    Micros,
    /// Python's codes; `%_ms` stands for the milliseconds.
    Text {
        format: String,
        has_millis: bool,
        pattern: Pattern,
    },
}

impl Format {
    /// Compiles a format. Codes that Python does not know show when a text is read with them.
    pub fn new(text: &str) -> Self {
        let kind = match text {
            "%s" => Kind::Seconds,
            "%s_as_float" => Kind::FloatSeconds,
            "%ms" => Kind::Millis,
            "%epoch_microseconds" => Kind::Micros,
            _ => {
                let format = text.replace("%_ms", "%f");
                Kind::Text {
                    pattern: Pattern::new(&format),
                    has_millis: format != text,
                    format,
                }
            }
        };
        Self {
            text: text.to_owned(),
            kind,
        }
    }

    /// The format as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Writes a moment.
    pub fn format(&self, moment: &Moment) -> String {
        let seconds = moment.timestamp();
        match &self.kind {
            Kind::Seconds => (seconds.trunc() as i64).to_string(),
            Kind::FloatSeconds => float_text(seconds),
            Kind::Millis => ((seconds * 1000.0).trunc() as i64).to_string(),
            Kind::Micros => ((seconds * 1_000_000.0).trunc() as i64).to_string(),
            Kind::Text {
                format,
                has_millis: false,
                ..
            } => strftime(format, moment),
            Kind::Text { format, .. } => {
                let us = moment.local().and_utc().timestamp_subsec_micros();
                let millis = format!("{:03}", us / 1000);
                strftime(format, moment).replace(&format!("{us:06}"), &millis)
            }
        }
    }

    /// Reads a text. A moment without offset is in UTC. The error says what is wrong.
    pub fn parse(&self, text: &str) -> Result<Moment, String> {
        let outside = || format!("`{text}` is outside of the years 1 to 9999");
        let scaled = |scale: i64| {
            let count = int_of_text(text).ok_or_else(|| format!("`{text}` is no whole number"))?;
            let us = count
                .checked_mul(i128::from(scale))
                .and_then(|us| i64::try_from(us).ok());
            us.and_then(Moment::from_us).ok_or_else(outside)
        };
        match &self.kind {
            Kind::Seconds => scaled(SECOND_US),
            Kind::Millis => scaled(1000),
            Kind::Micros => scaled(1),
            Kind::FloatSeconds => {
                let seconds: f64 = text
                    .trim()
                    .parse()
                    .map_err(|_| format!("`{text}` is no number"))?;
                let us = (seconds * 1e6).round_ties_even();
                (us.abs() < 9e18)
                    .then(|| Moment::from_us(us as i64))
                    .flatten()
                    .ok_or_else(outside)
            }
            Kind::Text { pattern, .. } => match pattern.parse(text) {
                Ok(moment) => Ok(moment.or_utc()),
                Err(why) => Err(why
                    .unwrap_or_else(|| format!("`{text}` does not match format `{}`", self.text))),
            },
        }
    }

    /// Reads a JSON value: a text, or a number as its text. Fractions of whole-number formats are cut off.
    pub fn parse_value(&self, value: &Value) -> Result<Moment, String> {
        match (value, &self.kind) {
            (Value::String(text), _) => self.parse(text),
            (Value::Number(number), Kind::Seconds | Kind::Millis | Kind::Micros)
                if number.is_f64() =>
            {
                let whole = number.as_f64().unwrap_or_default().trunc();
                self.parse(&format!("{whole:.0}"))
            }
            (value, _) => self.parse(&python_text(value)),
        }
    }
}

/// Python's `strptime`: codes of Python alone, and the offset only when the text has one.
pub(crate) fn strptime(text: &str, format: &str) -> Result<Moment, String> {
    Pattern::new(format)
        .parse(text)
        .map_err(|why| why.unwrap_or_else(|| format!("`{text}` does not match format `{format}`")))
}

const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Python's `strftime` on Linux. Codes it does not know stay as they are.
pub(crate) fn strftime(format: &str, moment: &Moment) -> String {
    let mut out = String::with_capacity(format.len() + 16);
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let code = &rest[at + 1..];
        let (pad, code) = match code.chars().next() {
            Some(flag @ ('-' | '_' | '0' | '^' | '#')) => (Some(flag), &code[1..]),
            _ => (None, code),
        };
        let Some(letter) = code.chars().next() else {
            out.push_str(&rest[at..]);
            return out;
        };
        let from = out.len();
        if !write_code(&mut out, letter, pad, moment) {
            out.push_str(&rest[at..rest.len() - code.len() + letter.len_utf8()]);
        }
        if pad == Some('^') {
            let upper = out[from..].to_uppercase();
            out.replace_range(from.., &upper);
        }
        rest = &code[letter.len_utf8()..];
    }
    out.push_str(rest);
    out
}

fn write_code(out: &mut String, letter: char, pad: Option<char>, moment: &Moment) -> bool {
    let time = moment.local();
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    let half = if hour % 12 == 0 { 12 } else { hour % 12 };
    let mut number = |value: i64, width: usize, blank: bool| {
        let done = match pad {
            Some('-') => write!(out, "{value}"),
            Some('_') => write!(out, "{value:width$}"),
            Some('0') => write!(out, "{value:0width$}"),
            _ if blank => write!(out, "{value:width$}"),
            _ => write!(out, "{value:0width$}"),
        };
        done.is_ok()
    };
    match letter {
        'Y' => number(time.year().into(), 1, false),
        'C' => number((time.year() / 100).into(), 2, false),
        'y' => number(time.year().rem_euclid(100).into(), 2, false),
        'm' => number(time.month().into(), 2, false),
        'd' => number(time.day().into(), 2, false),
        'e' => number(time.day().into(), 2, true),
        'H' => number(hour.into(), 2, false),
        'k' => number(hour.into(), 2, true),
        'I' => number(half.into(), 2, false),
        'l' => number(half.into(), 2, true),
        'M' => number(minute.into(), 2, false),
        'S' => number(second.into(), 2, false),
        'j' => number(time.ordinal().into(), 3, false),
        'w' => number(time.weekday().num_days_from_sunday().into(), 1, false),
        'u' => number(time.weekday().number_from_monday().into(), 1, false),
        'U' => number(week(&time, time.weekday().num_days_from_sunday()), 2, false),
        'W' => number(week(&time, time.weekday().num_days_from_monday()), 2, false),
        'V' => number(time.iso_week().week().into(), 2, false),
        'G' => number(time.iso_week().year().into(), 1, false),
        'g' => number(time.iso_week().year().rem_euclid(100).into(), 2, false),
        // Python fills these in itself, whatever the flag.
        'f' if pad.is_none() => number((time.nanosecond() / 1000).into(), 6, false),
        's' => number(time.and_utc().timestamp(), 1, false),
        _ => write_text(out, letter, pad, moment),
    }
}

fn week(time: &NaiveDateTime, days_from_start: u32) -> i64 {
    i64::from((time.ordinal0() + 7 - days_from_start) / 7)
}

fn write_text(out: &mut String, letter: char, pad: Option<char>, moment: &Moment) -> bool {
    let time = moment.local();
    let day = DAYS[time.weekday().num_days_from_monday() as usize];
    let month = MONTHS[time.month0() as usize];
    match letter {
        'a' => out.push_str(&day[..3]),
        'A' => out.push_str(day),
        'b' | 'h' => out.push_str(&month[..3]),
        'B' => out.push_str(month),
        'p' => out.push_str(if time.hour() < 12 { "AM" } else { "PM" }),
        'P' => out.push_str(if time.hour() < 12 { "am" } else { "pm" }),
        '%' => out.push('%'),
        'n' => out.push('\n'),
        't' => out.push('\t'),
        'z' if pad.is_none() => {
            if let Some(offset) = moment.offset() {
                out.push_str(&offset_text(offset, ""));
            }
        }
        'Z' if pad.is_none() => match moment.offset() {
            None => {}
            Some(0) => out.push_str("UTC"),
            Some(offset) => out.push_str(&format!("UTC{}", offset_text(offset, ":"))),
        },
        'c' => out.push_str(&strftime("%a %b %e %H:%M:%S %Y", moment)),
        'x' | 'D' => out.push_str(&strftime("%m/%d/%y", moment)),
        'X' | 'T' => out.push_str(&strftime("%H:%M:%S", moment)),
        'F' => out.push_str(&strftime("%Y-%m-%d", moment)),
        'R' => out.push_str(&strftime("%H:%M", moment)),
        'r' => out.push_str(&strftime("%I:%M:%S %p", moment)),
        _ => return false,
    }
    true
}

/// `+HH` `MM` parted by `colon`, seconds only when there are some.
pub(crate) fn offset_text(offset: i32, colon: &str) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.unsigned_abs();
    let mut text = format!("{sign}{:02}{colon}{:02}", offset / 3600, offset / 60 % 60);
    if !offset.is_multiple_of(60) {
        text.push_str(&format!("{colon}{:02}", offset % 60));
    }
    text
}

/// The text of a moment as Python's `isoformat` writes it, `separator` between date and time.
pub(crate) fn isoformat(moment: &Moment, separator: char) -> String {
    isoformat_to(moment, separator, "auto").unwrap_or_default()
}

/// The same down to a unit: `hours`, `minutes`, `seconds`, `milliseconds`, `microseconds`, or `auto`.
pub(crate) fn isoformat_to(moment: &Moment, separator: char, unit: &str) -> Option<String> {
    let time = moment.local();
    let us = time.nanosecond() / 1000;
    let (codes, fraction) = match unit {
        "auto" if us == 0 => ("%H:%M:%S", String::new()),
        "auto" | "microseconds" => ("%H:%M:%S", format!(".{us:06}")),
        "milliseconds" => ("%H:%M:%S", format!(".{:03}", us / 1000)),
        "seconds" => ("%H:%M:%S", String::new()),
        "minutes" => ("%H:%M", String::new()),
        "hours" => ("%H", String::new()),
        _ => return None,
    };
    let date = format!("{:04}-{:02}-{:02}", time.year(), time.month(), time.day());
    let offset = moment.offset().map(|offset| offset_text(offset, ":"));
    let time = strftime(codes, moment);
    Some(format!(
        "{date}{separator}{time}{fraction}{}",
        offset.unwrap_or_default()
    ))
}
