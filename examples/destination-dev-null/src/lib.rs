//! Airbyte destination that keeps nothing: discard, log, fail or slow down, for tests.
//!
//! The config keys are those of Airbyte's destination-dev-null, plus a script of [faults](Fault). In a
//! program of one's own it can also record what it is given, so that a test of a source or of the sync
//! engine can look at it:
//!
//! ```
//! use destination_dev_null::DestinationDevNull;
//!
//! let (destination, recorder) = DestinationDevNull::recording();
//! // … run a sync into `destination` …
//! assert!(recorder.streams().is_empty());
//! # drop(destination);
//! ```

mod config;
mod faults;
mod load;
mod recorder;
mod sampling;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use airbyte_protocol::{ConfiguredAirbyteCatalog, DestinationSyncMode};
use cdk_core::{Capabilities, Context, Destination, Result};

pub use config::{
    DevNullConfig, Fault, FaultAction, FaultOperation, FaultType, LoggingConfig, TestDestination,
};
pub use load::DevNullLoader;
pub use recorder::{RecordedRow, RecordedStream, Recorder};

use faults::FaultScript;
use load::Behaviour;
use sampling::Sampler;

/// The destination. Clones share their recorder and the call counts of fault scripts.
#[derive(Debug, Clone, Default)]
pub struct DestinationDevNull {
    recorder: Option<Recorder>,
    faults: FaultScript,
}

impl DestinationDevNull {
    /// A destination that keeps nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A destination that keeps everything it is given in memory, and the way to look at it.
    pub fn recording() -> (Self, Recorder) {
        let recorder = Recorder::default();
        let destination = Self {
            recorder: Some(recorder.clone()),
            ..Self::default()
        };
        (destination, recorder)
    }

    /// What the loaders of one run share.
    fn behaviour(&self, config: &TestDestination) -> Behaviour {
        match config {
            TestDestination::Silent {} => Behaviour::Silent,
            TestDestination::Logging { logging_config } => {
                Behaviour::Logging(Sampler::new(logging_config))
            }
            TestDestination::Failing { num_messages } => Behaviour::Failing {
                num_messages: *num_messages,
                seen: Arc::new(AtomicU64::new(0)),
            },
            TestDestination::Throttled { millis_per_record } => Behaviour::Throttled {
                millis_per_record: *millis_per_record,
            },
            TestDestination::Faults { faults } => Behaviour::Faults {
                faults: Arc::from(faults.as_slice()),
                script: self.faults.clone(),
            },
        }
    }
}

impl Destination for DestinationDevNull {
    type Config = DevNullConfig;
    type Loader = DevNullLoader;

    /// Every mode: what is thrown away can be thrown away in any of them.
    fn capabilities(&self) -> Capabilities {
        Capabilities::new([
            DestinationSyncMode::Append,
            DestinationSyncMode::Overwrite,
            DestinationSyncMode::AppendDedup,
            DestinationSyncMode::OverwriteDedup,
            DestinationSyncMode::Update,
            DestinationSyncMode::SoftDelete,
        ])
    }

    async fn check(&self, _: &DevNullConfig, _: &Context) -> Result<()> {
        // There is no system to reach, and the config was validated against the spec.
        Ok(())
    }

    async fn open(
        &self,
        config: &DevNullConfig,
        catalog: &ConfiguredAirbyteCatalog,
        _: &Context,
    ) -> Result<Vec<DevNullLoader>> {
        let behaviour = self.behaviour(&config.test_destination);
        let loaders = catalog.streams.iter().map(|stream| {
            let recorder = self.recorder.as_ref().map(|recorder| recorder.open(stream));
            DevNullLoader::new(stream.descriptor(), behaviour.clone(), recorder)
        });
        Ok(loaders.collect())
    }
}
