//! Members and items of a value that is there.

use std::ops::Range;

use airbyte_protocol::codec;

use super::scan::invalid;
use crate::decode::DecodeError;

/// The key of a member, none for an item, and where its value is.
pub(super) type Child = (Option<String>, Range<usize>);

/// Members (with their keys) or items of `part`, which starts at `offset` of the document.
pub(super) fn children(part: &str, offset: usize) -> Result<Vec<Child>, DecodeError> {
    let broken = || invalid(offset, "valid JSON");
    let mut found = Vec::new();
    if part.starts_with('{') {
        for field in codec::fields(part) {
            let (key, value) = field.map_err(|_| broken())?;
            // The text of the value is a part of `part`.
            let start = value.as_ptr() as usize - part.as_ptr() as usize + offset;
            found.push((Some(key.into_owned()), start..start + value.len()));
        }
    } else if part.starts_with('[') {
        for item in codec::items(part) {
            let item = item.map_err(|_| broken())?;
            let start = item.as_ptr() as usize - part.as_ptr() as usize + offset;
            found.push((None, start..start + item.len()));
        }
    }
    Ok(found)
}
