//! Python's operators.

use std::cmp::Ordering;
use std::rc::Rc;

use chrono::{NaiveDate, TimeDelta};

use super::value::{Eval, Val, other_fault, type_fault};
use crate::time::{Moment, Span, plus_months};

/// A list or text longer than this is a mistake of the manifest.
const MAX_REPEATED: usize = 1 << 20;

/// An operator between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
}

impl Op {
    fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::FloorDiv => "//",
            Self::Rem => "%",
            Self::Pow => "**",
        }
    }
}

pub(crate) fn binary<'a>(op: Op, left: Val<'a>, right: Val<'a>) -> Eval<Val<'a>> {
    let (left, right) = (left.defined()?, right.defined()?);
    if let (Some(a), Some(b)) = (left.as_int(), right.as_int()) {
        return ints(op, a, b);
    }
    if let (Some(a), Some(b)) = (left.as_float(), right.as_float()) {
        return floats(op, a, b);
    }
    match (op, &left, &right) {
        (Op::Rem, Val::Str(format), _) => super::printf::format(format, &right).map(Val::text),
        (Op::Add, Val::Str(a), Val::Str(b)) => Ok(Val::text(format!("{a}{b}"))),
        (Op::Add, ..) if is_list(&left) && is_list(&right) => {
            let mut items = left.items()?;
            items.extend(right.items()?);
            Ok(Val::list(items))
        }
        (Op::Add, Val::Tuple(a), Val::Tuple(b)) => Ok(Val::Tuple(Rc::new(
            a.iter().chain(b.iter()).cloned().collect(),
        ))),
        (Op::Mul, ..) if right.as_int().is_some() => repeated(&left, right.as_int().unwrap_or(0)),
        (Op::Mul, ..) if left.as_int().is_some() => repeated(&right, left.as_int().unwrap_or(0)),
        _ => times(op, &left, &right).unwrap_or_else(|| {
            type_fault(format!(
                "unsupported operand type(s) for {}: '{}' and '{}'",
                op.sign(),
                left.type_name(),
                right.type_name()
            ))
        }),
    }
}

pub(crate) fn is_list(value: &Val<'_>) -> bool {
    value.type_name() == "list"
}

fn repeated<'a>(value: &Val<'a>, times: i128) -> Eval<Val<'a>> {
    match value {
        Val::Delta(us) => {
            return match us.checked_mul(times) {
                Some(us) => Ok(Val::Delta(us)),
                None => other_fault("a duration gets too long"),
            };
        }
        Val::Duration(span) => {
            let times = i64::try_from(times).ok();
            let scaled = times.and_then(|times| {
                let (months, us) = (span.months.checked_mul(times)?, span.us.checked_mul(times)?);
                Some(Span { months, us })
            });
            return match scaled {
                Some(span) => Ok(Val::Duration(span)),
                None => other_fault("a duration gets too long"),
            };
        }
        Val::Tuple(items) => {
            let list = repeated(&Val::list(items.to_vec()), times)?;
            return Ok(Val::Tuple(std::rc::Rc::new(list.items()?)));
        }
        _ => {}
    }
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    let fits = |length: usize| {
        length
            .checked_mul(times)
            .is_some_and(|length| length <= MAX_REPEATED)
    };
    match value {
        Val::Str(text) if fits(text.len()) => Ok(Val::text(text.repeat(times))),
        list if is_list(list) => {
            let items = list.items()?;
            if !fits(items.len()) {
                return other_fault("a list gets too long");
            }
            Ok(Val::list(
                std::iter::repeat_n(items, times).flatten().collect(),
            ))
        }
        Val::Str(_) => other_fault("a text gets too long"),
        other => type_fault(format!("can't multiply {} by an int", other.type_name())),
    }
}

