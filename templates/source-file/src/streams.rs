//! The stream: every line of every file.

use std::path::PathBuf;

use cdk_core::protocol::{AirbyteStream, SyncMode};
use cdk_core::{Partitions, RecordSink, Result, Stream, StreamRequest};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::files;

/// A record: its JSON schema is the stream's.
#[derive(Serialize, JsonSchema)]
struct Record {
    file: String,
    line: u64,
    data: Map<String, Value>,
}

/// The state: the last line that was read.
#[derive(Default, PartialEq, PartialOrd, Serialize, Deserialize)]
struct Position {
    file: String,
    line: u64,
}

/// The lines of these files, in this order.
pub struct Records {
    /// The files, sorted by name.
    pub files: Vec<PathBuf>,
}

impl Stream for Records {
    type Partition = ();

    fn definition(&self) -> AirbyteStream {
        let modes = vec![SyncMode::FullRefresh, SyncMode::Incremental];
        AirbyteStream::new("records", schema_for!(Record).to_value(), modes)
            .with_source_cursor("file")
            .with_primary_key(["file", "line"])
    }

    async fn partitions(&self, _: &StreamRequest) -> Result<Partitions<()>> {
        Ok(Partitions::one(()))
    }

    async fn read(&self, _: (), request: &StreamRequest, sink: &mut RecordSink) -> Result<()> {
        let done: Position = request.state_as()?.unwrap_or_default();
        for path in &self.files {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if *name < *done.file {
                continue;
            }
            for line in files::lines(path)? {
                let (line, text) = line?;
                let position = Position {
                    file: name.to_string(),
                    line,
                };
                if position > done {
                    let data = files::parse(&text, path, line)?;
                    let file = name.to_string();
                    sink.record(&Record { file, line, data }).await?;
                    sink.checkpoint(&position).await?;
                }
            }
        }
        Ok(())
    }
}
