//! Dates and times from text to PostgreSQL's binary form: days and microseconds since 2000-01-01.
//!
//! Read are ISO 8601 with `T` or a space, fractions of any length (rounded to microseconds, as PostgreSQL
//! does), offsets `Z`, `+02`, `+0200`, `+02:00`, years of more than four digits or before Christ (` BC`, or a
//! sign as ISO 8601 counts them), and `infinity`.

/// 2000-01-01 in days since 0000-03-01 of the proleptic Gregorian calendar.
const EPOCH_DAYS: i64 = 730_425;
const DAY: i64 = 86_400_000_000;
/// The first day that PostgreSQL has, and the one behind the last (`datatype/timestamp.h`).
const FIRST_DATE: i64 = -2_451_545;
const END_OF_DATES: i64 = 2_147_483_494 - 2_451_545;
const FIRST_TIME: i64 = -211_813_488_000_000_000;
const END_OF_TIMES: i64 = 9_223_371_331_200_000_000;
/// Offsets are less than 16 hours.
const MAX_OFFSET: i32 = 16 * 3600;

/// Days since 2000-01-01; a time of day must be midnight.
pub(crate) fn date(text: &str) -> Option<i32> {
    match infinity(text) {
        Some(true) => return Some(i32::MAX),
        Some(false) => return Some(i32::MIN),
        None => {}
    }
    let moment = Moment::parse(text)?;
    let is_date = (FIRST_DATE..END_OF_DATES).contains(&moment.days) && moment.micros == 0;
    is_date.then(|| i32::try_from(moment.days).ok())?
}

/// Microseconds since 2000-01-01. An offset does not count, as for PostgreSQL.
pub(crate) fn timestamp(text: &str) -> Option<i64> {
    micros(text, false)
}

/// Microseconds since 2000-01-01 UTC. Without an offset, UTC is assumed.
pub(crate) fn timestamptz(text: &str) -> Option<i64> {
    micros(text, true)
}

/// Microseconds since midnight. An offset does not count, as for PostgreSQL.
pub(crate) fn time(text: &str) -> Option<i64> {
    let mut reader = Reader::new(text);
    let micros = reader.time()?;
    reader.offset()?;
    reader.is_done().then_some(micros)
}

/// Microseconds since midnight, and the offset in seconds west of Greenwich. Without one, UTC is assumed.
pub(crate) fn timetz(text: &str) -> Option<(i64, i32)> {
    let mut reader = Reader::new(text);
    let micros = reader.time()?;
    let offset = reader.offset()?.unwrap_or(0);
    reader.is_done().then_some((micros, -offset))
}

/// Microseconds since 2000-01-01 UTC of milliseconds since 1970.
pub(crate) fn of_unix_ms(unix_ms: i64) -> Option<i64> {
    let micros = unix_ms.checked_sub(946_684_800_000)?.checked_mul(1000)?;
    (FIRST_TIME..END_OF_TIMES)
        .contains(&micros)
        .then_some(micros)
}

/// Microseconds since 2000-01-01 of microseconds since 1970.
pub(crate) fn of_unix_micros(unix_micros: i64) -> Option<i64> {
    let micros = unix_micros.checked_sub(946_684_800_000_000)?;
    (FIRST_TIME..END_OF_TIMES)
        .contains(&micros)
        .then_some(micros)
}

/// Days since 2000-01-01 of days since 1970.
pub(crate) fn of_unix_days(unix_days: i32) -> Option<i32> {
    let days = i64::from(unix_days) - 10_957;
    let is_date = (FIRST_DATE..END_OF_DATES).contains(&days);
    is_date.then(|| i32::try_from(days).ok())?
}

fn micros(text: &str, with_zone: bool) -> Option<i64> {
    match infinity(text) {
        Some(true) => return Some(i64::MAX),
        Some(false) => return Some(i64::MIN),
        None => {}
    }
    let moment = Moment::parse(text)?;
    let offset = if with_zone {
        moment.offset.unwrap_or(0)
    } else {
        0
    };
    let micros = moment.days.checked_mul(DAY)?.checked_add(moment.micros)?;
    let micros = micros.checked_sub(i64::from(offset) * 1_000_000)?;
    (FIRST_TIME..END_OF_TIMES)
        .contains(&micros)
        .then_some(micros)
}

