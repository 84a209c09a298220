//! A destination of in-memory tables that survive it, as a database survives a client: loaded rows are
//! durable only after a commit, and an overwrite is visible only after its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use airbyte_protocol::{ConfiguredAirbyteCatalog, ConfiguredAirbyteStream, DestinationSyncMode};
use cdk_core::{
    Capabilities, CommitStats, ConnectorError, Context, Destination, RecordBatch, Result,
    StreamEnd, StreamLoader, WriteSettings,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    /// What a reader sees, and the generation that replaced what stood there before.
    pub(crate) visible: Vec<Value>,
    pub(crate) generation: i64,
    /// Committed aside, with its generation.
    pub(crate) staged: Option<(i64, Vec<Value>)>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Database(pub(crate) Arc<Mutex<BTreeMap<String, Table>>>);

impl Database {
    pub(crate) fn ids(&self, table: &str) -> Vec<u64> {
        let tables = self.0.lock().unwrap();
        let rows = tables
            .get(table)
            .map(|table| table.visible.clone())
            .unwrap_or_default();
        rows.iter().map(|row| row["id"].as_u64().unwrap()).collect()
    }

    /// Ids of all rows a crash would leave, visible or staged.
    pub(crate) fn durable_ids(&self, table: &str) -> Vec<u64> {
        let tables = self.0.lock().unwrap();
        let Some(table) = tables.get(table) else {
            return vec![];
        };
        let staged = table.staged.iter().flat_map(|(_, rows)| rows);
        table
            .visible
            .iter()
            .chain(staged)
            .map(|row| row["id"].as_u64().unwrap())
            .collect()
    }
}

/// The n-th call (from 1) of an operation goes wrong.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) operation: &'static str,
    pub(crate) at: u64,
    pub(crate) action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Action {
    RejectBefore,
    FailAfter,
    Hang,
    Slow(Duration),
}

/// Operations counted over the life of the destination, with the faults they meet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    faults: Vec<Fault>,
    calls: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

impl Script {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self {
            faults,
            calls: Arc::default(),
        }
    }

    async fn before(&self, operation: &'static str) -> Result<Option<Action>> {
        let call = {
            let mut calls = self.calls.lock().unwrap();
            let call = calls.entry(operation).or_default();
            *call += 1;
            *call
        };
        let fault = self
            .faults
            .iter()
            .find(|fault| fault.operation == operation && fault.at == call);
        let action = fault.map(|fault| fault.action);
        match action {
            Some(Action::RejectBefore) => return Err(ConnectorError::transient("rejected before")),
            Some(Action::Hang) => tokio::time::sleep(Duration::from_secs(3600)).await,
            Some(Action::Slow(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
        Ok(action)
    }

    fn after(action: Option<Action>) -> Result<()> {
        match action {
            Some(Action::FailAfter) => Err(ConnectorError::transient("failed after the write")),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Tables {
    pub(crate) database: Database,
    pub(crate) script: Script,
    pub(crate) commit_bytes: u64,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NoConfig {}

impl Destination for Tables {
    type Config = NoConfig;
    type Loader = Loader;

    fn capabilities(&self) -> Capabilities {
        use DestinationSyncMode::{Append, AppendDedup, Overwrite};
        let mut capabilities = Capabilities::new([Append, AppendDedup, Overwrite]);
        capabilities.can_resume_overwrite = true;
        capabilities
    }

    async fn check(&self, _: &NoConfig, _: &Context) -> Result<()> {
        Ok(())
    }

    async fn open(
        &self,
        _: &NoConfig,
        catalog: &ConfiguredAirbyteCatalog,
        _: &Context,
    ) -> Result<Vec<Loader>> {
        self.script.before("open").await?;
        let loaders = catalog.streams.iter().map(|stream| Loader {
            database: self.database.clone(),
            script: self.script.clone(),
            stream: stream.clone(),
            open: Vec::new(),
        });
        Ok(loaders.collect())
    }

    fn write_settings(&self, _: &NoConfig) -> WriteSettings {
        let mut settings = WriteSettings::default();
        settings.commit_bytes = self.commit_bytes;
        settings
    }
}

pub(crate) struct Loader {
    database: Database,
    script: Script,
    stream: ConfiguredAirbyteStream,
    open: Vec<Value>,
}

impl Loader {
    fn is_staged(&self) -> bool {
        let tables = self.database.0.lock().unwrap();
        let visible = tables
            .get(&self.stream.descriptor().to_string())
            .map(|table| table.generation);
        // After a crash behind the swap the generation is visible already: go on in it.
        let minimum = self.stream.minimum_generation_id.unwrap_or(0);
        minimum > 0 && visible != self.stream.generation_id
    }
}

impl StreamLoader for Loader {
    async fn load(&mut self, batch: RecordBatch) -> Result<()> {
        let action = self.script.before("load").await?;
        let rows = batch.json().iter();
        self.open
            .extend(rows.map(|row| serde_json::from_str::<Value>(row.data).unwrap()));
        Script::after(action)
    }

    async fn commit(&mut self) -> Result<CommitStats> {
        let action = self.script.before("commit").await?;
        let (is_staged, generation) = (self.is_staged(), self.stream.generation_id.unwrap_or(0));
        let is_dedup = self.stream.destination_sync_mode == DestinationSyncMode::AppendDedup;
        let mut tables = self.database.0.lock().unwrap();
        let table = tables
            .entry(self.stream.descriptor().to_string())
            .or_default();
        if is_staged
            && table
                .staged
                .as_ref()
                .is_none_or(|(of, _)| *of != generation)
        {
            table.staged = Some((generation, Vec::new()));
        }
        let rows = match &mut table.staged {
            Some((_, rows)) if is_staged => rows,
            _ => &mut table.visible,
        };
        for row in self.open.drain(..) {
            if is_dedup || self.stream.minimum_generation_id > Some(0) {
                rows.retain(|old| old["id"] != row["id"]);
            }
            rows.push(row);
        }
        drop(tables);
        Script::after(action).map(|()| CommitStats::default())
    }

    async fn finish(self, end: StreamEnd) -> Result<()> {
        let action = self.script.before("finish").await?;
        if end == StreamEnd::Complete && self.is_staged() {
            let mut tables = self.database.0.lock().unwrap();
            let table = tables
                .entry(self.stream.descriptor().to_string())
                .or_default();
            table.visible = table
                .staged
                .take()
                .map(|(_, rows)| rows)
                .unwrap_or_default();
            table.generation = self.stream.generation_id.unwrap_or(0);
        }
        Script::after(action)
    }
}
