//! Dates and times between text and numbers.

use arrow_schema::TimeUnit;

use crate::calendar::civil;

const DAY_SECONDS: i64 = 86_400;

/// Digits of a unit's fraction of a second, and how many units a second has.
fn fraction_of(unit: TimeUnit) -> (u32, i64) {
    let digits = match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    (digits, 10_i64.pow(digits))
}

/// Writes the date of a day counted from 1970-01-01: `2024-01-31`, or `0044-03-15 BC`.
pub(super) fn push_date(days: i64, out: &mut Vec<u8>) {
    let is_bc = push_day(days, out);
    push_era(is_bc, out);
}

/// Writes a timestamp: `2024-01-31T23:59:59.123456`, with a `Z` if it is an instant.
pub(super) fn push_timestamp(value: i64, unit: TimeUnit, is_instant: bool, out: &mut Vec<u8>) {
    let (digits, per_second) = fraction_of(unit);
    let seconds = value.div_euclid(per_second);
    let is_bc = push_day(seconds.div_euclid(DAY_SECONDS), out);
    out.push(b'T');
    push_clock(
        seconds.rem_euclid(DAY_SECONDS),
        value.rem_euclid(per_second),
        digits,
        out,
    );
    if is_instant {
        out.push(b'Z');
    }
    push_era(is_bc, out);
}

/// Writes a time of day: `23:59:59.123456`.
pub(super) fn push_time(value: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let (digits, per_second) = fraction_of(unit);
    push_clock(
        value.div_euclid(per_second),
        value.rem_euclid(per_second),
        digits,
        out,
    );
}

/// Writes year, month and day; says whether the year is one before Christ.
fn push_day(days: i64, out: &mut Vec<u8>) -> bool {
    let (year, month, day) = civil(days);
    let is_bc = year <= 0;
    push_digits(if is_bc { 1 - year } else { year }, 4, out);
    out.push(b'-');
    push_digits(month, 2, out);
    out.push(b'-');
    push_digits(day, 2, out);
    is_bc
}

fn push_era(is_bc: bool, out: &mut Vec<u8>) {
    if is_bc {
        out.extend_from_slice(b" BC");
    }
}

fn push_clock(seconds: i64, fraction: i64, digits: u32, out: &mut Vec<u8>) {
    push_digits(seconds / 3600, 2, out);
    out.push(b':');
    push_digits(seconds / 60 % 60, 2, out);
    out.push(b':');
    push_digits(seconds % 60, 2, out);
    if fraction != 0 {
        out.push(b'.');
        push_digits(fraction, digits as usize, out);
    }
}

/// A number that is not negative, with zeros before it.
fn push_digits(number: i64, width: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number);
    out.extend(std::iter::repeat_n(b'0', width.saturating_sub(text.len())));
    out.extend_from_slice(text.as_bytes());
}
