//! A source of one stream whose reader is a closure, for behaviour that counting can't show.

use std::sync::Arc;

use airbyte_protocol::{AirbyteStream, SyncMode};
use cdk_core::{
    BoxedStream, Context, Partitions, ReadSettings, RecordSink, Result, SecretString, Source,
    Stream, StreamRequest,
};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Config {
    /// Something to hide.
    #[allow(dead_code)]
    pub(crate) token: Option<SecretString>,
}

type Read = dyn for<'a> Fn(&'a StreamRequest, &'a mut RecordSink) -> BoxFuture<'a, Result<()>>
    + Send
    + Sync;

#[derive(Clone)]
pub(crate) struct Scripted {
    pub(crate) definition: AirbyteStream,
    pub(crate) settings: ReadSettings,
    read: Arc<Read>,
}

impl Scripted {
    /// One stream called `s`, full refresh only, read by `read`.
    pub(crate) fn new<F>(read: F) -> Self
    where
        F: for<'a> Fn(&'a StreamRequest, &'a mut RecordSink) -> BoxFuture<'a, Result<()>>
            + Send
            + Sync
            + 'static,
    {
        let schema = json!({"type": "object", "properties": {}});
        Self {
            definition: AirbyteStream::new("s", schema, vec![SyncMode::FullRefresh]),
            settings: ReadSettings::default(),
            read: Arc::new(read),
        }
    }
}

impl Source for Scripted {
    type Config = Config;

    async fn check(&self, _: &Config, _: &Context) -> Result<()> {
        Ok(())
    }

    async fn streams(&self, _: &Config, _: &Context) -> Result<Vec<BoxedStream>> {
        Ok(vec![self.clone().boxed()])
    }

    fn read_settings(&self, _: &Config) -> ReadSettings {
        self.settings.clone()
    }
}

impl Stream for Scripted {
    type Partition = ();

    fn definition(&self) -> AirbyteStream {
        self.definition.clone()
    }

    async fn partitions(&self, _: &StreamRequest) -> Result<Partitions<()>> {
        Ok(Partitions::one(()))
    }

    async fn read(&self, (): (), request: &StreamRequest, sink: &mut RecordSink) -> Result<()> {
        (self.read)(request, sink).await
    }
}
