//! The `cdk` command: sync any source to any destination, run and inspect connectors.

mod args;
mod conformance;
mod connection;
mod connector;
mod host;
mod image;
mod log;
mod manifest;
mod normalize;
mod output;
mod progress;
mod references;
mod registry;
mod scaffold;
mod signals;
mod state;
mod summary;
mod sync;
mod units;

use std::process::ExitCode;
use std::time::Duration;

use cdk_core::{ErrorContext, Secrets};
use clap::Parser;

use args::{Cli, Command, ImageArgs, ImageVerb, StateArgs, StateVerb};
use output::{Exit, Output};
use signals::Signals;

/// How long the end of the program may take once the work is over.
const SHUTDOWN: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(Secrets::default());
    let env = std::env::var("LOG_LEVEL").ok();
    log::start(
        output.clone(),
        log::level(cli.log.verbose, cli.log.quiet, env.as_deref()),
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime.system_error("The program can't start its threads.") {
        Ok(runtime) => runtime,
        Err(error) => {
            output.tell_error(&error);
            return Exit::Failure.into();
        }
    };
    let exit = runtime.block_on(run(&cli, &output));
    // Tasks that were left behind are dropped, and with them their child processes killed. A thread that
    // blocks on a pipe is not waited for.
    runtime.shutdown_timeout(SHUTDOWN);
    exit.into()
}

async fn run(cli: &Cli, output: &Output) -> Exit {
    let signals = match Signals::listen().system_error("Signals can't be received.") {
        Ok(signals) => signals,
        Err(error) => {
            output.tell_error(&error);
            return Exit::Failure;
        }
    };
    match &cli.command {
        Command::Sync(args) => sync::run(args, cli.log.quiet, signals, output).await,
        Command::Spec(args) => connector::spec(args, signals, output).await,
        Command::Check(args) => connector::check(args, signals, output).await,
        Command::Discover(args) => connector::discover(args, signals, output).await,
        Command::Read(args) => connector::read(args, signals, output).await,
        Command::New(args) => scaffold::new(args, output),
        Command::Image(ImageArgs {
            verb: ImageVerb::Build(args),
        }) => image::build(args, output),
        Command::Test(args) => conformance::test(args, signals, output).await,
        Command::Manifest(args) => manifest::run(args, signals, output).await,
        Command::Normalize(args) => normalize::run(args, output).await,
        Command::State(StateArgs {
            verb: StateVerb::Show(args),
        }) => state::show(args, output).await,
        Command::State(StateArgs {
            verb: StateVerb::Reset(args),
        }) => state::reset(args, output).await,
        Command::Connectors(args) => connector::list(args.json, output),
    }
}
