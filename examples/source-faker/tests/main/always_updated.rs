//! `always_updated`: rounds of all records.

use airbyte_protocol::SyncMode;
use cdk_testkit::Ran;
use serde_json::{Value, json};

use crate::harness::{NOW_MS, blob, ids, states, try_read};

const NOW: &str = "2025-06-15T15:06:40.123Z";
const A_SECOND_LATER: &str = "2025-06-15T15:06:41.123Z";

async fn read(config: &Value, before: Option<(&Ran, usize)>, now_ms: i64) -> Ran {
    let state = before.map(|(output, at)| states(output, "users").remove(at));
    try_read(
        SyncMode::Incremental,
        &["users"],
        config,
        state.as_slice(),
        now_ms,
    )
    .await
}

fn is_of(output: &Ran, time: &str) -> bool {
    output
        .data("users")
        .iter()
        .all(|user| user["updated_at"] == time)
}

#[tokio::test]
async fn every_sync_emits_all_rows_with_its_own_time() {
    let config = json!({"count": 40, "always_updated": true});
    let first = read(&config, None, NOW_MS).await;
    let second = read(&config, Some((&first, 0)), NOW_MS + 1000).await;
    assert!(ids(&first, "users").into_iter().eq(1..=40) && is_of(&first, NOW));
    assert!(ids(&second, "users").into_iter().eq(1..=40) && is_of(&second, A_SECOND_LATER));
}

#[tokio::test]
async fn an_interrupted_round_goes_on_under_the_time_it_began() {
    let config = json!({
        "count": 40, "always_updated": true, "records_per_slice": 10, "parallelism": 1
    });
    let first = read(&config, None, NOW_MS).await;
    let covered = blob(&states(&first, "users")[0])["id"].as_i64().unwrap();
    assert!(covered < 40);
    let second = read(&config, Some((&first, 0)), NOW_MS + 1000).await;
    assert!(ids(&second, "users").into_iter().eq(covered + 1..=40) && is_of(&second, NOW));
}

#[tokio::test]
async fn a_larger_count_after_a_finished_round_starts_a_round_of_all_rows() {
    let config = json!({"count": 40, "always_updated": true});
    let first = read(&config, None, NOW_MS).await;
    let config = json!({"count": 60, "always_updated": true});
    let second = read(&config, Some((&first, 0)), NOW_MS + 1000).await;
    assert!(ids(&second, "users").into_iter().eq(1..=60) && is_of(&second, A_SECOND_LATER));
}