/// Whether `text` is the end or the beginning of all times.
fn infinity(text: &str) -> Option<bool> {
    if !text
        .as_bytes()
        .last()
        .is_some_and(|last| last.eq_ignore_ascii_case(&b'y'))
    {
        return None;
    }
    let (is_end, rest) = match text.strip_prefix('-') {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix('+').unwrap_or(text)),
    };
    rest.eq_ignore_ascii_case("infinity").then_some(is_end)
}

/// A date with a time of day, and the offset if there is one.
struct Moment {
    days: i64,
    micros: i64,
    offset: Option<i32>,
}

impl Moment {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let (text, is_bc) = match text.strip_suffix("BC").or_else(|| text.strip_suffix("bc")) {
            Some(rest) => (rest.trim_ascii_end(), true),
            None => (text, false),
        };
        let mut reader = Reader::new(text);
        let (year, month, day) = reader.date()?;
        let year = match is_bc {
            // 1 BC is the year 0.
            true => (year > 0).then(|| 1 - year)?,
            false => year,
        };
        let days = days(year, month, day)?;
        let (mut micros, mut offset) = (0, None);
        if reader.separator() {
            micros = reader.time()?;
            offset = reader.offset()?;
        }
        reader.is_done().then_some(Self {
            days,
            micros,
            offset,
        })
    }
}

