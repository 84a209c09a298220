//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::units;

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed (config_error, system_error, a check that says no); 2 wrong arguments;
75 failed for now (transient_error, retries used up); 130, 143 stopped by SIGINT, SIGTERM;
141 nobody reads stdout any more and not all was done.";

/// Moves data from any Airbyte source to any destination, on one machine and without a platform.
#[derive(Debug, Parser)]
#[command(name = "cdk", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// How much is logged.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Log more to stderr: -v info, -vv debug, -vvv trace. The default is LOG_LEVEL, or warnings
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print errors only: no progress, no summary
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sync a connection: read its source, load its destination, keep its state
    Sync(SyncArgs),
    /// Show a connector's config schema
    Spec(ConnectorArgs),
    /// Try a config against the real system
    Check(ConfiguredArgs),
    /// List a source's streams
    Discover(ConfiguredArgs),
    /// Read records as Airbyte protocol messages, one JSON line each
    Read(ReadArgs),
    /// Show or reset what a connection remembers
    State(StateArgs),
    /// List the built-in connectors
    Connectors(ConnectorsArgs),
}

/// `cdk sync`.
#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// The connection file (YAML or JSON)
    pub(crate) connection: PathBuf,
    /// Print progress and report as JSON lines on stdout, for machines
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep state in this directory, instead of what the file says (default: .cdk/state beside it)
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Read these streams from the start and replace what the destination has of them
    #[arg(long, value_name = "STREAM", num_args = 1..)]
    pub(crate) full_refresh: Vec<String>,
    /// Only try both configs against the real systems; move nothing
    #[arg(long)]
    pub(crate) check: bool,
    /// How many bytes of records may be queued, such as 64MiB (the default)
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    pub(crate) memory: Option<usize>,
}

/// Which connector.
#[derive(Debug, Args)]
pub(crate) struct ConnectorArgs {
    /// A built-in name (see `cdk connectors`), the path of an executable, docker:IMAGE, or a command
    #[arg(long, short, value_name = "NAME|PATH")]
    pub(crate) connector: String,
    /// Print Airbyte protocol messages as JSON lines instead of text for people
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which connector, with its config.
#[derive(Debug, Args)]
pub(crate) struct ConfiguredArgs {
    #[command(flatten)]
    pub(crate) connector: ConnectorArgs,
    /// The connector's config (JSON or YAML; may refer to environment variables and files)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// `cdk read`.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    pub(crate) configured: ConfiguredArgs,
    /// The streams to read: a configured Airbyte catalog (JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: PathBuf,
    /// Where to go on: a list of Airbyte states (JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
}

/// `cdk state`.
#[derive(Debug, Args)]
pub(crate) struct StateArgs {
    #[command(subcommand)]
    pub(crate) verb: StateVerb,
}

/// What to do with the state.
#[derive(Debug, Subcommand)]
pub(crate) enum StateVerb {
    /// Show where each stream stands
    Show(StateShowArgs),
    /// Forget where streams stand, so that the next sync reads them from the start. Nothing is removed
    /// at the destination; `cdk sync --full-refresh` replaces it
    Reset(StateResetArgs),
}

/// Which connection's state.
#[derive(Debug, Args)]
pub(crate) struct StatePlaceArgs {
    /// The connection file
    pub(crate) connection: PathBuf,
    /// The directory given to `cdk sync --state-dir`
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// `cdk state show`.
#[derive(Debug, Args)]
pub(crate) struct StateShowArgs {
    #[command(flatten)]
    pub(crate) place: StatePlaceArgs,
    /// Only these streams
    #[arg(long, value_name = "STREAM")]
    pub(crate) stream: Vec<String>,
    /// Print the list of Airbyte states that `cdk read --state` takes
    #[arg(long)]
    pub(crate) json: bool,
}

/// `cdk state reset`.
#[derive(Debug, Args)]
pub(crate) struct StateResetArgs {
    #[command(flatten)]
    pub(crate) place: StatePlaceArgs,
    /// Only these streams
    #[arg(long, value_name = "STREAM")]
    pub(crate) stream: Vec<String>,
}

/// `cdk connectors`.
#[derive(Debug, Args)]
pub(crate) struct ConnectorsArgs {
    /// Print a JSON array instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}
