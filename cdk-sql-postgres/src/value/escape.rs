//! JSON strings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Malformed, Written};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// `"text"`, escaped.
#[inline]
pub(super) fn write_string(text: &[u8], out: &mut Vec<u8>) -> Written {
    // Servers with encoding SQL_ASCII store any bytes.
    std::str::from_utf8(text).map_err(|_| Malformed("text that is not UTF-8"))?;
    out.push(b'"');
    write_escaped(text, out);
    out.push(b'"');
    Ok(())
}

/// Text as the inside of a JSON string.
#[inline]
pub(super) fn write_escaped(mut text: &[u8], out: &mut Vec<u8>) {
    loop {
        let clean = clean_prefix(text);
        let (plain, rest) = text.split_at(clean);
        out.extend_from_slice(plain);
        let Some((special, rest)) = rest.split_first() else {
            return;
        };
        write_special(*special, out);
        text = rest;
    }
}

fn write_special(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let digit = |nibble: u8| HEX[usize::from(nibble & 15)];
            return out.extend_from_slice(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                digit(byte >> 4),
                digit(byte),
            ]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// Non-zero if a byte of `word` is 0 (Hacker's Delight, "Find First 0-Byte"). Exact as a yes or no.
#[inline]
fn has_zero(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// How many bytes at the start need no escape: looks at eight at a time.
#[inline]
fn clean_prefix(text: &[u8]) -> usize {
    let mut words = text.chunks_exact(8);
    let mut clean = 0;
    for word in words.by_ref() {
        let word = u64::from_le_bytes(word.try_into().expect("chunks of eight"));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let special = control | has_zero(word ^ (ONES * 0x22)) | has_zero(word ^ (ONES * 0x5c));
        if special != 0 {
            break;
        }
        clean += 8;
    }
    let is_special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    clean
        + text[clean..]
            .iter()
            .position(is_special)
            .unwrap_or(text.len() - clean)
}

/// `"base64"`.
pub(super) fn write_base64(bytes: &[u8], out: &mut Vec<u8>) -> Written {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let encoded = STANDARD.encode_slice(bytes, &mut out[start..]);
    encoded.map_err(|_| Malformed("bytes of an impossible length"))?;
    out.push(b'"');
    Ok(())
}

/// `"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"`.
#[inline]
pub(super) fn write_uuid(bytes: &[u8], out: &mut Vec<u8>) -> Written {
    let bytes: &[u8; 16] = bytes
        .try_into()
        .map_err(|_| Malformed("a uuid that has not 16 bytes"))?;
    let mut text = [b'-'; 38];
    text[0] = b'"';
    text[37] = b'"';
    let mut at = 1;
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    out.extend_from_slice(&text);
    Ok(())
}

/// JSON text of the server as it is, on one line: outside of strings, line breaks are white space.
pub(super) fn write_json(json: &[u8], out: &mut Vec<u8>) -> Written {
    std::str::from_utf8(json).map_err(|_| Malformed("JSON that is not UTF-8"))?;
    let start = out.len();
    out.extend_from_slice(json);
    if memchr::memchr2(b'\n', b'\r', json).is_some() {
        let breaks = out[start..]
            .iter_mut()
            .filter(|byte| matches!(byte, b'\n' | b'\r'));
        breaks.for_each(|byte| *byte = b' ');
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn strings_are_written_as_serde_json_writes_them(text in "\\PC*|[\\x00-\\x7f]{0,40}") {
            let mut out = Vec::new();
            write_string(text.as_bytes(), &mut out).unwrap();
            let read: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read, text);
        }
    }

    #[test]
    fn what_needs_an_escape_is_found_at_every_place_of_a_word() {
        for special in [0_u8, 8, 9, 10, 12, 13, 0x1f, b'"', b'\\'] {
            for at in 0..20 {
                let mut text = vec![b'a'; 20];
                text[at] = special;
                assert_eq!(clean_prefix(&text), at, "{special} at {at}");
            }
        }
        let plain = "äöü€ abcdefghij ~\u{7f}";
        assert_eq!(clean_prefix(plain.as_bytes()), plain.len());
    }
}
