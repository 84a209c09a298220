//! The smallest complete source: one stream that counts.
use cdk_core::protocol::{AirbyteStream, SyncMode};
use cdk_core::{BoxedStream, Context, Partitions, RecordSink, Result};
use cdk_core::{Source, Stream, StreamRequest};
use serde_json::json;
#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct Config {
    /// Count up to this number.
    to: u64,
}
pub(crate) struct Counter;
impl Source for Counter {
    type Config = Config;
    async fn check(&self, _: &Config, _: &Context) -> Result<()> {
        Ok(())
    }
    async fn streams(&self, config: &Config, _: &Context) -> Result<Vec<BoxedStream>> {
        Ok(vec![Numbers(config.to).boxed()])
    }
}
struct Numbers(u64);
impl Stream for Numbers {
    type Partition = ();
    fn definition(&self) -> AirbyteStream {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        AirbyteStream::new("numbers", schema, vec![SyncMode::FullRefresh])
    }
    async fn partitions(&self, _: &StreamRequest) -> Result<Partitions<()>> {
        Ok(Partitions::one(()))
    }
    async fn read(&self, _: (), _: &StreamRequest, sink: &mut RecordSink) -> Result<()> {
        for n in 1..=self.0 {
            sink.record(&json!({ "n": n })).await?;
        }
        Ok(())
    }
}
fn main() -> std::process::ExitCode {
    cdk_core::run_source(Counter)
}
