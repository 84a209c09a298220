//! `numeric`: digits in base 10,000 (`numeric_send` of the server).

use super::{Malformed, Written};

const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

/// The number with all its digits, as the server prints it.
pub(super) fn write(bytes: &[u8], out: &mut Vec<u8>) -> Written {
    let (head, digits) = bytes.split_first_chunk::<8>().ok_or(CUT)?;
    let [count, weight, sign, scale] =
        [0, 2, 4, 6].map(|at| u16::from_be_bytes([head[at], head[at + 1]]));
    match sign {
        0 => {}
        NEGATIVE => out.push(b'-'),
        NOT_A_NUMBER => return write_all(b"\"NaN\"", out),
        INFINITY => return write_all(b"\"Infinity\"", out),
        NEGATIVE_INFINITY => return write_all(b"\"-Infinity\"", out),
        _ => return Err(Malformed("a numeric with an unknown sign")),
    }
    if digits.len() != usize::from(count) * 2 {
        return Err(CUT);
    }
    let weight = i32::from(weight.cast_signed());
    let digit = |at: i32| -> u16 {
        let pair = usize::try_from(at)
            .ok()
            .and_then(|at| digits.get(at * 2..at * 2 + 2));
        pair.map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
    };
    if weight < 0 {
        out.push(b'0');
    }
    let mut has_begun = false;
    for at in 0..=weight {
        let value = digit(at);
        if !has_begun && value == 0 && at < weight {
            continue;
        }
        let group = group(value)?;
        let leading = match has_begun {
            true => 0,
            false => group
                .iter()
                .take(3)
                .take_while(|byte| **byte == b'0')
                .count(),
        };
        out.extend_from_slice(&group[leading..]);
        has_begun = true;
    }
    if scale > 0 {
        out.push(b'.');
        let mut left = usize::from(scale);
        let mut at = weight + 1;
        while left > 0 {
            let group = group(digit(at))?;
            let taken = left.min(4);
            out.extend_from_slice(&group[..taken]);
            left -= taken;
            at += 1;
        }
    }
    Ok(())
}

const CUT: Malformed = Malformed("a numeric that is cut off");

fn write_all(text: &[u8], out: &mut Vec<u8>) -> Written {
    out.extend_from_slice(text);
    Ok(())
}

fn group(digit: u16) -> Result<[u8; 4], Malformed> {
    if digit > 9999 {
        return Err(Malformed("a numeric with an impossible digit"));
    }
    let ascii = |value: u16| b'0' + (value % 10) as u8;
    Ok([
        ascii(digit / 1000),
        ascii(digit / 100),
        ascii(digit / 10),
        ascii(digit),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(weight: i16, sign: u16, scale: u16, digits: &[u16]) -> String {
        let head = [digits.len() as u16, weight.cast_unsigned(), sign, scale];
        let bytes: Vec<u8> = head
            .iter()
            .chain(digits)
            .flat_map(|word| word.to_be_bytes())
            .collect();
        let mut out = Vec::new();
        write(&bytes, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn digits_come_out_whole() {
        assert_eq!(text(0, 0, 0, &[]), "0");
        assert_eq!(text(0, 0, 2, &[]), "0.00");
        assert_eq!(text(0, NEGATIVE, 2, &[12, 3400]), "-12.34");
        assert_eq!(text(2, 0, 0, &[1]), "100000000");
        assert_eq!(text(-2, 0, 7, &[1230]), "0.0000123");
        assert_eq!(text(0, NOT_A_NUMBER, 0, &[]), "\"NaN\"");
    }

    #[test]
    fn broken_bytes_are_errors() {
        for bytes in [
            &b"\0"[..],
            &[0, 1, 0, 0, 0, 0, 0, 0],
            &[0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        ] {
            assert!(write(bytes, &mut Vec::new()).is_err());
        }
    }
}
