//! Codecs, formats and flattening.

use std::io::Read as _;

use cdk_testkit::StreamSpec;
use parquet::basic::Compression;
use serde_json::{Value, json};

use crate::support::{Lake, parquet_metadata};

fn customers() -> StreamSpec {
    StreamSpec::new(
        "customers",
        "append",
        json!({
            "id": {"type": "integer"},
            "contact": {"type": "object", "properties": {"email": {"type": "string"}, "phone": {"type": "string"}}},
            "tags": {"type": "array"},
        }),
    )
}

/// The one object that these options make of one record.
async fn written(format: Value) -> (Lake, String) {
    let lake = Lake::with_format(format);
    let stream = customers();
    let record = json!({"id": 1, "contact": {"email": "a@x", "phone": "1"}, "tags": ["b"]});
    let messages = [stream.record(5, record), stream.complete()];
    lake.write(1, &[&stream], &messages).await.succeeded();
    let keys = lake.data_keys();
    assert_eq!(keys.len(), 1, "{keys:?}");
    let key = keys[0].clone();
    (lake, key)
}

/// A codec's name in the config, and whether a file has it.
type Codec = (&'static str, fn(Compression) -> bool);

#[tokio::test(flavor = "multi_thread")]
async fn every_parquet_codec_is_used_and_read_back() {
    let is_codec: [Codec; 6] = [
        ("UNCOMPRESSED", |codec| codec == Compression::UNCOMPRESSED),
        ("SNAPPY", |codec| codec == Compression::SNAPPY),
        ("GZIP", |codec| matches!(codec, Compression::GZIP(_))),
        ("BROTLI", |codec| matches!(codec, Compression::BROTLI(_))),
        ("LZ4", |codec| codec == Compression::LZ4_RAW),
        ("ZSTD", |codec| matches!(codec, Compression::ZSTD(_))),
    ];
    for (codec, is_it) in is_codec {
        let (lake, key) =
            written(json!({"format_type": "Parquet", "compression_codec": codec})).await;
        let metadata = parquet_metadata(lake.server.read(&key));
        let used = metadata.row_group(0).column(0).compression();
        assert!(is_it(used), "{codec}: {used:?}");
        assert_eq!(lake.rows("")[0]["id"], 1, "{codec}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flattening_decides_which_columns_there_are() {
    let parquet = |flattening: &str| json!({"format_type": "Parquet", "flattening": flattening});
    let (lake, _) = written(parquet("No flattening")).await;
    let row = &lake.rows("")[0];
    let data: Value = serde_json::from_str(row["_airbyte_data"].as_str().unwrap()).unwrap();
    assert_eq!(
        (row.get("id"), &data["contact"]["email"]),
        (None, &json!("a@x"))
    );
    let (lake, _) = written(parquet("Root level flattening")).await;
    assert_eq!(
        lake.rows("")[0]["contact"],
        r#"{"email":"a@x","phone":"1"}"#
    );
    let mut nested = parquet("Nested flattening");
    nested["emitted_at_column"] = json!(true);
    let (lake, _) = written(nested).await;
    let row = lake.rows("")[0].clone();
    let columns: Vec<_> = row
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "_airbyte_raw_id",
        "_airbyte_extracted_at",
        "_airbyte_meta",
        "_airbyte_generation_id",
        "_airbyte_emitted_at",
        "id",
        "contact_email",
        "contact_phone",
        "tags",
    ];
    assert_eq!(columns, expected);
    assert_eq!(
        (&row["contact_email"], &row["_airbyte_emitted_at"]),
        (&json!("a@x"), &json!("1970-01-01T00:00:00.005Z"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_lines_and_gzip_where_asked_for() {
    let format = json!({"format_type": "JSONL", "flattening": "Root level flattening"});
    let (lake, key) = written(format).await;
    assert!(key.ends_with(".jsonl"), "{key}");
    let row: Value = serde_json::from_slice(&lake.server.read(&key)).unwrap();
    assert_eq!(row["contact"]["email"], "a@x");
    let format = json!({"format_type": "CSV", "flattening": "Nested flattening", "compression": {"compression_type": "GZIP"}});
    let (lake, key) = written(format).await;
    assert!(key.ends_with(".csv.gz"), "{key}");
    let mut text = String::new();
    flate2::read::GzDecoder::new(lake.server.read(&key).as_slice())
        .read_to_string(&mut text)
        .unwrap();
    let mut lines = text.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .ends_with(",id,contact_email,contact_phone,tags"),
        "{text}"
    );
    assert!(
        lines.next().unwrap().ends_with(r#",1,a@x,1,"[""b""]""#),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn avro_files_have_their_codec() {
    for codec in [
        "no compression",
        "Deflate",
        "bzip2",
        "xz",
        "zstandard",
        "snappy",
    ] {
        let (lake, key) =
            written(json!({"format_type": "Avro", "compression_codec": {"codec": codec}})).await;
        let file = lake.server.read(&key);
        assert!(
            key.ends_with(".avro") && file.starts_with(b"Obj\x01"),
            "{key}"
        );
        let head = String::from_utf8_lossy(&file);
        let named = match codec {
            "no compression" => "avro.schema",
            "Deflate" => "deflate",
            other => other,
        };
        assert!(head.contains(named), "{codec}: {head}");
    }
}
