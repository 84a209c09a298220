//! Text and bytes as JSON strings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Appends text as a JSON string. What is no UTF-8 in it becomes U+FFFD.
pub(crate) fn push_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    match std::str::from_utf8(text) {
        Ok(_) => push_escaped(text, out),
        Err(_) => push_escaped(String::from_utf8_lossy(text).as_bytes(), out),
    }
    out.push(b'"');
}

/// Appends bytes as a JSON string in base64.
pub(crate) fn push_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, out.get_mut(start..).unwrap_or_default());
    written.expect("base64 takes four bytes for three");
    out.push(b'"');
}

fn push_escaped(mut text: &[u8], out: &mut Vec<u8>) {
    loop {
        let plain = plain_prefix(text);
        let (head, rest) = text.split_at_checked(plain).unwrap_or((text, &[]));
        out.extend_from_slice(head);
        let Some((&byte, rest)) = rest.split_first() else {
            return;
        };
        push_escape(byte, out);
        text = rest;
    }
}

/// How many bytes may stand in a JSON string as they are: eight at a time, no byte below 0x20, no quote, no backslash.
fn plain_prefix(text: &[u8]) -> usize {
    let mut at = 0;
    for chunk in text.chunks_exact(8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
        let is_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let quotes = is_zero(word ^ (ONES * u64::from(b'"')));
        let backslashes = is_zero(word ^ (ONES * u64::from(b'\\')));
        if controls | quotes | backslashes != 0 {
            break;
        }
        at += 8;
    }
    let rest = text.get(at..).unwrap_or_default();
    let special = rest
        .iter()
        .position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'));
    at + special.unwrap_or(rest.len())
}

#[cold]
fn push_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let [high, low] = [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]);
            return out.extend([b'\\', b'u', b'0', b'0', high, low]);
        }
    };
    out.extend([b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reads_back_as_it_was() {
        for special in [
            '"', '\\', '\n', '\0', '\u{1f}', '\u{7f}', 'é', '\u{2028}', '😀',
        ] {
            for at in 0..20 {
                let text = format!("{}{special}{}", "a".repeat(at), "b".repeat(17 - at % 17));
                let mut out = Vec::new();
                push_text(text.as_bytes(), &mut out);
                assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            }
        }
    }

    #[test]
    fn what_is_no_text_is_replaced_and_stays_json() {
        let mut out = Vec::new();
        push_text(b"a\xff\"b", &mut out);
        assert_eq!(out, "\"a\u{fffd}\\\"b\"".as_bytes());
    }

    #[test]
    fn bytes_are_base64_with_padding() {
        let mut out = Vec::new();
        push_base64(&[0, 255, 1, 2], &mut out);
        assert_eq!(out, b"\"AP8BAg==\"");
    }
}
