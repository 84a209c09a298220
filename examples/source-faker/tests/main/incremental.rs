//! States: what they cover, and what a read after them yields.

use airbyte_protocol::{AirbyteMessage, AirbyteStateMessage, SyncMode};
use cdk_testkit::Ran;
use serde_json::json;

use crate::harness::{blob, id, ids, name_of, read, sorted, states};

const STREAMS: [&str; 3] = ["users", "products", "purchases"];

fn last_states(output: &Ran) -> Vec<AirbyteStateMessage> {
    let last = |stream: &&str| states(output, stream).pop().unwrap();
    STREAMS.iter().map(last).collect()
}

#[tokio::test]
async fn a_larger_count_yields_only_the_new_rows() {
    let (before, after) = (
        json!({"count": 150}),
        json!({"count": 420, "records_per_slice": 50}),
    );
    let first = read(SyncMode::Incremental, &[], &before, &[]).await;
    let second = read(SyncMode::Incremental, &[], &after, &last_states(&first)).await;
    assert!(ids(&second, "users").into_iter().eq(151..=420));
    assert!(ids(&second, "products").is_empty());
    let whole = read(SyncMode::FullRefresh, &[], &after, &[]).await;
    for stream in STREAMS {
        let mut both = sorted(&first, stream);
        both.extend(sorted(&second, stream));
        assert_eq!(both, sorted(&whole, stream));
    }
}

#[tokio::test]
async fn a_second_read_yields_no_record_but_the_same_state() {
    let config = json!({"count": 30});
    let first = read(SyncMode::Incremental, &[], &config, &[]).await;
    let second = read(SyncMode::Incremental, &[], &config, &last_states(&first)).await;
    for (stream, state) in STREAMS.iter().zip(last_states(&first)) {
        assert!(second.data(stream).is_empty());
        let again: Vec<_> = states(&second, stream).iter().map(blob).collect();
        assert_eq!(again, [blob(&state)]);
    }
}

#[tokio::test]
async fn the_last_state_names_the_last_row() {
    let output = read(
        SyncMode::Incremental,
        &[],
        &json!({"count": 77, "seed": 2}),
        &[],
    )
    .await;
    for (stream, state) in STREAMS.iter().zip(last_states(&output)) {
        let last = sorted(&output, stream).pop().unwrap();
        let expected = json!({"updated_at": last["updated_at"], "id": last["id"], "seed": 2});
        assert_eq!(blob(&state), expected);
    }
}

#[tokio::test]
async fn no_users_at_all_still_give_a_state() {
    let output = read(SyncMode::Incremental, &["users"], &json!({"count": 0}), &[]).await;
    let state = states(&output, "users");
    assert_eq!(
        state.iter().map(blob).collect::<Vec<_>>(),
        [json!({"updated_at": "2020-01-01T00:00:00.000Z", "id": 0, "seed": -1})]
    );
    let next = read(
        SyncMode::Incremental,
        &["users"],
        &json!({"count": 3}),
        &state,
    )
    .await;
    assert_eq!(ids(&next, "users"), [1, 2, 3]);
}

#[tokio::test]
async fn a_state_beyond_the_count_yields_no_record_and_comes_back_unchanged() {
    let large = read(
        SyncMode::Incremental,
        &["users"],
        &json!({"count": 90}),
        &[],
    )
    .await;
    let state = states(&large, "users").pop().unwrap();
    let small = json!({"count": 10});
    let output = read(
        SyncMode::Incremental,
        &["users"],
        &small,
        std::slice::from_ref(&state),
    )
    .await;
    assert!(output.data("users").is_empty());
    assert_eq!(
        states(&output, "users")
            .iter()
            .map(blob)
            .collect::<Vec<_>>(),
        [blob(&state)]
    );
}

/// For every state: all rows it covers came before it, and a read from it yields exactly the others.
async fn resumes_exactly(mode: SyncMode) {
    let config = json!({"count": 95, "records_per_slice": 10, "parallelism": 3});
    let output = read(mode, &[], &config, &[]).await;
    let mut tried = 0;
    for (at, message) in output.messages.iter().enumerate() {
        let AirbyteMessage::State(state) = message else {
            continue;
        };
        let stream = name_of(state);
        let covered = blob(state)["id"].as_i64().unwrap();
        let before: Vec<_> = output.messages[..at]
            .iter()
            .filter_map(|earlier| match earlier {
                AirbyteMessage::Record(record) if record.stream == stream => {
                    Some(id(&record.data.parse_as().unwrap()))
                }
                _ => None,
            })
            .collect();
        assert!(
            (1..=covered).all(|id| before.contains(&id)),
            "{stream}: {covered} {before:?}"
        );
        let rest = read(mode, &[stream], &config, std::slice::from_ref(state)).await;
        let expected: Vec<_> = ids(&output, stream)
            .into_iter()
            .filter(|id| *id > covered)
            .collect();
        assert_eq!(ids(&rest, stream), expected);
        tried += 1;
    }
    assert!(tried >= 20, "only {tried} states were emitted");
}

#[tokio::test]
async fn an_incremental_read_resumes_from_every_state_with_exactly_the_rest() {
    resumes_exactly(SyncMode::Incremental).await;
}

#[tokio::test]
async fn a_full_refresh_resumes_from_every_state_with_exactly_the_rest() {
    resumes_exactly(SyncMode::FullRefresh).await;
}

#[tokio::test]
async fn states_count_the_records_since_the_previous_one() {
    let config = json!({"count": 640, "records_per_slice": 64});
    let output = read(SyncMode::Incremental, &[], &config, &[]).await;
    for stream in STREAMS {
        let mut since = 0;
        for message in &output.messages {
            match message {
                AirbyteMessage::Record(record) if record.stream == stream => since += 1,
                AirbyteMessage::State(state) if name_of(state) == stream => {
                    let stats = state.source_stats.as_ref().unwrap();
                    assert_eq!(stats.record_count, Some(f64::from(since)));
                    since = 0;
                }
                _ => {}
            }
        }
        assert_eq!(since, 0, "records of {stream} came after its last state");
    }
}

#[tokio::test]
async fn an_estimate_counts_the_rows_to_read() {
    let config = json!({"count": 80});
    let first = read(
        SyncMode::Incremental,
        &["users"],
        &json!({"count": 30}),
        &[],
    )
    .await;
    let state = states(&first, "users");
    let output = read(SyncMode::Incremental, &["users"], &config, &state).await;
    let estimate = output.messages.iter().find_map(|message| match message {
        AirbyteMessage::Trace(trace) => trace.estimate.as_ref(),
        _ => None,
    });
    assert_eq!(estimate.unwrap().row_estimate, Some(50));
}
