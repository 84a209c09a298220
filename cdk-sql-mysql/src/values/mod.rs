//! Values as JSON, written straight from the bytes of the wire.

mod json;
mod logged;
mod selected;
mod temporal;
mod text;

pub(crate) use logged::push_logged;
pub use selected::{Loss, push_selected};
pub(crate) use temporal::push_instant;
pub(crate) use text::push_text;

/// Appends a whole number.
pub(crate) fn push_integer(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a 32-bit float with as few digits as tell it from all others.
pub(crate) fn push_f32(number: f32, out: &mut Vec<u8>) -> Result<(), Loss> {
    if !number.is_finite() {
        return Err(Loss::Nulled);
    }
    serde_json::to_writer(out, &number).map_err(|_| Loss::Nulled)
}

/// Appends a 64-bit float likewise.
pub(crate) fn push_f64(number: f64, out: &mut Vec<u8>) -> Result<(), Loss> {
    if !number.is_finite() {
        return Err(Loss::Nulled);
    }
    serde_json::to_writer(out, &number).map_err(|_| Loss::Nulled)
}
