//! Partitions that fail without ending the others, and the state a stream ends with.

use airbyte_protocol::{AirbyteMessage, AirbyteStream, AirbyteStreamStatus, RawJson, SyncMode};
use cdk_core::{
    BoxedStream, ConnectorError, Context, Partitions, RecordSink, Result, Source, Stream,
    StreamRequest,
};
use serde_json::json;

use crate::support::counting::catalog;
use crate::support::run::read;

struct Flaky;

struct Odd;

impl Source for Flaky {
    type Config = serde_json::Map<String, serde_json::Value>;

    async fn check(&self, _: &Self::Config, _: &Context) -> Result<()> {
        Ok(())
    }

    async fn streams(&self, _: &Self::Config, _: &Context) -> Result<Vec<BoxedStream>> {
        Ok(vec![Odd.boxed()])
    }
}

/// Partitions with an odd number fail after their record.
impl Stream for Odd {
    type Partition = u64;

    fn definition(&self) -> AirbyteStream {
        AirbyteStream::new("odd", json!({}), vec![SyncMode::FullRefresh])
    }

    async fn partitions(&self, _: &StreamRequest) -> Result<Partitions<u64>> {
        Ok(Partitions::list((0..5).collect())
            .with_self_contained_states()
            .with_independent_failures())
    }

    async fn read(&self, partition: u64, _: &StreamRequest, sink: &mut RecordSink) -> Result<()> {
        sink.record(&json!({ "id": partition })).await?;
        match partition % 2 {
            0 => {
                sink.checkpoint_if_due(|| Some(json!({"last": partition})))
                    .await
            }
            _ => Err(ConnectorError::transient(format!("No {partition}."))),
        }
    }

    fn final_state(&self, _: &StreamRequest) -> Result<Option<RawJson>> {
        Ok(Some(RawJson::from(json!({"final": true}))))
    }
}

#[tokio::test]
async fn the_others_are_read_and_each_failure_is_reported() {
    let ran = read(
        Flaky,
        json!({}),
        &catalog(["odd"], SyncMode::FullRefresh),
        None,
    )
    .await;
    let mut ids: Vec<u64> = ran
        .records("odd")
        .iter()
        .map(|record| record["id"].as_u64().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 2, 3, 4]);
    let of_partitions = |message: &AirbyteMessage| match message {
        AirbyteMessage::Trace(trace) => {
            let error = trace.error.as_ref();
            error.is_some_and(|error| error.stream_descriptor.is_some())
        }
        _ => false,
    };
    let failures = ran.messages.iter().filter(|message| of_partitions(message));
    assert_eq!(failures.count(), 2);
    assert_eq!(
        ran.statuses("odd").last(),
        Some(&AirbyteStreamStatus::Incomplete)
    );
    let states = ran.states();
    let last = states.last().unwrap().stream.as_ref().unwrap();
    let last = last.stream_state.as_ref().unwrap();
    assert_eq!(last.get(), r#"{"final":true}"#);
}
