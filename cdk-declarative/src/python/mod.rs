//! How Python writes and reads plain values.

mod literal;
mod text;

pub use literal::{Literal, literal_eval};
pub use text::{float_text, json_dumps, python_repr, python_text};

pub(crate) use text::{json_dumps_indented, push_array, push_object, push_repr, push_str_repr};

/// Reads a whole number as Python's `int()` reads a text: blanks round it, a sign, underscores between digits.
pub(crate) fn int_of_text(text: &str) -> Option<i128> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_well_formed = !unsigned.is_empty()
        && unsigned
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
        && !unsigned.starts_with('_')
        && !unsigned.ends_with('_')
        && !unsigned.contains("__");
    if !is_well_formed {
        return None;
    }
    match text.contains('_') {
        true => text.replace('_', "").parse().ok(),
        false => text.parse().ok(),
    }
}

/// Reads a number as Python's `float()` reads a text.
pub(crate) fn float_of_text(text: &str) -> Option<f64> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let first = unsigned.as_bytes().first()?;
    if first.is_ascii_alphabetic() {
        let lower = unsigned.to_ascii_lowercase();
        let known = matches!(lower.as_str(), "inf" | "infinity" | "nan");
        return known.then(|| text.parse().ok()).flatten();
    }
    let between_digits = |at: usize| {
        let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
        let bytes = text.as_bytes();
        at > 0 && digit(bytes.get(at - 1)) && digit(bytes.get(at + 1))
    };
    if text.contains('_') {
        let underscores = text.match_indices('_').all(|(at, _)| between_digits(at));
        return underscores
            .then(|| text.replace('_', "").parse().ok())
            .flatten();
    }
    text.parse().ok()
}