fn ints<'a>(op: Op, a: i128, b: i128) -> Eval<Val<'a>> {
    let whole = match op {
        Op::Add => a.checked_add(b),
        Op::Sub => a.checked_sub(b),
        Op::Mul => a.checked_mul(b),
        Op::Div | Op::FloorDiv | Op::Rem if b == 0 => return other_fault("division by zero"),
        Op::Div => return Ok(Val::Float(a as f64 / b as f64)),
        Op::FloorDiv => a.checked_div_euclid(b).map(|_| floor_div(a, b)),
        Op::Rem => a.checked_rem(b).map(|_| a - b * floor_div(a, b)),
        Op::Pow if b < 0 => return floats(op, a as f64, b as f64),
        Op::Pow => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
    };
    whole
        .map(Val::Int)
        .ok_or_else(|| super::value::Fault::Other("a number gets too large".to_owned()))
}

fn floor_div(a: i128, b: i128) -> i128 {
    let quotient = a / b;
    quotient - i128::from(a % b != 0 && (a < 0) != (b < 0))
}

fn floats<'a>(op: Op, a: f64, b: f64) -> Eval<Val<'a>> {
    Ok(Val::Float(match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div | Op::FloorDiv | Op::Rem if b == 0.0 => {
            return other_fault("float division by zero");
        }
        Op::Div => a / b,
        Op::FloorDiv => (a / b).floor(),
        Op::Rem => a - b * (a / b).floor(),
        Op::Pow => a.powf(b),
    }))
}

/// Arithmetic of dates and durations; `None` when Python knows none for these types.
fn times<'a>(op: Op, left: &Val<'a>, right: &Val<'a>) -> Option<Eval<Val<'a>>> {
    use Val::{Date, Delta, Duration, Time};
    let sign = |span: Span| if op == Op::Sub { span.negated() } else { span };
    Some(match (op, left, right) {
        (Op::Add | Op::Sub, Time(moment), _) if as_span(right).is_some() => {
            moved(*moment, sign(as_span(right)?)).map(Time)
        }
        (Op::Add, _, Time(moment)) if as_span(left).is_some() => {
            moved(*moment, as_span(left)?).map(Time)
        }
        (Op::Add | Op::Sub, Date(date), _) if as_span(right).is_some() => {
            moved_date(*date, sign(as_span(right)?)).map(Date)
        }
        (Op::Add, _, Date(date)) if as_span(left).is_some() => {
            moved_date(*date, as_span(left)?).map(Date)
        }
        (Op::Sub, Time(a), Time(b)) if a.offset().is_some() == b.offset().is_some() => {
            Ok(Delta(i128::from(a.us()) - i128::from(b.us())))
        }
        (Op::Sub, Date(a), Date(b)) => Ok(Delta(
            a.signed_duration_since(*b).num_days() as i128 * 86_400_000_000,
        )),
        (Op::Add, Delta(a), Delta(b)) => Ok(Delta(a + b)),
        (Op::Sub, Delta(a), Delta(b)) => Ok(Delta(a - b)),
        (Op::Add | Op::Sub, Delta(_) | Duration(_), Delta(_) | Duration(_)) => {
            let (a, b) = (as_span(left)?, sign(as_span(right)?));
            Ok(Duration(Span {
                months: a.months + b.months,
                us: a.us + b.us,
            }))
        }
        (Op::Div, Delta(a), Delta(b)) if *b != 0 => Ok(Val::Float(*a as f64 / *b as f64)),
        (Op::FloorDiv, Delta(a), Delta(b)) if *b != 0 => Ok(Val::Int(floor_div(*a, *b))),
        (Op::Div, Delta(a), _) if right.as_float().is_some_and(|b| b != 0.0) => Ok(Delta(
            (*a as f64 / right.as_float()?).round_ties_even() as i128,
        )),
        (Op::FloorDiv, Delta(a), Val::Int(b)) if *b != 0 => Ok(Delta(floor_div(*a, *b))),
        (Op::Mul, Delta(a), Val::Float(b)) | (Op::Mul, Val::Float(b), Delta(a)) => {
            Ok(Delta((*a as f64 * b).round_ties_even() as i128))
        }
        _ => return None,
    })
}

fn as_span(value: &Val<'_>) -> Option<Span> {
    match value {
        Val::Delta(us) => i64::try_from(*us).ok().map(Span::from_us),
        Val::Duration(span) => Some(*span),
        _ => None,
    }
}

