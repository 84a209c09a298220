//! `cdk manifest`: low-code connectors by their manifests, and help with writing these.

mod eval;
mod test_read;
mod validate;

use std::path::{Path, PathBuf};

use cdk_core::{ConnectorError, ErrorContext, Result};
use cdk_declarative::ManifestSource;
use cdk_declarative::manifest::json_schema;
use cdk_declarative::yaml;
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::args::{ConfiguredArgs, ConnectorArgs, ReadArgs};
use crate::connector;
use crate::output::{Exit, Output};
use crate::registry::Reference;
use crate::signals::Signals;

use eval::EvalArgs;
use test_read::TestReadArgs;
use validate::ValidateArgs;

/// `cdk manifest`.
#[derive(Debug, Args)]
pub(crate) struct ManifestArgs {
    #[command(subcommand)]
    pub(crate) verb: ManifestVerb,
}

/// What to do with a manifest.
#[derive(Debug, Subcommand)]
pub(crate) enum ManifestVerb {
    /// Show the schema of its config
    Spec(SpecArgs),
    /// Try a config against the real API
    Check(CheckArgs),
    /// List its streams
    Discover(CheckArgs),
    /// Read records as Airbyte protocol messages, one JSON line each
    Read(ManifestReadArgs),
    /// Read a little of one stream, and show its requests, answers and records
    TestRead(TestReadArgs),
    /// Show all that is wrong with a manifest, each with its line
    Validate(ValidateArgs),
    /// Show what a template gives
    Eval(Box<EvalArgs>),
    /// Print the JSON Schema of manifests, for completion in editors
    Schema,
}

/// Which manifest.
#[derive(Debug, Args)]
pub(crate) struct SpecArgs {
    /// The manifest (YAML or JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest_path: PathBuf,
    /// Print Airbyte protocol messages as JSON lines instead of text for people
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which manifest, with its config.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) manifest: SpecArgs,
    /// The connector's config (JSON or YAML; may refer to environment variables and files)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// `cdk manifest read`.
#[derive(Debug, Args)]
pub(crate) struct ManifestReadArgs {
    #[command(flatten)]
    pub(crate) configured: CheckArgs,
    /// The streams to read: a configured Airbyte catalog (JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: PathBuf,
    /// Where to go on: a list of Airbyte states (JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
}

impl SpecArgs {
    /// The manifest as any other connector.
    fn connector(&self) -> ConnectorArgs {
        ConnectorArgs {
            connector: Reference::Manifest(self.manifest_path.clone()),
            json: self.json,
        }
    }
}

impl CheckArgs {
    fn configured(&self) -> ConfiguredArgs {
        ConfiguredArgs {
            connector: self.manifest.connector(),
            config: self.config.clone(),
        }
    }
}

impl ManifestReadArgs {
    fn read(&self) -> ReadArgs {
        ReadArgs {
            configured: self.configured.configured(),
            catalog: self.catalog.clone(),
            state: self.state.clone(),
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: &ManifestArgs, signals: Signals, output: &Output) -> Exit {
    let done = match &args.verb {
        ManifestVerb::Spec(args) => {
            return connector::spec(&args.connector(), signals, output).await;
        }
        ManifestVerb::Check(args) => {
            return connector::check(&args.configured(), signals, output).await;
        }
        ManifestVerb::Discover(args) => {
            return connector::discover(&args.configured(), signals, output).await;
        }
        ManifestVerb::Read(args) => return connector::read(&args.read(), signals, output).await,
        ManifestVerb::TestRead(args) => return test_read::run(args, signals, output).await,
        ManifestVerb::Validate(args) => validate::run(args, output),
        ManifestVerb::Eval(args) => eval::run(args, output),
        ManifestVerb::Schema => pretty(&json_schema()).map(|text| {
            output.print(&text);
            Exit::Success
        }),
    };
    match done {
        Ok(exit) => output.settle(exit),
        Err(error) => {
            output.tell_error(&error);
            Exit::of(&error)
        }
    }
}

/// The source that a manifest's file describes; what is wrong with it is named with the file.
pub(crate) fn load(path: &Path) -> Result<ManifestSource> {
    ManifestSource::from_yaml(&text(path)?)
        .map_err(|error| ConnectorError::config(format!("{}: {}", path.display(), error.message())))
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).config_error(format!("{} can't be read.", path.display()))
}

fn pretty(value: &Value) -> Result<String> {
    serde_json::to_string_pretty(value).system_error("A JSON value can't be written.")
}

/// A value given on the command line, or in a file.
fn value(given: &str, option: &str) -> Result<Value> {
    let text = match given.strip_prefix('@') {
        Some(path) => text(Path::new(path))?,
        None => given.to_owned(),
    };
    yaml::parse(&text).map_err(|error| {
        ConnectorError::config(format!(
            "The value of {option} is neither JSON nor YAML. {}",
            error.message()
        ))
    })
}
