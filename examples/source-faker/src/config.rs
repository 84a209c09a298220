//! The config, which is the spec.

use schemars::JsonSchema;
use serde::Deserialize;

/// What to make up, and how fast.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(title = "Faker Source Spec")]
pub struct FakerConfig {
    /// How many users to make up. Every user makes one to five purchases, two on average; the 100
    /// products are always there.
    #[schemars(title = "Count", range(min = 0, max = 100_000_000_000_i64), extend("order" = 0))]
    pub count: i64,

    /// Decides the values of all users and purchases: the same seed gives the same rows. The default is
    /// a seed like any other (in Airbyte's own source-faker, -1 stands for a random one).
    #[schemars(title = "Seed", extend("order" = 1))]
    pub seed: i64,

    /// How many records are read in one go, before a state is emitted.
    #[schemars(
        title = "Records Per Stream Slice",
        range(min = 1, max = 1_000_000),
        extend("order" = 2)
    )]
    pub records_per_slice: u64,

    /// Whether every sync emits all records again, with the time of the sync as `updated_at`. Otherwise
    /// an incremental sync emits only what a larger count adds.
    #[schemars(title = "Always Updated", extend("order" = 3))]
    pub always_updated: bool,

    /// How many slices are made up at the same time.
    #[schemars(title = "Parallelism", range(min = 1, max = 256), extend("order" = 4))]
    pub parallelism: usize,
}

impl Default for FakerConfig {
    fn default() -> Self {
        Self {
            count: 1000,
            seed: -1,
            records_per_slice: 1000,
            always_updated: false,
            parallelism: 4,
        }
    }
}
