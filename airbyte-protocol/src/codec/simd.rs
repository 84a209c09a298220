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

pub(super) fn classify(block: &[u8; 64]) -> Masks {
    let mut masks = Masks::default();
    for (shift, sixteen) in (0..).step_by(16).zip(block.as_chunks::<16>().0) {
        let bytes = u8x16::new(*sixteen);
        // Square and curly brackets differ in this bit only, and no other byte turns into one.
        let folded = bytes | u8x16::splat(0x20);
        masks.quote |= u64::from(matches(bytes, b'"')) << shift;
        masks.backslash |= u64::from(matches(bytes, b'\\')) << shift;
        masks.open |= u64::from(matches(folded, b'{')) << shift;
        masks.close |= u64::from(matches(folded, b'}')) << shift;
    }
    masks
}

fn matches(bytes: u8x16, byte: u8) -> u32 {
    bytes.simd_eq(u8x16::splat(byte)).to_bitmask()
}

/// Where 16 bytes hold a quote or a backslash.
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
