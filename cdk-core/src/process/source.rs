//! A source in another process.

use std::process::Stdio;

use airbyte_protocol::{
    AirbyteCatalog, AirbyteMessage, AirbyteStateMessage, AirbyteStreamStatus,
    AirbyteStreamStatusTraceMessage, AirbyteTraceMessage, ConfiguredAirbyteCatalog,
    ConnectorSpecification, Status,
};
use async_trait::async_trait;
use serde_json::Value;
use tokio::runtime::Handle;

use crate::context::Context;
use crate::decode::Decoder;
use crate::error::{ConnectorError, Result};
use crate::event::{self, Event, EventReceiver};
use crate::process::ProcessCommand;
use crate::process::child::{Answers, RunFiles};
use crate::source::{DynSource, ReadArgs};

/// Any Airbyte source executable as a [`DynSource`].
#[derive(Debug, Clone)]
pub struct ProcessSource {
    command: ProcessCommand,
}

impl ProcessSource {
    /// The source that `command` starts.
    pub fn new(command: ProcessCommand) -> Self {
        Self { command }
    }
}

#[async_trait]
impl DynSource for ProcessSource {
    async fn spec_dyn(&self, context: &Context) -> Result<ConnectorSpecification> {
        spec(&self.command, context).await
    }

    async fn check_dyn(&self, config: &Value, context: &Context) -> Result<()> {
        check(&self.command, config, context).await
    }

    async fn discover_dyn(&self, config: &Value, context: &Context) -> Result<AirbyteCatalog> {
        let files = RunFiles::new()?.with("config", config)?;
        ask(
            &self.command,
            "discover",
            &files,
            context,
            |message| match message {
                AirbyteMessage::Catalog(catalog) => Some(catalog),
                _ => None,
            },
        )
        .await
    }

    async fn read_dyn(&self, args: ReadArgs, context: &Context) -> Result<()> {
        let state: Vec<AirbyteStateMessage> = args.state.to_messages();
        let files = RunFiles::new()?
            .with("config", &args.config)?
            .with("catalog", &args.catalog)?
            .with("state", &state)?;
        let running = self.command.start("read", &files, Stdio::null())?;
        let (events, received) = event::channel(
            context.events().budget().clone(),
            context.events().progress().clone(),
        );
        let decoder = Decoder::new(self.command.name(), events, Handle::current());
        let forward = Forward {
            context: context.clone(),
            ended: Vec::new(),
            failure: None,
        };
        let (read, forwarded) = tokio::join!(
            running.finish(context, move |stdout| decoder.run(stdout)),
            forward.run(received)
        );
        let forward = forwarded?;
        match read {
            Ok(((), status)) => forward.finish(&args.catalog, self.command.name(), status),
            Err(error) => {
                forward.end_streams(&args.catalog, AirbyteStreamStatus::Incomplete)?;
                Err(error)
            }
        }
    }
}

/// Passes a child's events on and notes how it said it ended.
struct Forward {
    context: Context,
    ended: Vec<airbyte_protocol::StreamDescriptor>,
    failure: Option<ConnectorError>,
}

impl Forward {
    async fn run(mut self, mut received: EventReceiver) -> Result<Self> {
        let events = self.context.events().clone();
        while let Some(event) = received.recv().await {
            match event {
                Event::Records(batch) => events.records(batch).await?,
                Event::Message(message) => {
                    self.note(&message);
                    events.message(message)?;
                }
                Event::Delivered(delivery) => delivery.confirm(),
            }
        }
        Ok(self)
    }

    fn note(&mut self, message: &AirbyteMessage) {
        let AirbyteMessage::Trace(trace) = message else {
            return;
        };
        if let Some(error) = &trace.error {
            self.failure
                .get_or_insert_with(|| ConnectorError::from_trace(error));
        }
        if let Some(status) = &trace.stream_status {
            let is_end = matches!(
                status.status,
                AirbyteStreamStatus::Complete | AirbyteStreamStatus::Incomplete
            );
            if is_end {
                self.ended.push(status.stream_descriptor.clone());
            }
        }
    }

    /// Reports `end` for all streams that did not say themselves how they ended; true if there were any.
    fn end_streams(
        &self,
        catalog: &ConfiguredAirbyteCatalog,
        end: AirbyteStreamStatus,
    ) -> Result<bool> {
        let names = catalog.streams.iter().map(|stream| stream.descriptor());
        let open: Vec<_> = names.filter(|name| !self.ended.contains(name)).collect();
        for descriptor in &open {
            let body = AirbyteStreamStatusTraceMessage::new(descriptor.clone(), end);
            let now = self.context.now_ms() as f64;
            let trace = AirbyteTraceMessage::stream_status(now, body);
            self.context.emit(AirbyteMessage::Trace(trace))?;
        }
        Ok(!open.is_empty())
    }

    /// Old connectors report no status: then the exit code speaks for their streams, as on the platform.
    fn finish(
        self,
        catalog: &ConfiguredAirbyteCatalog,
        who: &str,
        status: std::process::ExitStatus,
    ) -> Result<()> {
        // A child that was stopped may well exit with 0; that says nothing about its streams.
        let is_stopped = self.context.stop().is_cancelled();
        let end = match status.success() && !is_stopped {
            true => AirbyteStreamStatus::Complete,
            false => AirbyteStreamStatus::Incomplete,
        };
        let is_cut_short = self.end_streams(catalog, end)? && is_stopped;
        if is_cut_short || (is_stopped && !status.success()) {
            return Err(ConnectorError::stopped());
        }
        if status.success() {
            return Ok(());
        }
        Err(self.failure.unwrap_or_else(|| {
            ConnectorError::system(format!(
                "`{who} read` failed without saying why ({status}). The log shows what it printed."
            ))
        }))
    }
}

pub(super) async fn spec(
    command: &ProcessCommand,
    context: &Context,
) -> Result<ConnectorSpecification> {
    let files = RunFiles::new()?;
    ask(command, "spec", &files, context, |message| match message {
        AirbyteMessage::Spec(spec) => Some(spec),
        _ => None,
    })
    .await
}

pub(super) async fn check(
    command: &ProcessCommand,
    config: &Value,
    context: &Context,
) -> Result<()> {
    let files = RunFiles::new()?.with("config", config)?;
    let status = ask(command, "check", &files, context, |message| match message {
        AirbyteMessage::ConnectionStatus(status) => Some(status),
        _ => None,
    })
    .await?;
    match status.status {
        Status::Succeeded => Ok(()),
        Status::Failed => {
            Err(ConnectorError::config(status.message.unwrap_or_else(
                || "The check failed without a message.".to_owned(),
            )))
        }
    }
}

/// Runs a verb and picks the first message that answers it; CONTROL messages are passed on.
async fn ask<T: Send + 'static>(
    command: &ProcessCommand,
    verb: &str,
    files: &RunFiles,
    context: &Context,
    pick: fn(AirbyteMessage) -> Option<T>,
) -> Result<T> {
    let running = command.start(verb, files, Stdio::null())?;
    let who = command.name().to_owned();
    let (mut answers, status) = running
        .finish(context, move |stdout| Answers::read(stdout, &who))
        .await?;
    let messages = std::mem::take(&mut answers.messages);
    let mut answer = None;
    for message in messages {
        match message {
            AirbyteMessage::Control(_) => context.emit(message)?,
            other => answer = answer.or_else(|| pick(other)),
        }
    }
    answer.ok_or_else(|| answers.failure(command.name(), verb, status))
}
