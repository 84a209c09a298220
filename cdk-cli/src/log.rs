//! `tracing` events as lines on stderr, secrets masked.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::output::Output;

/// Sends every event down to `most_verbose` to stderr from now on, panics too.
pub(crate) fn start(output: Output, most_verbose: Level) {
    let log = tracing_subscriber::registry().with(StderrLayer {
        output,
        most_verbose,
    });
    // Fails only when it was called before; then that one goes on.
    let _ = tracing::subscriber::set_global_default(log);
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("A part of the program panicked: {panic}")
    }));
}

/// The level of `-v`, `-vv`, `-vvv` and `-q`; without them that of LOG_LEVEL.
pub(crate) fn level(verbose: u8, is_quiet: bool, env: Option<&str>) -> Level {
    match (is_quiet, verbose) {
        (true, _) => return Level::ERROR,
        (false, 0) => {}
        (false, 1) => return Level::INFO,
        (false, 2) => return Level::DEBUG,
        (false, _) => return Level::TRACE,
    }
    match env.map(str::to_ascii_lowercase).as_deref() {
        Some("trace") => Level::TRACE,
        Some("debug") => Level::DEBUG,
        Some("info") => Level::INFO,
        Some("error" | "fatal") => Level::ERROR,
        _ => Level::WARN,
    }
}

struct StderrLayer {
    output: Output,
    most_verbose: Level,
}

impl<S: Subscriber> Layer<S> for StderrLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.most_verbose
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        self.output
            .tell(&format!("{level}: {}{}", line.message, line.fields));
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_go_before_the_environment() {
        for (verbose, is_quiet, env, expected) in [
            (0, false, None, Level::WARN),
            (0, false, Some("DEBUG"), Level::DEBUG),
            (1, false, Some("error"), Level::INFO),
            (0, true, Some("trace"), Level::ERROR),
            (9, false, None, Level::TRACE),
        ] {
            assert_eq!(level(verbose, is_quiet, env), expected);
        }
    }
}
