//! Which records are logged.

use crate::config::LoggingConfig;

/// Picks the records of one stream that are logged.
#[derive(Debug, Clone)]
pub(crate) struct Sampler {
    rule: Rule,
    /// Entries still to log.
    left: u64,
    seen: u64,
}

#[derive(Debug, Clone)]
enum Rule {
    All,
    EveryNth(u64),
    Random { below: u64, seed: u64 },
}

impl Sampler {
    pub(crate) fn new(config: &LoggingConfig) -> Self {
        let (rule, left) = match *config {
            LoggingConfig::FirstN { max_entry_count } => (Rule::All, max_entry_count),
            LoggingConfig::EveryNth {
                nth_entry_to_log,
                max_entry_count,
            } => (Rule::EveryNth(nth_entry_to_log.max(1)), max_entry_count),
            LoggingConfig::RandomSampling {
                sampling_ratio,
                seed,
                max_entry_count,
            } => {
                // Saturates: 1 lets every number pass but the very last.
                let below = (sampling_ratio.clamp(0.0, 1.0) * u64::MAX as f64) as u64;
                (
                    Rule::Random {
                        below,
                        seed: seed.cast_unsigned(),
                    },
                    max_entry_count,
                )
            }
        };
        Self {
            rule,
            left,
            seen: 0,
        }
    }

    /// Takes the next record; its number, from 1, if it is to be logged.
    pub(crate) fn next(&mut self) -> Option<u64> {
        self.seen += 1;
        let is_picked = match self.rule {
            Rule::All => true,
            Rule::EveryNth(n) => self.seen.is_multiple_of(n),
            Rule::Random { below, seed } => split_mix(seed, self.seen) < below,
        };
        if !is_picked || self.left == 0 {
            return None;
        }
        self.left -= 1;
        Some(self.seen)
    }
}

/// The n-th number of the SplitMix64 generator (Steele, Lea and Flood, 2014).
fn split_mix(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(config: &LoggingConfig, records: u64) -> Vec<u64> {
        let mut sampler = Sampler::new(config);
        (0..records).filter_map(|_| sampler.next()).collect()
    }

    #[test]
    fn the_first_n_are_picked() {
        assert_eq!(
            picked(&LoggingConfig::FirstN { max_entry_count: 2 }, 5),
            [1, 2]
        );
    }

    #[test]
    fn every_nth_is_picked_up_to_the_limit() {
        let config = LoggingConfig::EveryNth {
            nth_entry_to_log: 3,
            max_entry_count: 2,
        };
        assert_eq!(picked(&config, 100), [3, 6]);
    }

    #[test]
    fn a_random_sample_has_about_its_ratio_and_repeats_with_its_seed() {
        let config = |seed| LoggingConfig::RandomSampling {
            sampling_ratio: 0.1,
            seed,
            max_entry_count: u64::MAX,
        };
        let sample = picked(&config(1), 10_000);
        assert!((900..1100).contains(&sample.len()), "{}", sample.len());
        assert_eq!(sample, picked(&config(1), 10_000));
        assert_ne!(sample, picked(&config(2), 10_000));
    }

    #[test]
    fn ratios_0_and_1_pick_none_and_all() {
        let config = |sampling_ratio| LoggingConfig::RandomSampling {
            sampling_ratio,
            seed: 0,
            max_entry_count: u64::MAX,
        };
        assert_eq!(picked(&config(0.0), 1000).len(), 0);
        assert_eq!(picked(&config(1.0), 1000).len(), 1000);
    }
}
