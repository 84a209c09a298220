//! Batches that come as Arrow columns are written without JSON, and are the same rows.

use std::sync::Arc;

use airbyte_protocol::StreamDescriptor;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int32Array, Int64Array, RecordBatch, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use cdk_core::arrow::{ArrowRows, json_field};
use cdk_core::{Context, Destination as _, JsonRows, MemoryBudget, StreamEnd, StreamLoader as _};
use cdk_testkit::StreamSpec;
use destination_postgres::{Config, PostgresDestination};
use serde_json::json;

use crate::support::Warehouse;

/// Values of every kind, with what PostgreSQL can't hold among them.
fn columns() -> Vec<(Field, ArrayRef)> {
    let micros =
        |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let times = vec![Some(0), None, Some(1_735_689_600_123_456)];
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    vec![
        (
            field("id", DataType::Int64),
            Arc::new(Int64Array::from(vec![1, 2, i64::MIN])) as ArrayRef,
        ),
        (
            field("small", DataType::Int32),
            Arc::new(Int32Array::from(vec![Some(-5), None, Some(7)])),
        ),
        (
            field("flag", DataType::Boolean),
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        ),
        (
            field("number", DataType::Float64),
            Arc::new(Float64Array::from(vec![
                Some(0.1),
                Some(f64::NAN),
                Some(-1.5e300),
            ])),
        ),
        (
            field("single", DataType::Float32),
            Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::MIN)])),
        ),
        (
            field("unsigned", DataType::UInt32),
            Arc::new(UInt32Array::from(vec![Some(u32::MAX), None, Some(0)])),
        ),
        (
            field("price", DataType::Decimal128(20, 2)),
            Arc::new(
                Decimal128Array::from(vec![Some(-5), None, Some(1_234_567_890_123_450)])
                    .with_precision_and_scale(20, 2)
                    .unwrap(),
            ),
        ),
        (
            json_field("exact"),
            Arc::new(StringArray::from(vec![
                Some("1.10"),
                None,
                Some("12345678901234567890123"),
            ])),
        ),
        (
            json_field("doc"),
            Arc::new(StringArray::from(vec![
                Some(r#"{"a":[1]}"#),
                Some(r#"{"a":"\u0000"}"#),
                None,
            ])),
        ),
        (
            field("text", DataType::Utf8),
            Arc::new(StringArray::from(vec![Some("a\u{e9}"), Some("b\0"), None])),
        ),
        (
            field("day", DataType::Date32),
            Arc::new(Date32Array::from(vec![Some(0), None, Some(i32::MIN)])),
        ),
        (
            field("at", micros(Some("UTC"))),
            Arc::new(TimestampMicrosecondArray::from(times.clone()).with_timezone("UTC")),
        ),
        (
            field("local", micros(None)),
            Arc::new(TimestampMicrosecondArray::from(times)),
        ),
        (
            field("tod", DataType::Time64(TimeUnit::Microsecond)),
            Arc::new(Time64MicrosecondArray::from(vec![
                Some(1),
                None,
                Some(86_399_999_999),
            ])),
        ),
        (
            field("bytes", DataType::Binary),
            Arc::new(BinaryArray::from(vec![
                Some(&b"\0\xff"[..]),
                None,
                Some(b""),
            ])),
        ),
        (
            field("undeclared", DataType::Int64),
            Arc::new(Int64Array::from(vec![1, 2, 3])),
        ),
    ]
}

fn stream(name: &str) -> StreamSpec {
    let time = |kind: &str| json!({"type": "string", "format": "date-time", "airbyte_type": kind});
    let properties = json!({
        "id": {"type": "integer"}, "small": {"type": "integer"}, "flag": {"type": "boolean"},
        "number": {"type": "number"}, "single": {"type": "number"}, "unsigned": {"type": "integer"},
        "price": {"type": "number"}, "exact": {"type": "number"}, "doc": {"type": "object"},
        "text": {"type": "string"}, "day": {"type": "string", "format": "date"},
        "at": time("timestamp_with_timezone"), "local": time("timestamp_without_timezone"),
        "tod": {"type": "string", "format": "time", "airbyte_type": "time_without_timezone"},
        "bytes": {"type": "string", "contentEncoding": "base64"}, "absent": {"type": "string"},
    });
    StreamSpec::new(name, "append_dedup", properties).key(&["id"])
}

/// Loads one batch as a host in the same process does.
async fn load(warehouse: &Warehouse<'_>, stream: &StreamSpec, batch: cdk_core::RecordBatch) {
    let config: Config = serde_json::from_value(warehouse.config()).unwrap();
    let catalog = serde_json::from_value(StreamSpec::catalog(&[stream])).unwrap();
    let (events, _received) = cdk_core::event::channel(
        MemoryBudget::default(),
        cdk_core::watchdog::Progress::default(),
    );
    let context = Context::new(events);
    let mut loaders = PostgresDestination
        .open(&config, &catalog, &context)
        .await
        .unwrap();
    let mut loader = loaders.remove(0);
    loader.load(batch).await.unwrap();
    loader.commit().await.unwrap();
    loader.finish(StreamEnd::Complete).await.unwrap();
}

#[tokio::test]
async fn columns_arrive_as_their_json_does() {
    let warehouse = Warehouse::new();
    let (fields, arrays): (Vec<_>, Vec<_>) = columns().into_iter().unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    let rows = ArrowRows::try_new(batch.clone(), 5).unwrap();
    let mut by_json = JsonRows::default();
    by_json.stamp(5);
    rows.json()
        .iter()
        .for_each(|row| by_json.push_raw(row.data));
    let named = |name: &str| Arc::new(StreamDescriptor::new(name));
    load(
        &warehouse,
        &stream("a"),
        cdk_core::RecordBatch::from_arrow(named("a"), rows),
    )
    .await;
    load(
        &warehouse,
        &stream("j"),
        cdk_core::RecordBatch::new(named("j"), by_json),
    )
    .await;
    let columns = "SELECT (to_jsonb(t) - '_airbyte_raw_id')::text FROM TABLE t ORDER BY id";
    let found = warehouse.query(&columns.replace("TABLE", "a"));
    assert_eq!(found, warehouse.query(&columns.replace("TABLE", "j")));
    assert_eq!(found.len(), 3);
    let exact = "SELECT number::text, exact::text, day::text, tod::text, bytes::text FROM a ORDER BY id DESC LIMIT 1";
    assert_eq!(warehouse.query(exact), ["NaN||||"]);
    let prices = "SELECT price::text, single::text, unsigned FROM a ORDER BY id DESC";
    assert_eq!(
        warehouse.query(prices)[1..],
        [
            "-0.05|0.1|4294967295",
            "12345678901234.50|-340282350000000000000000000000000000000|0"
        ]
    );
    let nulled = "SELECT jsonb_path_query_array(_airbyte_meta, '$.changes[*].field') FROM a ORDER BY id DESC";
    assert_eq!(
        warehouse.query(nulled),
        ["[\"doc\", \"text\"]", "[]", "[\"day\"]"]
    );
}
