//! The loader of one stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airbyte_protocol::StreamDescriptor;
use cdk_core::{CommitStats, ConnectorError, RecordBatch, Result, StreamEnd, StreamLoader};

use crate::config::{Fault, FaultOperation};
use crate::faults::{self, FaultScript};
use crate::recorder::StreamRecorder;
use crate::sampling::Sampler;

/// What loaders do with records.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    Silent,
    Logging(Sampler),
    Failing {
        num_messages: u64,
        seen: Arc<AtomicU64>,
    },
    Throttled {
        millis_per_record: u64,
    },
    Faults {
        faults: Arc<[Fault]>,
        script: FaultScript,
    },
}

/// Takes the records of one stream.
#[derive(Debug)]
pub struct DevNullLoader {
    stream: StreamDescriptor,
    behaviour: Behaviour,
    recorder: Option<StreamRecorder>,
}

impl DevNullLoader {
    pub(crate) fn new(
        stream: StreamDescriptor,
        behaviour: Behaviour,
        recorder: Option<StreamRecorder>,
    ) -> Self {
        Self {
            stream,
            behaviour,
            recorder,
        }
    }

    /// The fault that this call of `operation` meets. Counts the call.
    fn fault(&self, operation: FaultOperation) -> Option<Fault> {
        match &self.behaviour {
            Behaviour::Faults { faults, script } => script.next(faults, &self.stream, operation),
            _ => None,
        }
    }

    async fn behave(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.len() as u64;
        match &mut self.behaviour {
            Behaviour::Silent | Behaviour::Faults { .. } => Ok(()),
            Behaviour::Logging(sampler) => {
                log(&self.stream, sampler, batch);
                Ok(())
            }
            Behaviour::Failing { num_messages, seen } => {
                let seen = seen.fetch_add(rows, Ordering::Relaxed) + rows;
                if seen <= *num_messages {
                    Ok(())
                } else {
                    Err(failed(*num_messages))
                }
            }
            Behaviour::Throttled { millis_per_record } => {
                let millis = millis_per_record.saturating_mul(rows);
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(())
            }
        }
    }
}

impl StreamLoader for DevNullLoader {
    async fn load(&mut self, batch: RecordBatch) -> Result<()> {
        let fault = self.fault(FaultOperation::Load);
        before(fault.as_ref()).await?;
        self.behave(&batch).await?;
        if let Some(recorder) = &mut self.recorder {
            recorder.load(&batch);
        }
        after(fault.as_ref())
    }

    async fn commit(&mut self) -> Result<CommitStats> {
        let fault = self.fault(FaultOperation::Commit);
        before(fault.as_ref()).await?;
        if let Some(recorder) = &mut self.recorder {
            recorder.commit();
        }
        after(fault.as_ref())?;
        Ok(CommitStats::default())
    }

    async fn finish(self, end: StreamEnd) -> Result<()> {
        let fault = self.fault(FaultOperation::Finish);
        before(fault.as_ref()).await?;
        if let Some(recorder) = &self.recorder {
            recorder.finish(end);
        }
        after(fault.as_ref())
    }
}

async fn before(fault: Option<&Fault>) -> Result<()> {
    match fault {
        Some(fault) => faults::before(fault).await,
        None => Ok(()),
    }
}

fn after(fault: Option<&Fault>) -> Result<()> {
    fault.map_or(Ok(()), faults::after)
}

/// Here, and only here, records are logged: that is what this destination is for.
fn log(stream: &StreamDescriptor, sampler: &mut Sampler, batch: &RecordBatch) {
    for row in batch.json().iter() {
        if let Some(number) = sampler.next() {
            tracing::info!("Record {number} of stream {stream}: {}", row.data);
        }
    }
}

fn failed(num_messages: u64) -> ConnectorError {
    ConnectorError::config(format!(
        "The destination is configured to fail after {num_messages} records. Raise `num_messages` or \
         choose another `test_destination` to go on."
    ))
}
