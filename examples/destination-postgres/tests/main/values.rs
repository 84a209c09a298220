//! Every value arrives exactly, or is null and says so.

use cdk_testkit::StreamSpec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::support::Warehouse;

/// A stream of one column of this schema.
fn one(name: &str, schema: &Value) -> StreamSpec {
    StreamSpec::new(
        name,
        "append",
        json!({"n": {"type": "integer"}, "v": schema}),
    )
}

/// Lines for values that are given as JSON text, each with its number.
fn lines(stream: &StreamSpec, values: &[&str]) -> String {
    let record = |(at, value): (usize, &&str)| {
        let name = &stream.name;
        format!(
            "{{\"type\":\"RECORD\",\"record\":{{\"stream\":\"{name}\",\"data\":{{\"n\":{at},\"v\":{value}}},\"emitted_at\":1}}}}\n"
        )
    };
    let records: String = values.iter().enumerate().map(record).collect();
    format!("{records}{}\n", stream.complete())
}

fn timestamptz() -> Value {
    json!({"type": "string", "format": "date-time", "airbyte_type": "timestamp_with_timezone"})
}

#[tokio::test]
async fn values_that_fit_keep_their_exact_value() {
    let warehouse = Warehouse::new();
    let cases = [
        (
            "int",
            json!({"type": "integer"}),
            vec![
                ("9223372036854775807", "9223372036854775807"),
                ("-9223372036854775808", "-9223372036854775808"),
                ("5.0", "5"),
            ],
        ),
        (
            "num",
            json!({"type": "number"}),
            vec![
                (
                    "12345678901234567890123456789.000000000000000000010",
                    "12345678901234567890123456789.000000000000000000010",
                ),
                ("-1.10", "-1.10"),
                ("1e-7", "0.0000001"),
                ("1.5e3", "1500"),
                ("0", "0"),
                ("-0.0", "0.0"),
                ("\"NaN\"", "NaN"),
                ("\"-Infinity\"", "-Infinity"),
                ("99999999999999999999", "99999999999999999999"),
            ],
        ),
        (
            "txt",
            json!({"type": "string"}),
            vec![
                ("\"a\\nb\\\\\\t\\u00e9\\ud83d\\ude00\"", "a\nb\\\té😀"),
                ("\"\"", ""),
                ("5", "5"),
                ("{\"a\": 1}", "{\"a\": 1}"),
            ],
        ),
        (
            "day",
            json!({"type": "string", "format": "date"}),
            vec![
                ("\"2024-02-29\"", "2024-02-29"),
                ("\"0044-03-15 BC\"", "0044-03-15 BC"),
                ("\"infinity\"", "infinity"),
                ("\"5874897-12-31\"", "5874897-12-31"),
            ],
        ),
        (
            "ts",
            timestamptz(),
            vec![
                (
                    "\"2024-01-01T01:02:03.123456+02:00\"",
                    "2023-12-31 23:02:03.123456+00",
                ),
                ("\"0044-03-15T00:00:00Z BC\"", "0044-03-15 00:00:00+00 BC"),
                ("\"-infinity\"", "-infinity"),
                (
                    "\"294276-12-31T23:59:59.999999Z\"",
                    "294276-12-31 23:59:59.999999+00",
                ),
            ],
        ),
        (
            "tod",
            json!({"type": "string", "format": "time", "airbyte_type": "time_with_timezone"}),
            vec![
                ("\"23:59:59.000001-05:30\"", "23:59:59.000001-05:30"),
                ("\"24:00:00Z\"", "24:00:00+00"),
            ],
        ),
        (
            "bin",
            json!({"type": "string", "contentEncoding": "base64"}),
            vec![("\"AP8K\"", "\\x00ff0a"), ("\"\"", "\\x")],
        ),
        (
            "doc",
            json!({"type": "object"}),
            vec![(
                "{\"b\":[1.50,null],\"a\":{\"\\u00e9\":\"\\ud83d\\ude00\"}}",
                "{\"a\": {\"é\": \"😀\"}, \"b\": [1.50, null]}",
            )],
        ),
        (
            "whatever",
            json!({}),
            vec![
                ("12345678901234567890123", "12345678901234567890123"),
                ("\"x\"", "\"x\""),
            ],
        ),
    ];
    for (name, schema, values) in cases {
        let stream = one(name, &schema);
        let (given, expected): (Vec<_>, Vec<_>) = values.into_iter().unzip();
        warehouse
            .write_raw(&[&stream], lines(&stream, &given))
            .await
            .succeeded();
        let found = format!("SELECT json_agg(v::text ORDER BY n) FROM {name}");
        let found: Vec<String> = serde_json::from_str(&warehouse.value(&found)).unwrap();
        assert_eq!(found, expected, "{name}");
        let changed = format!("SELECT count(*) FROM {name} WHERE _airbyte_meta->'changes' <> '[]'");
        assert_eq!(warehouse.value(&changed), "0", "{name}");
    }
}

