//! `cdk spec`, `check`, `discover` and `read`: one verb of one connector.
//!
//! Every connector, built in or not, runs through the entry point that connectors ship with. What it prints
//! goes to stdout as it is (`read`, `--json`), or is gathered and shown to people.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use airbyte_protocol::{AirbyteCatalog, AirbyteMessage, FailureType, Status, SyncMode};
use cdk_core::entrypoint::{self, Connector, Invocation};
use cdk_core::{ConnectorError, ErrorContext, Result, SystemClock};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::args::{ConfiguredArgs, ConnectorArgs, ReadArgs};
use crate::connection::read_config;
use crate::output::{Exit, Output};
use crate::references::Resolver;
use crate::registry::BUILT_INS;
use crate::signals::{Ended, Signals};
use crate::{host, summary};

/// One verb with its options.
struct Call<'a> {
    verb: &'static str,
    connector: &'a ConnectorArgs,
    config: Option<&'a Path>,
    /// Further options, as the entry point takes them.
    options: Vec<(&'static str, &'a Path)>,
    /// Whether what the connector prints goes to stdout as it is.
    is_raw: bool,
}

/// `cdk spec`.
pub(crate) async fn spec(args: &ConnectorArgs, signals: Signals, output: &Output) -> Exit {
    let call = Call {
        verb: "spec",
        connector: args,
        config: None,
        options: vec![],
        is_raw: args.json,
    };
    finish(
        call.run(signals, output).await,
        output,
        |message| match message {
            AirbyteMessage::Spec(spec) => {
                let schema =
                    serde_json::to_value(&spec.connection_specification).unwrap_or_default();
                let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
                output.print(&text);
                Some(Exit::Success)
            }
            _ => None,
        },
    )
}

/// `cdk check`. For people a check that says no is exit code 1; with `--json` the protocol's rule holds,
/// by which the answer counts and the exit code is 0.
pub(crate) async fn check(args: &ConfiguredArgs, signals: Signals, output: &Output) -> Exit {
    let ended = Call::configured("check", args).run(signals, output).await;
    finish(ended, output, |message| match message {
        AirbyteMessage::ConnectionStatus(status) if status.status == Status::Succeeded => {
            output.print("The check succeeded: the connector can work with this config.");
            Some(Exit::Success)
        }
        AirbyteMessage::ConnectionStatus(status) => {
            let why = status
                .message
                .as_deref()
                .unwrap_or("the connector gave no reason");
            let why = output.secrets().mask(why);
            output.print(&format!("The check failed: {why}"));
            Some(Exit::Failure)
        }
        _ => None,
    })
}

/// `cdk discover`.
pub(crate) async fn discover(args: &ConfiguredArgs, signals: Signals, output: &Output) -> Exit {
    let ended = Call::configured("discover", args)
        .run(signals, output)
        .await;
    finish(ended, output, |message| match message {
        AirbyteMessage::Catalog(catalog) => {
            output.print(&catalog_text(catalog));
            Some(Exit::Success)
        }
        _ => None,
    })
}

/// `cdk read`.
pub(crate) async fn read(args: &ReadArgs, signals: Signals, output: &Output) -> Exit {
    let mut call = Call::configured("read", &args.configured);
    call.is_raw = true;
    call.options.push(("catalog", &args.catalog));
    call.options
        .extend(args.state.as_deref().map(|state| ("state", state)));
    finish(call.run(signals, output).await, output, |_| None)
}

/// `cdk connectors`.
pub(crate) fn list(is_json: bool, output: &Output) -> Exit {
    if is_json {
        let all = BUILT_INS.iter().map(|built_in| {
            let role = built_in.name.split('-').next();
            serde_json::json!({"name": built_in.name, "role": role, "about": built_in.about})
        });
        output.print(&Value::Array(all.collect()).to_string());
    } else {
        let mut table = summary::table(["Connector", "What"], &[]);
        for built_in in BUILT_INS {
            table.add_row([built_in.name, built_in.about]);
        }
        output.print(&table.trim_fmt());
    }
    output.settle(Exit::Success)
}

/// How a verb ended: the entry point's exit code, and what it printed unless that went to stdout.
type Answer = Ended<Result<(u8, Vec<AirbyteMessage>)>>;

impl<'a> Call<'a> {
    fn configured(verb: &'static str, args: &'a ConfiguredArgs) -> Self {
        let connector = &args.connector;
        let config = args.config.as_deref();
        Self {
            verb,
            connector,
            config,
            options: vec![],
            is_raw: connector.json,
        }
    }

    async fn run(self, signals: Signals, output: &Output) -> Answer {
        let stop = CancellationToken::new();
        let work = self.work(&stop, output);
        signals.guard(&stop, output, work).await
    }

    async fn work(
        &self,
        stop: &CancellationToken,
        output: &Output,
    ) -> Result<(u8, Vec<AirbyteMessage>)> {
        let (connector, config) = self.prepare(stop, output).await?;
        let mut args = vec![OsString::from(self.verb)];
        let mut options = self.options.clone();
        options.extend(
            config
                .as_ref()
                .map(|(_dir, path)| ("config", path.as_path())),
        );
        for (name, path) in options {
            args.push(format!("--{name}").into());
            args.push(path.into());
        }
        let gathered = Gathered::default();
        let stdout: Box<dyn Write + Send> = if self.is_raw {
            Box::new(io::stdout())
        } else {
            Box::new(gathered.clone())
        };
        let invocation = Invocation {
            args,
            env: |name| std::env::var(name).ok(),
            stdin: Box::new(io::empty()),
            stdout,
            clock: Arc::new(SystemClock),
            stop: stop.clone(),
        };
        let exit = entrypoint::run(connector, invocation).await;
        Ok((exit.code(), gathered.messages()?))
    }

