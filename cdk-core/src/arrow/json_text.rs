//! Single values as JSON text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::destination::columns::NonFinite;

/// `value` divided by 10 to the power of `scale`, with all its digits.
pub(super) fn push_decimal(value: &impl std::fmt::Display, scale: i8, out: &mut Vec<u8>) {
    use std::io::Write as _;
    let start = out.len();
    write!(out, "{value}").expect("writing to memory does not fail");
    let digits_at = start + usize::from(out.get(start) == Some(&b'-'));
    match usize::try_from(scale) {
        Ok(0) => {}
        Ok(scale) => {
            let digits = out.len() - digits_at;
            let missing = (scale + 1).saturating_sub(digits);
            out.splice(digits_at..digits_at, std::iter::repeat_n(b'0', missing));
            let point = out.len() - scale;
            out.insert(point, b'.');
        }
        Err(_) if out[digits_at..] == *b"0" => {}
        Err(_) => out.extend(std::iter::repeat_n(b'0', scale.unsigned_abs().into())),
    }
}

/// `value` as text if it is no number, else `shown`, which is the same in its own precision.
pub(super) fn push_float(value: f64, shown: impl serde::Serialize, out: &mut Vec<u8>) {
    match NonFinite::of(value) {
        Some(text) => quoted(out, |out| out.extend_from_slice(text.as_str().as_bytes())),
        None => {
            serde_json::to_writer(out, &shown).expect("writing a number to memory does not fail")
        }
    }
}

pub(super) fn push_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("writing text to memory does not fail");
}

pub(super) fn push_base64(bytes: &[u8], out: &mut Vec<u8>) {
    quoted(out, |out| {
        let start = out.len();
        out.resize(start + bytes.len().div_ceil(3) * 4, 0);
        let written = STANDARD.encode_slice(bytes, &mut out[start..]);
        out.truncate(start + written.expect("the room was counted"));
    });
}

pub(super) fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}