#[tokio::test]
async fn values_that_do_not_fit_are_null_and_their_row_says_why() {
    let warehouse = Warehouse::new();
    let typecast = "DESTINATION_TYPECAST_ERROR";
    let size = "DESTINATION_FIELD_SIZE_LIMITATION";
    let text = "DESTINATION_SERIALIZATION_ERROR";
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let cases = [
        (
            "int",
            json!({"type": "integer"}),
            vec![
                ("9223372036854775808", size),
                ("1.5", typecast),
                ("\"x\"", typecast),
                ("true", typecast),
            ],
        ),
        (
            "num",
            json!({"type": "number"}),
            vec![("1e131072", size), ("1e-16384", size), ("\"x\"", typecast)],
        ),
        (
            "txt",
            json!({"type": "string"}),
            vec![("\"a\\u0000b\"", text), ("\"\\ud800\"", text)],
        ),
        (
            "day",
            json!({"type": "string", "format": "date"}),
            vec![
                ("\"2023-02-29\"", typecast),
                ("\"soon\"", typecast),
                ("5", typecast),
                ("\"5874898-01-01\"", typecast),
            ],
        ),
        (
            "ts",
            timestamptz(),
            vec![
                ("\"294277-01-01T00:00:00Z\"", typecast),
                ("\"4714-11-23T00:00:00Z BC\"", typecast),
            ],
        ),
        (
            "flag",
            json!({"type": "boolean"}),
            vec![("1", typecast), ("\"true\"", typecast)],
        ),
        (
            "bin",
            json!({"type": "string", "contentEncoding": "base64"}),
            vec![("\"%%\"", typecast)],
        ),
        (
            "doc",
            json!({"type": "object"}),
            vec![
                ("[]", typecast),
                ("{\"a\":\"\\u0000\"}", text),
                ("{\"a\":[\"\\udc00\"]}", text),
                ("{\"a\":1e999999}", size),
                ("{\"a\" 1}", text),
            ],
        ),
        (
            "list",
            json!({"type": "array"}),
            vec![(deep.as_str(), size)],
        ),
    ];
    for (name, schema, values) in cases {
        let stream = one(name, &schema);
        let (given, reasons): (Vec<_>, Vec<_>) = values.into_iter().unzip();
        let ran = warehouse
            .write_raw(&[&stream], lines(&stream, &given))
            .await
            .succeeded();
        drop(ran);
        let found = format!(
            "SELECT v IS NULL, _airbyte_meta->'changes'->0->>'field', _airbyte_meta->'changes'->0->>'change', \
             _airbyte_meta->'changes'->0->>'reason', jsonb_array_length(_airbyte_meta->'changes') FROM {name} ORDER BY n"
        );
        let expected: Vec<_> = reasons
            .iter()
            .map(|reason| format!("t|v|NULLED|{reason}|1"))
            .collect();
        assert_eq!(warehouse.query(&found), expected, "{name}");
    }
}

#[tokio::test]
async fn changes_that_a_record_brings_are_kept_and_broken_ones_left_out() {
    let warehouse = Warehouse::new();
    let stream = one("t", &json!({"type": "string"}));
    let with_meta = |meta: Value| {
        let mut record = stream.record(1, json!({"n": 1, "v": "\u{0}"}));
        record["record"]["meta"] = meta;
        record
    };
    let change =
        json!({"field": "x", "change": "TRUNCATED", "reason": "SOURCE_FIELD_SIZE_LIMITATION"});
    let messages = [
        with_meta(json!({"changes": [change]})),
        with_meta(
            json!({"changes": [{"field": "\u{0}", "change": "NULLED", "reason": "SOURCE_RETRIEVAL_ERROR"}]}),
        ),
        stream.complete(),
    ];
    warehouse.write(&[&stream], &messages).await.succeeded();
    let fields = "SELECT jsonb_path_query_array(_airbyte_meta, '$.changes[*].field') FROM t ORDER BY _airbyte_raw_id";
    assert_eq!(warehouse.query(fields), ["[\"x\", \"v\"]", "[\"v\"]"]);
}

