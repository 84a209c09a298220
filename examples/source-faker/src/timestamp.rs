//! Instants, written without a calendar library: a row has up to five of them.

use std::borrow::Cow;
use std::fmt;

use airbyte_protocol::types::AirbyteType;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::Text;

/// An instant in milliseconds, UTC, of the years 0000 to 9999.
///
/// As text always 24 characters, `2020-01-01T00:00:00.000Z`: text sorts as time does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const DAY_MS: i64 = 86_400_000;
const MIN_MS: i64 = -719_528 * DAY_MS;
const MAX_MS: i64 = 2_932_897 * DAY_MS - 1;
/// The shape of the text: `0` stands for a digit.
const SHAPE: [u8; 24] = *b"0000-00-00T00:00:00.000Z";

impl Timestamp {
    /// From milliseconds since the Unix epoch; instants outside the years 0000 to 9999 become the
    /// first or the last one.
    pub const fn from_ms(ms: i64) -> Self {
        match ms {
            ms if ms < MIN_MS => Self(MIN_MS),
            ms if ms > MAX_MS => Self(MAX_MS),
            ms => Self(ms),
        }
    }

    /// Milliseconds since the Unix epoch.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// The text, in RFC 3339.
    pub fn text(self) -> Text<24> {
        let (days, ms) = (self.0.div_euclid(DAY_MS), self.0.rem_euclid(DAY_MS) as u32);
        let (year, month, day) = civil(days);
        let mut text = SHAPE;
        put_pair(&mut text, 0, year / 100);
        put_pair(&mut text, 2, year % 100);
        put_pair(&mut text, 5, month);
        put_pair(&mut text, 8, day);
        put_pair(&mut text, 11, ms / 3_600_000);
        put_pair(&mut text, 14, ms / 60_000 % 60);
        put_pair(&mut text, 17, ms / 1000 % 60);
        put_pair(&mut text, 20, ms % 1000 / 10);
        text[22] = b'0' + (ms % 10) as u8;
        Text::ascii(text)
    }

    /// Reads the text that [`text`](Self::text) writes, and no other form.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: &[u8; 24] = text.as_bytes().try_into().ok()?;
        let is_shaped = bytes.iter().zip(&SHAPE).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            shape => byte == shape,
        });
        let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
        let days = is_shaped.then(|| days_of(number(0..4)?, number(5..7)?, number(8..10)?))??;
        let minutes = number(11..13)? * 60 + number(14..16)?;
        let read = Self(days * DAY_MS + (minutes * 60 + number(17..19)?) * 1000 + number(20..23)?);
        // A 31 February or an hour 25 comes out as another instant.
        (read.text().as_str() == text).then_some(read)
    }

    pub(crate) const fn plus_ms(self, ms: i64) -> Self {
        Self::from_ms(self.0.saturating_add(ms))
    }
}

#[inline]
fn put_pair(text: &mut [u8; 24], at: usize, number: u32) {
    text[at] = b'0' + (number / 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

/// Days since the Unix epoch to year, month and day of the Gregorian calendar.
///
/// Years start in March here, so that the leap day is the last day of a year, and eras have 400 years
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"). All in 32 bits: the years are four digits.
fn civil(days: i64) -> (u32, u32, u32) {
    // Days since 1 March of the year -400.
    let days = (days + 719_468 + 146_097) as u32;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + u32::from(month <= 2);
    (year - 400, month, day)
}

/// The inverse of [`civil`]; `None` for a month or day that no calendar has.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text().as_str())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom("not a time like 2020-01-01T00:00:00.000Z"))
    }
}

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let schema = AirbyteType::TimestampWithTimezone.to_json_schema(false);
        schema
            .try_into()
            .expect("the schema of a type is an object")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_instants_have_their_known_text() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (i64::MIN, "0000-01-01T00:00:00.000Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ];
        for (ms, text) in cases {
            assert_eq!(Timestamp::from_ms(ms).text().as_str(), text);
        }
    }

    #[test]
    fn only_its_own_form_and_real_days_are_read() {
        let bad = [
            "",
            "2020-01-01",
            "2020-01-01T00:00:00Z",
            "2020-01-01T00:00:00.000+",
            "2020-02-30T00:00:00.000Z",
            "2020-00-01T00:00:00.000Z",
            "2020-01-01T24:00:00.000Z",
            "2020-01-01T00:61:00.000Z",
            "+020-01-01T00:00:00.000Z",
            "２020-01-01T00:00:00.00Z",
        ];
        for text in bad {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_reads_back_and_sorts_as_time(a in MIN_MS..=MAX_MS, b in MIN_MS..=MAX_MS) {
            let (a, b) = (Timestamp::from_ms(a), Timestamp::from_ms(b));
            prop_assert_eq!(Timestamp::parse(a.text().as_str()), Some(a));
            prop_assert_eq!(a.cmp(&b), a.text().as_str().cmp(b.text().as_str()));
        }
    }
}
