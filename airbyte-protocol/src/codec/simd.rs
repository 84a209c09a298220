//! Byte classification with SIMD: SSE2 and NEON where they are part of the target's baseline, plain
//! code elsewhere. `wide` keeps the unsafe calls; this workspace has none.

use wide::u8x16;

/// Where a block of 64 bytes holds the characters that matter: bit i stands for byte i.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Masks {
    pub(super) quote: u64,
    pub(super) backslash: u64,
    /// `{` and `[`.
    pub(super) open: u64,
    /// `}` and `]`.
    pub(super) close: u64,
}

// Four lanes are written out: `array::map` is inlined only where the whole program is optimised at once, which few
// programs that use this crate are.

#[inline]
pub(super) fn classify(block: &[u8; 64]) -> Masks {
    let (chunks, _) = block.as_chunks::<16>();
    let &[a, b, c, d] = chunks else {
        return Masks::default();
    };
    let bytes @ [a, b, c, d] = [u8x16::new(a), u8x16::new(b), u8x16::new(c), u8x16::new(d)];
    // Square and curly brackets differ in this bit only, and no other byte turns into one.
    let bit = u8x16::splat(0x20);
    let folded = [a | bit, b | bit, c | bit, d | bit];
    Masks {
        quote: bitmask(equal(bytes, b'"')),
        backslash: rare_bitmask(equal(bytes, b'\\')),
        open: rare_bitmask(equal(folded, b'{')),
        close: rare_bitmask(equal(folded, b'}')),
    }
}

#[inline]
fn equal([a, b, c, d]: [u8x16; 4], byte: u8) -> [u8x16; 4] {
    let byte = u8x16::splat(byte);
    [
        a.simd_eq(byte),
        b.simd_eq(byte),
        c.simd_eq(byte),
        d.simd_eq(byte),
    ]
}

#[inline]
fn bitmask([a, b, c, d]: [u8x16; 4]) -> u64 {
    let mask = |bytes: u8x16| u64::from(bytes.to_bitmask());
    mask(a) | mask(b) << 16 | mask(c) << 32 | mask(d) << 48
}

/// For characters that most blocks don't hold.
#[inline]
fn rare_bitmask(equal: [u8x16; 4]) -> u64 {
    let [a, b, c, d] = equal;
    if (a | b | c | d).to_bitmask() == 0 {
        0
    } else {
        bitmask(equal)
    }
}

/// Where 16 bytes hold a quote or a backslash.
#[inline]
pub(super) fn quotes_and_backslashes(chunk: &[u8; 16]) -> u32 {
    let bytes = u8x16::new(*chunk);
    let quotes = bytes.simd_eq(u8x16::splat(b'"'));
    let backslashes = bytes.simd_eq(u8x16::splat(b'\\'));
    (quotes | backslashes).to_bitmask()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, byte by byte.
    fn mask(bytes: &[u8], wanted: &[u8]) -> u64 {
        bytes
            .iter()
            .zip(0..)
            .map(|(b, i)| u64::from(wanted.contains(b)) << i)
            .sum()
    }

    fn masks_by_bytes(block: &[u8; 64]) -> Masks {
        Masks {
            quote: mask(block, b"\""),
            backslash: mask(block, b"\\"),
            open: mask(block, b"{["),
            close: mask(block, b"}]"),
        }
    }

    #[test]
    fn every_byte_is_classified_in_every_place() {
        for byte in 0..=255 {
            assert_eq!(classify(&[byte; 64]), masks_by_bytes(&[byte; 64]), "{byte}");
            for place in 0..64 {
                let mut block = [b'x'; 64];
                block[place] = byte;
                assert_eq!(
                    classify(&block),
                    masks_by_bytes(&block),
                    "{byte} at {place}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn random_blocks_are_classified_like_byte_by_byte(bytes in proptest::collection::vec(any::<u8>(), 64)) {
            let block = *bytes.first_chunk().unwrap();
            prop_assert_eq!(classify(&block), masks_by_bytes(&block));
            let chunk = *bytes.first_chunk().unwrap();
            prop_assert_eq!(u64::from(quotes_and_backslashes(&chunk)), mask(&chunk, b"\"\\"));
        }
    }
}
