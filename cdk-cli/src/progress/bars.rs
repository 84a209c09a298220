//! Progress as one bar per stream, on a terminal.

use std::time::Duration;

use airbyte_protocol::AirbyteStreamStatus;
use cdk_core::sync::SyncEvent;
use indicatif::{ProgressBar, ProgressStyle};

use super::Row;
use crate::output::Output;
use crate::units;

/// One bar per stream, in the order of the rows.
#[derive(Default)]
pub(super) struct Bars(Vec<ProgressBar>);

impl Bars {
    pub(super) fn event(
        &mut self,
        event: &SyncEvent,
        at: Option<usize>,
        rows: &[Row],
        output: &Output,
    ) {
        if let SyncEvent::Retrying {
            error,
            attempt,
            wait,
        } = event
        {
            let wait = units::duration(*wait);
            output.tell(&format!("attempt {attempt} follows in {wait}: {error}"));
        }
        self.open(rows, output);
        if let Some(at) = at
            && let (Some(row), Some(bar)) = (rows.get(at), self.0.get(at))
            && !matches!(event, SyncEvent::Progress { .. })
        {
            draw(row, bar);
        }
    }

    pub(super) fn tick(&mut self, rows: &mut [Row], output: &Output) {
        self.open(rows, output);
        for (row, bar) in rows
            .iter()
            .zip(&self.0)
            .filter(|(row, _)| row.ended.is_none())
        {
            draw(row, bar);
        }
    }

    pub(super) fn finish(self, rows: &[Row], output: &Output) {
        for (row, bar) in rows.iter().zip(&self.0) {
            draw(row, bar);
            bar.finish_and_clear();
        }
        // The summary takes their place; no terminal is left to draw on if this fails.
        let _ = output.bars().clear();
    }

    fn open(&mut self, rows: &[Row], output: &Output) {
        for row in rows.iter().skip(self.0.len()) {
            let bar = ProgressBar::no_length().with_prefix(row.stream.to_string());
            // Drawn before it is shown, so that it never shows in the default look.
            draw(row, &bar);
            let bar = output.bars().add(bar);
            bar.enable_steady_tick(Duration::from_millis(100));
            self.0.push(bar);
        }
    }
}

fn draw(row: &Row, bar: &ProgressBar) {
    let mark = match row.status {
        Some(AirbyteStreamStatus::Complete) => "✓",
        Some(AirbyteStreamStatus::Incomplete) => "✗",
        _ => "{spinner}",
    };
    let template = match row.percent() {
        Some(_) => format!("{mark} {{prefix:20}} [{{bar:25}}] {{percent:>3}} % {{msg}}"),
        None => format!("{mark} {{prefix:20}} {{msg}}"),
    };
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("=> "));
    }
    if let (Some(estimate), Some(_)) = (row.estimate, row.percent()) {
        bar.set_length(estimate);
        bar.set_position(row.records);
    }
    bar.set_message(format!(
        "{} records, {}, {} records/s",
        units::count(row.records),
        units::bytes(row.bytes),
        units::count(units::per_second(row.records, row.time()))
    ));
}
