//! Python's `strptime`: a format as a list of items, matched with backtracking as its regular expression would be.

use std::ops::RangeInclusive;

use chrono::{Datelike, Days, NaiveDate, NaiveTime, Weekday};

use super::Moment;

/// A compiled format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Result<Vec<Item>, String>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Literal(char),
    Space,
    Code(char),
}

/// What the codes of a text said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Fields {
    year: Option<i32>,
    iso_year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    ordinal: Option<u32>,
    /// Week of the year, and whether it starts on Monday.
    week: Option<(u32, bool)>,
    iso_week: Option<u32>,
    /// Days since Monday.
    weekday: Option<u32>,
    hour: u32,
    half_hour: Option<u32>,
    is_afternoon: Option<bool>,
    minute: u32,
    second: u32,
    us: u32,
    offset: Option<i32>,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

impl Pattern {
    pub(super) fn new(format: &str) -> Self {
        let mut items = Vec::new();
        let result = compile(format, &mut items);
        Self(result.map(|()| items))
    }

    /// Reads a text; the error is `None` when it just does not fit.
    pub(super) fn parse(&self, text: &str) -> Result<Moment, Option<String>> {
        let items = self.0.as_ref().map_err(|why| Some(why.clone()))?;
        if let Some(fields) = padded(items, text) {
            return fields.moment().ok_or(None);
        }
        let mut fields = Fields::default();
        if !matches(items, text, &mut fields) {
            return Err(None);
        }
        fields.moment().ok_or(None)
    }
}

fn compile(format: &str, items: &mut Vec<Item>) -> Result<(), String> {
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '%' => {
                let code = letters
                    .next()
                    .ok_or_else(|| format!("stray `%` in format `{format}`"))?;
                match code {
                    '%' => items.push(Item::Literal('%')),
                    'c' => compile("%a %b %d %H:%M:%S %Y", items)?,
                    'x' => compile("%m/%d/%y", items)?,
                    'X' => compile("%H:%M:%S", items)?,
                    _ if "aAbBdfGHIjmMpSuUVwWyYzZ".contains(code) => items.push(Item::Code(code)),
                    _ => {
                        return Err(format!(
                            "`%{code}` is no code that can be read (format `{format}`)"
                        ));
                    }
                }
            }
            space if space.is_whitespace() => {
                while letters.next_if(|next| next.is_whitespace()).is_some() {}
                items.push(Item::Space);
            }
            other => items.push(Item::Literal(other)),
        }
    }
    Ok(())
}

/// Reads a text all of whose numbers have all their digits, as almost every API writes them: each code then takes what
/// it would try first, and nothing has to be tried again. `None` for all other texts.
fn padded(items: &[Item], text: &str) -> Option<Fields> {
    let mut fields = Fields::default();
    let mut rest = text.as_bytes();
    for item in items {
        let (length, low, high) = match item {
            Item::Literal(letter) => {
                let (first, others) = rest.split_first()?;
                if !letter.is_ascii() || *first != *letter as u8 {
                    return None;
                }
                rest = others;
                continue;
            }
            Item::Code('Y') => (4, 0, 9999),
            Item::Code('m') => (2, 1, 12),
            Item::Code('d') => (2, 1, 31),
            Item::Code('H') => (2, 0, 23),
            Item::Code('M' | 'S') => (2, 0, 59),
            Item::Code('f') => (6, 0, 999_999),
            Item::Code('z') if rest == b"Z" => {
                fields.offset = Some(0);
                rest = &[];
                continue;
            }
            Item::Code(_) | Item::Space => return None,
        };
        let (digits, others) = rest.split_at_checked(length)?;
        rest = others;
        let number = digits.iter().try_fold(0, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + u32::from(digit - b'0'))
        });
        let number = number.filter(|number| (low..=high).contains(number))?;
        match item {
            Item::Code('Y') => fields.year = Some(number as i32),
            Item::Code('m') => fields.month = Some(number),
            Item::Code('d') => fields.day = Some(number),
            Item::Code('H') => fields.hour = number,
            Item::Code('M') => fields.minute = number,
            Item::Code('S') => fields.second = number,
            _ => fields.us = number,
        }
    }
    rest.is_empty().then_some(fields)
}

fn matches(items: &[Item], text: &str, fields: &mut Fields) -> bool {
    let Some((item, items)) = items.split_first() else {
        return text.is_empty();
    };
    match item {
        Item::Literal(letter) => {
            let mut letters = text.chars();
            let is_same = letters.next().is_some_and(|other| {
                other == *letter || other.to_lowercase().eq(letter.to_lowercase())
            });
            is_same && matches(items, letters.as_str(), fields)
        }
        Item::Space => {
            let rest = text.trim_start();
            rest.len() < text.len() && matches(items, rest, fields)
        }
        Item::Code(code) => {
            let before = *fields;
            for length in lengths(*code, text) {
                if fields.set(*code, &text[..length]) && matches(items, &text[length..], fields) {
                    return true;
                }
                *fields = before;
            }
            false
        }
    }
}

