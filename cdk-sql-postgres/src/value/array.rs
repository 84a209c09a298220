//! Arrays, nested by dimension.

use super::binary::write_binary;
use super::kind::Kind;
use super::text::write_text;
use super::{Malformed, Written};

const CUT: Malformed = Malformed("an array that is cut off");
/// The server allows six.
const MAX_DIMENSIONS: usize = 6;

fn word(bytes: &mut &[u8]) -> Result<i32, Malformed> {
    let (word, rest) = bytes.split_first_chunk::<4>().ok_or(CUT)?;
    *bytes = rest;
    Ok(i32::from_be_bytes(*word))
}

/// `array_send`: dimensions, flags, element type, length and lower bound of each dimension, elements.
pub(super) fn write_binary_array(items: &Kind, mut bytes: &[u8], out: &mut Vec<u8>) -> Written {
    let dimensions = usize::try_from(word(&mut bytes)?).map_err(|_| CUT)?;
    let (_has_nulls, _element_type) = (word(&mut bytes)?, word(&mut bytes)?);
    if dimensions > MAX_DIMENSIONS {
        return Err(Malformed(
            "an array of more dimensions than the server allows",
        ));
    }
    let mut lengths = Vec::with_capacity(dimensions);
    for _ in 0..dimensions {
        lengths.push(usize::try_from(word(&mut bytes)?).map_err(|_| CUT)?);
        let _lower_bound = word(&mut bytes)?;
    }
    if lengths.is_empty() {
        out.extend_from_slice(b"[]");
        return Ok(());
    }
    write_dimension(items, &lengths, &mut bytes, out)
}

fn write_dimension(
    items: &Kind,
    lengths: &[usize],
    bytes: &mut &[u8],
    out: &mut Vec<u8>,
) -> Written {
    let Some((length, inner)) = lengths.split_first() else {
        let length = word(bytes)?;
        let Ok(length) = usize::try_from(length) else {
            out.extend_from_slice(b"null");
            return Ok(());
        };
        let (value, rest) = bytes.split_at_checked(length).ok_or(CUT)?;
        *bytes = rest;
        return write_binary(items, value, out);
    };
    out.push(b'[');
    for at in 0..*length {
        if at > 0 {
            out.push(b',');
        }
        write_dimension(items, inner, bytes, out)?;
    }
    out.push(b']');
    Ok(())
}

/// `array_out`: `{1,NULL,"a \" b"}`, perhaps after `[0:2]=`.
pub(super) fn write_text_array(items: &Kind, text: &[u8], out: &mut Vec<u8>) -> Written {
    let start = memchr::memchr(b'{', text).ok_or(FORM)?;
    let mut rest = &text[start..];
    write_level(items, &mut rest, out, 0)?;
    match rest.is_empty() {
        true => Ok(()),
        false => Err(FORM),
    }
}

const FORM: Malformed = Malformed("an array whose text has another form");

fn write_level(items: &Kind, rest: &mut &[u8], out: &mut Vec<u8>, depth: usize) -> Written {
    if depth >= MAX_DIMENSIONS {
        return Err(FORM);
    }
    *rest = rest.strip_prefix(b"{").ok_or(FORM)?;
    out.push(b'[');
    let mut is_first = true;
    loop {
        match rest.first().ok_or(FORM)? {
            b'}' => {
                *rest = &rest[1..];
                out.push(b']');
                return Ok(());
            }
            b',' if !is_first => *rest = &rest[1..],
            _ if is_first => {}
            _ => return Err(FORM),
        }
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        match rest.first().ok_or(FORM)? {
            b'{' => write_level(items, rest, out, depth + 1)?,
            b'"' => {
                let value = quoted(rest)?;
                write_text(items, &value, out)?;
            }
            _ => {
                let end = rest
                    .iter()
                    .position(|byte| matches!(byte, b',' | b'}'))
                    .ok_or(FORM)?;
                let (value, after) = rest.split_at(end);
                *rest = after;
                match value {
                    b"NULL" => out.extend_from_slice(b"null"),
                    value => write_text(items, value, out)?,
                }
            }
        }
    }
}

/// Takes `"…"` with backslash escapes.
pub(super) fn quoted(rest: &mut &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut bytes = rest.strip_prefix(b"\"").ok_or(FORM)?;
    let mut value = Vec::new();
    loop {
        let at = memchr::memchr2(b'"', b'\\', bytes).ok_or(FORM)?;
        value.extend_from_slice(&bytes[..at]);
        if bytes[at] == b'"' {
            *rest = &bytes[at + 1..];
            return Ok(value);
        }
        value.push(*bytes.get(at + 1).ok_or(FORM)?);
        bytes = &bytes[at + 2..];
    }
}
