//! Python's `ast.literal_eval`.

use serde_json::{Map, Number, Value};

use super::{float_of_text, push_repr};

/// Deeper nesting is no literal; Python's parser stops there too.
const MAX_DEPTH: usize = 90;

/// What a Python literal stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// None, booleans, numbers, texts; lists and dicts.
    Plain(Value),
    /// A tuple, as an array.
    Tuple(Vec<Value>),
}

impl Literal {
    /// As JSON: a tuple is an array.
    pub fn into_json(self) -> Value {
        match self {
            Self::Plain(value) => value,
            Self::Tuple(items) => Value::Array(items),
        }
    }

    /// As Python's `str` writes it.
    pub fn text(&self) -> String {
        match self {
            Self::Plain(value) => super::python_text(value),
            Self::Tuple(items) => {
                let mut out = "(".to_owned();
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push_str(", ");
                    }
                    push_repr(&mut out, item);
                }
                out.push_str(if items.len() == 1 { ",)" } else { ")" });
                out
            }
        }
    }
}

/// The value of a text that is a Python literal; `None` when it is none.
///
/// Bytes, sets, complex numbers, and whole numbers beyond 64 bits count as none: JSON has no exact form for them here.
pub fn literal_eval(text: &str) -> Option<Literal> {
    let text = text.trim_start_matches([' ', '\t']);
    if !may_be_literal(text.trim_start_matches(['\n', '\r'])) {
        return None;
    }
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
    while let Some(b'\n' | b'\r') = parser.peek() {
        parser.at += 1;
    }
    let first = parser.value()?;
    parser.blanks(false);
    let literal = if parser.peek() == Some(b',') {
        Literal::Tuple(parser.rest_of_tuple(first, None)?)
    } else {
        first
    };
    parser.blanks(true);
    (parser.at == text.len()).then_some(literal)
}