fn moved(moment: Moment, span: Span) -> Eval<Moment> {
    span.after(moment)
        .ok_or_else(|| super::value::Fault::Other("date value out of range".to_owned()))
}

fn moved_date(date: NaiveDate, span: Span) -> Eval<NaiveDate> {
    let days = TimeDelta::try_days(span.us.div_euclid(86_400_000_000));
    let moved = plus_months(date, span.months).and_then(|date| date.checked_add_signed(days?));
    moved.ok_or_else(|| super::value::Fault::Other("date value out of range".to_owned()))
}

/// Which of two values comes first. Values of unlike types have no order.
pub(crate) fn compare(left: &Val<'_>, right: &Val<'_>) -> Eval<Option<Ordering>> {
    if let (Some(a), Some(b)) = (left.as_int(), right.as_int()) {
        return Ok(Some(a.cmp(&b)));
    }
    if let (Some(a), Some(b)) = (left.as_float(), right.as_float()) {
        return Ok(a.partial_cmp(&b));
    }
    let (left, right) = (left.clone().defined()?, right.clone().defined()?);
    match (&left, &right) {
        (Val::Str(a), Val::Str(b)) => Ok(Some(a.cmp(b))),
        (Val::Time(a), Val::Time(b)) if a.offset().is_some() == b.offset().is_some() => {
            Ok(Some(a.us().cmp(&b.us())))
        }
        (Val::Date(a), Val::Date(b)) => Ok(Some(a.cmp(b))),
        (Val::Delta(a), Val::Delta(b)) => Ok(Some(a.cmp(b))),
        (Val::Tuple(a), Val::Tuple(b)) => compare_items(a, b),
        _ if is_list(&left) && is_list(&right) => compare_items(&left.items()?, &right.items()?),
        _ => type_fault(format!(
            "'<' not supported between instances of '{}' and '{}'",
            left.type_name(),
            right.type_name()
        )),
    }
}

fn compare_items(left: &[Val<'_>], right: &[Val<'_>]) -> Eval<Option<Ordering>> {
    for (a, b) in left.iter().zip(right) {
        if !a.equals(b) {
            return compare(a, b);
        }
    }
    Ok(Some(left.len().cmp(&right.len())))
}

impl Val<'_> {
    /// Python's `==`.
    pub(crate) fn equals(&self, other: &Val<'_>) -> bool {
        if let (Some(a), Some(b)) = (self.as_int(), other.as_int()) {
            return a == b;
        }
        if let (Some(a), Some(b)) = (self.as_float(), other.as_float()) {
            return a == b;
        }
        match (self, other) {
            (Val::Undefined(_), Val::Undefined(_)) | (Val::None, Val::None) => true,
            (Val::Str(a), Val::Str(b)) => a == b,
            (Val::Tuple(a), Val::Tuple(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.equals(b))
            }
            (Val::Time(a), Val::Time(b)) => {
                a.us() == b.us() && a.offset().is_some() == b.offset().is_some()
            }
            (Val::Date(a), Val::Date(b)) => a == b,
            (Val::Delta(a), Val::Delta(b)) => a == b,
            (Val::Duration(a), Val::Duration(b)) => a == b,
            _ if is_list(self) && is_list(other) => {
                let (Ok(a), Ok(b)) = (self.items(), other.items()) else {
                    return false;
                };
                a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.equals(b))
            }
            _ => match (self.entries(), other.entries()) {
                (Some(a), Some(b)) => {
                    a.len() == b.len()
                        && a.iter().all(|(key, value)| {
                            b.iter()
                                .any(|(other, found)| other.equals(key) && found.equals(value))
                        })
                }
                _ => false,
            },
        }
    }
}

/// Python's `needle in hay`.
pub(crate) fn contains(hay: &Val<'_>, needle: &Val<'_>) -> Eval<bool> {
    match hay {
        Val::Str(text) => Ok(text.contains(needle.as_str("'in <string>'")?)),
        Val::Undefined(_) => Ok(false),
        _ => match hay.entries() {
            Some(_) => Ok(hay.key(needle).is_some()),
            None => Ok(hay.items()?.iter().any(|item| item.equals(needle))),
        },
    }
}
