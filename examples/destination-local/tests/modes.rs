//! Append, overwrite, generations, and what is left when a run dies.

mod support;

use airbyte_protocol::{FailureType, MessageType, Status};
use cdk_testkit::{Ran, StreamSpec};
use serde_json::{Value, json};
use support::Lake;

fn stream(mode: &'static str) -> StreamSpec {
    StreamSpec::new("t", mode, json!({"id": {"type": "integer"}}))
}

fn ids(lake: &Lake) -> Vec<Value> {
    lake.rows("t")
        .into_iter()
        .map(|row| row["id"].clone())
        .collect()
}

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

#[tokio::test]
async fn append_adds_files_and_gives_states_back() {
    let lake = Lake::new();
    let stream = stream("append");
    for (now, id) in [(1, 1), (2, 2), (2, 3)] {
        let output = sync(&lake, now, &stream, &[id], COMPLETE).await.succeeded();
        assert_eq!(
            output.printed(MessageType::State)[0]["destinationStats"]["recordCount"],
            1.0
        );
    }
    assert_eq!(ids(&lake), [1, 2, 3]);
    // Two runs began in the same millisecond.
    assert_eq!(
        lake.files("t"),
        [
            "1970_01_01_1_0.jsonl",
            "1970_01_01_2_1.jsonl",
            "1970_01_01_2_2.jsonl"
        ]
    );
}

#[tokio::test]
async fn overwrite_replaces_files_only_when_the_stream_is_complete() {
    let lake = Lake::new();
    let stream = stream("overwrite");
    sync(&lake, 1, &stream, &[1], COMPLETE).await.succeeded();
    for end in [None, Some("INCOMPLETE")] {
        let output = sync(&lake, 2, &stream, &[2], end).await;
        assert_eq!(output.exit.code(), 1);
        assert_eq!(
            output.error().failure_type,
            Some(FailureType::TransientError)
        );
        assert_eq!((ids(&lake), lake.files("t").len()), (vec![json!(1)], 1));
    }
    // Files of others stay.
    std::fs::write(lake.path().join("t/notes.txt"), "mine").unwrap();
    sync(&lake, 3, &stream, &[3], COMPLETE).await.succeeded();
    assert_eq!(lake.files("t"), ["1970_01_01_3_1.jsonl", "notes.txt"]);
    sync(&lake, 4, &stream, &[], COMPLETE).await.succeeded();
    assert_eq!(lake.files("t"), ["notes.txt"]);
}

#[tokio::test]
async fn an_interrupted_generation_goes_on_with_what_was_committed() {
    let lake = Lake::new();
    sync(
        &lake,
        1,
        &stream("overwrite").generation(1, 1),
        &[1],
        COMPLETE,
    )
    .await
    .succeeded();
    let second = stream("overwrite").generation(2, 2);
    assert_eq!(sync(&lake, 2, &second, &[2], None).await.exit.code(), 1);
    assert_eq!(ids(&lake), [1]);
    sync(&lake, 3, &second, &[3], COMPLETE).await.succeeded();
    assert_eq!(ids(&lake), [2, 3]);
    // Another generation starts again.
    assert_eq!(
        sync(&lake, 4, &stream("overwrite").generation(3, 3), &[4], None)
            .await
            .exit
            .code(),
        1
    );
    sync(
        &lake,
        5,
        &stream("overwrite").generation(4, 4),
        &[5],
        COMPLETE,
    )
    .await
    .succeeded();
    assert_eq!(lake.files("t"), ["1970_01_01_5_3.jsonl"]);
}

/// Changes what the destination keeps about the files of stream `t`.
#[allow(clippy::unwrap_used)]
fn change_manifest(lake: &Lake, change: impl FnOnce(&mut Value)) {
    let path = lake.path().join(".airbyte/t/manifest.json");
    let mut manifest = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    std::fs::write(&path, manifest.to_string()).unwrap();
}

