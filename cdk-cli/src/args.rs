//! The command line.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::manifest::ManifestArgs;
use crate::registry::Reference;
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
    /// Make a new connector out of a template
    New(Box<NewArgs>),
    /// Make an image of a connector, without Docker
    Image(ImageArgs),
    /// Judge a connector by the protocol's rules
    Test(Box<TestArgs>),
    /// Run low-code manifests, and help with writing them
    Manifest(Box<ManifestArgs>),
    /// Normalize again what syncs left in a destination, without a source
    Normalize(NormalizeArgs),
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
    /// A built-in name (see `cdk connectors`), a manifest.yaml, the path of an executable, docker:IMAGE, or a command
    #[arg(long, short, value_name = "NAME|PATH", value_parser = reference)]
    pub(crate) connector: Reference,
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

/// `cdk new`.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// source-http, source-declarative, source-sql, source-file or destination
    pub(crate) kind: String,
    /// Its name, as in MyCustomAPI or my-custom-api
    pub(crate) name: String,
    /// Make its folder in this one, instead of the current one
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// Base URL of the API (source-http, source-declarative)
    #[arg(long, value_name = "URL", default_value = "https://api.example.com/v1")]
    pub(crate) api_base: String,
    /// Credentials of the API (source-http, source-declarative)
    #[arg(long, value_enum, default_value_t = AuthKind::Bearer)]
    pub(crate) auth: AuthKind,
    /// Pages of the API (source-http, source-declarative)
    #[arg(long, value_enum, default_value_t = PagesKind::Page)]
    pub(crate) pagination: PagesKind,
    /// Its licence, as an SPDX expression
    #[arg(long, default_value = "MIT")]
    pub(crate) license: String,
    /// Take the CDK from this checkout (default: the one this program was built from, if it is there)
    #[arg(long, value_name = "DIR", conflicts_with = "cdk_git")]
    pub(crate) cdk_path: Option<PathBuf>,
    /// Take the CDK from this Git repository
    #[arg(long, value_name = "URL")]
    pub(crate) cdk_git: Option<String>,
}

/// How an API knows who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AuthKind {
    /// Not at all
    None,
    /// By a key in a header
    ApiKey,
    /// By a token in `Authorization`
    Bearer,
    /// By name and password
    Basic,
}

impl AuthKind {
    /// As templates know it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ApiKey => "api-key",
            Self::Bearer => "bearer",
            Self::Basic => "basic",
        }
    }
}

/// How an API hands out long lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PagesKind {
    /// In one go
    None,
    /// By the number of the page
    Page,
    /// By the number of the first record
    Offset,
    /// By a place that comes with each page
    Cursor,
}

impl PagesKind {
    /// As templates know it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Page => "page",
            Self::Offset => "offset",
            Self::Cursor => "cursor",
        }
    }
}

/// `cdk image`.
#[derive(Debug, Args)]
pub(crate) struct ImageArgs {
    #[command(subcommand)]
    pub(crate) verb: ImageVerb,
}

/// What to do with images.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageVerb {
    /// Build a connector and put it into an image: an archive for `docker load`, `podman load`, `skopeo copy`
    Build(ImageBuildArgs),
}

/// `cdk image build`.
#[derive(Debug, Args)]
pub(crate) struct ImageBuildArgs {
    /// The connector's folder, with metadata.yaml
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// The program, instead of building it with cargo
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
    /// Where the archive goes (default: `<folder>/target/<name>-<version>.tar`); a directory gets the layout unpacked
    #[arg(long, short, value_name = "FILE|DIR/")]
    pub(crate) output: Option<PathBuf>,
}

/// `cdk test`.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// A built-in name (see `cdk connectors`), a manifest.yaml, the path of an executable, docker:IMAGE, or a command
    #[arg(
        long,
        short,
        value_name = "NAME|PATH",
        required_unless_present = "list_rules"
    )]
    pub(crate) connector: Option<String>,
    /// A config that works (JSON or YAML; may refer to environment variables and files)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A config that fits the spec but must be refused; may be given often
    #[arg(long, value_name = "FILE")]
    pub(crate) invalid_config: Vec<PathBuf>,
    /// Read with this configured catalog instead of one made from the discovered catalog
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: Option<PathBuf>,
    /// States (a JSON list) to begin the incremental read from
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// States (a JSON list) ahead of all data: reading from them must give no records
    #[arg(long, value_name = "FILE")]
    pub(crate) future_state: Option<PathBuf>,
    /// The spec of the version before, as `spec` printed it: old configs must stay valid
    #[arg(long, value_name = "FILE")]
    pub(crate) previous_spec: Option<PathBuf>,
    /// The catalog of the version before, as `discover` printed it
    #[arg(long, value_name = "FILE")]
    pub(crate) previous_catalog: Option<PathBuf>,
    /// Records that a source must have: RECORD messages or {"stream", "data"}, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) expected_records: Option<PathBuf>,
    /// Read only these streams
    #[arg(long, value_name = "STREAM")]
    pub(crate) stream: Vec<String>,
    /// A stream that may be without records, and why
    #[arg(long, value_name = "STREAM=REASON", value_parser = reasoned)]
    pub(crate) allow_empty: Vec<(String, String)>,
    /// A field of records that differs from read to read
    #[arg(long, value_name = "FIELD")]
    pub(crate) ignore_field: Vec<String>,
    /// A rule to skip, and why
    #[arg(long, value_name = "RULE=REASON", value_parser = reasoned)]
    pub(crate) skip: Vec<(String, String)>,
    /// A shell command that prints what a destination holds of the stream $CDK_STREAM (namespace
    /// $CDK_NAMESPACE), one JSON object a row
    #[arg(long, value_name = "COMMAND")]
    pub(crate) read_back: Option<String>,
    /// The namespace of the streams that a destination is given
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// What one run of the connector may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) run_limit: u64,
    /// What everything may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) time_limit: u64,
    /// What one run may print, such as 256MiB (the default)
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    pub(crate) output_limit: Option<usize>,
    /// Count warnings as failures
    #[arg(long)]
    pub(crate) strict: bool,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    /// Write the report to this file too, as JUnit XML if it ends in .xml, else as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// List the rules, and what each needs to apply
    #[arg(long)]
    pub(crate) list_rules: bool,
}

/// How `cdk test` prints its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ReportFormat {
    /// Lines for people
    Table,
    /// One JSON object
    Json,
    /// JUnit XML
    Junit,
}

/// What `--connector` takes, from the current directory.
fn reference(text: &str) -> Result<Reference, Infallible> {
    Ok(Reference::parse(text, Path::new("")))
}

/// `what=why`, neither of them empty.
fn reasoned(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((what, why)) if !what.trim().is_empty() && !why.trim().is_empty() => {
            Ok((what.trim().to_owned(), why.trim().to_owned()))
        }
        _ => Err("a name, `=` and a reason are needed".to_owned()),
    }
}

/// `cdk normalize`.
#[derive(Debug, Args)]
pub(crate) struct NormalizeArgs {
    /// The connection file (YAML or JSON), of which the destination counts
    pub(crate) connection: PathBuf,
    /// Make the tables of all raw rows, and not only of those that are new
    #[arg(long)]
    pub(crate) full: bool,
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