/// A type of PostgreSQL, the JSON schema of its values, how a random number becomes one, and how a value is written
/// as JSON.
struct Kind {
    sql: &'static str,
    schema: fn() -> Value,
    value: &'static str,
    json: &'static str,
}

const KINDS: [Kind; 11] = [
    Kind {
        sql: "bigint",
        schema: || json!({"type": "integer"}),
        value: "hashint8extended(r, 1)",
        json: "$c",
    },
    Kind {
        sql: "numeric",
        schema: || json!({"type": "number"}),
        value: "round(hashint8extended(r, 2)::numeric / (10::numeric ^ (r % 25)), (r % 30)::int)",
        json: "$c",
    },
    Kind {
        sql: "varchar",
        schema: || json!({"type": "string"}),
        value: "chr((abs(hashint8(r)) % 50000 + 1)) || md5(r::text) || E'\"\\\\\\n\\t'",
        json: "$c",
    },
    Kind {
        sql: "boolean",
        schema: || json!({"type": "boolean"}),
        value: "r % 2 = 0",
        json: "$c",
    },
    Kind {
        sql: "date",
        schema: || json!({"type": "string", "format": "date"}),
        value: "CASE r % 9 WHEN 0 THEN 'infinity'::date ELSE '2000-01-01'::date + (hashint8(r) % 800000) END",
        json: "$c::text",
    },
    Kind {
        sql: "timestamptz",
        schema: timestamptz,
        value: "CASE r % 9 WHEN 0 THEN '-infinity'::timestamptz ELSE to_timestamp(0) + hashint8extended(r, 3) % 60000000000000000 * interval '1 microsecond' END",
        json: "$c",
    },
    Kind {
        sql: "timestamp",
        schema: || json!({"type": "string", "format": "date-time", "airbyte_type": "timestamp_without_timezone"}),
        value: "'2000-01-01'::timestamp + hashint8extended(r, 4) % 60000000000000000 * interval '1 microsecond'",
        json: "$c::text",
    },
    Kind {
        sql: "time",
        schema: || json!({"type": "string", "format": "time", "airbyte_type": "time_without_timezone"}),
        value: "'00:00'::time + abs(hashint8extended(r, 5)) % 86400000000 * interval '1 microsecond'",
        json: "$c",
    },
    Kind {
        sql: "timetz",
        schema: || json!({"type": "string", "format": "time", "airbyte_type": "time_with_timezone"}),
        value: "('00:00+00'::timetz + abs(hashint8extended(r, 6)) % 86400000000 * interval '1 microsecond') AT TIME ZONE make_interval(secs => (r % 57600)::int)",
        json: "$c",
    },
    Kind {
        sql: "jsonb",
        schema: || json!({"type": "object"}),
        value: "jsonb_build_object('k', hashint8extended(r, 7), chr((abs(hashint8(r)) % 50000 + 1)), jsonb_build_array(r::numeric / 7, NULL, md5(r::text)))",
        json: "$c",
    },
    Kind {
        sql: "bytea",
        schema: || json!({"type": "string", "contentEncoding": "base64"}),
        value: "decode(md5(r::text), 'hex')",
        json: "replace(encode($c, 'base64'), E'\\n', '')",
    },
];

