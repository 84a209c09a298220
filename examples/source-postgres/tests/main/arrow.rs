//! Tables as columns: the same values, with the same judge.

use std::sync::{Arc, Mutex};

use cdk_core::protocol::{ConfiguredAirbyteCatalog, DestinationSyncMode};
use cdk_core::sync::{MemoryStateStore, Mode, StreamSelection, Sync};
use cdk_core::{
    Capabilities, CommitStats, Context, Destination, RecordBatch, Result, Rows, StreamEnd,
    StreamLoader,
};
use serde_json::json;

use crate::oracle;
use crate::support::Db;

/// Notes the records as JSON, and how many of them came as columns.
#[derive(Debug, Clone, Default)]
struct Records(Arc<Mutex<(Vec<String>, usize)>>);

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct NoConfig {}

impl Destination for Records {
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

impl StreamLoader for Records {
    async fn load(&mut self, batch: RecordBatch) -> Result<()> {
        let mut seen = self.0.lock().unwrap();
        if matches!(batch.rows(), Rows::Arrow(_)) {
            seen.1 += batch.len();
        }
        let rows = batch.json().iter().map(|row| row.data.to_owned());
        seen.0.extend(rows);
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
async fn columns_hold_every_value_and_rows_that_do_not_fit_go_as_json() {
    let db = Db::new(&oracle::statements(100));
    let expected = oracle::expected(&db, "zoo");
    let records = Records::default();
    let sync = Sync::builder()
        .source(db.source(), db.config.clone())
        .destination(records.clone(), json!({}))
        .state_store(MemoryStateStore::default())
        .stream(StreamSelection::new("zoo").with_mode(Mode::FullRefreshAppend))
        .build()
        .unwrap();
    sync.run().await.unwrap();
    let (rows, as_columns) = records.0.lock().unwrap().clone();
    assert_eq!(rows.len(), expected.len());
    for row in &rows {
        oracle::judge_loosely(row, &expected);
    }
    assert!(
        as_columns > 0 && as_columns < rows.len(),
        "{as_columns} of {} rows came as columns",
        rows.len()
    );
}
