//! Decimal numbers as text: what a double holds exactly, and how two of them compare.

use std::io::{Cursor, Write};

/// A JSON number, cut into its parts. Its value is `0.d₁d₂… · 10^point`, with the digits `d` from the
/// first to the last that is not 0.
#[derive(Debug, Clone, Copy)]
pub struct Decimal<'a> {
    is_negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    leading_zeros: usize,
    significant: usize,
    point: i64,
}

impl<'a> Decimal<'a> {
    /// Cuts up a JSON number. `None` when `text` is no decimal number. Exponents beyond 64 bits count as none.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (is_negative, unsigned) = text
            .strip_prefix('-')
            .map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (whole, fraction) = (whole.as_bytes(), fraction.as_bytes());
        let digits = || whole.iter().chain(fraction);
        if whole.is_empty() || !digits().all(u8::is_ascii_digit) {
            return None;
        }
        let is_zero = |digit: &&u8| **digit == b'0';
        let leading_zeros = digits().take_while(is_zero).count();
        let trailing_zeros = digits().rev().take_while(is_zero).count();
        let total = whole.len() + fraction.len();
        let significant = total.saturating_sub(leading_zeros + trailing_zeros);
        let shift = i64::try_from(whole.len()).ok()? - i64::try_from(leading_zeros).ok()?;
        let point = if significant == 0 {
            0
        } else {
            exponent.checked_add(shift)?
        };
        Some(Self {
            is_negative,
            whole,
            fraction,
            leading_zeros,
            significant,
            point,
        })
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        let all = self.whole.iter().chain(self.fraction).copied();
        all.skip(self.leading_zeros).take(self.significant)
    }

    fn equals(&self, other: &Decimal<'_>) -> bool {
        let both_zero = self.significant == 0 && other.significant == 0;
        both_zero
            || (self.is_negative == other.is_negative
                && self.point == other.point
                && self.significant == other.significant
                && self.digits().eq(other.digits()))
    }

    /// The number times 10 to the power of `scale`, if that is whole and has at most `precision` digits.
    pub fn scaled(&self, precision: u8, scale: i8) -> Option<i128> {
        if self.significant == 0 {
            return Some(0);
        }
        let digits_before_point = self.point.checked_add(i64::from(scale))?;
        let zeros = digits_before_point.checked_sub(i64::try_from(self.significant).ok()?)?;
        if zeros < 0 || digits_before_point > i64::from(precision) {
            return None;
        }
        let mut value = 0_i128;
        let zeros = std::iter::repeat_n(b'0', usize::try_from(zeros).ok()?);
        for digit in self.digits().chain(zeros) {
            value = value
                .checked_mul(10)?
                .checked_add(i128::from(digit - b'0'))?;
        }
        Some(if self.is_negative { -value } else { value })
    }

    /// Bytes that compare as the numbers do.
    pub fn order_key(&self) -> Vec<u8> {
        if self.significant == 0 {
            return vec![0x80];
        }
        let exponent = (self.point ^ i64::MIN).to_be_bytes();
        let magnitude = exponent.into_iter().chain(self.digits());
        if !self.is_negative {
            return std::iter::once(0x81).chain(magnitude).collect();
        }
        // Of two negative numbers the one with more digits behind a common start is the smaller one.
        let complement = magnitude.map(|byte| !byte);
        std::iter::once(0x7f)
            .chain(complement)
            .chain(std::iter::once(0xff))
            .collect()
    }
}

/// The double that prints as the JSON number `text`, if there is one.
pub fn exact_f64(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let decimal = Decimal::parse(text)?;
    if decimal.significant == 0 {
        return Some(0.0);
    }
    if !value.is_normal() {
        return None;
    }
    // Every decimal of 15 digits in the range of doubles is the shortest text of some double (IEEE 754).
    if decimal.significant <= 15 {
        return Some(value);
    }
    // 17 digits are always enough to tell two doubles apart.
    if decimal.significant > 17 {
        return None;
    }
    let prints = |text: Cursor<[u8; 32]>| {
        let used = usize::try_from(text.position()).ok()?;
        let shortest = std::str::from_utf8(text.get_ref().get(..used)?).ok()?;
        Decimal::parse(shortest)?.equals(&decimal).then_some(value)
    };
    let mut text = Cursor::new([0; 32]);
    write!(text, "{value:e}").ok()?;
    // Of two shortest texts that are equally near, Rust takes the even one and serde_json may take the other.
    prints(text).or_else(|| {
        let mut text = Cursor::new([0; 32]);
        serde_json::to_writer(&mut text, &value).ok()?;
        prints(text)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_decimal_is_scaled_only_where_no_digit_is_lost() {
        let scaled = |text: &str, precision, scale| Decimal::parse(text)?.scaled(precision, scale);
        assert_eq!(scaled("-12.340", 10, 2), Some(-1234));
        assert_eq!(scaled("1.2e3", 10, 2), Some(120_000));
        assert_eq!(scaled("0.00", 2, 2), Some(0));
        assert_eq!(scaled("1200", 2, -2), Some(12));
        let digits = "9".repeat(38);
        assert_eq!(scaled(&digits, 38, 0), digits.parse().ok());
        for (text, precision, scale) in [
            ("12.345", 10, 2),
            ("1234", 3, 0),
            ("12", 2, 1),
            ("1e-3", 38, 2),
            ("1250", 4, -2),
        ] {
            assert_eq!(scaled(text, precision, scale), None, "{text}");
        }
    }

    #[test]
    fn doubles_are_used_only_where_they_are_exact() {
        for text in [
            "0",
            "-0.0",
            "1.10",
            "5",
            "1e300",
            "0.1",
            "19.99",
            "0.30000000000000004",
            // Equally near to 1999193581218275.25, and both are in use.
            "1999193581218275.2",
            "1999193581218275.3",
        ] {
            assert!(exact_f64(text).is_some(), "{text}");
        }
        let inexact = [
            "1e400",
            "9007199254740993",
            "0.1000000000000000055",
            "1e-320",
            "123456789012345678",
            "1999193581218275.4",
        ];
        for text in inexact {
            assert!(exact_f64(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_double_is_exact_in_its_shortest_text(value in proptest::num::f64::NORMAL) {
            prop_assert_eq!(exact_f64(&format!("{value:e}")), Some(value));
            prop_assert_eq!(exact_f64(&format!("{value}")), Some(value));
        }

        #[test]
        fn order_keys_compare_as_the_numbers_do(a in any::<i128>(), b in any::<i128>(), shift in 0u32..30) {
            // Numbers of all sizes, so that exponents differ too.
            let (a, b) = (a >> (shift * 4), b);
            let key = |n: i128, suffix: &str| {
                Decimal::parse(&format!("{n}{suffix}")).expect("a number").order_key()
            };
            prop_assert_eq!(key(a, ".0").cmp(&key(b, "")), a.cmp(&b));
            prop_assert_eq!(key(a, "e-7").cmp(&key(b, "E-7")), a.cmp(&b));
        }
    }

    #[test]
    fn fractions_order_by_value() {
        let sorted = [
            "-10", "-1.25", "-1.2", "-0.001", "0", "0.001", "1.2", "1.25", "1e1", "11",
        ];
        let keys: Vec<_> = sorted
            .iter()
            .map(|text| Decimal::parse(text).expect("a number").order_key())
            .collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
    }
}