/// Most texts are none, and their first bytes tell.
fn may_be_literal(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'(' | b'[' | b'{' | b'\'' | b'"') => true,
        Some(b'T') => text.starts_with("True"),
        Some(b'F') => text.starts_with("False"),
        Some(b'N') => text.starts_with("None"),
        Some(b'r' | b'R' | b'u' | b'U') => matches!(bytes.get(1), Some(b'\'' | b'"')),
        _ => false,
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Skips blanks and comments; line breaks too inside of brackets and at the end.
    fn blanks(&mut self, over_lines: bool) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\x0c') => self.at += 1,
                Some(b'\n' | b'\r') if over_lines => self.at += 1,
                Some(b'#') => {
                    let rest = &self.text[self.at..];
                    self.at += rest.find('\n').unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    fn value(&mut self) -> Option<Literal> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = match self.peek()? {
            b'[' => Literal::Plain(Value::Array(self.items(b']')?)),
            b'(' => self.parenthesis()?,
            b'{' => self.dict()?,
            b'0'..=b'9' | b'.' => Literal::Plain(self.number(false)?),
            sign @ (b'+' | b'-') => {
                self.at += 1;
                self.blanks(false);
                Literal::Plain(self.number(sign == b'-')?)
            }
            b'\'' | b'"' | b'r' | b'R' | b'u' | b'U' => Literal::Plain(self.strings()?),
            _ => Literal::Plain(self.name()?),
        };
        self.depth -= 1;
        Some(value)
    }

    fn name(&mut self) -> Option<Value> {
        let names = [
            ("True", Value::Bool(true)),
            ("False", Value::Bool(false)),
            ("None", Value::Null),
        ];
        let rest = &self.text[self.at..];
        let (name, value) = names.into_iter().find(|(name, _)| rest.starts_with(name))?;
        let next = rest[name.len()..].chars().next();
        if next.is_some_and(|next| next.is_alphanumeric() || next == '_') {
            return None;
        }
        self.at += name.len();
        Some(value)
    }

    /// Items up to `close`, the opening bracket included.
    fn items(&mut self, close: u8) -> Option<Vec<Value>> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.blanks(true);
            if self.eat(close) {
                return Some(items);
            }
            items.push(self.value()?.into_json());
            self.blanks(true);
            if !self.eat(b',') {
                return self.eat(close).then_some(items);
            }
        }
    }

    fn parenthesis(&mut self) -> Option<Literal> {
        self.at += 1;
        self.blanks(true);
        if self.eat(b')') {
            return Some(Literal::Tuple(Vec::new()));
        }
        let first = self.value()?;
        self.blanks(true);
        if self.eat(b')') {
            return Some(first);
        }
        self.rest_of_tuple(first, Some(b')')).map(Literal::Tuple)
    }

    /// What follows a tuple's first item, from the comma on.
    fn rest_of_tuple(&mut self, first: Literal, close: Option<u8>) -> Option<Vec<Value>> {
        let mut items = vec![first.into_json()];
        let over_lines = close.is_some();
        loop {
            self.blanks(over_lines);
            let ends = match close {
                Some(close) => self.eat(close),
                None => matches!(self.peek(), None | Some(b'\n' | b'\r')),
            };
            if ends {
                return Some(items);
            }
            if !self.eat(b',') {
                return None;
            }
            self.blanks(over_lines);
            let is_next = match close {
                Some(close) => self.peek() != Some(close),
                None => !matches!(self.peek(), None | Some(b'\n' | b'\r')),
            };
            if is_next {
                items.push(self.value()?.into_json());
            }
        }
    }

    fn dict(&mut self) -> Option<Literal> {
        self.at += 1;
        let mut map = Map::new();
        loop {
            self.blanks(true);
            if self.eat(b'}') {
                return Some(Literal::Plain(Value::Object(map)));
            }
            let key = match self.value()? {
                Literal::Plain(Value::String(key)) => key,
                Literal::Plain(Value::Array(_) | Value::Object(_)) => return None,
                other => other.text(),
            };
            self.blanks(true);
            self.eat(b':').then_some(())?;
            self.blanks(true);
            let value = self.value()?.into_json();
            map.insert(key, value);
            self.blanks(true);
            if !self.eat(b',') && self.peek() != Some(b'}') {
                return None;
            }
        }
    }

    fn number(&mut self, is_negative: bool) -> Option<Value> {
        let rest = &self.text[self.at..];
        let bytes = rest.as_bytes();
        let mut length = 0;
        let mut is_float = false;
        let has_base = matches!(bytes, [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', ..]);
        while let Some(byte) = bytes.get(length) {
            match byte {
                b'0'..=b'9' | b'_' => {}
                b'a'..=b'z' | b'A'..=b'Z' if has_base => {}
                b'.' if !has_base => is_float = true,
                b'e' | b'E' => {
                    is_float = true;
                    length += usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
                }
                _ => break,
            }
            length += 1;
        }
        let digits = rest.get(..length)?;
        self.at += length;
        // An imaginary part, or a name that runs into the number.
        if self
            .peek()
            .is_some_and(|next| next.is_ascii_alphabetic() || next >= 0x80)
        {
            return None;
        }
        if is_float && !has_base {
            let float = float_of_text(digits)?;
            return Number::from_f64(if is_negative { -float } else { float }).map(Value::Number);
        }
        whole(digits, is_negative)
    }

    /// One or more string literals side by side.
    fn strings(&mut self) -> Option<Value> {
        let mut text = String::new();
        loop {
            let is_raw = match self.peek() {
                Some(b'r' | b'R') => {
                    self.at += 1;
                    true
                }
                Some(b'u' | b'U') => {
                    self.at += 1;
                    false
                }
                _ => false,
            };
            self.string(is_raw, &mut text)?;
            let end = self.at;
            self.blanks(self.depth > 1);
            if !matches!(self.peek(), Some(b'\'' | b'"')) {
                self.at = end;
                return Some(Value::String(text));
            }
        }
    }

    fn string(&mut self, is_raw: bool, out: &mut String) -> Option<()> {
        let rest = &self.text[self.at..];
        let quote = rest
            .chars()
            .next()
            .filter(|quote| matches!(quote, '\'' | '"'))?;
        let triple: String = [quote; 3].iter().collect();
        let is_triple = rest.starts_with(&triple);
        let end = if is_triple {
            triple.as_str()
        } else {
            &triple[..1]
        };
        self.at += end.len();
        loop {
            let rest = &self.text[self.at..];
            if rest.starts_with(end) {
                self.at += end.len();
                return Some(());
            }
            let letter = rest.chars().next()?;
            self.at += letter.len_utf8();
            match letter {
                '\n' if !is_triple => return None,
                '\\' if is_raw => {
                    let next = self.text[self.at..].chars().next()?;
                    out.push('\\');
                    out.push(next);
                    self.at += next.len_utf8();
                }
                '\\' => self.escape(out)?,
                _ => out.push(letter),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Option<()> {
        let letter = self.text[self.at..].chars().next()?;
        self.at += letter.len_utf8();
        let plain = match letter {
            '\n' => return Some(()),
            '\\' | '\'' | '"' => letter,
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '0'..='7' => {
                let rest = &self.text[self.at - 1..];
                let length = rest
                    .bytes()
                    .take(3)
                    .take_while(|b| (b'0'..=b'7').contains(b))
                    .count();
                self.at += length - 1;
                char::from_u32(u32::from_str_radix(&rest[..length], 8).ok()?)?
            }
            'x' | 'u' | 'U' => {
                let length = match letter {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let digits = self.text.get(self.at..self.at + length)?;
                self.at += length;
                char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
            }
            'N' => return None,
            other => {
                out.push('\\');
                other
            }
        };
        out.push(plain);
        Some(())
    }
}

fn whole(digits: &str, is_negative: bool) -> Option<Value> {
    let (digits, base) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&digits[2..], 16),
        [b'0', b'o' | b'O', ..] => (&digits[2..], 8),
        [b'0', b'b' | b'B', ..] => (&digits[2..], 2),
        _ => (digits, 10),
    };
    let is_grouped = !digits.ends_with('_')
        && !digits.contains("__")
        && (base != 10 || !digits.starts_with('_'));
    let plain = digits.replace('_', "");
    let is_octal_of_old =
        base == 10 && plain.len() > 1 && plain.starts_with('0') && plain.bytes().any(|b| b != b'0');
    if !is_grouped || is_octal_of_old {
        return None;
    }
    let number = i128::from_str_radix(&plain, base).ok()?;
    let number = if is_negative { -number } else { number };
    match i64::try_from(number) {
        Ok(number) => Some(number.into()),
        Err(_) => u64::try_from(number).ok().map(Value::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn literals_are_read_as_python_reads_them() {
        for (text, value) in [
            ("5", json!(5)),
            (" 42 ", json!(42)),
            ("-7", json!(-7)),
            ("+ 7", json!(7)),
            ("1_000", json!(1000)),
            ("0x1F", json!(31)),
            ("0b_1", json!(1)),
            ("00", json!(0)),
            ("1.0", json!(1.0)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("1e3", json!(1000.0)),
            ("True", json!(true)),
            ("None", json!(null)),
            ("[1, 2,]", json!([1, 2])),
            ("[1,\n 2] # two", json!([1, 2])),
            ("{'a': 1, \"b\": [None]}", json!({"a": 1, "b": [null]})),
            ("{1: 'x'}", json!({"1": "x"})),
            ("'x'", json!("x")),
            ("'a' 'b'", json!("ab")),
            ("\"\"\"{\"a\": 1}\"\"\"", json!("{\"a\": 1}")),
            ("r'\\d'", json!("\\d")),
            ("'\\x41\\u00e9\\101\\q'", json!("AéA\\q")),
            ("(5)", json!(5)),
            ("1,2", json!([1, 2])),
            ("(1,)", json!([1])),
            ("\n5", json!(5)),
            ("5\n", json!(5)),
            ("18446744073709551615", json!(u64::MAX)),
        ] {
            assert_eq!(
                literal_eval(text).map(Literal::into_json),
                Some(value),
                "{text:?}"
            );
        }
    }

    #[test]
    fn other_texts_stay_texts() {
        for text in [
            "",
            " ",
            "007",
            "0123",
            "2024-10-10",
            "1__0",
            "_1",
            "1_",
            "--5",
            "5 6",
            "abc",
            "Trueish",
            "true",
            "nan",
            "1j",
            "5px",
            "[1",
            "{1}",
            "{'a'}",
            "'x",
            "'x' y",
            "1 +",
            "a'b'",
            "f'x'",
            "b'x'",
            "12:30",
            "1.2.3",
            "...",
            "[a]",
            "{'a': }",
            "\n 5",
            "+",
            "é",
            "1é",
            "None1",
        ] {
            assert_eq!(literal_eval(text), None, "{text:?}");
        }
    }

    #[test]
    fn tuples_are_written_as_tuples() {
        assert_eq!(literal_eval("1,'b'").unwrap().text(), "(1, 'b')");
        assert_eq!(literal_eval("1,").unwrap().text(), "(1,)");
        assert_eq!(
            literal_eval(&crate::python::python_repr(&json!("it's \\ 'x'\n")))
                .unwrap()
                .text(),
            "it's \\ 'x'\n"
        );
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(literal_eval(&deep), None);
    }
}
