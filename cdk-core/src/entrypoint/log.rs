//! `tracing` events as Airbyte LOG messages.

use std::fmt::{self, Write as _};

use airbyte_protocol::{AirbyteLogMessage, AirbyteMessage, LogLevel};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::event::EventSender;

/// Turns every `tracing` event into a LOG message, fields behind the text as `key=value`.
#[derive(Debug)]
pub struct LogLayer {
    events: EventSender,
    most_verbose: Level,
}

impl LogLayer {
    /// Sends events down to `most_verbose` through `events`.
    pub fn new(events: EventSender, most_verbose: Level) -> Self {
        Self {
            events,
            most_verbose,
        }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.most_verbose
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let log = AirbyteLogMessage::new(level(*event.metadata().level()), text.finish());
        // Without a receiver the run is over, and there is nobody left to tell.
        drop(self.events.message(AirbyteMessage::Log(log)));
    }
}

/// The level named by LOG_LEVEL or `--debug`.
pub(super) fn most_verbose(is_debug: bool, env: Option<&str>) -> Level {
    match env.map(str::to_ascii_lowercase).as_deref() {
        _ if is_debug => Level::DEBUG,
        Some("trace") => Level::TRACE,
        Some("debug") => Level::DEBUG,
        Some("warn" | "warning") => Level::WARN,
        Some("error" | "fatal") => Level::ERROR,
        _ => Level::INFO,
    }
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO => LogLevel::Info,
        Level::DEBUG => LogLevel::Debug,
        Level::TRACE => LogLevel::Trace,
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(mut self) -> String {
        self.message.push_str(&self.fields);
        self.message
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String can't fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
