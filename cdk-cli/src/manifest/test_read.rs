//! `cdk manifest test-read`: a little of one stream, with everything that went over the wire.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use airbyte_protocol::{AirbyteMessage, FailureType};
use cdk_core::event::{Event, EventReceiver};
use cdk_core::{ConnectorError, InputState, Result, Secrets};
use cdk_declarative::Limits;
use clap::Args;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{load, pretty, text};
use crate::connection::read_config;
use crate::host;
use crate::output::{Exit, Output};
use crate::references::Resolver;
use crate::signals::Signals;

/// So much of a body or a record is shown to people.
const SHOWN_CHARS: usize = 400;

/// `cdk manifest test-read`.
#[derive(Debug, Args)]
pub(crate) struct TestReadArgs {
    /// The manifest (YAML or JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest_path: PathBuf,
    /// The stream to read
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: String,
    /// The connector's config (JSON or YAML; may refer to environment variables and files)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where to go on: a list of Airbyte states (JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Pages of each slice
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_pages: u32,
    /// Slices
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_slices: u32,
    /// Records altogether
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_records: u32,
    /// Print everything as one JSON object instead of text for people
    #[arg(long)]
    pub(crate) json: bool,
}

impl TestReadArgs {
    fn limits(&self) -> Limits {
        let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Limits {
            pages_per_slice: self.max_pages,
            slices: number(self.max_slices),
            records: number(self.max_records),
        }
    }
}

/// Runs the command. Exit code 0 if nothing failed; else what was read before is printed all the same.
pub(super) async fn run(args: &TestReadArgs, signals: Signals, output: &Output) -> Exit {
    let stop = CancellationToken::new();
    // On the heap: it is large.
    let work = Box::pin(async {
        let read = read(args, &stop, output).await?;
        output.print(&match args.json {
            true => pretty(&read)?,
            false => shown(&read),
        });
        Ok(match read["error"]["type"].as_str() {
            None => Exit::Success,
            Some(kind) if kind == FailureType::TransientError.as_str() => Exit::Transient,
            Some(_) => Exit::Failure,
        })
    });
    let ended = signals.guard(&stop, output, work).await;
    let exit = match ended.value {
        Some(Ok(exit)) => exit,
        Some(Err::<_, ConnectorError>(error)) => {
            output.tell_error(&error);
            Exit::of(&error)
        }
        None => Exit::Failure,
    };
    output.settle(ended.stopped.unwrap_or(exit))
}

async fn read(args: &TestReadArgs, stop: &CancellationToken, output: &Output) -> Result<Value> {
    let source = load(&args.manifest_path)?;
    let env = |name: &str| std::env::var(name).ok();
    let directory = args.config.as_deref().and_then(Path::parent);
    let directory = directory.unwrap_or(Path::new("")).to_owned();
    let resolver = Resolver::new(&env, directory, output.secrets());
    let config = match &args.config {
        Some(path) => read_config(path, &resolver)?,
        None => Value::Object(Map::new()),
    };
    let state = match &args.state {
        Some(path) => InputState::parse(&text(path)?)?,
        None => InputState::default(),
    };
    let (context, received) = host::context(output.secrets(), stop);
    let changed = Arc::default();
    let read = source.test_read(&config, &args.stream, &state, args.limits(), &context);
    let mut read = tokio::select! {
        read = read => read?,
        // Never: `context` sends.
        () = keep_config(received, Arc::clone(&changed)) => return Err(ConnectorError::stopped()),
    };
    let changed = changed
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(config) = changed {
        tracing::warn!(
            "The connector changed its config (a rotated credential, say). This command does not save it."
        );
        read["config_update"] = config;
    }
    mask(&mut read, output.secrets());
    Ok(read)
}

/// Confirms what is emitted, and keeps the config if it was changed.
async fn keep_config(mut received: EventReceiver, changed: Arc<Mutex<Option<Value>>>) {
    while let Some(event) = received.recv().await {
        match event {
            Event::Delivered(delivery) => delivery.confirm(),
            Event::Message(message) => {
                if let AirbyteMessage::Control(control) = *message {
                    let control = serde_json::to_value(&control).unwrap_or_default();
                    let config = control["connectorConfig"]["config"].clone();
                    let mut changed = changed.lock().unwrap_or_else(PoisonError::into_inner);
                    *changed = Some(config);
                }
            }
            Event::Records(_) => {}
        }
    }
}

/// Hides secrets in all texts. Numbers stay: what is left must be JSON.
fn mask(value: &mut Value, secrets: &Secrets) {
    match value {
        Value::String(text) => {
            let masked = secrets.mask(text).into_owned();
            *text = masked;
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, secrets)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|member| mask(member, secrets)),
        _ => {}
    }
}

/// The read for people.
fn shown(read: &Value) -> String {
    let mut lines = Vec::new();
    let slices = items(&read["slices"]);
    for (at, slice) in slices.iter().enumerate() {
        let fields = match slice["slice"].as_object() {
            Some(fields) if !fields.is_empty() => format!(" {}", slice["slice"]),
            _ => String::new(),
        };
        lines.push(format!("Slice {}{fields}", at + 1));
        lines.extend(items(&slice["exchanges"]).iter().map(exchange));
        let records = items(&slice["records"]);
        lines.push(format!("  {}", count(records.len(), "record")));
        let shown = records
            .iter()
            .map(|record| format!("    {}", short(record)));
        lines.extend(shown);
    }
    let others = items(&read["other_exchanges"]);
    if !others.is_empty() {
        lines.push("Other requests".to_owned());
        lines.extend(others.iter().map(exchange));
    }
    if slices
        .iter()
        .any(|slice| !items(&slice["records"]).is_empty())
    {
        lines.push(format!("Schema {}", read["inferred_schema"]));
    }
    if !read["state"].is_null() {
        lines.push(format!("State {}", read["state"]));
    }
    let records: usize = slices
        .iter()
        .map(|slice| items(&slice["records"]).len())
        .sum();
    let more = match read["limit_reached"] == json!(true) {
        true => "; a limit was reached, there may be more",
        false => "",
    };
    lines.push(format!(
        "{} in {}{more}",
        count(records, "record"),
        count(slices.len(), "slice")
    ));
    lines.extend(failure(&read["error"]));
    lines.join("\n")
}

fn failure(error: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(message) = error["message"].as_str() {
        lines.push(format!("Failed ({}): {message}", word(&error["type"])));
    }
    if let Some(cause) = error["cause"].as_str() {
        lines.push(format!("  cause: {cause}"));
    }
    lines
}

/// Request and answer, with what they carry.
fn exchange(exchange: &Value) -> String {
    let (request, response) = (&exchange["request"], &exchange["response"]);
    let answer = match response["error"].as_str() {
        Some(error) => error.to_owned(),
        None => word(&response["status"]),
    };
    let mut text = format!(
        "  {} {} → {answer}",
        word(&request["method"]),
        word(&request["url"])
    );
    if let Some(headers) = request["headers"].as_object() {
        for (name, value) in headers {
            text.push_str(&format!("\n    > {name}: {}", word(value)));
        }
    }
    for (sign, body) in [(">", &request["body"]), ("<", &response["body"])] {
        if !body.is_null() {
            text.push_str(&format!("\n    {sign} {}", short(body)));
        }
    }
    text
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The start of a value on one line.
fn short(value: &Value) -> String {
    let text = word(value).replace(['\n', '\r'], " ");
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}
