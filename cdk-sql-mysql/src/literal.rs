//! Names, literals and texts in SQL. Sessions run with `NO_BACKSLASH_ESCAPES`, so only quotes need care.

use crate::column::Kind;

/// A name in backticks.
pub(crate) fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text in quotes.
pub(crate) fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// An expression for the exact text of a value: what [`literal`] makes a value of again.
pub(crate) fn text_of(kind: &Kind, column: &str) -> String {
    let column = name(column);
    match kind {
        Kind::Bit { .. } | Kind::Enum(_) | Kind::Set(_) => format!("{column} + 0"),
        Kind::Binary { .. } | Kind::Geometry => format!("HEX({column})"),
        _ => column,
    }
}

/// A literal that compares with the column as its values do among themselves.
pub(crate) fn literal(kind: &Kind, value: &str) -> String {
    match kind {
        Kind::Boolean
        | Kind::Integer { .. }
        | Kind::Year
        | Kind::Decimal
        | Kind::Bit { .. }
        | Kind::Enum(_)
        | Kind::Set(_)
            if is_number(value) =>
        {
            value.to_owned()
        }
        // With an exponent it is a float and not a decimal.
        Kind::Double if is_number(value) => format!("{value}e0"),
        Kind::Double if is_number(&value.replace(['e', '+'], "")) => value.to_owned(),
        Kind::Binary { .. } | Kind::Geometry => format!("x{}", text(value)),
        Kind::Text { .. } => {
            let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("_utf8mb4 x'{hex}'")
        }
        _ => text(value),
    }
}

/// Whether this is digits with a sign and a point at most: nothing else goes into SQL unquoted.
fn is_number(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    !digits.is_empty()
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_a_literal() {
        let bad = "1' OR 1=1 -- `\\";
        assert_eq!(text(bad), "'1'' OR 1=1 -- `\\'");
        assert_eq!(name("a`b"), "`a``b`");
        for kind in [
            Kind::Integer { is_unsigned: false },
            Kind::Decimal,
            Kind::Double,
            Kind::Date,
        ] {
            assert_eq!(literal(&kind, bad), text(bad), "{kind:?}");
        }
        let kind = Kind::Text {
            charset: "utf8mb4".into(),
        };
        assert_eq!(literal(&kind, "é'"), "_utf8mb4 x'c3a927'");
    }

    #[test]
    fn numbers_stay_numbers_of_their_type() {
        assert_eq!(
            literal(&Kind::Integer { is_unsigned: true }, "18446744073709551615"),
            "18446744073709551615"
        );
        assert_eq!(literal(&Kind::Decimal, "-1.50"), "-1.50");
        assert_eq!(literal(&Kind::Double, "0.1"), "0.1e0");
        assert_eq!(literal(&Kind::Double, "1.5e-7"), "1.5e-7");
        assert_eq!(literal(&Kind::Binary { padded: None }, "00FF"), "x'00FF'");
    }
}
