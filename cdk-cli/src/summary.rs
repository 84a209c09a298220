//! What a sync did in the end: a table for people, a line for machines.

use cdk_core::ConnectorError;
use cdk_core::sync::{StreamSummary, SyncReport, SyncStatus};
use comfy_table::{
    CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle,
};
use serde_json::{Map, Value, json};

use crate::output::{Exit, Output};
use crate::units;

/// One line below the header, and nothing else.
const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction(' '))
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .content_lines(ContentLineStyle::none().junction(' '));

/// A table without frames that fits any width.
pub(crate) fn table<const N: usize>(header: [&str; N], right_aligned: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for at in right_aligned {
        if let Some(column) = table.column_mut(*at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The table, one line with the total, and the streams' errors.
pub(crate) fn text(report: &SyncReport) -> String {
    let header = [
        "Stream",
        "Mode",
        "Read",
        "Written",
        "Bytes",
        "Records/s",
        "Bottleneck",
        "Status",
    ];
    let mut table = table(header, &[2, 3, 4, 5]);
    for stream in &report.streams {
        table.add_row([
            stream.stream.to_string(),
            stream.mode.replace('_', " "),
            units::count(stream.records_read),
            written(stream),
            units::bytes(stream.bytes_read),
            units::count(units::per_second(stream.records_read, time(stream, report))),
            bottleneck(stream).unwrap_or("-").to_owned(),
            status(stream).to_owned(),
        ]);
    }
    let errors = report.streams.iter().filter_map(|stream| {
        let error = stream.error.as_ref()?;
        Some(format!("\n{}: {error}", stream.stream))
    });
    let (table, errors) = (table.trim_fmt(), errors.collect::<String>());
    format!("{table}\n{}{errors}\n", total(report))
}

fn written(stream: &StreamSummary) -> String {
    match stream.records_rejected {
        0 => units::count(stream.records_written),
        rejected => {
            let written = units::count(stream.records_written);
            format!("{written} ({} rejected)", units::count(rejected))
        }
    }
}

fn status(stream: &StreamSummary) -> &'static str {
    if stream.is_complete {
        "complete"
    } else {
        "incomplete"
    }
}

/// The time the stream was under way: that of its loader, where that is known.
fn time(stream: &StreamSummary, report: &SyncReport) -> std::time::Duration {
    let time = stream.waits.source + stream.waits.destination;
    if time.is_zero() {
        report.duration
    } else {
        time
    }
}

/// The side to make faster; unknown when neither was waited for.
fn bottleneck(stream: &StreamSummary) -> Option<&'static str> {
    let is_known = stream.records_read > 0
        && !(stream.waits.source.is_zero() && stream.waits.destination.is_zero());
    is_known.then(|| stream.waits.bottleneck())
}

fn total(report: &SyncReport) -> String {
    let status = match report.status {
        SyncStatus::Succeeded => "Succeeded",
        SyncStatus::Failed => "Failed",
        SyncStatus::Cancelled => "Stopped",
    };
    let sum = |of: fn(&StreamSummary) -> u64| report.streams.iter().map(of).sum::<u64>();
    let read = sum(|stream| stream.records_read);
    let attempts = match report.attempts {
        0 | 1 => String::new(),
        several => format!(", {several} attempts"),
    };
    format!(
        "{status}: {} records read, {} written, {} in {} ({} records/s{attempts})",
        units::count(read),
        units::count(sum(|stream| stream.records_written)),
        units::bytes(sum(|stream| stream.bytes_read)),
        units::duration(report.duration),
        units::count(units::per_second(read, report.duration)),
    )
}

/// The last line of `--json`, whatever happened: `{"type": "report", "status", "exit_code", "error",
/// "connection", "sync_id", "attempts", "started_at_ms", "duration_s", "streams"}`.
///
/// `status` is `succeeded`, `failed` or `cancelled`. `error` is null or `{failure_type, message,
/// internal_message, stream}`. What comes after `error` is missing when nothing was started. Each
/// stream has `stream`, `mode`, `is_complete`, `records_read`, `bytes_read`, `records_written`,
/// `records_rejected`, `waits` (`source_s`, `destination_s`), `bottleneck` and, when it failed, `error`.
pub(crate) fn report_line(
    report: Option<&SyncReport>,
    error: Option<&ConnectorError>,
    exit: Exit,
    output: &Output,
) -> String {
    let status = match (report, error) {
        (Some(report), _) => json!(report.status),
        (None, None) => json!(SyncStatus::Succeeded),
        (None, Some(error)) if error.is_stop() => json!(SyncStatus::Cancelled),
        (None, Some(_)) => json!(SyncStatus::Failed),
    };
    let mut line = Map::new();
    line.insert("type".to_owned(), json!("report"));
    line.insert("status".to_owned(), status);
    line.insert("exit_code".to_owned(), json!(exit.code()));
    line.insert(
        "error".to_owned(),
        error.map_or(Value::Null, |error| error_value(error, output)),
    );
    if let Some(report) = report
        && let Ok(Value::Object(mut fields)) = serde_json::to_value(report)
    {
        add_bottlenecks(&mut fields, report);
        // `status` is there already and the same.
        fields
            .into_iter()
            .for_each(|(name, value)| drop(line.insert(name, value)));
    }
    Value::Object(line).to_string()
}

fn add_bottlenecks(fields: &mut Map<String, Value>, report: &SyncReport) {
    let streams = fields.get_mut("streams").and_then(Value::as_array_mut);
    for (value, stream) in streams.into_iter().flatten().zip(&report.streams) {
        if let Some(value) = value.as_object_mut() {
            value.insert("bottleneck".to_owned(), json!(bottleneck(stream)));
        }
    }
}

fn error_value(error: &ConnectorError, output: &Output) -> Value {
    let mask = |text: &str| output.secrets().mask(text).into_owned();
    json!({
        "failure_type": error.failure_type(),
        "message": mask(error.message()),
        "internal_message": error.internal_message().map(|text| mask(&text)),
        "stream": error.stream(),
    })
}
