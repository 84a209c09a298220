//! Filters of numbers.

use super::eval::Given;
use super::value::{Eval, Val, other_fault, type_fault};
use crate::python::{float_of_text, int_of_text};

pub(super) fn int<'a>(value: Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let value = value.defined()?;
    let base = args
        .get(1, "base")
        .and_then(|base| base.as_int())
        .unwrap_or(10);
    let read = match &value {
        Val::Str(text) if base == 10 => int_of_text(text),
        Val::Str(text) => {
            let digits = text
                .trim()
                .trim_start_matches("0x")
                .trim_start_matches("0o")
                .trim_start_matches("0b");
            u32::try_from(base).ok().and_then(|base| match base {
                2..=36 => i128::from_str_radix(digits, base).ok(),
                _ => None,
            })
        }
        other => other.as_int(),
    };
    let truncated = || match &value {
        Val::Str(text) => float_of_text(text),
        other => other.as_float(),
    };
    let whole =
        |float: f64| (float.is_finite() && float.abs() < 1e38).then_some(float.trunc() as i128);
    match read.or_else(|| truncated().and_then(whole)) {
        Some(int) => Ok(Val::Int(int)),
        None => Ok(args.get(0, "default").unwrap_or(Val::Int(0))),
    }
}

pub(super) fn float<'a>(value: Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let value = value.defined()?;
    let read = match &value {
        Val::Str(text) => float_of_text(text),
        other => other.as_float(),
    };
    Ok(read.map_or_else(
        || args.get(0, "default").unwrap_or(Val::Float(0.0)),
        Val::Float,
    ))
}

/// `1.5 MB`, or `1.4 MiB` if `binary`.
pub(super) fn filesizeformat<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let text = value.to_text();
    let number = match value {
        Val::Str(text) => float_of_text(text),
        other => match other.clone().defined()?.as_float() {
            None => return type_fault("filesizeformat needs a number"),
            number => number,
        },
    };
    let Some(bytes) = number else {
        return other_fault(format!("could not convert string to float: '{text}'"));
    };
    let (base, infix) = match args.get(0, "binary").is_some_and(|flag| flag.is_true()) {
        true => (1024.0, "i"),
        false => (1000.0, ""),
    };
    if bytes == 1.0 {
        return Ok(Val::text("1 Byte"));
    }
    if bytes < base {
        return Ok(Val::text(format!("{} Bytes", bytes.trunc())));
    }
    let prefixes = match infix {
        "" => ["k", "M", "G", "T", "P", "E", "Z", "Y"],
        _ => ["K", "M", "G", "T", "P", "E", "Z", "Y"],
    };
    let mut size = bytes / base;
    let mut prefixes = prefixes.into_iter().peekable();
    let mut prefix = "";
    while let Some(next) = prefixes.next() {
        prefix = next;
        if size < base || prefixes.peek().is_none() {
            break;
        }
        size /= base;
    }
    Ok(Val::text(format!("{size:.1} {prefix}{infix}B")))
}

pub(super) fn round<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let Some(float) = value.as_float() else {
        return type_fault("round needs a number");
    };
    let precision = args
        .get(0, "precision")
        .and_then(|precision| precision.as_int())
        .unwrap_or(0);
    let precision = precision.clamp(-300, 300) as i32;
    let scale = 10_f64.powi(precision);
    let method = args
        .get(1, "method")
        .map(|method| method.to_text().into_owned());
    let rounded = match method.as_deref() {
        Some("ceil") => (float * scale).ceil() / scale,
        Some("floor") => (float * scale).floor() / scale,
        // The shortest text of the exact value decides, as Python's `round` does.
        _ if precision >= 0 => format!("{float:.*}", precision as usize)
            .parse()
            .unwrap_or(float),
        _ => (float * scale).round_ties_even() / scale,
    };
    let is_common = method.as_deref().is_none_or(|method| method == "common");
    Ok(match value.as_int().filter(|_| is_common) {
        // Python keeps whole numbers whole.
        Some(int) if precision >= 0 => Val::Int(int),
        Some(_) => Val::Int(rounded as i128),
        None => Val::Float(rounded),
    })
}

pub(super) fn abs(value: Val<'_>) -> Eval<Val<'_>> {
    match value.defined()? {
        Val::Float(float) => Ok(Val::Float(float.abs())),
        other => match other.as_int() {
            Some(int) => Ok(Val::Int(int.abs())),
            None => type_fault("bad operand type for abs()"),
        },
    }
}
