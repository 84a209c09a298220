//! ISO 8601 texts, read as dateutil's `isoparse` reads them.

use chrono::{Datelike, NaiveDate, NaiveTime, Weekday};

use super::Moment;

/// Reads a calendar, week or ordinal date, with an optional time (any single separator) and offset.
///
/// Month and day may be missing (`2024`, `2024-05`); `24:00` is midnight of the next day; fractions of seconds are cut
/// to microseconds.
pub fn parse_iso(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    if !text.is_ascii() {
        return None;
    }
    let (date, end) = common_date(bytes).or_else(|| uncommon_date(bytes))?;
    if end == bytes.len() {
        return Moment::new(date.and_time(NaiveTime::MIN), None);
    }
    // Any one character parts date and time.
    let (time, is_midnight, offset) = time(&bytes[end + 1..])?;
    let date = if is_midnight { date.succ_opt()? } else { date };
    Moment::new(date.and_time(time), offset)
}

fn digits(bytes: &[u8], from: usize, count: usize) -> Option<u32> {
    let part = bytes.get(from..from + count)?;
    if !part.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(part).ok()?.parse().ok()
}

fn common_date(bytes: &[u8]) -> Option<(NaiveDate, usize)> {
    let year = digits(bytes, 0, 4)? as i32;
    let mut at = 4;
    if at == bytes.len() {
        return Some((NaiveDate::from_ymd_opt(year, 1, 1)?, at));
    }
    let has_dash = bytes[at] == b'-';
    at += usize::from(has_dash);
    let month = digits(bytes, at, 2)?;
    at += 2;
    if at >= bytes.len() {
        // `YYYYMM` would be ambiguous.
        let date = has_dash.then(|| NaiveDate::from_ymd_opt(year, month, 1))??;
        return Some((date, at));
    }
    if has_dash {
        (bytes[at] == b'-').then_some(())?;
        at += 1;
    }
    let day = digits(bytes, at, 2)?;
    Some((NaiveDate::from_ymd_opt(year, month, day)?, at + 2))
}

fn uncommon_date(bytes: &[u8]) -> Option<(NaiveDate, usize)> {
    let year = digits(bytes, 0, 4)? as i32;
    let has_dash = bytes.get(4) == Some(&b'-');
    let mut at = 4 + usize::from(has_dash);
    if bytes.get(at) == Some(&b'W') {
        let week = digits(bytes, at + 1, 2)?;
        at += 3;
        let mut day = 1;
        if at < bytes.len() && (bytes[at] == b'-') == has_dash {
            at += usize::from(has_dash);
            day = digits(bytes, at, 1)?;
            at += 1;
        }
        let monday = NaiveDate::from_isoywd_opt(year, week, Weekday::Mon)?;
        (1..=7).contains(&day).then_some(())?;
        return Some((
            monday.checked_add_days(chrono::Days::new(u64::from(day - 1)))?,
            at,
        ));
    }
    let ordinal = digits(bytes, at, 3)?;
    let date = NaiveDate::from_yo_opt(year, ordinal)?;
    (date.year() == year).then_some((date, at + 3))
}

/// The time, whether it was `24:00`, and the offset.
fn time(bytes: &[u8]) -> Option<(NaiveTime, bool, Option<i32>)> {
    if bytes.len() < 2 {
        return None;
    }
    let mut parts = [0_u32; 3];
    let mut us = 0;
    let mut offset = None;
    let mut at = 0;
    let mut count = 0;
    let has_colons = bytes.get(2) == Some(&b':');
    while at < bytes.len() && count < 5 {
        if matches!(bytes[at], b'-' | b'+' | b'Z' | b'z') {
            offset = Some(zone(&bytes[at..])?);
            at = bytes.len();
            break;
        }
        if (1..3).contains(&count) && has_colons {
            (bytes[at] == b':').then_some(())?;
            at += 1;
        }
        match count {
            0..3 => {
                parts[count] = digits(bytes, at, 2)?;
                at += 2;
            }
            3 => {
                if !matches!(bytes[at], b'.' | b',') {
                    count += 1;
                    continue;
                }
                let from = at + 1;
                let length = bytes[from..]
                    .iter()
                    .take_while(|b| b.is_ascii_digit())
                    .count();
                (length > 0).then_some(())?;
                let kept = length.min(6);
                us = digits(bytes, from, kept)? * 10_u32.pow(6 - kept as u32);
                at = from + length;
            }
            _ => {}
        }
        count += 1;
    }
    (at == bytes.len()).then_some(())?;
    let is_midnight = parts[0] == 24;
    if is_midnight {
        (parts[1] == 0 && parts[2] == 0 && us == 0).then_some(())?;
        parts[0] = 0;
    }
    let time = NaiveTime::from_hms_micro_opt(parts[0], parts[1], parts[2], us)?;
    Some((time, is_midnight, offset))
}

/// `Z`, `+HH`, `+HHMM`, `+HH:MM`.
pub(super) fn zone(bytes: &[u8]) -> Option<i32> {
    if matches!(bytes, b"Z" | b"z") {
        return Some(0);
    }
    let sign = match bytes.first()? {
        b'-' => -1,
        b'+' => 1,
        _ => return None,
    };
    matches!(bytes.len(), 3 | 5 | 6).then_some(())?;
    let hours = digits(bytes, 1, 2)?;
    let minutes = match bytes.len() {
        3 => 0,
        _ => digits(bytes, if bytes[3] == b':' { 4 } else { 3 }, 2)?,
    };
    (hours <= 23 && minutes <= 59).then_some(())?;
    Some(sign * (hours * 3600 + minutes * 60) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_isoparse_reads_is_read() {
        for (text, us) in [
            ("1970-01-02", 86_400_000_000),
            ("19700102", 86_400_000_000),
            ("1970", 0),
            ("1970-02", 31 * 86_400_000_000),
            ("1970-01-01T00:00:01.5Z", 1_500_000),
            ("1970-01-01 00:00:01,5+00:00", 1_500_000),
            ("1970-01-01T000001", 1_000_000),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1970-01-01T01+01", 0),
            ("1969-12-31T24:00", 0),
            ("1970-01-01T00:00:00.1234567Z", 123_456),
            ("1970-W01-4", 0),
            ("1970001", 0),
        ] {
            assert_eq!(
                parse_iso(text).map(|moment| moment.us()),
                Some(us),
                "{text}"
            );
        }
        for text in [
            "",
            "1970-1-1",
            "197001",
            "1970-13-01",
            "1970-01-01T",
            "1970-01-01T1:00",
            "x",
            "1970-01-01T25:00",
        ] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
        assert_eq!(parse_iso("2020-01-01").unwrap().offset(), None);
    }
}
