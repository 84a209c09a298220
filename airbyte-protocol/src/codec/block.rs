//! Finds the end of an object or array, 64 bytes at a time.
//!
//! Each block becomes four bit masks (bit i for byte i). From the unescaped quotes follows which
//! bytes lie inside strings; the brackets outside of them move a depth counter. Nothing recurses
//! and nothing is stored per level, so a nesting bomb is just text.

use super::simd::{Masks, classify, quotes_and_backslashes};

const BLOCK_BYTES: usize = 64;

/// What one block hands on to the next.
#[derive(Default)]
struct Walk {
    depth: u64,
    /// All ones while inside a string.
    in_string: u64,
    /// 1 if a backslash at the end of the last block escapes the first byte of the next.
    escapes_next: u64,
}

impl Walk {
    /// The position in the block of the bracket that brings the depth back to zero.
    #[inline]
    fn step(&mut self, masks: Masks) -> Option<u32> {
        let escaped = self.escaped(masks.backslash);
        let inside = prefix_xor(masks.quote & !escaped) ^ self.in_string;
        // Copies the top bit everywhere: are we inside a string after the block?
        self.in_string = (inside.cast_signed() >> 63).cast_unsigned();
        let open = masks.open & !inside;
        let close = masks.close & !inside;
        if open | close == 0 {
            return None;
        }
        let closes = u64::from(close.count_ones());
        if closes < self.depth {
            self.depth = self.depth + u64::from(open.count_ones()) - closes;
            return None;
        }
        self.step_by_bracket(open, close)
    }

    /// One bracket at a time: only where the depth may reach zero.
    fn step_by_bracket(&mut self, open: u64, close: u64) -> Option<u32> {
        let mut brackets = open | close;
        while brackets != 0 {
            let at = brackets.trailing_zeros();
            if close >> at & 1 == 0 {
                self.depth += 1;
            } else {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    return Some(at);
                }
            }
            brackets &= brackets - 1;
        }
        None
    }

    /// The bytes that a backslash before them escapes.
    #[inline]
    fn escaped(&mut self, backslash: u64) -> u64 {
        let mut escaped = self.escapes_next;
        self.escapes_next = 0;
        let mut left = backslash & !escaped;
        while left != 0 {
            let at = left.trailing_zeros();
            if at == 63 {
                self.escapes_next = 1;
                break;
            }
            escaped |= 2 << at;
            left &= !(3 << at);
        }
        escaped
    }
}

/// Bit i of the result says whether an odd number of bits is set in `bits` up to and with i.
#[inline]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// The index after the bracket that closes the one at `start`; `None` if the bytes end first.
/// `start` must be at a `{` or `[` outside of strings.
pub(super) fn container_end(bytes: &[u8], start: usize) -> Option<usize> {
    let rest = bytes.get(start..)?;
    let (blocks, tail) = rest.as_chunks::<BLOCK_BYTES>();
    let mut walk = Walk::default();
    let mut at = start;
    for block in blocks {
        if let Some(last) = walk.step(classify(block)) {
            return Some(at + last as usize + 1);
        }
        at += BLOCK_BYTES;
    }
    let mut padded = [b' '; BLOCK_BYTES];
    padded.get_mut(..tail.len())?.copy_from_slice(tail);
    let last = walk.step(classify(&padded))?;
    Some(at + last as usize + 1)
}

/// The index of the first quote or backslash at or after `from`.
#[inline]
pub(super) fn quote_or_backslash(bytes: &[u8], from: usize) -> Option<usize> {
    /// Long strings are left to memchr, which is faster but costs more to start.
    const SHORT_CHUNKS: usize = 4;
    let mut at = from;
    for _ in 0..SHORT_CHUNKS {
        let rest = bytes.get(at..)?;
        let Some(chunk) = rest.first_chunk() else {
            return rest
                .iter()
                .position(|b| matches!(b, b'"' | b'\\'))
                .map(|i| at + i);
        };
        let found = quotes_and_backslashes(chunk);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize);
        }
        at += chunk.len();
    }
    memchr::memchr2(b'"', b'\\', bytes.get(at..)?).map(|i| at + i)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Mostly the bytes that matter, and their neighbours in the character table.
    fn byte() -> impl Strategy<Value = u8> {
        prop_oneof![
            3 => proptest::sample::select(&b"\"\\{}[]"[..]),
            1 => proptest::sample::select(&b"!#;=z|~Z\x02\x0c\xa2\xdc\xfb\xfd"[..]),
            1 => any::<u8>(),
        ]
    }

    /// The rule that `container_end` must follow, written the slow way.
    fn end_by_bytes(bytes: &[u8]) -> Option<usize> {
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        for (at, b) in bytes.iter().enumerate() {
            let was_escaped = escaped;
            escaped = *b == b'\\' && !was_escaped;
            match b {
                b'"' if !was_escaped => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    proptest! {
        #[test]
        fn container_end_agrees_with_a_byte_loop(mut bytes in proptest::collection::vec(byte(), 1..300)) {
            bytes[0] = b'{';
            prop_assert_eq!(container_end(&bytes, 0), end_by_bytes(&bytes));
        }

        #[test]
        fn first_quote_or_backslash_is_found(bytes in proptest::collection::vec(any::<u8>(), 0..200), from in 0..200_usize) {
            let from = from.min(bytes.len());
            let slow = bytes[from..].iter().position(|b| matches!(b, b'"' | b'\\')).map(|i| from + i);
            prop_assert_eq!(quote_or_backslash(&bytes, from), slow);
        }
    }
}
