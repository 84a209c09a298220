//! Numbers that look random and depend only on seed, purpose and id.

/// The SplitMix64 generator (Steele, Lea and Flood, 2014): two multiplications a number, and any row can
/// have a generator of its own.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    /// The generator of one row. `purpose` keeps the streams apart.
    pub(crate) fn of(seed: i64, purpose: u64, id: i64) -> Self {
        let stream = mix(seed.cast_unsigned() ^ mix(purpose));
        Self(mix(stream ^ id.cast_unsigned().wrapping_mul(STEP)))
    }

    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number from 0 up to, but without, `end`.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        // The high word of the product: no division, and a bias far below what anyone could see.
        (((self.bits() >> 32) * u64::from(end)) >> 32) as u32
    }

    /// A number of the range.
    pub(crate) fn between(&mut self, range: std::ops::RangeInclusive<u32>) -> u32 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of `items`.
    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, items: &[T; N]) -> T {
        items[self.below(N as u32) as usize]
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_purpose_and_id_each_change_the_numbers() {
        let first = |seed, purpose, id| Random::of(seed, purpose, id).bits();
        let all = [
            first(1, 1, 1),
            first(2, 1, 1),
            first(1, 2, 1),
            first(1, 1, 2),
            first(-1, 1, 1),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn numbers_cover_their_range_evenly() {
        let mut random = Random::of(0, 0, 0);
        let mut seen = [0u32; 10];
        (0..10_000).for_each(|_| seen[random.between(5..=14) as usize - 5] += 1);
        assert!(
            seen.iter().all(|count| (850..1150).contains(count)),
            "{seen:?}"
        );
    }
}