/// How much of `text` a code may take, its first choice first.
fn lengths(code: char, text: &str) -> Lengths<'_> {
    let upto = |longest, low, high| Lengths::numbers(text, 1, longest, low..=high);
    let exactly = |length| Lengths::numbers(text, length, length, 0..=u32::MAX);
    match code {
        'd' if text.starts_with(' ') => match text.as_bytes().get(1) {
            Some(b'1'..=b'9') => Lengths::Listed(vec![2].into_iter()),
            _ => Lengths::Listed(Vec::new().into_iter()),
        },
        'd' => upto(2, 1, 31),
        'm' | 'I' => upto(2, 1, 12),
        'H' => upto(2, 0, 23),
        'M' => upto(2, 0, 59),
        'S' => upto(2, 0, 61),
        'j' => upto(3, 1, 366),
        'U' | 'W' | 'V' => upto(2, 0, 53),
        'w' => upto(1, 0, 6),
        'u' => upto(1, 1, 7),
        'y' => exactly(2),
        'Y' | 'G' => exactly(4),
        'f' => upto(6, 0, u32::MAX),
        _ => Lengths::Listed(listed_lengths(code, text).into_iter()),
    }
}

fn listed_lengths(code: char, text: &str) -> Vec<usize> {
    match code {
        'z' => zone_lengths(text),
        'Z' => names(&["utc", "gmt"], text, 3),
        'p' => names(&["am", "pm"], text, 2),
        'a' => names(&DAYS, text, 3),
        'b' => names(&MONTHS, text, 3),
        'A' => names(&DAYS, text, usize::MAX),
        'B' => names(&MONTHS, text, usize::MAX),
        _ => Vec::new(),
    }
}

/// Lengths one after the other. Numbers, of which every record's time has several, need no list.
enum Lengths<'a> {
    Numbers {
        text: &'a str,
        least: usize,
        next: usize,
        range: RangeInclusive<u32>,
    },
    Listed(std::vec::IntoIter<usize>),
}

impl<'a> Lengths<'a> {
    fn numbers(text: &'a str, least: usize, longest: usize, range: RangeInclusive<u32>) -> Self {
        let digits = text.bytes().take(longest).take_while(u8::is_ascii_digit);
        Self::Numbers {
            text,
            least,
            next: digits.count(),
            range,
        }
    }
}

impl Iterator for Lengths<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        match self {
            Self::Listed(lengths) => lengths.next(),
            Self::Numbers {
                text,
                least,
                next,
                range,
            } => {
                while *next >= *least {
                    let length = *next;
                    *next -= 1;
                    let number = text.get(..length)?.parse();
                    if number.is_ok_and(|number| range.contains(&number)) {
                        return Some(length);
                    }
                }
                None
            }
        }
    }
}

fn names(names: &[&str], text: &str, cut: usize) -> Vec<usize> {
    let starts = |name: &&&str| {
        let part = text.get(..name.len().min(cut));
        part.is_some_and(|part| part.eq_ignore_ascii_case(&name[..part.len()]))
    };
    names
        .iter()
        .filter(starts)
        .map(|name| name.len().min(cut))
        .collect()
}