/// The database makes random tables and writes them as JSON; what arrives must be equal, to the database.
#[tokio::test]
async fn random_tables_arrive_as_they_were() {
    let warehouse = Warehouse::new();
    let mut runner = TestRunner::deterministic();
    let choice = (prop::collection::vec(0..KINDS.len(), 1..8), any::<u16>());
    for number in 0..8 {
        let (columns, seed) = choice.new_tree(&mut runner).unwrap().current();
        let named = || {
            columns
                .iter()
                .enumerate()
                .map(|(at, kind)| (format!("c{at}"), &KINDS[*kind]))
        };
        let values = named().map(|(name, kind)| {
            format!(
                "CASE WHEN r % 7 = 3 THEN NULL ELSE {} END::{} AS {name}",
                kind.value, kind.sql
            )
        });
        let values: Vec<_> = values.collect();
        warehouse.execute(&format!(
            "SET timezone = 'UTC'; CREATE TABLE s{number} AS SELECT {} FROM generate_series({seed}, {seed} + 59) g(r)",
            values.join(", ")
        ));
        let pairs =
            named().map(|(name, kind)| format!("'{name}', {}", kind.json.replace("$c", &name)));
        let pairs: Vec<_> = pairs.collect();
        let rows = warehouse.value(&format!(
            "SET timezone = 'UTC'; SELECT jsonb_build_object({}) FROM s{number}",
            pairs.join(", ")
        ));
        let properties = named().map(|(name, kind)| (name, (kind.schema)()));
        let stream = StreamSpec::new(
            &format!("d{number}"),
            "append",
            Value::Object(properties.collect()),
        );
        let record = |data: &str| {
            format!(
                "{{\"type\":\"RECORD\",\"record\":{{\"stream\":\"d{number}\",\"data\":{data},\"emitted_at\":1}}}}\n"
            )
        };
        let records: String = rows.lines().map(record).collect();
        let stdin = format!("{records}{}\n", stream.complete());
        warehouse.write_raw(&[&stream], stdin).await.succeeded();
        let names: Vec<_> = named().map(|(name, _)| format!("{name}::text")).collect();
        let names = names.join(", ");
        let differing = warehouse.value(&format!(
            "SELECT count(*) FROM ((SELECT {names} FROM s{number} EXCEPT ALL SELECT {names} FROM d{number}) UNION ALL \
             (SELECT {names} FROM d{number} EXCEPT ALL SELECT {names} FROM s{number})) x"
        ));
        assert_eq!(differing, "0", "{:?}\n{rows}", stream.properties);
        assert_eq!(
            warehouse.value(&format!("SELECT count(*) FROM d{number}")),
            "60"
        );
    }
}

#[tokio::test]
async fn rows_with_and_without_changes_arrive_together_however_many_there_are() {
    for mode in ["append", "append_dedup", "overwrite"] {
        let warehouse = Warehouse::new();
        let properties =
            json!({"id": {"type": "integer"}, "v": {"type": "string"}, "w": {"type": "string"}});
        let stream = StreamSpec::new("t", mode, properties).key(&["id"]);
        let long = "x".repeat(2000);
        // More than is held of the rows that say what changed.
        let row = |id: i64| {
            let v = if id % 4 == 0 { "kept" } else { "\u{0}" };
            (1, json!({"id": id, "v": v, "w": long}))
        };
        let rows: Vec<_> = (0..3000).map(row).collect();
        warehouse.complete(&stream, &rows).await;
        let counts = "SELECT count(*), count(DISTINCT id), count(v), count(*) FILTER (WHERE _airbyte_meta->'changes' = '[]'), \
                      count(*) FILTER (WHERE _airbyte_meta->'changes'->0->>'field' = 'v'), min(length(w)), \
                      count(DISTINCT _airbyte_meta->>'sync_id') FROM t";
        assert_eq!(
            warehouse.query(counts),
            ["3000|3000|750|750|2250|2000|1"],
            "{mode}"
        );
    }
}

#[tokio::test]
async fn a_table_that_a_reader_holds_gets_its_metadata_row_by_row() {
    let warehouse = Warehouse::new();
    let stream = one("t", &json!({"type": "string"}));
    warehouse.complete(&stream, &[(1, json!({"n": 1}))]).await;
    warehouse.execute("ALTER TABLE t ALTER COLUMN _airbyte_meta DROP DEFAULT");
    // Not waited for: it reads until its input ends.
    let mut reader = warehouse
        .server
        .psql(&warehouse.database)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let (mut statements, output) = (reader.stdin.take().unwrap(), reader.stdout.take().unwrap());
    std::io::Write::write_all(&mut statements, b"BEGIN; SELECT count(*) FROM t;\n").unwrap();
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut first).unwrap();
    assert_eq!(first, "1\n");
    warehouse
        .complete(
            &stream,
            &[(1, json!({"n": 2, "v": "\u{0}"})), (1, json!({"n": 3}))],
        )
        .await;
    drop(statements);
    assert!(reader.wait().unwrap().success());
    let changes = "SELECT n, jsonb_array_length(_airbyte_meta->'changes') FROM t ORDER BY n";
    assert_eq!(warehouse.query(changes), ["1|0", "2|1", "3|0"]);
}
