//! Runs the connector in process, exactly as its executable does, and reads the objects.

use arrow_array::RecordBatch;
use bytes::Bytes;
use cdk_core::arrow::ArrowRows;
use cdk_testkit::servers::s3::S3Server;
use cdk_testkit::{Files, Ran, Run, StreamSpec};
use destination_s3::S3Destination;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;
use serde_json::{Value, json};

/// A bucket of its own, and a config for it.
pub(crate) struct Lake {
    pub(crate) server: S3Server,
    pub(crate) config: Value,
    files: Files,
}

/// The config of a server's bucket.
pub(crate) fn config(server: &S3Server) -> Value {
    json!({
        "access_key_id": S3Server::ACCESS_KEY, "secret_access_key": S3Server::SECRET_KEY,
        "s3_bucket_name": S3Server::BUCKET, "s3_bucket_path": "data/${NAMESPACE}/${STREAM_NAME}",
        "s3_endpoint": server.endpoint(),
        "format": {"format_type": "Parquet", "compression_codec": "ZSTD"},
    })
}

impl Lake {
    pub(crate) fn new() -> Self {
        let server = S3Server::start();
        Self {
            config: config(&server),
            server,
            files: Files::new(),
        }
    }

    pub(crate) fn with_format(format: Value) -> Self {
        let mut lake = Self::new();
        lake.config["format"] = format;
        lake
    }

    /// Runs `write` over these messages; `now_ms` is when the run begins.
    pub(crate) async fn write(
        &self,
        now_ms: i64,
        streams: &[&StreamSpec],
        messages: &[Value],
    ) -> Ran {
        let lines: String = messages.iter().map(|line| format!("{line}\n")).collect();
        self.write_raw(now_ms, streams, lines).await
    }

    pub(crate) async fn write_raw(
        &self,
        now_ms: i64,
        streams: &[&StreamSpec],
        stdin: impl Into<Vec<u8>>,
    ) -> Ran {
        let write = self
            .verb("write")
            .file(&self.files, "catalog", &StreamSpec::catalog(streams));
        write
            .stdin(stdin)
            .at(now_ms)
            .destination(S3Destination)
            .await
    }

    pub(crate) async fn check(&self) -> Ran {
        self.verb("check").destination(S3Destination).await
    }

    fn verb(&self, verb: &str) -> Run {
        Run::new(verb).file(&self.files, "config", &self.config)
    }

    /// The keys of data objects, without what the destination keeps for itself.
    pub(crate) fn data_keys(&self) -> Vec<String> {
        data_keys(&self.server)
    }

    /// The rows of all Parquet objects whose key begins with `prefix`, in the order of the keys.
    pub(crate) fn rows(&self, prefix: &str) -> Vec<Value> {
        rows(&self.server, prefix)
    }
}

pub(crate) fn data_keys(server: &S3Server) -> Vec<String> {
    let mut keys = server.keys("");
    keys.retain(|key| !key.contains(".airbyte/"));
    keys
}

pub(crate) fn rows(server: &S3Server, prefix: &str) -> Vec<Value> {
    let keys = data_keys(server)
        .into_iter()
        .filter(|key| key.starts_with(prefix));
    keys.flat_map(|key| parquet_rows(server.read(&key)))
        .collect()
}

/// The rows of a Parquet file as JSON.
pub(crate) fn parquet_rows(file: Vec<u8>) -> Vec<Value> {
    let batches = parquet_batches(file);
    let rows = batches.into_iter().flat_map(|batch| {
        let rows = ArrowRows::try_new(batch, 0).unwrap();
        let rows = rows
            .json()
            .iter()
            .map(|row| serde_json::from_str(row.data).unwrap());
        rows.collect::<Vec<Value>>()
    });
    rows.collect()
}

pub(crate) fn parquet_batches(file: Vec<u8>) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

pub(crate) fn parquet_metadata(file: Vec<u8>) -> ParquetMetaData {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
    reader.metadata().as_ref().clone()
}

/// A stream of whole numbers in namespace `public`.
pub(crate) fn ids(mode: &str) -> StreamSpec {
    let mut stream = StreamSpec::new("t", mode, json!({"id": {"type": "integer"}}));
    stream.namespace = Some("public".to_owned());
    stream
}

/// The ids of rows.
pub(crate) fn ids_of(rows: &[Value]) -> Vec<i64> {
    let mut ids: Vec<_> = rows.iter().map(|row| row["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids
}
