//! Append, overwrite, and what tables look like.

use cdk_testkit::StreamSpec;
use serde_json::{Value, json};

use crate::support::{Warehouse, row, small};

#[tokio::test]
async fn append_adds_rows_with_their_metadata() {
    let warehouse = Warehouse::new();
    let stream = small("append").generation(3, 0);
    warehouse
        .complete(&stream, &[row(1000, 1, "a"), row(2000, 2, "b")])
        .await;
    warehouse.complete(&stream, &[row(3000, 1, "a")]).await;
    assert_eq!(
        warehouse.query("SELECT id, v FROM t ORDER BY id, v"),
        ["1|a", "1|a", "2|b"]
    );
    let meta = "SELECT to_char(_airbyte_extracted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS'), \
                _airbyte_meta, _airbyte_generation_id, length(_airbyte_raw_id), substr(_airbyte_raw_id, 15, 1) \
                FROM t WHERE id = 2";
    assert_eq!(
        warehouse.query(meta),
        ["1970-01-01T00:00:02.000|{\"changes\": [], \"sync_id\": 7}|3|36|7"]
    );
    assert_eq!(
        warehouse.value("SELECT count(DISTINCT _airbyte_raw_id) FROM t"),
        "3"
    );
}

#[tokio::test]
async fn columns_have_the_types_of_the_schema() {
    let warehouse = Warehouse::new();
    let text = |format: &str, airbyte_type: &str| json!({"type": ["null", "string"], "format": format, "airbyte_type": airbyte_type});
    let properties = json!({
        "a": {"type": "integer"}, "b": {"type": "number"}, "c": {"type": "string"}, "d": {"type": "boolean"},
        "e": {"type": "string", "format": "date"}, "f": text("date-time", "timestamp_with_timezone"),
        "g": text("date-time", "timestamp_without_timezone"), "h": text("time", "time_with_timezone"),
        "i": text("time", "time_without_timezone"), "j": {"type": "object"}, "k": {"type": "array"},
        "l": {"oneOf": [{"type": "string"}, {"type": "integer"}]}, "m": {},
        "n": {"type": "string", "contentEncoding": "base64"},
        "o": {"type": "string", "airbyte_type": "big_integer"},
    });
    warehouse
        .complete(&StreamSpec::new("types", "append", properties), &[])
        .await;
    let types = "SELECT string_agg(format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute \
                 WHERE attrelid = 'types'::regclass AND attnum > 0";
    assert_eq!(
        warehouse.value(types),
        "character varying, timestamp with time zone, jsonb, bigint, bigint, numeric, character varying, boolean, \
         date, timestamp with time zone, timestamp without time zone, time with time zone, time without time zone, \
         jsonb, jsonb, jsonb, jsonb, bytea, numeric"
    );
}

#[tokio::test]
async fn an_overwrite_replaces_and_an_empty_one_empties() {
    let warehouse = Warehouse::new();
    let stream = |id| small("overwrite").generation(id, id);
    warehouse
        .complete(&stream(1), &[row(1, 1, "a"), row(1, 2, "b")])
        .await;
    warehouse.complete(&stream(2), &[row(2, 3, "c")]).await;
    assert_eq!(
        warehouse.query("SELECT id, v, _airbyte_generation_id FROM t"),
        ["3|c|2"]
    );
    warehouse.complete(&stream(3), &[]).await;
    assert_eq!(warehouse.value("SELECT count(*) FROM t"), "0");
    assert_eq!(warehouse.leftovers(), [""; 0]);
}

#[tokio::test]
async fn states_come_back_in_order_with_the_count_of_their_rows() {
    let warehouse = Warehouse::new();
    let stream = small("append");
    let messages = [
        stream.record(1, json!({"id": 1, "v": "a"})),
        stream.state(1),
        stream.record(1, json!({"id": 2, "v": "b"})),
        stream.record(1, json!({"id": 3, "v": "b"})),
        stream.state(2),
        stream.complete(),
    ];
    let ran = warehouse.write(&[&stream], &messages).await.succeeded();
    let states = ran.states_of("t");
    let counts = states.iter().map(|state| {
        let stats = state.destination_stats.as_ref().unwrap();
        stats.record_count
    });
    assert_eq!(counts.collect::<Vec<_>>(), [Some(1.0), Some(2.0)]);
    assert_eq!(warehouse.value("SELECT count(*) FROM t"), "3");
}

#[tokio::test]
async fn streams_go_to_the_schema_of_their_namespace_over_fewer_connections_than_streams() {
    let warehouse = Warehouse::new().with(json!({"schema": "else where", "max_connections": 2}));
    let stream = |at: usize| {
        let mut stream = small(if at == 5 { "append_dedup" } else { "append" });
        stream.name = format!("t{at}");
        stream.namespace = at.is_multiple_of(2).then(|| "My shop".to_owned());
        stream
    };
    let streams: Vec<_> = (0..6).map(stream).collect();
    let ids = 0..50;
    let records = ids.flat_map(|id| {
        streams
            .iter()
            .map(move |stream| stream.record(1, json!({"id": id})))
    });
    let mut messages: Vec<_> = records.collect();
    messages.extend(streams.iter().map(StreamSpec::complete));
    let all: Vec<_> = streams.iter().collect();
    warehouse.write(&all, &messages).await.succeeded();
    for at in 0..6 {
        let schema = if at % 2 == 0 { "My_shop" } else { "else_where" };
        let count = format!("SELECT count(*) FROM \"{schema}\".t{at}");
        assert_eq!(warehouse.value(&count), "50");
    }
}

#[tokio::test]
async fn names_of_63_bytes_and_strange_ones_are_kept_apart() {
    let warehouse = Warehouse::new();
    let (long, longer) = ("l".repeat(70), "l".repeat(71));
    let names = [
        "Id",
        "id",
        "a b",
        "a_b",
        "select",
        "ctid",
        "1",
        "",
        &long,
        &longer,
        "_airbyte_meta",
    ];
    let properties = names.map(|name| (name.to_owned(), json!({"type": "string"})));
    let properties = Value::Object(properties.into_iter().collect());
    let stream = StreamSpec::new("Größe \"x\"", "append_dedup", properties).key(&["Id"]);
    let data = names.map(|name| (name.to_owned(), json!(format!("of {name}"))));
    warehouse
        .complete(&stream, &[(1, Value::Object(data.into_iter().collect()))])
        .await;
    let row = warehouse.value("SELECT to_jsonb(t) FROM \"Größe__x_\" t");
    let row: serde_json::Map<String, Value> = serde_json::from_str(&row).unwrap();
    assert_eq!(row.len(), names.len() + 4, "{row:?}");
    for (column, name) in [
        ("Id", "Id"),
        ("id", "id"),
        ("a_b", "a b"),
        ("select", "select"),
        ("_1", "1"),
        ("_", ""),
    ] {
        assert_eq!(row[column], format!("of {name}"), "{row:?}");
    }
    assert!(row.keys().all(|name| name.len() <= 63), "{row:?}");
    for name in names {
        let value = json!(format!("of {name}"));
        assert_eq!(
            row.values().filter(|found| **found == value).count(),
            1,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_record_larger_than_a_batch_arrives_whole() {
    let warehouse = Warehouse::new();
    let stream = small("append");
    let long = "é".repeat(3 << 20);
    warehouse
        .complete(&stream, &[(1, json!({"id": 1, "v": long}))])
        .await;
    let found = warehouse
        .value("SELECT length(v), octet_length(v), v = repeat('é', 3 * 1024 * 1024) FROM t");
    assert_eq!(found, "3145728|6291456|t");
}