/// `Z`, or sign, hours and minutes, with seconds and their fraction if there are some.
fn zone_lengths(text: &str) -> Vec<usize> {
    if text.starts_with(['Z', 'z']) {
        return vec![1];
    }
    let bytes = text.as_bytes();
    let two = |at: usize| {
        let part = bytes.get(at..at + 2);
        part.is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let minute = |at: usize| two(at) && bytes[at] <= b'5';
    if !text.starts_with(['+', '-']) || !two(1) {
        return Vec::new();
    }
    let at = 3 + usize::from(bytes.get(3) == Some(&b':'));
    if !minute(at) {
        return Vec::new();
    }
    let mut lengths = vec![at + 2];
    let at = at + 2 + usize::from(bytes.get(at + 2) == Some(&b':'));
    if minute(at) {
        lengths.insert(0, at + 2);
    }
    lengths
}

impl Fields {
    fn set(&mut self, code: char, text: &str) -> bool {
        let number = || text.trim_start().parse::<u32>().unwrap_or(0);
        let index = |names: &[&str]| {
            let lower = text.to_ascii_lowercase();
            names
                .iter()
                .position(|name| name.starts_with(&lower))
                .map(|at| at as u32)
        };
        match code {
            'Y' => self.year = Some(number() as i32),
            'G' => self.iso_year = Some(number() as i32),
            'y' => self.year = Some(number() as i32 + if number() <= 68 { 2000 } else { 1900 }),
            'm' => self.month = Some(number()),
            'b' | 'B' => self.month = index(&MONTHS).map(|month| month + 1),
            'd' => self.day = Some(number()),
            'j' => self.ordinal = Some(number()),
            'U' => self.week = Some((number(), false)),
            'W' => self.week = Some((number(), true)),
            'V' => self.iso_week = Some(number()),
            'u' => self.weekday = Some(number() - 1),
            'w' => self.weekday = Some((number() + 6) % 7),
            'a' | 'A' => self.weekday = index(&DAYS),
            'H' => self.hour = number(),
            'I' => self.half_hour = Some(number() % 12),
            'p' => self.is_afternoon = Some(text.eq_ignore_ascii_case("pm")),
            'M' => self.minute = number(),
            'S' => self.second = number(),
            'f' => self.us = number() * 10_u32.pow(6 - text.len() as u32),
            'z' => self.offset = offset(text),
            _ => {}
        }
        true
    }

    fn moment(&self) -> Option<Moment> {
        let hour = match self.half_hour {
            Some(half) => half + 12 * u32::from(self.is_afternoon == Some(true)),
            None => self.hour,
        };
        let time = NaiveTime::from_hms_micro_opt(hour, self.minute, self.second, self.us)?;
        Moment::new(self.date()?.and_time(time), self.offset)
    }

    fn date(&self) -> Option<NaiveDate> {
        if let (Some(year), Some(week), Some(day)) = (self.iso_year, self.iso_week, self.weekday) {
            let day = Weekday::try_from(day as u8).ok()?;
            return NaiveDate::from_isoywd_opt(year, week, day);
        }
        let year = self.year.unwrap_or(1900);
        if let Some(ordinal) = self.ordinal {
            return NaiveDate::from_yo_opt(year, ordinal);
        }
        if let (Some(year), Some((week, is_monday_first)), Some(day)) =
            (self.year, self.week, self.weekday)
        {
            return from_week(year, week, is_monday_first, day);
        }
        NaiveDate::from_ymd_opt(year, self.month.unwrap_or(1), self.day.unwrap_or(1))
    }
}

/// The day of a week that is counted from the year's first Monday or Sunday; days before it are in week 0.
fn from_week(year: i32, week: u32, is_monday_first: bool, weekday: u32) -> Option<NaiveDate> {
    let first = NaiveDate::from_ymd_opt(year, 1, 1)?;
    let (start, day) = match is_monday_first {
        true => (first.weekday().num_days_from_monday(), weekday),
        false => (first.weekday().num_days_from_sunday(), (weekday + 1) % 7),
    };
    let first_week = (7 - start) % 7;
    let days = i64::from(first_week) + 7 * (i64::from(week) - 1) + i64::from(day);
    match u64::try_from(days) {
        Ok(days) => first.checked_add_days(Days::new(days)),
        Err(_) => first.checked_sub_days(Days::new(days.unsigned_abs())),
    }
}

fn offset(text: &str) -> Option<i32> {
    if text.starts_with(['Z', 'z']) {
        return Some(0);
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let part = |at: usize| {
        digits
            .get(at..at + 2)
            .and_then(|part| part.parse::<i32>().ok())
    };
    let seconds = part(0)? * 3600 + part(2)? * 60 + part(4).unwrap_or(0);
    Some(if text.starts_with('-') {
        -seconds
    } else {
        seconds
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(format: &str) -> Vec<Item> {
        let mut items = Vec::new();
        compile(format, &mut items).unwrap();
        items
    }

    #[test]
    fn a_time_with_all_its_digits_needs_no_search() {
        let items = items("%Y-%m-%dT%H:%M:%S.%f%z");
        assert!(padded(&items, "2024-02-29T23:59:59.000001Z").is_some());
        for other in [
            "2024-2-29T23:59:59.000001Z",
            "2024-02-29T23:59:59.1Z",
            "2024-02-29t23:59:59.000001Z",
            "2024-02-29T24:59:59.000001Z",
            "2024-02-29T23:59:59.000001Z ",
        ] {
            assert!(padded(&items, other).is_none(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn without_a_search_a_text_reads_as_with_one(
            format in r"(%Y|%m|%d|%H|%M|%S|%f|%z|-|T| ){1,6}", text in "[0-2Z T-]{0,12}"
        ) {
            let items = items(&format);
            if let Some(found) = padded(&items, &text) {
                let mut searched = Fields::default();
                prop_assert!(matches(&items, &text, &mut searched));
                prop_assert_eq!(found, searched);
            }
        }
    }
}
