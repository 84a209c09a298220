//! Decimal numbers in PostgreSQL's binary form: digits of base 10000 around the decimal point.
//!
//! Source: `numeric_recv` in PostgreSQL's `src/backend/utils/adt/numeric.c`.

use cdk_core::destination::columns::NonFinite;

/// Digits that a number may have before and after its point.
const MAX_WHOLE: i64 = 131_072;
const MAX_SCALE: i64 = 16_383;

const POSITIVE: u16 = 0;
const NEGATIVE: u16 = 0x4000;

/// Why a number is none for PostgreSQL: it has too many digits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// The parts of a JSON number.
struct Parts<'a> {
    is_negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        let (is_negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (
                unsigned.get(..at).unwrap_or_default(),
                unsigned.get(at + 1..),
            ),
            None => (unsigned, None),
        };
        let exponent = exponent.map_or(0, |text| {
            // Beyond 64 bits only the sign matters: the number is too large, or has too many digits.
            let far = if text.starts_with('-') {
                i64::MIN / 4
            } else {
                i64::MAX / 4
            };
            text.strip_prefix('+')
                .unwrap_or(text)
                .parse()
                .unwrap_or(far)
        });
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        Self {
            is_negative,
            whole: whole.as_bytes(),
            fraction: fraction.as_bytes(),
            exponent: exponent.clamp(i64::MIN / 4, i64::MAX / 4),
        }
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).copied()
    }

    /// Digits before the point once the exponent is applied; not positive for small fractions.
    fn point(&self) -> i64 {
        i64::try_from(self.whole.len()).unwrap_or(MAX_WHOLE + 1) + self.exponent
    }

    /// Digits shown after the point.
    fn scale(&self) -> i64 {
        let fraction = i64::try_from(self.fraction.len()).unwrap_or(MAX_SCALE + 1);
        (fraction - self.exponent).max(0)
    }
}

/// Whether PostgreSQL can hold the JSON number `text`.
pub(crate) fn check(text: &str) -> Result<(), TooLarge> {
    // Almost all numbers are short and plain.
    if text.len() < 100 && !text.bytes().any(|byte| matches!(byte, b'e' | b'E')) {
        return Ok(());
    }
    let parts = Parts::of(text);
    if parts.digits().all(|digit| digit == b'0') {
        return if parts.scale() <= MAX_SCALE {
            Ok(())
        } else {
            Err(TooLarge)
        };
    }
    if parts.point() > MAX_WHOLE || parts.scale() > MAX_SCALE {
        return Err(TooLarge);
    }
    Ok(())
}

/// Writes the value of the JSON number `text`, with every digit. `scratch` is reused between calls.
pub(crate) fn write(out: &mut Vec<u8>, text: &str, scratch: &mut Vec<u8>) -> Result<(), TooLarge> {
    check(text)?;
    let parts = Parts::of(text);
    scratch.clear();
    let scale = u16::try_from(parts.scale()).map_err(|_| TooLarge)?;
    let whole_groups = align(&parts, scratch)?;
    let groups = scratch.chunks(4).map(group);
    let leading = groups.clone().take_while(|group| *group == 0).count();
    let count = scratch.len() / 4;
    if leading == count {
        header(out, 0, 0, POSITIVE, scale);
        return Ok(());
    }
    let trailing = groups.clone().rev().take_while(|group| *group == 0).count();
    let kept = i16::try_from(count - leading - trailing).map_err(|_| TooLarge)?;
    let weight = whole_groups - 1 - i64::try_from(leading).map_err(|_| TooLarge)?;
    let weight = i16::try_from(weight).map_err(|_| TooLarge)?;
    let sign = if parts.is_negative {
        NEGATIVE
    } else {
        POSITIVE
    };
    header(out, kept, weight, sign, scale);
    for group in groups.skip(leading).take(kept.unsigned_abs().into()) {
        out.extend_from_slice(&group.to_be_bytes());
    }
    Ok(())
}

