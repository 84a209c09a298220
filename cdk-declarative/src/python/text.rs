//! `str`, `repr` and `json.dumps` of plain values.

use std::fmt::Write;

use serde_json::{Map, Number, Value};

/// A value as Python's `str` writes it: `True`, `None`, `1.0`, `['a', 1]`; a text is itself.
pub fn python_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => python_repr(other),
    }
}

/// A value as Python's `repr` writes it.
pub fn python_repr(value: &Value) -> String {
    let mut out = String::new();
    push_repr(&mut out, value);
    out
}

pub(crate) fn push_repr(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => push_number(out, number),
        Value::String(text) => push_str_repr(out, text),
        Value::Array(items) => push_array(out, items),
        Value::Object(map) => push_object(out, map),
    }
}

pub(crate) fn push_array(out: &mut String, items: &[Value]) {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        push_repr(out, item);
    }
    out.push(']');
}

pub(crate) fn push_object(out: &mut String, map: &Map<String, Value>) {
    out.push('{');
    for (at, (key, value)) in map.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        push_str_repr(out, key);
        out.push_str(": ");
        push_repr(out, value);
    }
    out.push('}');
}

fn push_number(out: &mut String, number: &Number) {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(float) => out.push_str(&float_text(float)),
        None => {
            // A String takes everything.
            _ = write!(out, "{number}");
        }
    }
}

/// A float as Python writes it: the shortest digits that read back, an exponent below 1e-4 and from 1e16 on.
pub fn float_text(float: f64) -> String {
    if float.is_nan() {
        return "nan".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    if float != 0.0 && !(-4..16).contains(&power) {
        let sign = if power < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", power.unsigned_abs());
    }
    let plain = format!("{float}");
    if plain.contains('.') {
        plain
    } else {
        plain + ".0"
    }
}

/// A text in quotes: single ones, unless only single ones occur in it.
pub(crate) fn push_str_repr(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if letter == quote => {
                out.push('\\');
                out.push(letter);
            }
            '\0'..='\x1f' | '\x7f'..='\u{a0}' | '\u{ad}' => {
                _ = write!(out, "\\x{:02x}", letter as u32)
            }
            '\u{2028}'
            | '\u{2029}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202f}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3000}'
            | '\u{feff}'
            | '\u{2000}'..='\u{200a}'
            | '\u{205f}'
            | '\u{e000}'..='\u{f8ff}' => {
                _ = write!(out, "\\u{:04x}", letter as u32);
            }
            _ => out.push(letter),
        }
    }
    out.push(quote);
}

/// A value as Python's `json.dumps` writes it by default: blanks after `,` and `:`, everything beyond ASCII escaped.
///
/// `separators` are those two; `sorts` orders keys.
pub fn json_dumps(value: &Value, separators: (&str, &str), sorts: bool) -> String {
    let mut out = String::new();
    dump(&mut out, value, separators, sorts);
    out
}

/// The same with a line for each item, indented by so many blanks a level, and keys sorted.
pub(crate) fn json_dumps_indented(value: &Value, indent: usize) -> String {
    let mut out = String::new();
    dump_lines(&mut out, value, indent, 0);
    out
}

fn dump_lines(out: &mut String, value: &Value, indent: usize, level: usize) {
    let line = |out: &mut String, level: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * level));
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                out.push(if at == 0 { '[' } else { ',' });
                line(out, level + 1);
                dump_lines(out, item, indent, level + 1);
            }
            line(out, level);
            out.push(']');
        }
        Value::Object(map) if !map.is_empty() => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            for (at, (key, value)) in entries.into_iter().enumerate() {
                out.push(if at == 0 { '{' } else { ',' });
                line(out, level + 1);
                dump_text(out, key);
                out.push_str(": ");
                dump_lines(out, value, indent, level + 1);
            }
            line(out, level);
            out.push('}');
        }
        other => dump(out, other, (", ", ": "), true),
    }
}

fn dump(out: &mut String, value: &Value, separators: (&str, &str), sorts: bool) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => push_number(out, number),
        Value::String(text) => dump_text(out, text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push_str(separators.0);
                }
                dump(out, item, separators, sorts);
            }
            out.push(']');
        }
        Value::Object(map) => dump_map(out, map, separators, sorts),
    }
}

fn dump_map(out: &mut String, map: &Map<String, Value>, separators: (&str, &str), sorts: bool) {
    let mut entries: Vec<_> = map.iter().collect();
    if sorts {
        entries.sort_by(|a, b| a.0.cmp(b.0));
    }
    out.push('{');
    for (at, (key, value)) in entries.into_iter().enumerate() {
        if at > 0 {
            out.push_str(separators.0);
        }
        dump_text(out, key);
        out.push_str(separators.1);
        dump(out, value, separators, sorts);
    }
    out.push('}');
}

fn dump_text(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            ' '..='~' => out.push(letter),
            _ => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn floats_look_as_in_python() {
        for (float, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123456789.125, "123456789.125"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float_text(float), text);
        }
    }

    #[test]
    fn values_look_as_in_python() {
        let value = json!({"a": [1, 1.5, true, null], "it's": "x\ny", "q": "a\"'b"});
        assert_eq!(
            python_text(&value),
            r#"{'a': [1, 1.5, True, None], "it's": 'x\ny', 'q': 'a"\'b'}"#
        );
        assert_eq!(python_text(&json!("it's")), "it's");
        assert_eq!(
            json_dumps(&json!({"b": "é😀", "a": [1, 2]}), (", ", ": "), true),
            r#"{"a": [1, 2], "b": "\u00e9\ud83d\ude00"}"#
        );
    }
}
