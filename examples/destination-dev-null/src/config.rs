//! The config, which is the spec.

use airbyte_protocol::FailureType;
use schemars::JsonSchema;
use serde::Deserialize;

/// What to do with the records.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[schemars(title = "Dev Null Destination Spec")]
pub struct DevNullConfig {
    /// The kind of destination to be.
    #[serde(default)]
    #[schemars(
        title = "Test Destination",
        extend("order" = 0, "default" = {"test_destination_type": "SILENT"})
    )]
    pub test_destination: TestDestination,
}

/// The kinds of destination.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "test_destination_type")]
pub enum TestDestination {
    /// Throws everything away.
    #[serde(rename = "SILENT")]
    #[schemars(title = "Silent")]
    Silent {},

    /// Logs some records.
    #[serde(rename = "LOGGING")]
    #[schemars(title = "Logging")]
    Logging {
        /// Which records are logged.
        #[schemars(title = "Logging Configuration", extend("order" = 1))]
        logging_config: LoggingConfig,
    },

    /// Fails after a number of records.
    #[serde(rename = "FAILING")]
    #[schemars(title = "Failing")]
    Failing {
        /// How many records are taken, over all streams. The batch that goes beyond fails as a whole.
        #[schemars(title = "Number of Messages", extend("order" = 1))]
        num_messages: u64,
    },

    /// Takes its time.
    #[serde(rename = "THROTTLED")]
    #[schemars(title = "Throttled")]
    Throttled {
        /// Milliseconds to wait for each record.
        #[schemars(title = "Milliseconds per Record", extend("order" = 1))]
        millis_per_record: u64,
    },

    /// Fails, hangs or slows down at chosen calls, to test what is upstream.
    #[serde(rename = "FAULTS")]
    #[schemars(title = "Fault Script")]
    Faults {
        /// What goes wrong, and when. Of several faults of the same call the first one counts.
        #[schemars(title = "Faults", extend("order" = 1))]
        faults: Vec<Fault>,
    },
}

impl Default for TestDestination {
    fn default() -> Self {
        Self::Silent {}
    }
}

/// Which records are logged, stream by stream.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "logging_type")]
pub enum LoggingConfig {
    /// The first records.
    #[schemars(title = "First N Entries")]
    FirstN {
        /// How many records of each stream are logged.
        #[serde(default = "max_entries")]
        #[schemars(title = "N", range(min = 1), extend("order" = 1))]
        max_entry_count: u64,
    },
    /// Every n-th record.
    #[schemars(title = "Every N-th Entry")]
    EveryNth {
        /// Record n, 2n, 3n and so on of each stream are logged.
        #[schemars(title = "N", range(min = 1), extend("order" = 1))]
        nth_entry_to_log: u64,
        /// How many records of each stream are logged at most.
        #[serde(default = "max_entries")]
        #[schemars(title = "Max Log Entries", range(min = 1), extend("order" = 2))]
        max_entry_count: u64,
    },
    /// Records by lot.
    #[schemars(title = "Random Sampling")]
    RandomSampling {
        /// The part of the records that is logged, from 0 to 1.
        #[serde(default = "sampling_ratio")]
        #[schemars(title = "Sampling Ratio", range(min = 0, max = 1), extend("order" = 1))]
        sampling_ratio: f64,
        /// Decides the lot: the same seed picks the same records.
        #[serde(default)]
        #[schemars(title = "Random Number Generator Seed", extend("order" = 2))]
        seed: i64,
        /// How many records of each stream are logged at most.
        #[serde(default = "max_entries")]
        #[schemars(title = "Max Log Entries", range(min = 1), extend("order" = 3))]
        max_entry_count: u64,
    },
}

fn max_entries() -> u64 {
    100
}

fn sampling_ratio() -> f64 {
    0.001
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Fault {
    /// The stream whose calls are counted; without it, each stream has the fault.
    #[serde(default)]
    #[schemars(title = "Stream", extend("order" = 0))]
    pub stream: Option<String>,
    /// The operation that goes wrong.
    #[schemars(title = "Operation", extend("order" = 1))]
    pub operation: FaultOperation,
    /// Which call of the operation it is, from 1. Calls are counted per stream, and on through the runs
    /// of one process: a retry doesn't meet the same fault again.
    #[serde(default = "first_call")]
    #[schemars(title = "At Call", range(min = 1), extend("order" = 2))]
    pub at: u64,
    /// How it goes wrong.
    #[schemars(title = "Action", extend("order" = 3))]
    pub action: FaultAction,
    /// Who would have to act, as the error says.
    #[serde(default)]
    #[schemars(title = "Failure Type", extend("order" = 4))]
    pub failure_type: FaultType,
}

fn first_call() -> u64 {
    1
}

/// The operations of a loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultOperation {
    /// Taking a batch.
    Load,
    /// Making what was taken durable.
    Commit,
    /// Ending the stream.
    Finish,
}

/// How an operation goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FaultAction {
    /// Fails without having done anything.
    #[schemars(title = "Reject Before")]
    RejectBefore {},
    /// Does its work, then fails all the same: the caller can't know.
    #[schemars(title = "Fail After")]
    FailAfter {},
    /// Never returns, whatever the caller wishes; only dropping the call ends it.
    #[schemars(title = "Hang")]
    Hang {},
    /// Works, but late.
    #[schemars(title = "Slow")]
    Slow {
        /// Milliseconds to wait before the work.
        #[schemars(title = "Milliseconds", extend("order" = 1))]
        millis: u64,
    },
}

/// The failure type of a scripted error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultType {
    /// The user must change something.
    ConfigError,
    /// The same call may work later.
    #[default]
    TransientError,
    /// A bug.
    SystemError,
}

impl From<FaultType> for FailureType {
    fn from(fault: FaultType) -> Self {
        match fault {
            FaultType::ConfigError => Self::ConfigError,
            FaultType::TransientError => Self::TransientError,
            FaultType::SystemError => Self::SystemError,
        }
    }
}