#[tokio::test]
async fn what_a_killed_run_left_is_removed() {
    let lake = Lake::new();
    let stream = stream("append");
    sync(&lake, 1, &stream, &[1], COMPLETE).await.succeeded();
    change_manifest(&lake, |manifest| {
        manifest["begun"] = json!([{"key": "t/whole.jsonl"}, {"key": "t/torn.jsonl"}]);
    });
    std::fs::write(lake.path().join("t/whole.jsonl"), "{}\n").unwrap();
    std::fs::write(lake.path().join("t/torn.jsonl#1"), "{\"torn").unwrap();
    let staged = lake.path().join(".airbyte/t/staged");
    std::fs::create_dir_all(&staged).unwrap();
    std::fs::write(staged.join("9_2_00000.jsonl"), "{}\n").unwrap();
    sync(&lake, 3, &stream, &[3], COMPLETE).await.succeeded();
    assert_eq!(
        lake.files("t"),
        ["1970_01_01_1_0.jsonl", "1970_01_01_3_1.jsonl"]
    );
    assert_eq!(lake.files(".airbyte/t/staged"), [""; 0]);
}

#[tokio::test]
async fn a_swap_that_was_decided_is_carried_out_by_the_next_run_from_any_point() {
    for renamed in [false, true] {
        let lake = Lake::new();
        let append = stream("append").generation(2, 0);
        sync(&lake, 1, &stream("append").generation(1, 0), &[1], COMPLETE)
            .await
            .succeeded();
        let staged_key = ".airbyte/t/staged/2_2_00001.jsonl";
        let new = lake
            .path()
            .join(if renamed { "t/new.jsonl" } else { staged_key });
        std::fs::create_dir_all(new.parent().unwrap()).unwrap();
        std::fs::write(
            &new,
            "{\"_airbyte_raw_id\":\"0123456789abcdef0123456789abcdef0123\",\"id\":2}\n",
        )
        .unwrap();
        change_manifest(&lake, |manifest| {
            manifest["staged"] = json!([{"key": "t/new.jsonl", "staged_key": staged_key, "generation_id": 2, "part": 1}]);
            manifest["is_swap_decided"] = json!(true);
        });
        sync(&lake, 3, &append, &[3], COMPLETE).await.succeeded();
        assert_eq!(
            lake.files("t"),
            ["1970_01_01_3_2.jsonl", "new.jsonl"],
            "{renamed}"
        );
        assert_eq!(ids(&lake), [3, 2]);
    }
}

#[tokio::test]
async fn a_full_disk_is_a_config_error_and_leaves_what_was_committed() {
    let mut lake = Lake::new();
    let stream = stream("append");
    sync(&lake, 1, &stream, &[1], COMPLETE).await.succeeded();
    lake.file_limit = Some(1000);
    let many: Vec<_> = (0..100).collect();
    let output = sync(&lake, 2, &stream, &many, COMPLETE).await;
    assert_eq!(output.exit.code(), 1);
    assert_eq!(output.error().failure_type, Some(FailureType::ConfigError));
    assert!(output.error().message.contains("free space"));
    assert_eq!(output.printed(MessageType::State).len(), 0);
    assert_eq!(ids(&lake), [1]);
    lake.file_limit = None;
    sync(&lake, 3, &stream, &[2], COMPLETE).await.succeeded();
    assert_eq!(ids(&lake), [1, 2]);
    assert_eq!(lake.files("t").len(), 2);
}

#[tokio::test]
async fn a_place_that_is_no_directory_is_a_config_error() {
    let mut lake = Lake::new();
    let file = lake.directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    // Below a regular file nothing can be made, not even by root.
    lake.options = json!({"destination_path": file.join("out")});
    let output = lake.write(1, &[&stream("append")], &[]).await;
    assert_eq!(output.exit.code(), 1);
    assert_eq!(output.error().failure_type, Some(FailureType::ConfigError));
    let checked = lake.check().await;
    assert_eq!(checked.connection_status().status, Status::Failed);
}

#[tokio::test]
async fn dedup_and_two_streams_of_one_directory_are_refused() {
    let lake = Lake::new();
    let output = lake
        .write(1, &[&stream("append_dedup").key(&["id"])], &[])
        .await;
    assert_eq!(output.error().failure_type, Some(FailureType::ConfigError));
    let upper = StreamSpec {
        name: "T".to_owned(),
        ..stream("append")
    };
    let output = lake.write(1, &[&stream("append"), &upper], &[]).await;
    assert_eq!(output.error().failure_type, Some(FailureType::ConfigError));
    assert!(!lake.path().exists());
}

#[tokio::test]
async fn check_leaves_nothing_behind() {
    let lake = Lake::new();
    let output = lake.check().await.succeeded();
    assert_eq!(output.connection_status().status, Status::Succeeded);
    assert_eq!(lake.files(""), [""; 0]);
}
