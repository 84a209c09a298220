//! `cdk manifest validate`: all that is wrong with a manifest, at once.

use std::path::PathBuf;

use cdk_core::Result;
use cdk_declarative::manifest::{Finding, Manifest, Severity};
use clap::Args;
use serde_json::{Value, json};

use super::{pretty, text};
use crate::output::{Exit, Output};

/// `cdk manifest validate`.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// The manifest (YAML or JSON)
    pub(crate) manifest: PathBuf,
    /// Print the findings as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints the findings. Exit code 1 if the connector would not start, or would fail at one of them.
pub(super) fn run(args: &ValidateArgs, output: &Output) -> Result<Exit> {
    let findings = Manifest::inspect(&text(&args.manifest)?);
    let is_wrong = findings
        .iter()
        .any(|finding| finding.severity != Severity::Warning);
    if args.json {
        let list: Value = findings.iter().map(as_json).collect();
        output.print(&pretty(&list)?);
    } else {
        output.print(&shown(args, &findings));
    }
    Ok(if is_wrong {
        Exit::Failure
    } else {
        Exit::Success
    })
}

fn shown(args: &ValidateArgs, findings: &[Finding]) -> String {
    let file = args.manifest.display();
    if findings.is_empty() {
        return format!("{file} is a manifest without faults.");
    }
    let lines = findings.iter().map(|finding| {
        let place = finding.place;
        let path = match finding.path.as_str() {
            "" => String::new(),
            path => format!(" `{path}`:"),
        };
        format!(
            "{file}:{}:{}: {}:{path} {}",
            place.line,
            place.column,
            word(finding.severity),
            finding.text
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Failure => "error later",
        Severity::Warning => "warning",
    }
}

fn as_json(finding: &Finding) -> Value {
    json!({
        "severity": word(finding.severity),
        "line": finding.place.line,
        "column": finding.place.column,
        "path": finding.path,
        "message": finding.text,
    })
}
