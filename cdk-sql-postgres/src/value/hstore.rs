//! `hstore`: text keys, text values or null.

use super::array::quoted;
use super::escape::write_string;
use super::{Malformed, Written};

const CUT: Malformed = Malformed("an hstore that is cut off");

/// `hstore_send`: count, then length and text of each key and value.
pub(super) fn write_binary(mut bytes: &[u8], out: &mut Vec<u8>) -> Written {
    let count = take_length(&mut bytes)?.ok_or(CUT)?;
    out.push(b'{');
    for at in 0..count {
        if at > 0 {
            out.push(b',');
        }
        let key = take(&mut bytes)?.ok_or(CUT)?;
        write_string(key, out)?;
        out.push(b':');
        match take(&mut bytes)? {
            Some(value) => write_string(value, out)?,
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    Ok(())
}

fn take_length(bytes: &mut &[u8]) -> Result<Option<usize>, Malformed> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(CUT)?;
    *bytes = rest;
    Ok(usize::try_from(i32::from_be_bytes(*length)).ok())
}

fn take<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    let Some(length) = take_length(bytes)? else {
        return Ok(None);
    };
    let (value, rest) = bytes.split_at_checked(length).ok_or(CUT)?;
    *bytes = rest;
    Ok(Some(value))
}

/// `hstore_out`: `"a"=>"1", "b"=>NULL`.
pub(super) fn write_text(mut text: &[u8], out: &mut Vec<u8>) -> Written {
    const FORM: Malformed = Malformed("an hstore whose text has another form");
    out.push(b'{');
    let mut is_first = true;
    while !text.is_empty() {
        if !is_first {
            text = text.strip_prefix(b", ").ok_or(FORM)?;
            out.push(b',');
        }
        is_first = false;
        write_string(&quoted(&mut text)?, out)?;
        text = text.strip_prefix(b"=>").ok_or(FORM)?;
        out.push(b':');
        match text.strip_prefix(b"NULL") {
            Some(rest) => {
                text = rest;
                out.extend_from_slice(b"null");
            }
            None => write_string(&quoted(&mut text)?, out)?,
        }
    }
    out.push(b'}');
    Ok(())
}
