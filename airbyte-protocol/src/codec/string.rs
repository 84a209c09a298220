//! The content of JSON strings.

use std::borrow::Cow;
use std::fmt;

/// Why a JSON string can't be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StringError {
    /// The text isn't a quoted string.
    NotAString,
    /// No JSON escape at this byte of the text.
    BadEscape(usize),
    /// A raw control character at this byte of the text; JSON wants it escaped.
    ControlCharacter(usize),
    /// Half of a surrogate pair at this byte of the text: valid JSON, but no Unicode text.
    UnpairedSurrogate(usize),
}

impl fmt::Display for StringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAString => f.write_str("the JSON value is not a string"),
            Self::BadEscape(at) => write!(f, "unknown escape in a JSON string at byte {at}"),
            Self::ControlCharacter(at) => {
                write!(
                    f,
                    "unescaped control character in a JSON string at byte {at}"
                )
            }
            Self::UnpairedSurrogate(at) => write!(
                f,
                "half of a surrogate pair in a JSON string at byte {at}; it has no form in UTF-8"
            ),
        }
    }
}

impl std::error::Error for StringError {}

/// The content of the JSON string `text` (with its quotes), borrowed if it holds no escapes.
///
/// # Errors
/// When `text` isn't a well-formed JSON string. An unpaired surrogate (`\ud800`) is an error of its
/// own, since valid JSON may hold one and UTF-8 can't: null the value with a `meta` change, or use
/// [`decode_str_lossy`].
pub fn decode_str(text: &str) -> Result<Cow<'_, str>, StringError> {
    decode(text, Surrogates::Refuse)
}

/// Like [`decode_str`], but an unpaired surrogate becomes U+FFFD.
///
/// # Errors
/// When `text` isn't a well-formed JSON string.
pub fn decode_str_lossy(text: &str) -> Result<Cow<'_, str>, StringError> {
    decode(text, Surrogates::Replace)
}

#[derive(Clone, Copy, PartialEq)]
enum Surrogates {
    Refuse,
    Replace,
}

fn decode(text: &str, surrogates: Surrogates) -> Result<Cow<'_, str>, StringError> {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let inner = inner.ok_or(StringError::NotAString)?;
    let stop = |b: &u8| matches!(b, b'\\' | b'"' | 0..=0x1f);
    let Some(first) = inner.bytes().position(|b| stop(&b)) else {
        return Ok(Cow::Borrowed(inner));
    };
    let mut out = String::with_capacity(inner.len());
    let mut at = first;
    let mut plain = 0;
    loop {
        out.push_str(inner.get(plain..at).unwrap_or_default());
        match inner.as_bytes().get(at) {
            None => return Ok(Cow::Owned(out)),
            Some(b'\\') => {}
            // A quote here means that the text goes on after its string ended.
            Some(b'"') => return Err(StringError::NotAString),
            Some(_) => return Err(StringError::ControlCharacter(at + 1)),
        }
        let (decoded, used) = escape(inner.as_bytes(), at, surrogates)?;
        out.push(decoded);
        plain = at + used;
        let rest = inner.as_bytes().get(plain..).unwrap_or_default();
        at = rest
            .iter()
            .position(stop)
            .map_or(inner.len(), |i| plain + i);
    }
}

/// The character of the escape at `at` and the escape's length. Offsets in errors count the
/// opening quote, hence the `+ 1`.
fn escape(inner: &[u8], at: usize, surrogates: Surrogates) -> Result<(char, usize), StringError> {
    let bad = StringError::BadEscape(at + 1);
    let simple = match inner.get(at + 1).ok_or(bad)? {
        c @ (b'"' | b'\\' | b'/') => char::from(*c),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode_escape(inner, at, surrogates),
        _ => return Err(bad),
    };
    Ok((simple, 2))
}

fn unicode_escape(
    inner: &[u8],
    at: usize,
    surrogates: Surrogates,
) -> Result<(char, usize), StringError> {
    let first = hex(inner, at).ok_or(StringError::BadEscape(at + 1))?;
    if let Some(c) = char::from_u32(first) {
        return Ok((c, 6));
    }
    let second = hex(inner, at + 6).filter(|low| (0xdc00..0xe000).contains(low));
    if let (0xd800..0xdc00, Some(low)) = (first, second) {
        let pair = 0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00);
        return Ok((
            char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER),
            12,
        ));
    }
    match surrogates {
        Surrogates::Refuse => Err(StringError::UnpairedSurrogate(at + 1)),
        Surrogates::Replace => Ok((char::REPLACEMENT_CHARACTER, 6)),
    }
}

/// The number of the `\uXXXX` at `at`.
fn hex(inner: &[u8], at: usize) -> Option<u32> {
    let digits = inner.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits
        .iter()
        .try_fold(0, |n, d| Some(n << 4 | char::from(*d).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_without_escapes_are_borrowed() {
        assert!(matches!(
            decode_str("\"Zürich\""),
            Ok(Cow::Borrowed("Zürich"))
        ));
    }

    #[test]
    fn all_escapes_are_decoded() {
        let text = r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00z""#;
        assert_eq!(decode_str(text).unwrap(), "a\"\\/\u{8}\u{c}\n\r\té😀z");
    }

    #[test]
    fn unpaired_surrogates_are_reported_or_replaced() {
        for (text, at, lossy) in [
            (r#""\ud800""#, 1, "\u{fffd}"),
            (r#""a\udc00b""#, 2, "a\u{fffd}b"),
            (r#""\ud800\u0041""#, 1, "\u{fffd}A"),
            (r#""\ud800\ud83d\ude00""#, 1, "\u{fffd}😀"),
        ] {
            assert_eq!(
                decode_str(text),
                Err(StringError::UnpairedSurrogate(at)),
                "{text}"
            );
            assert_eq!(decode_str_lossy(text).unwrap(), lossy, "{text}");
        }
    }

    #[test]
    fn malformed_strings_are_errors() {
        for text in [
            "",
            "\"",
            "a",
            "1",
            r#""\x""#,
            r#""\u12""#,
            r#""\u12g4""#,
            r#""a"b""#,
            r#""\""#,
        ] {
            assert!(decode_str(text).is_err(), "{text}");
            assert!(decode_str_lossy(text).is_err(), "{text}");
        }
        assert_eq!(
            decode_str("\"a\nb\""),
            Err(StringError::ControlCharacter(2))
        );
    }
}
