//! Dates and times between text and numbers.

use airbyte_protocol::ChangeReason;
use arrow_schema::TimeUnit;

use crate::calendar::{civil, day_of};

const DAY_SECONDS: i64 = 86_400;

/// A date or time read from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read {
    /// Days or microseconds.
    pub(super) value: i64,
    /// Digits beyond the microsecond were cut off.
    pub(super) is_cut: bool,
}

/// Why a text is no value of a date or time column.
const NO_DATE: ChangeReason = ChangeReason::DestinationTypecastError;
/// A date that the column has no number for.
const TOO_FAR: ChangeReason = ChangeReason::DestinationFieldSizeLimitation;

type ReadResult = Result<Read, ChangeReason>;

/// Days since 1970-01-01 of `2024-01-31`, perhaps with ` BC`.
pub(super) fn read_date(text: &str) -> ReadResult {
    if is_infinite(text) {
        return Err(TOO_FAR);
    }
    let mut reader = Reader::new(text);
    let day = reader.date().filter(|_| reader.is_done()).ok_or(NO_DATE)?;
    i32::try_from(day).map_err(|_| TOO_FAR)?;
    Ok(Read {
        value: day,
        is_cut: false,
    })
}

/// Microseconds since 1970-01-01 of `2024-01-31T23:59:59.123456+02:00`, perhaps with ` BC`.
///
/// An instant without offset is taken for UTC; a local time with an offset other than 0 is refused.
pub(super) fn read_timestamp(text: &str, is_instant: bool) -> ReadResult {
    if is_infinite(text) {
        return Err(TOO_FAR);
    }
    let mut reader = Reader::new(text);
    let day = reader.date().ok_or(NO_DATE)?;
    if !(reader.skip(b'T') || reader.skip(b't') || reader.skip(b' ')) {
        return Err(NO_DATE);
    }
    let (clock, is_cut) = reader.clock().ok_or(NO_DATE)?;
    let offset = reader.offset().ok_or(NO_DATE)?;
    if !reader.is_done() || !is_instant && offset.is_some_and(|seconds| seconds != 0) {
        return Err(NO_DATE);
    }
    let local = day
        .checked_mul(DAY_SECONDS * MICROS)
        .and_then(|day| day.checked_add(clock));
    let value = local.and_then(|local| local.checked_sub(offset.unwrap_or(0) * MICROS));
    Ok(Read {
        value: value.ok_or(TOO_FAR)?,
        is_cut,
    })
}

/// Microseconds since midnight of `23:59:59.123456`.
pub(super) fn read_time(text: &str) -> ReadResult {
    let mut reader = Reader::new(text);
    let (value, is_cut) = reader.clock().ok_or(NO_DATE)?;
    let offset = reader.offset().ok_or(NO_DATE)?;
    if !reader.is_done() || offset.is_some_and(|seconds| seconds != 0) {
        return Err(NO_DATE);
    }
    Ok(Read { value, is_cut })
}

const MICROS: i64 = 1_000_000;

fn is_infinite(text: &str) -> bool {
    text.strip_prefix('-')
        .unwrap_or(text)
        .eq_ignore_ascii_case("infinity")
}

