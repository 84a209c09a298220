//! Decimals of row images: groups of nine digits in big-endian binary, the sign in the first bit.

use super::reader::big_endian;

/// Bytes of a group of 0 to 9 digits.
const GROUP_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/// Bytes of a value with `precision` digits, `scale` of them behind the point.
pub(crate) fn stored_bytes(precision: usize, scale: usize) -> usize {
    let part = |digits: usize| digits / 9 * 4 + GROUP_BYTES[digits % 9];
    part(precision.saturating_sub(scale)) + part(scale)
}

/// Appends the digits as the server would write them; `None` if the bytes are no decimal.
pub(crate) fn push_decimal(
    bytes: &[u8],
    precision: usize,
    scale: usize,
    out: &mut Vec<u8>,
) -> Option<()> {
    let first = *bytes.first()?;
    let is_negative = first & 0x80 == 0;
    let flip = if is_negative { 0xff } else { 0 };
    let mut plain = [0_u8; 64];
    let plain = plain.get_mut(..bytes.len())?;
    for (at, (to, from)) in plain.iter_mut().zip(bytes).enumerate() {
        let byte = if at == 0 { from ^ 0x80 } else { *from };
        *to = byte ^ flip;
    }
    let whole_digits = precision.checked_sub(scale)?;
    if is_negative {
        out.push(b'-');
    }
    let start = out.len();
    let mut rest = &*plain;
    // The digits in front of the point begin with the short group, those behind end with it.
    let mut groups = vec![whole_digits % 9];
    groups.extend(std::iter::repeat_n(9, whole_digits / 9));
    for digits in groups {
        rest = push_group(rest, digits, out)?;
    }
    let zeros = out
        .get(start..)?
        .iter()
        .take_while(|digit| **digit == b'0')
        .count();
    out.drain(start..start + zeros);
    if out.len() == start {
        out.push(b'0');
    }
    if scale == 0 {
        return Some(());
    }
    out.push(b'.');
    for _ in 0..scale / 9 {
        rest = push_group(rest, 9, out)?;
    }
    push_group(rest, scale % 9, out).map(drop)
}

fn push_group<'a>(bytes: &'a [u8], digits: usize, out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (group, rest) = bytes.split_at_checked(*GROUP_BYTES.get(digits)?)?;
    if digits > 0 {
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(big_endian(group));
        out.extend(std::iter::repeat_n(b'0', digits.checked_sub(text.len())?));
        out.extend_from_slice(text.as_bytes());
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], precision: usize, scale: usize) -> Option<String> {
        let mut out = Vec::new();
        push_decimal(bytes, precision, scale, &mut out)?;
        String::from_utf8(out).ok()
    }

    #[test]
    fn the_examples_of_the_servers_source_are_read() {
        // 1234567890.1234 as DECIMAL(14,4), and its negative.
        let plus = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
        let minus = plus.map(|byte: u8| !byte);
        assert_eq!(stored_bytes(14, 4), 7);
        assert_eq!(text(&plus, 14, 4).as_deref(), Some("1234567890.1234"));
        assert_eq!(text(&minus, 14, 4).as_deref(), Some("-1234567890.1234"));
        assert_eq!(text(&[0x80, 0x05], 4, 2).as_deref(), Some("0.05"));
    }

    #[test]
    fn a_group_with_too_many_digits_is_refused() {
        assert_eq!(text(&[0xff], 2, 0), None);
    }
}
