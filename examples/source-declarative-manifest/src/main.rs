//! Airbyte source: runs any `manifest.yaml` connector, given by `--manifest-path` or inside of the config.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use cdk_core::entrypoint::{Connector, run_connector_with};
use cdk_declarative::ManifestSource;

fn main() -> ExitCode {
    let (manifest, args) = split(std::env::args_os().skip(1));
    let source = match manifest {
        Some(path) => ManifestSource::from_file(path),
        None => ManifestSource::injected(),
    };
    run_connector_with(Connector::Source(Arc::new(source)), args)
}

/// Takes `--manifest-path FILE` out of the arguments; the others are every connector's.
fn split(mut args: impl Iterator<Item = OsString>) -> (Option<OsString>, Vec<OsString>) {
    let (mut manifest, mut others) = (None, Vec::new());
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if text == "--manifest-path" {
            match args.next() {
                Some(path) => manifest = Some(path),
                // The entry point says what is wrong.
                None => others.push(arg),
            }
        } else if let Some(path) = text.strip_prefix("--manifest-path=") {
            manifest = Some(path.into());
        } else {
            others.push(arg);
        }
    }
    (manifest, others)
}