/// Writes a 64-bit number.
pub(crate) fn write_integer(out: &mut Vec<u8>, value: i64) {
    let mut groups = [0_u16; 5];
    let mut count = 0;
    let mut rest = value.unsigned_abs();
    while rest > 0 {
        if let Some(group) = groups.get_mut(count) {
            *group = u16::try_from(rest % 10_000).unwrap_or_default();
        }
        rest /= 10_000;
        count += 1;
    }
    let trailing = groups
        .iter()
        .take(count)
        .take_while(|group| **group == 0)
        .count();
    let sign = if value < 0 { NEGATIVE } else { POSITIVE };
    let small = |n: usize| i16::try_from(n).unwrap_or_default();
    header(
        out,
        small(count - trailing),
        small(count.max(1) - 1),
        sign,
        0,
    );
    for group in groups.iter().take(count).skip(trailing).rev() {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// Writes a value that is no number.
pub(crate) fn write_non_finite(out: &mut Vec<u8>, value: NonFinite) {
    let sign = match value {
        NonFinite::NaN => 0xc000,
        NonFinite::Infinity => 0xd000,
        NonFinite::NegativeInfinity => 0xf000,
    };
    header(out, 0, 0, sign, 0);
}

fn header(out: &mut Vec<u8>, groups: i16, weight: i16, sign: u16, scale: u16) {
    let bytes = 8 + 2 * i32::from(groups);
    out.extend_from_slice(&bytes.to_be_bytes());
    out.extend_from_slice(&groups.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
}

/// Puts the digits into groups of four that meet at the point; returns how many groups stand before it.
fn align(parts: &Parts<'_>, scratch: &mut Vec<u8>) -> Result<i64, TooLarge> {
    let point = parts.point();
    let total = parts.whole.len() + parts.fraction.len();
    let whole = usize::try_from(point.max(0)).map_err(|_| TooLarge)?;
    // A zero may have any exponent.
    let whole = whole.min(usize::try_from(MAX_WHOLE).map_err(|_| TooLarge)?);
    scratch.resize((4 - whole % 4) % 4, b'0');
    scratch.extend(parts.digits().take(whole));
    scratch.extend(std::iter::repeat_n(b'0', whole.saturating_sub(total)));
    let before = scratch.len() / 4;
    let gap = usize::try_from((-point).clamp(0, MAX_SCALE)).map_err(|_| TooLarge)?;
    scratch.extend(std::iter::repeat_n(b'0', gap));
    scratch.extend(parts.digits().skip(whole));
    let rest = scratch.len() % 4;
    scratch.extend(std::iter::repeat_n(b'0', (4 - rest) % 4));
    i64::try_from(before).map_err(|_| TooLarge)
}

fn group(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |value, digit| {
        value * 10 + u16::from(digit.wrapping_sub(b'0'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Groups, weight, sign and scale.
    fn written(text: &str) -> (Vec<u16>, i16, u16, u16) {
        let mut out = Vec::new();
        write(&mut out, text, &mut vec![1, 2, 3]).unwrap();
        read(&out)
    }

    fn read(out: &[u8]) -> (Vec<u16>, i16, u16, u16) {
        let word = |at: usize| u16::from_be_bytes([out[at], out[at + 1]]);
        let length = u32::from_be_bytes([out[0], out[1], out[2], out[3]]);
        assert_eq!(length as usize, out.len() - 4);
        let groups = (0..usize::from(word(4)))
            .map(|at| word(12 + 2 * at))
            .collect();
        (groups, word(6).cast_signed(), word(8), word(10))
    }

    #[test]
    fn digits_meet_at_the_point() {
        let cases: [(&str, &[u16], i16, u16); 14] = [
            ("0", &[], 0, 0),
            ("0.00", &[], 0, 2),
            ("1", &[1], 0, 0),
            ("10000", &[1], 1, 0),
            ("12345", &[1, 2345], 1, 0),
            ("1.10", &[1, 1000], 0, 2),
            ("0.0001", &[1], -1, 4),
            ("0.00001", &[1000], -2, 5),
            ("1e4", &[1], 1, 0),
            ("1.5e3", &[1500], 0, 0),
            ("15e-1", &[1, 5000], 0, 1),
            ("1e-7", &[10], -2, 7),
            ("123e-9", &[12, 3000], -2, 9),
            ("0e99999999999999999999", &[], 0, 0),
        ];
        for (text, groups, weight, scale) in cases {
            assert_eq!(
                written(text),
                (groups.to_vec(), weight, POSITIVE, scale),
                "{text}"
            );
        }
        assert_eq!(written("-20001.5"), (vec![2, 1, 5000], 1, NEGATIVE, 1));
    }

    #[test]
    fn numbers_beyond_the_limits_are_refused() {
        for text in [
            "1e131072",
            "1e-16384",
            "1e99999999999999999999",
            "-1e-99999999999999999999",
        ] {
            assert_eq!(
                write(&mut Vec::new(), text, &mut Vec::new()),
                Err(TooLarge),
                "{text}"
            );
        }
        assert!(check("1e131071").is_ok() && check("1e-16383").is_ok());
        let long = format!("0.{}", "1".repeat(16_384));
        assert_eq!(check(&long), Err(TooLarge));
    }

    proptest! {
        #[test]
        fn integers_are_written_as_their_text_is(value in any::<i64>(), shift in 0u32..63) {
            let value = value >> shift;
            let mut out = Vec::new();
            write_integer(&mut out, value);
            prop_assert_eq!(read(&out), written(&value.to_string()));
        }
    }
}
