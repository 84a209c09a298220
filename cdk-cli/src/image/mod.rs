//! `cdk image build`: an image of a connector, made without Docker.
//!
//! It holds the program, the shared libraries that it needs, the certificates of well-known authorities, and nothing
//! else; labels, user and entry point are those that Airbyte asks for.

mod archive;
mod files;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cdk_core::{ConnectorError, ErrorContext, Result};
use serde_json::{Value, json};

use crate::args::ImageBuildArgs;
use crate::output::{Exit, Output};
use crate::units;
use archive::Blob;

/// Where the program is in the image.
const ENTRYPOINT: &str = "/airbyte/connector";
/// The user `airbyte`.
pub(crate) const USER: u64 = 1000;

/// `cdk image build`.
pub(crate) fn build(args: &ImageBuildArgs, output: &Output) -> Exit {
    match make(args) {
        Ok((path, bytes)) => {
            let path = path.display();
            output.print(&format!("{path} is made ({}).", units::bytes(bytes)));
            output.settle(Exit::Success)
        }
        Err(error) => {
            output.tell_error(&error);
            Exit::of(&error)
        }
    }
}

/// Makes the image; returns where it is, and how big its layer is.
fn make(args: &ImageBuildArgs) -> Result<(PathBuf, u64)> {
    let labels = Labels::read(&args.folder.join("metadata.yaml"))?;
    let program = match &args.program {
        Some(program) => program.clone(),
        None => cargo_build(&args.folder)?,
    };
    let layer = Blob::new(files::layer(&program, ENTRYPOINT)?);
    let bytes = layer.bytes.len() as u64;
    let config = Blob::new(config(&labels, &layer).to_string().into_bytes());
    let tag = format!("{}:{}", labels.name, labels.version);
    let file = format!("{}-{}.tar", labels.name.replace('/', "-"), labels.version);
    let path = args
        .output
        .clone()
        .unwrap_or_else(|| args.folder.join("target").join(file));
    archive::write(&path, &tag, &config, &layer)
        .config_error(format!("The image can't be written to {}.", path.display()))?;
    Ok((path, bytes))
}

/// What `metadata.yaml` says about the image.
struct Labels {
    name: String,
    version: String,
    /// Of the kind `source` or `destination`; other labels are for people.
    title: String,
}

impl Labels {
    fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path).config_error(format!(
            "{shown} can't be read. It says what the image is called: `cdk new` makes one."
        ))?;
        let metadata = cdk_declarative::yaml::parse(&text)?;
        let field = |name: &str| {
            let value = match &metadata["data"][name] {
                Value::String(text) => text.trim().to_owned(),
                Value::Number(number) => number.to_string(),
                _ => String::new(),
            };
            match value.is_empty() {
                false => Ok(value),
                true => Err(ConnectorError::config(format!(
                    "{shown} has no `data.{name}`."
                ))),
            }
        };
        Ok(Self {
            name: field("dockerRepository")?,
            version: field("dockerImageTag")?,
            title: field("name")?,
        })
    }
}

/// The image's configuration, as the OCI's image specification has it.
fn config(labels: &Labels, layer: &Blob) -> Value {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": format!("{USER}:{USER}"),
            "WorkingDir": "/airbyte",
            "Entrypoint": [ENTRYPOINT],
            "Env": [format!("AIRBYTE_ENTRYPOINT={ENTRYPOINT}"), "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
            "Labels": {
                "io.airbyte.name": labels.name,
                "io.airbyte.version": labels.version,
                "org.opencontainers.image.title": labels.title,
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.digest()]},
        "history": [{"created_by": "cdk image build"}],
    })
}

/// Builds the only program of a crate for release, and returns its path.
fn cargo_build(folder: &Path) -> Result<PathBuf> {
    let manifest = folder.join("Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--bins",
            "--message-format",
            "json-render-diagnostics",
        ])
        .arg("--manifest-path")
        .arg(&manifest)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .config_error(
            "cargo can't be started. Give a program that is built already with --program.",
        )?;
    if !built.status.success() {
        return Err(ConnectorError::config(format!(
            "{} can't be built; cargo says why above.",
            manifest.display()
        )));
    }
    let text = String::from_utf8_lossy(&built.stdout);
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let programs: Vec<_> = messages
        .filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
        .collect();
    match &programs[..] {
        [program] => Ok(program.clone()),
        _ => Err(ConnectorError::config(format!(
            "{} builds {} programs. Choose one with --program.",
            manifest.display(),
            programs.len()
        ))),
    }
}
