//! Dates and times: counted from 2000-01-01 in binary, ISO style in text.

use cdk_core::calendar;

use super::{Malformed, Written};

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
const DAY: i64 = 86_400_000_000;

/// `"2024-02-29"`.
pub(super) fn write_date(days: i32, out: &mut Vec<u8>) {
    match days {
        i32::MAX => return out.extend_from_slice(b"\"infinity\""),
        i32::MIN => return out.extend_from_slice(b"\"-infinity\""),
        _ => {}
    }
    out.push(b'"');
    let is_before_christ = push_date(i64::from(days), out);
    end(is_before_christ, out);
}

/// `"2024-02-29T12:00:00.000000"`, with a `Z` behind it if `is_utc`.
pub(crate) fn write_timestamp(micros: i64, is_utc: bool, out: &mut Vec<u8>) {
    match micros {
        i64::MAX => return out.extend_from_slice(b"\"infinity\""),
        i64::MIN => return out.extend_from_slice(b"\"-infinity\""),
        _ => {}
    }
    out.push(b'"');
    let is_before_christ = push_date(micros.div_euclid(DAY), out);
    out.push(b'T');
    push_time(micros.rem_euclid(DAY), out);
    if is_utc {
        out.push(b'Z');
    }
    end(is_before_christ, out);
}

/// `"12:00:00.000000"`.
pub(super) fn write_time(micros: i64, out: &mut Vec<u8>) -> Written {
    check_time(micros)?;
    out.push(b'"');
    push_time(micros, out);
    out.push(b'"');
    Ok(())
}

/// `"12:00:00.000000+02:00"`; the zone is counted in seconds to the west of Greenwich.
pub(super) fn write_timetz(micros: i64, west: i32, out: &mut Vec<u8>) -> Written {
    check_time(micros)?;
    out.push(b'"');
    push_time(micros, out);
    let east = i64::from(west).wrapping_neg();
    let (sign, seconds) = if east < 0 {
        (b'-', -east)
    } else {
        (b'+', east)
    };
    if seconds >= 100 * 3600 {
        return Err(Malformed("a time zone beyond the globe"));
    }
    out.push(sign);
    push_two(seconds / 3600, out);
    out.push(b':');
    push_two(seconds / 60 % 60, out);
    if seconds % 60 != 0 {
        out.push(b':');
        push_two(seconds % 60, out);
    }
    out.push(b'"');
    Ok(())
}

fn check_time(micros: i64) -> Written {
    match (0..=DAY).contains(&micros) {
        true => Ok(()),
        false => Err(Malformed("a time beyond the day")),
    }
}

fn end(is_before_christ: bool, out: &mut Vec<u8>) {
    if is_before_christ {
        out.extend_from_slice(b" BC");
    }
    out.push(b'"');
}

/// Writes the date without its era; true if that is BC.
#[inline]
fn push_date(days: i64, out: &mut Vec<u8>) -> bool {
    let (year, month, day) = calendar::civil(days + EPOCH_DAYS);
    let (shown, is_before_christ) = if year < 1 {
        (1 - year, true)
    } else {
        (year, false)
    };
    if shown < 10_000 {
        push_two(shown / 100, out);
        push_two(shown % 100, out);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(shown).as_bytes());
    }
    out.push(b'-');
    push_two(month, out);
    out.push(b'-');
    push_two(day, out);
    is_before_christ
}

#[inline]
fn push_time(micros: i64, out: &mut Vec<u8>) {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    push_two(seconds / 3600, out);
    out.push(b':');
    push_two(seconds / 60 % 60, out);
    out.push(b':');
    push_two(seconds % 60, out);
    out.push(b'.');
    push_two(fraction / 10_000, out);
    push_two(fraction / 100 % 100, out);
    push_two(fraction % 100, out);
}

#[inline]
fn push_two(value: i64, out: &mut Vec<u8>) {
    let value = (value % 100) as u8;
    out.extend_from_slice(&[b'0' + value / 10, b'0' + value % 10]);
}

/// The same out of the server's text: `2024-02-29 12:00:00.5+00 BC`. `is_utc` for a timestamp with time zone.
pub(super) fn write_timestamp_text(text: &[u8], is_utc: bool, out: &mut Vec<u8>) -> Written {
    const FORM: Malformed = Malformed("a timestamp that is not in ISO style and UTC");
    if text.ends_with(b"infinity") {
        return write_plain(text, out);
    }
    check_characters(text)?;
    let (rest, is_before_christ) = era(text);
    let (rest, zone) = match is_utc {
        true => (rest.strip_suffix(b"+00").ok_or(FORM)?, &b"Z"[..]),
        false => (rest, &b""[..]),
    };
    let at = memchr::memchr(b' ', rest).ok_or(FORM)?;
    out.push(b'"');
    out.extend_from_slice(&rest[..at]);
    out.push(b'T');
    push_time_text(&rest[at + 1..], out);
    out.extend_from_slice(zone);
    end(is_before_christ, out);
    Ok(())
}

/// `2024-02-29 BC`.
pub(super) fn write_plain(text: &[u8], out: &mut Vec<u8>) -> Written {
    super::escape::write_string(text, out)
}

/// `12:00:00.5`.
pub(super) fn write_time_text(text: &[u8], out: &mut Vec<u8>) -> Written {
    check_characters(text)?;
    out.push(b'"');
    push_time_text(text, out);
    out.push(b'"');
    Ok(())
}

/// `12:00:00.5+05:30`.
pub(super) fn write_timetz_text(text: &[u8], out: &mut Vec<u8>) -> Written {
    check_characters(text)?;
    let at = text.iter().position(|byte| matches!(byte, b'+' | b'-'));
    let (time, zone) = text.split_at(at.ok_or(Malformed("a time without its zone"))?);
    out.push(b'"');
    push_time_text(time, out);
    out.extend_from_slice(zone);
    if zone.len() == 3 {
        out.extend_from_slice(b":00");
    }
    out.push(b'"');
    Ok(())
}

/// Dates and times are written of these only, and so need no escape.
fn check_characters(text: &[u8]) -> Written {
    let is_plain = |byte: &u8| byte.is_ascii_digit() || b"-+:. BC".contains(byte);
    match text.iter().all(is_plain) {
        true => Ok(()),
        false => Err(Malformed("a time with other characters than times have")),
    }
}

fn era(text: &[u8]) -> (&[u8], bool) {
    match text.strip_suffix(b" BC") {
        Some(rest) => (rest, true),
        None => (text, false),
    }
}

/// The server leaves out zeros at the end of the fraction.
fn push_time_text(time: &[u8], out: &mut Vec<u8>) {
    let digits = match memchr::memchr(b'.', time) {
        Some(at) => time.len() - at - 1,
        None => 0,
    };
    out.extend_from_slice(time);
    if digits == 0 {
        out.push(b'.');
    }
    out.extend_from_slice(&b"000000"[..6 - digits.min(6)]);
}
