//! Airbyte source: deterministic users, products and purchases for demos, tests and benches.
//!
//! The streams, config keys and record fields are those of Airbyte's source-faker. Every row is a pure
//! function of seed and id, so a read can start anywhere, run in parallel and be repeated exactly:
//!
//! ```
//! use source_faker::rows;
//!
//! let user = rows::user(7, 42);
//! assert_eq!(user, rows::user(7, 42));
//! assert_eq!(user.updated_at.text().as_str(), "2020-01-01T00:00:41.886Z");
//! ```
//!
//! | module | what |
//! |---|---|
//! | crate root | [`SourceFaker`] and its [`FakerConfig`] |
//! | [`rows`] | the rows themselves, for programs that want the same data without a source |

mod config;
mod position;
mod random;
pub mod rows;
mod streams;
mod text;
mod timestamp;

use cdk_core::{BoxedStream, Context, ReadSettings, Result, Source, Stream as _};

pub use config::FakerConfig;
pub use text::Text;
pub use timestamp::Timestamp;

use streams::{FakeStream, Products, Purchases, Users};

/// The source. It holds nothing: all there is to know is in the config.
#[derive(Debug, Clone, Copy, Default)]
pub struct SourceFaker;

impl Source for SourceFaker {
    type Config = FakerConfig;

    async fn check(&self, _: &FakerConfig, _: &Context) -> Result<()> {
        // There is no system to reach, and the config was validated against the spec.
        Ok(())
    }

    async fn streams(&self, config: &FakerConfig, _: &Context) -> Result<Vec<BoxedStream>> {
        Ok(vec![
            FakeStream::<Users>::new(config).boxed(),
            FakeStream::<Products>::new(config).boxed(),
            FakeStream::<Purchases>::new(config).boxed(),
        ])
    }

    /// A state follows every slice, as `records_per_slice` promises.
    fn read_settings(&self, config: &FakerConfig) -> ReadSettings {
        ReadSettings::default()
            .with_concurrency(config.parallelism)
            .with_checkpoint_rows(config.records_per_slice)
    }
}
