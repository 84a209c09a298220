//! `cdk test`: judges any connector by the conformance suite.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use cdk_core::{ConnectorError, ErrorContext, Result};
use cdk_declarative::words;
use cdk_testkit::suite::{self, Level, Report};
use cdk_testkit::{Program, Suite};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::args::{ReportFormat, TestArgs};
use crate::connection::read_config;
use crate::manifest;
use crate::output::{Exit, Output};
use crate::references::Resolver;
use crate::registry::Reference;
use crate::signals::Signals;
use crate::summary;

/// `cdk test`. Exit code 0 if the connector conforms, 1 if not.
pub(crate) async fn test(args: &TestArgs, signals: Signals, output: &Output) -> Exit {
    if args.list_rules {
        output.print(&rules());
        return output.settle(Exit::Success);
    }
    let suite = match suite_of(args, output) {
        Ok(suite) => suite,
        Err(error) => {
            output.tell_error(&error);
            return Exit::of(&error);
        }
    };
    let stop = CancellationToken::new();
    let work = async {
        tokio::select! {
            report = suite.run() => Some(report),
            // What runs ends with the suite's future.
            () = stop.cancelled() => None,
        }
    };
    let ended = signals.guard(&stop, output, work).await;
    let Some(report) = ended.value.flatten() else {
        return ended.stopped.unwrap_or(Exit::Failure);
    };
    output.print(&match args.format {
        ReportFormat::Table => report.table(),
        ReportFormat::Json => report.json().to_string(),
        ReportFormat::Junit => report.junit(),
    });
    if let Err(error) = keep(args.report.as_deref(), &report) {
        output.tell_error(&error);
        return Exit::of(&error);
    }
    let is_fine = if args.strict {
        report.is_clean()
    } else {
        report.passed()
    };
    output.settle(if is_fine {
        Exit::Success
    } else {
        Exit::Failure
    })
}

fn rules() -> String {
    let mut table = summary::table(["Rule", "What must hold", "Needs"], &[]);
    for rule in suite::rules() {
        let needs: Vec<_> = rule.needs.iter().map(|need| format!("{need:?}")).collect();
        let title = match rule.level {
            Level::Must => rule.title.to_owned(),
            Level::Should => format!("{} (a warning)", rule.title),
        };
        table.add_row([rule.id.to_owned(), title, needs.join(", ")]);
    }
    format!("{}\n{} rules", table.trim_fmt(), suite::rules().count())
}

fn suite_of(args: &TestArgs, output: &Output) -> Result<Suite> {
    let name = args.connector.as_deref().unwrap_or_default();
    let mut suite = match Reference::parse(name, Path::new("")) {
        Reference::Command(command) => {
            Suite::program(Program::new(command.name()).args(command.args()))
        }
        reference => {
            if let Reference::Manifest(path) = &reference {
                // A broken one would fail every rule, and none would say why.
                manifest::load(path)?;
            }
            Suite::connector(reference.connect(None)?)
        }
    };
    suite = suite.named(name);
    if let Some(path) = &args.config {
        suite = suite.config(config(path, output)?);
    }
    for path in &args.invalid_config {
        suite = suite.invalid_config(config(path, output)?);
    }
    for (path, give) in files(args) {
        if let Some(path) = path {
            suite = give(suite, json(path)?);
        }
    }
    if let Some(path) = &args.expected_records {
        for (stream, data) in expected(path)? {
            suite = suite.expected_records(&stream, [data]);
        }
    }
    for (stream, reason) in &args.allow_empty {
        suite = suite.allow_empty(stream, reason);
    }
    for (rule, reason) in &args.skip {
        is_rule(rule)?;
        suite = suite.excuse(rule, reason);
    }
    if let Some(namespace) = &args.namespace {
        suite = suite.namespace(namespace);
    }
    if let Some(command) = args.read_back.clone() {
        suite = suite.read_back(move |namespace, stream| rows(command.clone(), namespace, stream));
    }
    let suite = suite
        .streams(&args.stream)
        .ignore_fields(&args.ignore_field);
    Ok(suite.limits(|limits| {
        limits.run = Duration::from_secs(args.run_limit);
        limits.suite = Duration::from_secs(args.time_limit);
        limits.output = args.output_limit.unwrap_or(limits.output);
    }))
}

type Give = fn(Suite, Value) -> Suite;

/// The files with one JSON value, and what each is for.
fn files(args: &TestArgs) -> [(&Option<PathBuf>, Give); 5] {
    [
        (&args.catalog, Suite::catalog),
        (&args.state, Suite::state),
        (&args.future_state, Suite::future_state),
        (&args.previous_spec, |suite, it| {
            suite.previous_spec(body(it, "spec"))
        }),
        (&args.previous_catalog, |suite, it| {
            suite.previous_catalog(body(it, "catalog"))
        }),
    ]
}

/// A message's body, or the value itself if it is no message.
fn body(mut value: Value, field: &str) -> Value {
    match value.get_mut(field) {
        Some(body) => body.take(),
        None => value,
    }
}

fn config(path: &Path, output: &Output) -> Result<Value> {
    let env = |name: &str| std::env::var(name).ok();
    let directory = path.parent().unwrap_or(Path::new(""));
    let resolver = Resolver::new(&env, directory.to_owned(), output.secrets());
    read_config(path, &resolver)
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).config_error(format!("{} can't be read.", path.display()))
}

fn json(path: &Path) -> Result<Value> {
    serde_json::from_str(&text(path)?).config_error(format!("{} is no JSON.", path.display()))
}

/// Stream and data of each line.
fn expected(path: &Path) -> Result<Vec<(String, Value)>> {
    let text = text(path)?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let records = lines.map(|(at, line)| {
        let place = format!("{}, line {}", path.display(), at + 1);
        let value: Value =
            serde_json::from_str(line).config_error(format!("{place} is no JSON."))?;
        let record = body(value, "record");
        match (record["stream"].as_str(), record["data"].is_object()) {
            (Some(stream), true) => Ok((stream.to_owned(), record["data"].clone())),
            _ => Err(ConnectorError::config(format!(
                "{place} has no `stream` and `data`."
            ))),
        }
    });
    records.collect()
}

fn is_rule(rule: &str) -> Result<()> {
    if suite::rules().any(|it| it.id == rule) {
        return Ok(());
    }
    let guess = words::did_you_mean(rule, suite::rules().map(|it| it.id));
    Err(ConnectorError::config(format!(
        "There is no rule `{rule}`.{guess} `cdk test --list-rules` lists them."
    )))
}

/// What a command prints for a stream: one JSON object a line.
async fn rows(
    command: String,
    namespace: Option<String>,
    stream: String,
) -> Result<Vec<Value>, String> {
    let child = tokio::process::Command::new("sh")
        .args(["-c", &command])
        .env("CDK_STREAM", stream)
        .env("CDK_NAMESPACE", namespace.unwrap_or_default())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = child.await.map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{command}`: {}: {}", output.status, said.trim()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let rows = lines.map(serde_json::from_str::<Map<String, Value>>);
    let rows: Result<Vec<_>, _> = rows.map(|row| row.map(Value::Object)).collect();
    rows.map_err(|error| format!("`{command}` printed a line that is no JSON object: {error}"))
}

fn keep(path: Option<&Path>, report: &Report) -> Result<()> {
    let Some(path) = path else {
        return Ok(());
    };
    let is_xml = path.extension().is_some_and(|ending| ending == "xml");
    let text = if is_xml {
        report.junit()
    } else {
        format!("{:#}\n", report.json())
    };
    std::fs::write(path, text).config_error(format!(
        "The report can't be written to {}.",
        path.display()
    ))
}
