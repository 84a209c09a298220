//! ISO 8601 durations, read as the Python library isodate reads them.

use chrono::{Datelike, NaiveDate};

use super::{Moment, SECOND_US};

/// A length of time: calendar months and microseconds. Months of different length make them two numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Years and months.
    pub months: i64,
    /// Weeks, days and what is smaller.
    pub us: i64,
}

impl Span {
    /// So many microseconds.
    pub fn from_us(us: i64) -> Self {
        Self { months: 0, us }
    }

    /// Reads `P1Y2M3W4DT5H6M7.5S`, with an optional sign and decimal fractions; `None` when it is something else.
    ///
    /// Fractions of years and months are refused: nothing could be added to a date with them.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let text = text.strip_prefix('P')?;
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        if date.is_empty() && time.is_none_or(str::is_empty) {
            return None;
        }
        let mut span = Self::default();
        span.add_parts(
            date,
            &[
                ('Y', Unit::Months(12)),
                ('M', Unit::Months(1)),
                ('W', WEEK),
                ('D', DAY),
            ],
        )?;
        span.add_parts(
            time.unwrap_or_default(),
            &[('H', HOUR), ('M', MINUTE), ('S', SECOND)],
        )?;
        Some(if negative { span.negated() } else { span })
    }

    fn add_parts(&mut self, mut text: &str, units: &[(char, Unit)]) -> Option<()> {
        for (letter, unit) in units {
            let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | ','));
            let Some(end) = end.filter(|end| text[*end..].starts_with(*letter)) else {
                continue;
            };
            let number = text[..end].replace(',', ".");
            let has_fraction = number.contains('.');
            if number.is_empty() || number.starts_with('.') || number.ends_with('.') {
                return None;
            }
            match unit {
                Unit::Months(_) if has_fraction => {
                    let zero = number.parse::<f64>().ok()? == 0.0;
                    zero.then_some(())?;
                }
                Unit::Months(months) => {
                    let count: i64 = number.parse().ok()?;
                    self.months = self.months.checked_add(count.checked_mul(*months)?)?;
                }
                Unit::Us(us) => {
                    let us = match has_fraction {
                        true => (number.parse::<f64>().ok()? * *us as f64).round_ties_even() as i64,
                        false => number.parse::<i64>().ok()?.checked_mul(*us)?,
                    };
                    self.us = self.us.checked_add(us)?;
                }
            }
            text = &text[end + 1..];
        }
        text.is_empty().then_some(())
    }

    /// The same length backwards.
    #[must_use]
    pub fn negated(self) -> Self {
        Self {
            months: -self.months,
            us: -self.us,
        }
    }

    /// True for no time at all.
    pub fn is_zero(&self) -> bool {
        self.months == 0 && self.us == 0
    }

    /// The moment this long after `moment`. A day that its month does not have becomes the month's last.
    pub fn after(&self, moment: Moment) -> Option<Moment> {
        let local = moment.local();
        let date = plus_months(local.date(), self.months)?;
        moment
            .with_local(date.and_time(local.time()))
            .plus_us(self.us)
    }

    /// The instant this long after `us`, both in microseconds since the Unix epoch (UTC).
    pub fn after_us(&self, us: i64) -> i64 {
        let moment = Moment::from_us(us).and_then(|moment| self.after(moment));
        moment.map_or(us.saturating_add(self.us), |moment| moment.us())
    }
}

/// A date moved by months, its day cut to the length of the month.
pub(crate) fn plus_months(date: NaiveDate, months: i64) -> Option<NaiveDate> {
    if months == 0 {
        return Some(date);
    }
    let index = i64::from(date.year()) * 12 + i64::from(date.month0()) + months;
    let year = i32::try_from(index.div_euclid(12)).ok()?;
    let month = index.rem_euclid(12) as u32 + 1;
    let first = NaiveDate::from_ymd_opt(year, month, 1)?;
    let last = first.num_days_in_month();
    first.with_day(date.day().min(u32::from(last)))
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    Months(i64),
    Us(i64),
}

const SECOND: Unit = Unit::Us(SECOND_US);
const MINUTE: Unit = Unit::Us(60 * SECOND_US);
const HOUR: Unit = Unit::Us(3600 * SECOND_US);
const DAY: Unit = Unit::Us(86_400 * SECOND_US);
const WEEK: Unit = Unit::Us(7 * 86_400 * SECOND_US);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse_iso;

    #[test]
    fn durations_read_as_isodate_reads_them() {
        const DAY_US: i64 = 86_400_000_000;
        for (text, months, us) in [
            ("P1D", 0, DAY_US),
            ("P1W", 0, 7 * DAY_US),
            ("PT0.000001S", 0, 1),
            ("PT0,5S", 0, 500_000),
            ("P0.5D", 0, DAY_US / 2),
            ("-P1D", 0, -DAY_US),
            ("P1Y2M10DT2H30M", 14, 10 * DAY_US + 9_000_000_000),
            ("P1MT1S", 1, 1_000_000),
            ("P0Y", 0, 0),
        ] {
            assert_eq!(Span::parse(text), Some(Span { months, us }), "{text}");
        }
        for text in [
            "", "P", "PT", "1D", "P1", "P1H", "PT1D", "P1D1Y", "p1d", "P1.5M", "P-1D",
        ] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }

    #[test]
    fn months_end_where_their_month_ends() {
        let moment = parse_iso("2024-01-31T10:00:00Z").unwrap();
        let after = Span::parse("P1M").unwrap().after(moment).unwrap();
        assert_eq!(after, parse_iso("2024-02-29T10:00:00Z").unwrap());
        let before = Span::parse("-P1Y2M").unwrap().after(moment).unwrap();
        assert_eq!(before, parse_iso("2022-11-30T10:00:00Z").unwrap());
    }
}