    /// The connector, and its config with references resolved: a private file, removed when dropped.
    async fn prepare(
        &self,
        stop: &CancellationToken,
        output: &Output,
    ) -> Result<(Connector, Option<(TempDir, PathBuf)>)> {
        let reference = &self.connector.connector;
        let mut connector = reference.connect(None)?;
        if let (Connector::Destination(_), "discover" | "read") = (&connector, self.verb) {
            return Err(ConnectorError::config(format!(
                "`{reference}` is a destination: it has no streams to {}.",
                self.verb
            )));
        }
        let env = |name: &str| std::env::var(name).ok();
        let directory = self.config.and_then(Path::parent).unwrap_or(Path::new(""));
        let resolver = Resolver::new(&env, directory.to_owned(), output.secrets());
        let config = match (self.config, self.verb) {
            (None, "spec") => return Ok((connector, None)),
            // A connector without required options can do without a file.
            (None, _) => Value::Object(Map::new()),
            (Some(path), _) => read_config(path, &resolver)?,
        };
        if reference.is_process() {
            let schema = host::learn_secrets(&connector, &config, output.secrets(), stop).await?;
            connector = host::discreet(connector, schema, config.clone(), resolver.found());
        }
        Ok((connector, Some(write_private(&config)?)))
    }
}

fn write_private(config: &Value) -> Result<(TempDir, PathBuf)> {
    // The directory can be entered by this user only.
    let written = tempfile::tempdir().and_then(|dir| {
        let path = dir.path().join("config.json");
        std::fs::write(&path, config.to_string())?;
        Ok((dir, path))
    });
    written.transient_error("No temporary file for the config can be written.")
}

/// What a connector prints, in memory.
#[derive(Clone, Default)]
struct Gathered(Arc<Mutex<Vec<u8>>>);

impl Write for Gathered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Gathered {
    fn messages(&self) -> Result<Vec<AirbyteMessage>> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let lines = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let messages = lines.map(serde_json::from_slice).collect::<Result<_, _>>();
        messages.system_error("The connector printed a message of an unknown shape.")
    }
}

/// Shows the answer that `show` knows to people, and errors and logs beside it; decides the exit code.
fn finish(ended: Answer, output: &Output, show: impl Fn(&AirbyteMessage) -> Option<Exit>) -> Exit {
    let (code, messages) = match ended.value {
        Some(Ok(answer)) => answer,
        Some(Err(error)) => {
            output.tell_error(&error);
            return ended.stopped.unwrap_or_else(|| Exit::of(&error));
        }
        None => return ended.stopped.unwrap_or(Exit::Failure),
    };
    let mut exit = None;
    for message in &messages {
        exit = exit.or(show(message));
        exit = exit.or(aside(message, output));
    }
    let exit = match ended.stopped {
        Some(stopped) if code != 0 => stopped,
        _ => exit.unwrap_or(Exit::Connector(code)),
    };
    output.settle(exit)
}

/// What is no answer: logs, errors, and changed configs.
fn aside(message: &AirbyteMessage, output: &Output) -> Option<Exit> {
    match message {
        AirbyteMessage::Log(log) => {
            let text = &log.message;
            tracing::info!("{text}");
        }
        AirbyteMessage::Trace(trace) => {
            let body = trace.error.as_ref()?;
            let error = ConnectorError::from_trace(body);
            output.tell_error(&error);
            return Some(match error.failure_type() {
                FailureType::TransientError => Exit::Transient,
                _ => Exit::Failure,
            });
        }
        AirbyteMessage::Control(_) => tracing::warn!(
            "The connector changed its config (a rotated credential, say). This command does not save \
             it: run with --json to see the CONTROL message, or let `cdk sync` keep it."
        ),
        _ => {}
    }
    None
}

/// The streams as a table.
fn catalog_text(catalog: &AirbyteCatalog) -> String {
    let header = ["Stream", "Modes", "Cursor", "Primary key", "Fields"];
    let mut table = summary::table(header, &[4]);
    for stream in &catalog.streams {
        let modes = stream.supported_sync_modes.iter().map(|mode| match mode {
            SyncMode::FullRefresh => "full refresh",
            SyncMode::Incremental => "incremental",
        });
        let cursor = stream
            .default_cursor_field
            .as_ref()
            .map(|path| path.join("."));
        let cursor = match (cursor, stream.source_defined_cursor) {
            (Some(cursor), _) => cursor,
            (None, Some(true)) => "(of the source)".to_owned(),
            (None, _) => "-".to_owned(),
        };
        let key = stream.source_defined_primary_key.iter().flatten();
        let key: Vec<_> = key.map(|path| path.join(".")).collect();
        let fields = stream
            .json_schema
            .get("properties")
            .and_then(Value::as_object);
        table.add_row([
            stream.descriptor().to_string(),
            modes.collect::<Vec<_>>().join(", "),
            cursor,
            if key.is_empty() {
                "-".to_owned()
            } else {
                key.join(", ")
            },
            fields.map_or("-".to_owned(), |fields| fields.len().to_string()),
        ]);
    }
    let table = table.trim_fmt();
    format!("{table}\n{} streams", catalog.streams.len())
}
