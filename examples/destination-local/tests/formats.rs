//! What is in the files.

mod support;

use std::io::Read;

use airbyte_protocol::{FailureType, StreamDescriptor};
use cdk_testkit::StreamSpec;
use serde_json::{Value, json};
use support::Lake;

fn stream() -> StreamSpec {
    let properties = json!({"id": {"type": "integer"}, "name": {"type": "string"},
        "price": {"type": "number"}, "tags": {"type": "array"}});
    StreamSpec::new("t", "append", properties).generation(3, 0)
}

/// A RECORD line around the exact text of its data.
fn line(data: &str) -> String {
    format!(
        r#"{{"type":"RECORD","record":{{"stream":"t","emitted_at":1700000000123,"data":{data}}}}}"#
    )
}

async fn written(options: Value, lines: &[String]) -> Lake {
    let mut lake = Lake::new();
    lake.options = options;
    lake.write_raw(5, &[&stream()], lines.join("\n"))
        .await
        .succeeded();
    lake
}

const EXACT: &str = r#"{"id": 18446744073709551616, "price":1.10,"x":"\ud800","tags":[ 1 ]}"#;

#[tokio::test]
async fn jsonl_at_the_root_keeps_the_record_text_exactly() {
    let lake = written(
        json!({}),
        &[
            line(EXACT),
            line("{ }"),
            line(r#"{"_airbyte_meta":1,"a":2}"#),
        ],
    )
    .await;
    assert_eq!(lake.files("t"), ["1970_01_01_5_0.jsonl"]);
    let text = lake.text("t");
    let lines: Vec<_> = text.lines().collect();
    let meta = r#""_airbyte_extracted_at":"2023-11-14T22:13:20.123Z","_airbyte_meta":{"sync_id":7,"changes":[]},"_airbyte_generation_id":3"#;
    assert!(
        lines[0].ends_with(&format!("{meta},{}", &EXACT[1..])),
        "{}",
        lines[0]
    );
    assert!(lines[1].ends_with(&format!("{meta}}}")), "{}", lines[1]);
    // A field with the name of a metadata column would stand there twice.
    assert!(
        lines[2].ends_with(&format!("{meta},\"a\":2}}")),
        "{}",
        lines[2]
    );
}

#[tokio::test]
async fn jsonl_without_flattening_puts_the_record_into_one_field() {
    let format = json!({"format": {"format_type": "JSONL", "flattening": "none"}});
    let lake = written(format, &[line(EXACT)]).await;
    let text = lake.text("t");
    assert!(
        text.ends_with(&format!(",\"_airbyte_data\":{EXACT}}}\n")),
        "{text}"
    );
}

#[tokio::test]
async fn csv_has_typed_columns_and_tells_null_from_empty_text() {
    let format = json!({"format": {"format_type": "CSV"}});
    let rows = [
        r#"{"id":18446744073709551616,"name":"a,\"b\"\nc","price":1.10,"tags":["x"]}"#,
        r#"{"id":"no number","name":"","unknown":1}"#,
        r#"{"name":null}"#,
    ];
    let lake = written(format, &rows.map(line)).await;
    let text = lake.text("t");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<_> = reader
        .headers()
        .unwrap()
        .iter()
        .skip(4)
        .map(str::to_owned)
        .collect();
    assert_eq!(header, ["id", "name", "price", "tags"]);
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    let fields = |at: usize| records[at].iter().skip(4).collect::<Vec<_>>();
    assert_eq!(
        fields(0),
        ["18446744073709551616", "a,\"b\"\nc", "1.10", "[\"x\"]"]
    );
    assert_eq!(fields(1), ["", "", "", ""]);
    assert!(
        records[1][2].contains("DESTINATION_TYPECAST_ERROR"),
        "{:?}",
        &records[1][2]
    );
    assert_eq!(records.len(), 3);
    assert!(
        text.contains(",3,,\"\",,\r\n") && text.contains(",3,,,,\r\n"),
        "{text}"
    );
}

#[tokio::test]
async fn gzip_files_decompress_to_the_same_lines() {
    let format =
        json!({"format": {"format_type": "CSV", "flattening": "none", "compression": "gzip"}});
    let lake = written(format, &[line("{\"a\":1}")]).await;
    assert_eq!(lake.files("t"), ["1970_01_01_5_0.csv.gz"]);
    let file = std::fs::File::open(lake.path().join("t/1970_01_01_5_0.csv.gz")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].ends_with("_airbyte_generation_id,_airbyte_data"),
        "{text}"
    );
    assert!(lines[1].ends_with(",3,\"{\"\"a\"\":1}\""), "{text}");
}

#[tokio::test]
async fn a_broken_record_is_a_system_error_that_names_the_stream() {
    let lake = Lake::new();
    let output = lake
        .write_raw(5, &[&stream()], line(r#"{"a":1 "b":2}"#))
        .await;
    assert_eq!(output.exit.code(), 1);
    assert_eq!(output.error().failure_type, Some(FailureType::SystemError));
    assert_eq!(
        output.error().stream_descriptor,
        Some(StreamDescriptor::new("t"))
    );
}

#[tokio::test]
async fn stream_names_never_lead_out_of_the_destination() {
    let lake = Lake::new();
    let long = "x".repeat(400);
    let names = [
        "../../escape",
        "/etc",
        "..",
        "nul",
        "a\u{0}b",
        "größe",
        &long,
    ];
    let streams: Vec<_> = names
        .iter()
        .map(|name| StreamSpec::new(name, "append", json!({})))
        .collect();
    let list: Vec<_> = streams.iter().collect();
    let records: Vec<_> = streams
        .iter()
        .map(|stream| stream.record(1, json!({})))
        .collect();
    lake.write(1, &list, &records).await.succeeded();
    let mut visible = lake.files("");
    visible.retain(|name| !name.starts_with('.'));
    assert_eq!(visible.len(), names.len());
    let around: Vec<_> = std::fs::read_dir(lake.directory.path()).unwrap().collect();
    assert_eq!(
        around.len(),
        3,
        "config, catalog and the destination: {around:?}"
    );
}
