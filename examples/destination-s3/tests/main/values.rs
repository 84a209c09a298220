//! Values in Parquet: every type, exactly.

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch};
use cdk_testkit::StreamSpec;
use parquet::basic::LogicalType;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::support::{Lake, parquet_batches, parquet_metadata};

fn all_types() -> StreamSpec {
    StreamSpec::new(
        "t",
        "append",
        json!({
            "ok": {"type": "boolean"}, "id": {"type": "integer"}, "price": {"type": "number"}, "name": {"type": "string"},
            "day": {"type": "string", "format": "date"}, "at": {"type": "string", "format": "date-time"},
            "local": {"type": "string", "format": "date-time", "airbyte_type": "timestamp_without_timezone"},
            "time": {"type": "string", "format": "time", "airbyte_type": "time_without_timezone"},
            "bytes": {"type": "string", "contentEncoding": "base64"}, "list": {"type": "array"},
        }),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_arrives_exactly_with_its_logical_type() {
    let lake = Lake::new();
    let stream = all_types();
    let data = json!({"ok": true, "id": i64::MIN, "price": 0.1, "name": "a\0\u{1f600}", "day": "0044-03-15 BC",
        "at": "2024-02-29T23:59:59.999999Z", "local": "9999-12-31T00:00:00", "time": "23:59:59.000001", "bytes": "AP8=",
        "list": [1, {"a": 2}]});
    let broken =
        json!({"id": 1e30, "price": "NaN", "day": "infinity", "at": "never", "bytes": "?"});
    let messages = [
        stream.record(1, data.clone()),
        stream.record(1, broken),
        stream.complete(),
    ];
    lake.write(1, &[&stream], &messages).await.succeeded();
    let key = &lake.data_keys()[0];
    let rows = lake.rows("data/t/");
    for (field, value) in data.as_object().unwrap() {
        let expected = if field == "list" {
            json!("[1,{\"a\":2}]")
        } else {
            value.clone()
        };
        assert_eq!(rows[0][field], expected, "{field}");
    }
    assert_eq!(rows[1]["price"], "NaN");
    let meta: Value = serde_json::from_str(rows[1]["_airbyte_meta"].as_str().unwrap()).unwrap();
    let changed: Vec<_> = meta["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| &change["field"])
        .collect();
    assert_eq!(changed, ["id", "day", "at", "bytes"]);
    let metadata = parquet_metadata(lake.server.read(key));
    let columns = metadata.file_metadata().schema_descr().columns().to_vec();
    let logical = |name: &str| {
        columns
            .iter()
            .find(|column| column.name() == name)
            .unwrap()
            .logical_type_ref()
            .cloned()
    };
    assert_eq!(logical("name"), Some(LogicalType::String));
    assert_eq!(logical("day"), Some(LogicalType::Date));
    assert!(
        format!("{:?}", logical("at")).contains("is_adjusted_to_u_t_c: true"),
        "{:?}",
        logical("at")
    );
    assert!(format!("{:?}", logical("local")).contains("is_adjusted_to_u_t_c: false"));
    assert!(format!("{:?}", logical("time")).contains("Time"));
    assert!(metadata.row_group(0).column(5).statistics().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_a_source_keep_their_decimals_and_never_become_json() {
    use cdk_core::{Context, Destination, MemoryBudget, StreamLoader};
    let lake = Lake::new();
    let stream = StreamSpec::new(
        "t",
        "append",
        json!({"id": {"type": "integer"}, "price": {"type": "number"}}),
    );
    let catalog = serde_json::from_value(StreamSpec::catalog(&[&stream])).unwrap();
    let (events, _received) = cdk_core::event::channel(
        MemoryBudget::default(),
        cdk_core::watchdog::Progress::default(),
    );
    let config = serde_json::from_value(lake.config.clone()).unwrap();
    let context = Context::new(events);
    let mut loaders = destination_s3::S3Destination
        .open(&config, &catalog, &context)
        .await
        .unwrap();
    let mut loader = loaders.pop().unwrap();
    let price = Decimal128Array::from(vec![123_456_789_012_345_678_901])
        .with_precision_and_scale(38, 4)
        .unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("price", Arc::new(price)),
        ("id", Arc::new(Int64Array::from(vec![1]))),
    ];
    let rows = cdk_core::arrow::ArrowRows::try_new(RecordBatch::try_from_iter(columns).unwrap(), 1)
        .unwrap();
    let batch = cdk_core::RecordBatch::from_arrow(
        Arc::new(airbyte_protocol::StreamDescriptor::new("t")),
        rows,
    );
    loader.load(batch).await.unwrap();
    loader.commit().await.unwrap();
    loader.finish(cdk_core::StreamEnd::Complete).await.unwrap();
    let batches = parquet_batches(lake.server.read(&lake.data_keys()[0]));
    let price = batches[0].column_by_name("price").unwrap();
    let price = price.as_primitive::<arrow_array::types::Decimal128Type>();
    assert_eq!(
        (price.len(), price.value_as_string(0).as_str()),
        (1, "12345678901234567.8901")
    );
}