/// Days since 2000-01-01 in the proleptic Gregorian calendar, if there is such a day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March, in eras of 400 years: the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - EPOCH_DAYS)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.as_bytes(),
        }
    }

    fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    fn skip(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// What stands between date and time.
    fn separator(&mut self) -> bool {
        self.skip(b'T') || self.skip(b't') || self.skip(b' ')
    }

    fn two_digits(&mut self) -> Option<i64> {
        let [tens, ones, rest @ ..] = self.rest else {
            return None;
        };
        let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
        let value = digit(*tens)? * 10 + digit(*ones)?;
        self.rest = rest;
        Some(value)
    }

    /// A number of `min` digits or more.
    fn digits(&mut self, min: usize, max: usize) -> Option<i64> {
        let count = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if !(min..=max).contains(&count) {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        Some(
            digits
                .iter()
                .fold(0, |value, digit| value * 10 + i64::from(digit - b'0')),
        )
    }

    fn date(&mut self) -> Option<(i64, i64, i64)> {
        let is_negative = self.skip(b'-');
        let _ = !is_negative && self.skip(b'+');
        let year = self.digits(4, 9)?;
        let month = self.skip(b'-').then(|| self.two_digits())??;
        let day = self.skip(b'-').then(|| self.two_digits())??;
        Some((if is_negative { -year } else { year }, month, day))
    }

    fn time(&mut self) -> Option<i64> {
        let hour = self.two_digits()?;
        let minute = self.skip(b':').then(|| self.two_digits())??;
        let second = match self.skip(b':') {
            true => self.two_digits()?,
            false => 0,
        };
        let micros = match self.skip(b'.') || self.skip(b',') {
            true => self.fraction()?,
            false => 0,
        };
        // A leap second is the first of the next minute, and 24:00 the end of the day.
        if hour > 24 || minute > 59 || second > 60 {
            return None;
        }
        let total = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros;
        (total <= DAY).then_some(total)
    }

    /// The digits behind the point in microseconds, rounded to the nearest (of two, the even one).
    fn fraction(&mut self) -> Option<i64> {
        let count = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if count == 0 {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        let (kept, cut) = digits.split_at(count.min(6));
        let mut micros = kept
            .iter()
            .fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
        for _ in kept.len()..6 {
            micros *= 10;
        }
        if let Some((first, rest)) = cut.split_first() {
            let is_more = rest.iter().any(|digit| *digit != b'0');
            let is_up = match first {
                b'6'..=b'9' => true,
                b'5' => is_more || micros % 2 == 1,
                _ => false,
            };
            micros += i64::from(is_up);
        }
        Some(micros)
    }

    /// Seconds east of Greenwich; `Some(None)` when there is no offset, `None` when it is none.
    fn offset(&mut self) -> Option<Option<i32>> {
        while self.skip(b' ') {}
        if self.is_done() {
            return Some(None);
        }
        if self.skip(b'Z') || self.skip(b'z') {
            return Some(Some(0));
        }
        if let Some(rest) = self.rest.strip_prefix(b"UTC") {
            self.rest = rest;
            return Some(Some(0));
        }
        let is_west = self.skip(b'-');
        if !is_west && !self.skip(b'+') {
            return None;
        }
        let hours = self.two_digits()?;
        let mut seconds = hours * 3600;
        for unit in [60, 1] {
            if self.skip(b':') || !self.is_done() {
                let value = self.two_digits()?;
                seconds += (value < 60).then_some(value)? * unit;
            }
        }
        let seconds = i32::try_from(seconds).ok()?;
        (seconds < MAX_OFFSET).then_some(Some(if is_west { -seconds } else { seconds }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn days_count_from_2000() {
        let cases = [
            ("2000-01-01", Some(0)),
            ("1999-12-31", Some(-1)),
            ("2000-03-01", Some(60)),
            ("1970-01-01", Some(-10_957)),
            ("0001-01-01 BC", Some(-730_485)),
            ("0000-01-01", Some(-730_485)),
            ("4714-11-24 BC", Some(-2_451_545)),
            ("-4713-11-24", Some(-2_451_545)),
            ("5874897-12-31", Some(2_145_031_948)),
            ("infinity", Some(i32::MAX)),
            ("-Infinity", Some(i32::MIN)),
            ("2024-05-06T00:00:00Z", Some(8892)),
            ("4714-11-23 BC", None),
            ("5874898-01-01", None),
            ("2023-02-29", None),
            ("2024-13-01", None),
            ("2024-1-01", None),
            ("24-01-01", None),
            ("2024-05-06T01:00:00Z", None),
            ("0000-01-01 BC", None),
            ("", None),
            ("y", None),
            ("soon", None),
        ];
        for (text, expected) in cases {
            assert_eq!(date(text), expected, "{text}");
        }
    }

    #[test]
    fn instants_count_their_offset_and_local_times_do_not() {
        let cases = [
            ("2000-01-01T00:00:00Z", 0, 0),
            ("2000-01-01 01:00:00+02:00", HOUR, -HOUR),
            ("2000-01-01 01:00:00+02", HOUR, -HOUR),
            ("2000-01-01 01:00:00-0130", HOUR, 2 * HOUR + HOUR / 2),
            ("2000-01-01T00:00", 0, 0),
            ("2000-01-01", 0, 0),
            ("2000-01-01T00:00:00.5 UTC", 500_000, 500_000),
            ("2000-01-01T24:00:00", 24 * HOUR, 24 * HOUR),
            ("1999-12-31T23:59:60", 0, 0),
            ("2000-01-01T00:00:00.0000005", 0, 0),
            ("2000-01-01T00:00:00.0000015", 2, 2),
            ("2000-01-01T00:00:00.00000050001", 1, 1),
            ("2000-01-01T00:00:00.999999999", 1_000_000, 1_000_000),
            ("infinity", i64::MAX, i64::MAX),
        ];
        for (text, local, instant) in cases {
            assert_eq!(
                (timestamp(text), timestamptz(text)),
                (Some(local), Some(instant)),
                "{text}"
            );
        }
        for text in [
            "2000-01-01T25:00",
            "2000-01-01T00",
            "2000-01-01T00:00:00+16:00",
            "2000-01-01T00:00:00+1",
            "2000-01-01T00:60",
            "294277-01-01T00:00",
            "2000-01-01T24:00:01",
            "2000-01-01Z",
        ] {
            assert_eq!(timestamptz(text), None, "{text}");
        }
    }

    #[test]
    fn times_of_day_may_have_an_offset() {
        assert_eq!(time("01:00:00.000001"), Some(HOUR + 1));
        assert_eq!(time("01:00:00+05:00"), Some(HOUR));
        assert_eq!(timetz("01:00:00+05:30"), Some((HOUR, -19_800)));
        assert_eq!(timetz("01:00:00-05:30:15"), Some((HOUR, 19_815)));
        assert_eq!(timetz("24:00"), Some((DAY, 0)));
        assert_eq!(time("1:00"), None);
        assert_eq!(time("01:00:00 x"), None);
    }

    #[test]
    fn unix_milliseconds_are_shifted() {
        assert_eq!(of_unix_ms(946_684_800_001), Some(1000));
        assert_eq!(of_unix_ms(i64::MAX), None);
        assert_eq!(of_unix_ms(i64::MIN), None);
    }
}
