//! Numbers that the wire writes in more than one way.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// An integer that some connectors write as a float (`1.7e12`); a fraction is cut off.
pub(crate) struct Whole(i64);

impl From<i64> for Whole {
    fn from(n: i64) -> Self {
        Self(n)
    }
}

impl From<Whole> for i64 {
    fn from(n: Whole) -> Self {
        n.0
    }
}

/// `f` without its fraction, if it fits.
pub(crate) fn truncate(f: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0; // 2^63, exact in a float
    let fits = (-LIMIT..LIMIT).contains(&f);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range is checked above"
    )]
    fits.then_some(f as i64)
}

impl Serialize for Whole {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WholeVisitor;
        impl Visitor<'_> for WholeVisitor {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of at most 64 bits")
            }

            fn visit_i64<E: Error>(self, n: i64) -> Result<Whole, E> {
                Ok(Whole(n))
            }

            fn visit_u64<E: Error>(self, n: u64) -> Result<Whole, E> {
                let fits = i64::try_from(n);
                fits.map(Whole)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(n), &self))
            }

            fn visit_f64<E: Error>(self, f: f64) -> Result<Whole, E> {
                let whole = truncate(f).map(Whole);
                whole.ok_or_else(|| E::invalid_value(Unexpected::Float(f), &self))
            }
        }
        deserializer.deserialize_any(WholeVisitor)
    }
}

/// A float that is always written with a decimal point and never with an exponent: the platform
/// reads counts without a point as integers and overflows. NaN and infinities become `null`.
#[derive(Deserialize)]
pub(crate) struct Double(f64);

impl From<f64> for Double {
    fn from(f: f64) -> Self {
        Self(f)
    }
}

impl From<Double> for f64 {
    fn from(f: Double) -> Self {
        f.0
    }
}

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.0.is_finite() {
            return serializer.serialize_none();
        }
        // `Display` writes all digits of a float and no exponent, whatever its size.
        let mut text = self.0.to_string();
        if !text.contains('.') {
            text.push_str(".0");
        }
        RawValue::from_string(text)
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

/// A map of such floats.
#[derive(Serialize, Deserialize)]
pub(crate) struct Doubles(BTreeMap<String, Double>);

impl From<BTreeMap<String, f64>> for Doubles {
    fn from(map: BTreeMap<String, f64>) -> Self {
        Self(map.into_iter().map(|(key, f)| (key, Double(f))).collect())
    }
}

impl From<Doubles> for BTreeMap<String, f64> {
    fn from(map: Doubles) -> Self {
        map.0.into_iter().map(|(key, f)| (key, f.0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_always_have_a_point_and_no_exponent() {
        let cases = [
            (12.0, "12.0"),
            (0.0, "0.0"),
            (2.5, "2.5"),
            (1e20, "100000000000000000000.0"),
        ];
        for (f, text) in cases {
            assert_eq!(serde_json::to_string(&Double(f)).unwrap(), text);
        }
        let huge = serde_json::to_string(&Double(1e300)).unwrap();
        assert!(huge.ends_with(".0") && !huge.contains('e'), "{huge}");
        assert_eq!(serde_json::from_str::<f64>(&huge).unwrap(), 1e300);
        assert_eq!(serde_json::to_string(&Double(f64::NAN)).unwrap(), "null");
    }

    #[test]
    fn whole_numbers_read_from_floats() {
        for (text, n) in [("17", 17), ("1.7e12", 1_700_000_000_000), ("-3.9", -3)] {
            assert_eq!(serde_json::from_str::<Whole>(text).unwrap().0, n);
        }
    }

    #[test]
    fn whole_numbers_refuse_what_64_bits_cannot_hold() {
        for bad in ["9223372036854775808", "1e19", "-1e300", "\"5\"", "true"] {
            assert!(serde_json::from_str::<Whole>(bad).is_err(), "{bad}");
        }
    }
}