/// Reads a date or time from the left. The era, which stands at the end, was cut off before.
struct Reader<'a> {
    rest: &'a [u8],
    is_bc: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let before = text.strip_suffix(" BC");
        Self {
            rest: before.unwrap_or(text).as_bytes(),
            is_bc: before.is_some(),
        }
    }

    fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.rest.strip_prefix(&[byte]);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    /// A number of so many digits.
    fn digits(&mut self, least: usize, most: usize) -> Option<i64> {
        let count = self
            .rest
            .iter()
            .take(most)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + i64::from(digit - b'0')),
        )
    }

    /// The day of `2024-01-31`. Years have four digits or more, and may have a sign (ISO 8601).
    fn date(&mut self) -> Option<i64> {
        let is_negative = self.skip(b'-');
        if !is_negative {
            self.skip(b'+');
        }
        let year = self.digits(4, 9)?;
        let year = match (is_negative, self.is_bc) {
            (false, false) => year,
            (true, false) => -year,
            // The year before 1 is 1 BC, and 0 here.
            (false, true) if year > 0 => 1 - year,
            _ => return None,
        };
        let month = self.skip(b'-').then(|| self.digits(2, 2))??;
        let day = self.skip(b'-').then(|| self.digits(2, 2))??;
        day_of(year, month, day)
    }

    /// Microseconds since midnight, and whether digits were cut off.
    fn clock(&mut self) -> Option<(i64, bool)> {
        let hour = self.digits(2, 2)?;
        let minute = self.skip(b':').then(|| self.digits(2, 2))??;
        let second = if self.skip(b':') {
            self.digits(2, 2)?
        } else {
            0
        };
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let (micros, is_cut) = if self.skip(b'.') || self.skip(b',') {
            self.fraction()?
        } else {
            (0, false)
        };
        Some((
            ((hour * 60 + minute) * 60 + second) * MICROS + micros,
            is_cut,
        ))
    }

    fn fraction(&mut self) -> Option<(i64, bool)> {
        let before = self.rest.len();
        let number = self.digits(1, 6)?;
        let digits = u32::try_from(before - self.rest.len()).ok()?;
        let micros = number * 10_i64.pow(6 - digits);
        let further = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (further, rest) = self.rest.split_at_checked(further)?;
        self.rest = rest;
        Some((micros, further.iter().any(|digit| *digit != b'0')))
    }

    /// Seconds east of Greenwich: `Z`, `+02`, `+02:00`, `+0200`, `+02:00:00`; none where there is no offset.
    #[expect(
        clippy::option_option,
        reason = "no offset and no valid one are different things"
    )]
    fn offset(&mut self) -> Option<Option<i64>> {
        if self.is_done() {
            return Some(None);
        }
        if self.skip(b'Z') || self.skip(b'z') {
            return Some(Some(0));
        }
        let is_west = self.skip(b'-');
        if !is_west && !self.skip(b'+') {
            return None;
        }
        let hours = self.digits(2, 2)?;
        let mut seconds = hours * 3600;
        for unit in [60, 1] {
            let has_colon = self.skip(b':');
            if !has_colon && self.is_done() {
                break;
            }
            seconds += self.digits(2, 2).filter(|part| *part < 60)? * unit;
        }
        Some(Some(if is_west { -seconds } else { seconds }))
    }
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn micros(text: &str) -> Result<i64, ChangeReason> {
        read_timestamp(text, true).map(|read| read.value)
    }

    #[test]
    fn timestamps_are_read_in_every_usual_spelling() {
        let second = 1_700_000_000_000_000;
        for text in [
            "2023-11-14T22:13:20Z",
            "2023-11-14 22:13:20",
            "2023-11-14T22:13:20.000000000+00:00",
            "2023-11-15T00:13:20+02",
            "2023-11-15T03:43:20.0+0530",
            "2023-11-14T17:13:20-05:00:00",
            "+2023-11-14T22:13:20z",
        ] {
            assert_eq!(micros(text), Ok(second), "{text}");
        }
        assert_eq!(
            micros("0001-12-31T23:59:59Z BC"),
            Ok(-62_135_596_801 * MICROS)
        );
        assert_eq!(micros("1969-12-31T23:59:59.999999Z"), Ok(-1));
        assert_eq!(micros("1970-01-01T00:00"), Ok(0));
    }

    #[test]
    fn what_no_microsecond_holds_says_so() {
        assert_eq!(micros("infinity"), Err(TOO_FAR));
        assert_eq!(micros("-infinity"), Err(TOO_FAR));
        assert_eq!(micros("294276-12-31T23:59:59Z"), Err(TOO_FAR));
        assert_eq!(
            read_date("9999999-01-01").map(|read| read.value),
            Err(TOO_FAR)
        );
        let cut = read_timestamp("1970-01-01T00:00:00.0000019Z", true);
        assert_eq!(
            cut,
            Ok(Read {
                value: 1,
                is_cut: true
            })
        );
    }

    #[test]
    fn other_text_is_no_date() {
        for text in [
            "",
            "2023-11-14",
            "2023-11-14T",
            "2023-11-14T24:00:00Z",
            "2023-02-29T00:00:00Z",
            "2023-11-14T22:13:60Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20+2",
            "2023-11-14T22:13:20Zx",
            "0000-01-01T00:00:00 BC",
            "now",
        ] {
            assert_eq!(micros(text), Err(NO_DATE), "{text}");
        }
        assert_eq!(
            read_timestamp("2023-11-14T22:13:20+02:00", false),
            Err(NO_DATE)
        );
        assert!(read_timestamp("2023-11-14T22:13:20Z", false).is_ok());
        assert_eq!(
            read_time("23:59:59.5").map(|read| read.value),
            Ok(86_399_500_000)
        );
        assert_eq!(read_time("23:59:59+01:00"), Err(NO_DATE));
        assert_eq!(read_date("2023-1-1"), Err(NO_DATE));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in any::<i64>(), day in any::<i32>()) {
            let text = |write: &dyn Fn(&mut Vec<u8>)| {
                let mut out = Vec::new();
                write(&mut out);
                String::from_utf8(out).unwrap()
            };
            for is_instant in [true, false] {
                let text = text(&|out| push_timestamp(value, TimeUnit::Microsecond, is_instant, out));
                prop_assert_eq!(read_timestamp(&text, is_instant), Ok(Read { value, is_cut: false }), "{}", text);
            }
            let text = text(&|out| push_date(day.into(), out));
            prop_assert_eq!(read_date(&text), Ok(Read { value: day.into(), is_cut: false }), "{}", text);
        }
    }
}
