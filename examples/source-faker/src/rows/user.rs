//! Users.

use schemars::JsonSchema;
use serde::Serialize;

use crate::random::Random;
use crate::rows::words::{
    BLOOD_TYPES, DEGREES, FIRST_NAMES, GENDERS, LANGUAGES, LAST_NAMES, NATIONALITIES, OCCUPATIONS,
    PLACES, STREET_KINDS, STREETS, TITLES,
};
use crate::rows::{DAY_MS, Purpose, START};
use crate::text::Text;
use crate::timestamp::Timestamp;

/// A user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct User {
    /// Primary key, from 1.
    pub id: i64,
    /// 100 to 999 days before `updated_at`.
    pub created_at: Timestamp,
    /// Cursor: grows by about a second with each user.
    pub updated_at: Timestamp,
    /// First and last name, some with letters beyond ASCII.
    pub name: Text<48>,
    /// How to address them.
    pub title: &'static str,
    /// Years, 15 to 80.
    pub age: u32,
    /// Unique: it contains the id.
    pub email: Text<64>,
    /// In the form `+1-555-123-4567`.
    pub telephone: Text<15>,
    /// Gender.
    pub gender: &'static str,
    /// First language.
    pub language: &'static str,
    /// Highest degree.
    pub academic_degree: &'static str,
    /// Nationality.
    pub nationality: &'static str,
    /// Occupation.
    pub occupation: &'static str,
    /// Metres, as text with two decimals: `1.73`.
    pub height: Text<4>,
    /// Blood type, with a minus sign that is not ASCII.
    pub blood_type: &'static str,
    /// Kilograms, 45 to 110.
    pub weight: u32,
    /// Where they live.
    pub address: Address,
}

/// Where a user lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Address {
    /// House number, 1 to 1999.
    pub street_number: Text<4>,
    /// Street.
    pub street_name: Text<32>,
    /// City.
    pub city: &'static str,
    /// Province of the city.
    pub province: &'static str,
    /// Five digits.
    pub postal_code: Text<5>,
    /// Two letters, ISO 3166-1.
    pub country_code: &'static str,
}

/// The user `id` of `seed`.
pub fn user(seed: i64, id: i64) -> User {
    let mut random = Random::of(seed, Purpose::User as u64, id);
    let updated_at = START.plus_ms((id - 1) * 1000 + i64::from(random.below(1000)));
    let member_for = i64::from(random.between(100..=999)) * DAY_MS;
    let created_at = updated_at.plus_ms(-member_for - i64::from(random.below(DAY_MS as u32)));
    let (first, first_handle) = random.pick(&FIRST_NAMES);
    let (last, last_handle) = random.pick(&LAST_NAMES);
    let mut digits = itoa::Buffer::new();
    User {
        id,
        created_at,
        updated_at,
        name: Text::join(&[first, " ", last]),
        title: random.pick(&TITLES),
        age: random.between(15..=80),
        email: Text::join(&[
            first_handle,
            ".",
            last_handle,
            digits.format(id),
            "@example.com",
        ]),
        telephone: telephone(&mut random),
        gender: random.pick(&GENDERS),
        language: random.pick(&LANGUAGES),
        academic_degree: random.pick(&DEGREES),
        nationality: random.pick(&NATIONALITIES),
        occupation: random.pick(&OCCUPATIONS),
        height: height(random.between(145..=205)),
        blood_type: random.pick(&BLOOD_TYPES),
        weight: random.between(45..=110),
        address: address(&mut random),
    }
}

fn telephone(random: &mut Random) -> Text<15> {
    let mut text = *b"+1-555-000-0000";
    put_digits(&mut text[7..10], random.below(1000));
    put_digits(&mut text[11..], random.below(10_000));
    Text::ascii(text)
}

fn height(centimetres: u32) -> Text<4> {
    let mut text = *b"0.00";
    put_digits(&mut text[..1], centimetres / 100);
    put_digits(&mut text[2..], centimetres % 100);
    Text::ascii(text)
}

fn address(random: &mut Random) -> Address {
    let mut digits = itoa::Buffer::new();
    let (city, province, country_code) = random.pick(&PLACES);
    let mut postal_code = [0; 5];
    put_digits(&mut postal_code, random.below(100_000));
    Address {
        street_number: Text::join(&[digits.format(random.between(1..=1999))]),
        street_name: Text::join(&[random.pick(&STREETS), " ", random.pick(&STREET_KINDS)]),
        city,
        province,
        postal_code: Text::ascii(postal_code),
        country_code,
    }
}

/// Fills `text` with the last digits of `number`.
fn put_digits(text: &mut [u8], mut number: u32) {
    for byte in text.iter_mut().rev() {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longest<const N: usize>(words: [&str; N]) -> usize {
        words.iter().map(|word| word.len()).max().unwrap()
    }

    #[test]
    fn the_longest_words_fit_their_text() {
        let name = longest(FIRST_NAMES.map(|name| name.0)) + longest(LAST_NAMES.map(|name| name.0));
        assert!(name < 48);
        let handles =
            longest(FIRST_NAMES.map(|name| name.1)) + longest(LAST_NAMES.map(|name| name.1));
        let longest_id = i64::MAX.to_string().len();
        assert!(handles + 1 + longest_id + "@example.com".len() <= 64);
        assert!(longest(STREETS) + 1 + longest(STREET_KINDS) <= 32);
    }

    #[test]
    fn handles_are_lower_case_ascii() {
        for (name, handle) in FIRST_NAMES.iter().chain(&LAST_NAMES) {
            assert!(
                handle.bytes().all(|byte| byte.is_ascii_lowercase()),
                "{name}: {handle}"
            );
        }
    }

    #[test]
    fn any_id_makes_a_user() {
        for id in [1, 2, 1_000_000_007, 100_000_000_000] {
            let user = user(i64::MIN, id);
            assert!(user.email.as_str().contains(&id.to_string()));
            assert!(user.created_at < user.updated_at);
        }
    }

    #[test]
    fn the_cursor_grows_strictly_with_the_id() {
        let mut cursors = (1..=10_000).map(|id| user(3, id).updated_at);
        assert!(cursors.by_ref().is_sorted_by(|a, b| a < b));
    }
}
