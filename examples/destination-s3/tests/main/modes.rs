//! Append, overwrite, generations, and what is left when a run dies.

use airbyte_protocol::{FailureType, MessageType};
use cdk_testkit::{Ran, StreamSpec};
use serde_json::json;

use crate::support::{Lake, ids, ids_of};

/// 2025-03-04T05:06:07.089Z
const NOW: i64 = 1_741_064_767_089;

async fn sync(lake: &Lake, now: i64, stream: &StreamSpec, list: &[i64], end: Option<&str>) -> Ran {
    let mut messages: Vec<_> = list
        .iter()
        .map(|id| stream.record(1, json!({"id": id})))
        .collect();
    messages.push(stream.state(now));
    messages.extend(end.map(|end| stream.status(end)));
    lake.write(now, &[stream], &messages).await
}

const COMPLETE: Option<&str> = Some("COMPLETE");

#[tokio::test(flavor = "multi_thread")]
async fn append_adds_objects_under_the_path_of_the_stream_and_gives_states_back() {
    let lake = Lake::new();
    let stream = ids("append").generation(3, 0);
    for (now, id) in [(NOW, 1), (NOW + 1, 2)] {
        let ran = sync(&lake, now, &stream, &[id], COMPLETE).await.succeeded();
        let states = ran.printed(MessageType::State);
        assert_eq!(states[0]["destinationStats"]["recordCount"], 1.0);
    }
    let keys = [
        "data/public/t/2025_03_04_1741064767089_0.parquet",
        "data/public/t/2025_03_04_1741064767090_1.parquet",
    ];
    assert_eq!(lake.data_keys(), keys);
    let rows = lake.rows("data/public/t/");
    assert_eq!(ids_of(&rows), [1, 2]);
    let row = &rows[0];
    assert_eq!(row["_airbyte_generation_id"], 3);
    assert_eq!(row["_airbyte_extracted_at"], "1970-01-01T00:00:00.001Z");
    assert_eq!(row["_airbyte_meta"], json!(r#"{"sync_id":7,"changes":[]}"#));
    assert_eq!(row["_airbyte_raw_id"].as_str().map(str::len), Some(36));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_data_stays_readable_until_an_overwrite_is_complete() {
    let lake = Lake::new();
    let stream = ids("overwrite");
    sync(&lake, NOW, &stream, &[1], COMPLETE).await.succeeded();
    let before = lake.data_keys();
    for end in [None, Some("INCOMPLETE")] {
        let ran = sync(&lake, NOW + 1, &stream, &[2], end).await;
        assert_eq!(ran.error().failure_type, Some(FailureType::TransientError));
        assert_eq!(lake.data_keys(), before);
    }
    sync(&lake, NOW + 2, &stream, &[3, 4], COMPLETE)
        .await
        .succeeded();
    assert_eq!(ids_of(&lake.rows("data/public/t/")), [3, 4]);
    assert_eq!(
        lake.server.keys("data/.airbyte/"),
        ["data/.airbyte/public/t/manifest.json"]
    );
    // An overwrite without rows leaves no rows.
    sync(&lake, NOW + 3, &stream, &[], COMPLETE)
        .await
        .succeeded();
    assert_eq!(lake.data_keys(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_generation_goes_on_and_another_starts_again() {
    let lake = Lake::new();
    sync(&lake, NOW, &ids("append").generation(1, 0), &[1], COMPLETE)
        .await
        .succeeded();
    let refresh = ids("append").generation(2, 2);
    assert_eq!(
        sync(&lake, NOW + 1, &refresh, &[2], None).await.exit.code(),
        1
    );
    assert_eq!(ids_of(&lake.rows("data/public/t/")), [1]);
    sync(&lake, NOW + 2, &refresh, &[3], COMPLETE)
        .await
        .succeeded();
    assert_eq!(ids_of(&lake.rows("data/public/t/")), [2, 3]);
    assert_eq!(
        sync(&lake, NOW + 3, &ids("append").generation(3, 3), &[4], None)
            .await
            .exit
            .code(),
        1
    );
    sync(
        &lake,
        NOW + 4,
        &ids("append").generation(4, 4),
        &[5],
        COMPLETE,
    )
    .await
    .succeeded();
    assert_eq!(ids_of(&lake.rows("data/public/t/")), [5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_would_share_objects_are_refused() {
    let mut lake = Lake::new();
    lake.config["s3_path_format"] = json!("${YEAR}/");
    lake.config["s3_bucket_path"] = json!("data");
    let other = StreamSpec {
        name: "u".to_owned(),
        ..ids("append")
    };
    let ran = lake.write(NOW, &[&ids("append"), &other], &[]).await;
    assert_eq!(ran.error().failure_type, Some(FailureType::ConfigError));
    assert!(
        ran.error().message.contains("${STREAM_NAME}"),
        "{}",
        ran.error().message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_never_share_a_name_even_where_the_pattern_gives_only_one() {
    let mut lake = Lake::new();
    lake.config["file_name_pattern"] = json!("all{format_extension}");
    lake.config["s3_path_format"] = json!("${NAMESPACE}/${STREAM_NAME}/");
    lake.config["s3_bucket_path"] = json!("");
    let stream = ids("append");
    for id in [1, 2] {
        sync(&lake, NOW + id, &stream, &[id], COMPLETE)
            .await
            .succeeded();
    }
    assert_eq!(ids_of(&lake.rows("public/t/all")), [1, 2]);
    assert_eq!(lake.data_keys().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_gone_is_a_config_error_and_no_state_is_given_back() {
    let lake = Lake::new();
    std::fs::remove_dir_all(lake.server.bucket()).unwrap();
    let ran = sync(&lake, NOW, &ids("append"), &[1], COMPLETE).await;
    assert_eq!(
        ran.error().failure_type,
        Some(FailureType::ConfigError),
        "{}",
        ran.text
    );
    assert!(ran.printed(MessageType::State).is_empty());
}
