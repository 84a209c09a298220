//! A destination in another process.

use std::collections::HashMap;
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use airbyte_protocol::{
    AirbyteMessage, AirbyteStreamStatus, ConfiguredAirbyteCatalog, ConnectorSpecification,
    DestinationSyncMode, StreamDescriptor,
};
use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::decode::{Incoming, for_each_line};
use crate::destination::{
    Capabilities, DynDestination, StreamEnd, StreamReport, WriteArgs, WriteReport,
};
use crate::encode::Encoder;
use crate::error::{ConnectorError, ErrorContext, Result};
use crate::event::{self, Event, EventReceiver, EventSender};
use crate::process::ProcessCommand;
use crate::process::child::RunFiles;
use crate::process::source::{check, spec};

const CLOSED_EARLY: &str = "The destination closed its input before everything was sent.";

/// Any Airbyte destination executable as a [`DynDestination`].
#[derive(Debug, Clone)]
pub struct ProcessDestination {
    command: ProcessCommand,
}

impl ProcessDestination {
    /// The destination that `command` starts.
    pub fn new(command: ProcessCommand) -> Self {
        Self { command }
    }
}

#[async_trait]
impl DynDestination for ProcessDestination {
    async fn spec_dyn(&self, context: &Context) -> Result<ConnectorSpecification> {
        spec(&self.command, context).await
    }

    async fn capabilities_dyn(&self, context: &Context) -> Result<Capabilities> {
        let spec = spec(&self.command, context).await?;
        let modes = spec.supported_destination_sync_modes;
        Ok(Capabilities::new(
            modes.unwrap_or_else(|| vec![DestinationSyncMode::Append]),
        ))
    }

    async fn check_dyn(&self, config: &Value, context: &Context) -> Result<()> {
        check(&self.command, config, context).await
    }

    async fn write_dyn(
        &self,
        args: WriteArgs,
        events: EventReceiver,
        context: &Context,
    ) -> Result<WriteReport> {
        let files = RunFiles::new()?
            .with("config", &args.config)?
            .with("catalog", &args.catalog)?;
        let running = self.command.start("write", &files, Stdio::piped())?;
        let stdin = running
            .stdin()
            .ok_or_else(|| ConnectorError::system("The destination's stdin was not captured."))?;
        let progress = context.events().progress().clone();
        let (lines, mut queued) = event::channel(context.events().budget().clone(), progress);
        let encoder = Encoder::new(stdin, context.secrets().clone());
        let writing = tokio::task::spawn_blocking(move || encoder.run(&mut queued));
        let is_over = CancellationToken::new();
        let counting =
            Count::new(&args.catalog).forward(events, lines, context.clone(), is_over.clone());
        let (output, who) = (context.clone(), self.command.name().to_owned());
        let reading = async {
            let read = running
                .finish(context, move |stdout| pass_on(stdout, &who, &output))
                .await;
            // Nobody takes records any more, however long the source is silent.
            is_over.cancel();
            read
        };
        let (counted, read, written) = tokio::join!(counting, reading, writing);

        let (failure, status) = read?;
        if !status.success() {
            // That stdin was closed early is a consequence, not the cause.
            let who = self.command.name();
            return Err(failure.unwrap_or_else(|| {
                ConnectorError::system(format!(
                    "`{who} write` failed without saying why ({status}). The log shows what it printed."
                ))
            }));
        }
        let written = written.system_error("The thread that feeds the destination crashed.")?;
        written.transient_error(CLOSED_EARLY)?;
        match counted? {
            count if count.is_cut_short => Err(ConnectorError::transient(CLOSED_EARLY)),
            count => Ok(count.report()),
        }
    }
}

/// Passes what the destination prints on to the host; returns its first ERROR trace.
fn pass_on(stdout: &mut dyn Read, who: &str, context: &Context) -> Result<Option<ConnectorError>> {
    let mut failure = None;
    for_each_line(stdout, who, |incoming| match incoming {
        // Some destinations print a RECORD now and then to report their counts; it is no data.
        Incoming::Record(_) | Incoming::Pause => Ok(()),
        Incoming::Message(message) => {
            if let AirbyteMessage::Trace(trace) = message.as_ref() {
                let error = trace.error.as_ref().map(ConnectorError::from_trace);
                failure = failure.take().or(error);
            }
            context.emit(*message)
        }
    })?;
    Ok(failure)
}

/// What was sent to the destination, stream by stream.
struct Count {
    index: HashMap<StreamDescriptor, usize>,
    streams: Vec<StreamReport>,
    /// The destination ended before the events did.
    is_cut_short: bool,
}

impl Count {
    fn new(catalog: &ConfiguredAirbyteCatalog) -> Self {
        let streams: Vec<_> = catalog
            .streams
            .iter()
            .map(|stream| report_of(stream.descriptor()))
            .collect();
        let index = streams
            .iter()
            .enumerate()
            .map(|(at, report)| (report.stream.clone(), at));
        Self {
            index: index.collect(),
            streams,
            is_cut_short: false,
        }
    }

    async fn forward(
        mut self,
        mut events: EventReceiver,
        lines: EventSender,
        context: Context,
        is_over: CancellationToken,
    ) -> Result<Self> {
        loop {
            let event = tokio::select! {
                biased;
                () = context.stop().cancelled() => return Ok(self),
                () = is_over.cancelled() => {
                    self.is_cut_short = true;
                    return Ok(self);
                }
                event = events.recv() => event,
            };
            let sent = match event {
                None => return Ok(self),
                Some(Event::Records(batch)) => {
                    if let Some(report) = self.of(batch.stream()) {
                        report.records += batch.len() as u64;
                        report.bytes += batch.bytes() as u64;
                    }
                    lines.records(batch).await
                }
                Some(Event::Message(message)) => {
                    self.note_end(&message);
                    lines.message(message)
                }
                Some(Event::Delivered(delivery)) => {
                    delivery.confirm();
                    Ok(())
                }
            };
            if sent.is_err() {
                // The destination ended; its exit code says why.
                return Ok(self);
            }
        }
    }

    fn note_end(&mut self, message: &AirbyteMessage) {
        let AirbyteMessage::Trace(trace) = message else {
            return;
        };
        let Some(status) = &trace.stream_status else {
            return;
        };
        if status.status == AirbyteStreamStatus::Complete
            && let Some(report) = self.of(&status.stream_descriptor)
        {
            report.end = StreamEnd::Complete;
        }
    }

    fn of(&mut self, stream: &StreamDescriptor) -> Option<&mut StreamReport> {
        self.index
            .get(stream)
            .and_then(|at| self.streams.get_mut(*at))
    }

    fn report(self) -> WriteReport {
        WriteReport {
            streams: self.streams,
            failures: Vec::new(),
        }
    }
}

fn report_of(stream: StreamDescriptor) -> StreamReport {
    StreamReport {
        stream,
        end: StreamEnd::Incomplete,
        records: 0,
        bytes: 0,
        rejected_records: 0,
        busy: Duration::ZERO,
        idle: Duration::ZERO,
    }
}
