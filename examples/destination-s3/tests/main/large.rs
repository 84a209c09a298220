//! Files of many megabytes: row groups, parts, bounded memory.

use cdk_testkit::StreamSpec;
use serde_json::json;

use crate::support::{Lake, parquet_metadata};

/// Records whose text does not compress.
fn records(stream: &str, count: u64) -> String {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut lines = String::new();
    for id in 0..count {
        let mut text = String::new();
        for _ in 0..30 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            text.push_str(&format!("{random:016x}"));
        }
        let data = json!({"id": id, "text": text});
        lines.push_str(
            &json!({"type": "RECORD", "record": {"stream": stream, "data": data, "emitted_at": 1}})
                .to_string(),
        );
        lines.push('\n');
    }
    lines
}

fn stream() -> StreamSpec {
    StreamSpec::new(
        "t",
        "append",
        json!({"id": {"type": "integer"}, "text": {"type": "string"}}),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn row_groups_have_the_size_that_was_asked_for_and_objects_are_sent_in_parts() {
    let lake = Lake::with_format(
        json!({"format_type": "Parquet", "block_size_mb": 4, "dictionary_encoding": false}),
    );
    let lines = records("t", 45_000) + &format!("{}\n", stream().complete());
    lake.write_raw(1, &[&stream()], lines).await.succeeded();
    let keys = lake.data_keys();
    assert_eq!(keys.len(), 1, "{keys:?}");
    let file = lake.server.read(&keys[0]);
    assert!(file.len() > 20 << 20, "{} bytes", file.len());
    let metadata = parquet_metadata(file);
    let sizes: Vec<_> = metadata
        .row_groups()
        .iter()
        .map(|group| group.compressed_size())
        .collect();
    let (last, full) = sizes.split_last().unwrap();
    assert!(
        full.iter().all(|size| (3 << 20..6 << 20).contains(size)),
        "{sizes:?}"
    );
    assert!(*last < 6 << 20 && full.len() >= 4, "{sizes:?}");
    assert_eq!(metadata.file_metadata().num_rows(), 45_000);
    assert_eq!(lake.server.unfinished_uploads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_a_dead_run_left_is_aborted_by_the_next() {
    let lake = Lake::with_format(json!({"format_type": "JSONL"}));
    // The rest of the line never comes: the run fails after parts were sent.
    let lines = records("t", 60_000)
        + "{\"type\":\"RECORD\",\"record\":{\"stream\":\"t\",\"data\":{\"id\":";
    let ran = lake.write_raw(1, &[&stream()], lines).await;
    assert_ne!(ran.exit.code(), 0);
    lake.write(
        2,
        &[&stream()],
        &[stream().record(1, json!({"id": 1})), stream().complete()],
    )
    .await
    .succeeded();
    assert_eq!(lake.server.unfinished_uploads(), 0);
}
