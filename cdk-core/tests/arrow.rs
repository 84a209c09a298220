//! Arrow batches from a source to destinations that want them, and to those that don't.

use std::sync::{Arc, Mutex};

use airbyte_protocol::{
    ConfiguredAirbyteCatalog, ConfiguredAirbyteStream, DestinationSyncMode, SyncMode,
};
use arrow_array::{ArrayRef, Int64Array, RecordBatch as Columns, StringArray};
use cdk_core::arrow::ArrowRows;
use cdk_core::batch::RowExtras;
use cdk_core::sync::{MemoryStateStore, Mode, StreamSelection, Sync};
use cdk_core::{
    Capabilities, CommitStats, Context, Destination, RecordBatch, Result, Rows, StreamEnd,
    StreamLoader,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::support::run::read;
use crate::support::scripted::Scripted;
use crate::support::tables::{Database, Tables};

fn rows(from: i64, to: i64) -> ArrowRows {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(from..to));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(
        (from..to).map(|id| format!("n{id}")),
    ));
    let batch = Columns::try_from_iter([("id", ids), ("name", names)]).unwrap();
    ArrowRows::try_new(batch, 7).unwrap()
}

/// One JSON row, then Arrow rows, then a JSON row.
fn source() -> Scripted {
    let mut source = Scripted::new(|_, sink| {
        Box::pin(async move {
            sink.record(&json!({"id": 0, "name": "n0"})).await?;
            let meta = r#"{"changes":[]}"#.to_owned();
            let extras = RowExtras {
                meta: Some(meta),
                file_reference: None,
            };
            sink.arrow_rows(rows(1, 3).with_extras(vec![(1, extras)]))
                .await?;
            sink.arrow(rows(3, 5).batch().clone()).await?;
            sink.record(&json!({"id": 5, "name": "n5"})).await
        })
    });
    source.definition.json_schema = json!({"type": "object", "properties": {
        "id": {"type": "integer"}, "name": {"type": "string"}}});
    source
}

/// Notes the form of each batch and the ids in it.
#[derive(Debug, Clone, Default)]
struct Forms(Arc<Mutex<Vec<(&'static str, usize)>>>);

#[derive(Debug, Deserialize, JsonSchema)]
struct NoConfig {}

impl Destination for Forms {
    type Config = NoConfig;
    type Loader = Self;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new([DestinationSyncMode::Append]).with_arrow_preferred()
    }

    async fn check(&self, _: &NoConfig, _: &Context) -> Result<()> {
        Ok(())
    }

    async fn open(
        &self,
        _: &NoConfig,
        catalog: &ConfiguredAirbyteCatalog,
        _: &Context,
    ) -> Result<Vec<Self>> {
        Ok(catalog.streams.iter().map(|_| self.clone()).collect())
    }
}

impl StreamLoader for Forms {
    async fn load(&mut self, batch: RecordBatch) -> Result<()> {
        let form = match batch.rows() {
            Rows::Json(_) => "json",
            Rows::Arrow(_) => "arrow",
            _ => "other",
        };
        self.0.lock().unwrap().push((form, batch.len()));
        Ok(())
    }

    async fn commit(&mut self) -> Result<CommitStats> {
        Ok(CommitStats::default())
    }

    async fn finish(self, _: StreamEnd) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_destination_that_prefers_columns_gets_them_in_order() {
    let forms = Forms::default();
    let sync = Sync::builder()
        .source(source(), json!({}))
        .destination(forms.clone(), json!({}))
        .state_store(MemoryStateStore::default())
        .stream(StreamSelection::new("s").with_mode(Mode::FullRefreshAppend))
        .build()
        .unwrap();
    let report = sync.run().await.unwrap();
    assert_eq!(report.streams[0].records_written, 6);
    let seen = forms.0.lock().unwrap().clone();
    assert_eq!(seen, [("json", 1), ("arrow", 2), ("arrow", 2), ("json", 1)]);
}

#[tokio::test]
async fn a_destination_of_json_rows_gets_the_same_rows() {
    let database = Database::default();
    let destination = Tables {
        database: database.clone(),
        ..Tables::default()
    };
    let sync = Sync::builder()
        .source(source(), json!({}))
        .destination(destination, json!({}))
        .state_store(MemoryStateStore::default())
        .stream(StreamSelection::new("s").with_mode(Mode::FullRefreshAppend))
        .build()
        .unwrap();
    sync.run().await.unwrap();
    assert_eq!(database.ids("s"), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_source_s_process_prints_columns_as_records() {
    let source = source();
    let mode = DestinationSyncMode::Append;
    let stream =
        ConfiguredAirbyteStream::new(source.definition.clone(), SyncMode::FullRefresh, mode);
    let ran = read(
        source,
        json!({}),
        &ConfiguredAirbyteCatalog::new(vec![stream]),
        None,
    )
    .await;
    let names: Vec<_> = ran
        .records("s")
        .iter()
        .map(|record| record["name"].clone())
        .collect();
    assert_eq!(names, ["n0", "n1", "n2", "n3", "n4", "n5"]);
    let with_meta: Vec<_> = ran
        .text
        .lines()
        .filter(|line| line.contains(r#""meta":{"changes":[]}"#))
        .collect();
    assert_eq!(with_meta.len(), 1);
    assert!(
        with_meta[0].contains(r#""emitted_at":7"#) && with_meta[0].contains(r#""id":2"#),
        "{with_meta:?}"
    );
}
