//! Rows on their way into the server.

use std::pin::Pin;

use bytes::Bytes;
use cdk_core::{ConnectorError, Result};
use cdk_sql_postgres::tokio_postgres::{Client, CopyInSink};
use futures::SinkExt as _;

use crate::encode::{HEADER, TRAILER};
use crate::error::PgContext;

/// A `COPY … FROM STDIN` that is under way. It is given up when dropped.
pub(crate) struct Copy {
    sink: Pin<Box<CopyInSink<Bytes>>>,
    rows: u64,
}

impl std::fmt::Debug for Copy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copy")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl Copy {
    /// Starts it with this statement; `doing` names the table.
    pub(crate) async fn start(client: &Client, statement: &str, doing: &str) -> Result<Self> {
        let sink = client.copy_in(statement).await.pg(|| doing.to_owned())?;
        let mut copy = Self {
            sink: Box::pin(sink),
            rows: 0,
        };
        copy.send(Bytes::from_static(HEADER), 0, doing).await?;
        Ok(copy)
    }

    /// Sends rows. An error of the server may only show in [`Copy::finish`].
    pub(crate) async fn send(&mut self, rows: Bytes, count: u64, doing: &str) -> Result<()> {
        self.rows += count;
        self.sink.feed(rows).await.pg(|| doing.to_owned())
    }

    /// Ends it. All rows that were sent are in the table then, in the transaction that is open.
    pub(crate) async fn finish(mut self, doing: &str) -> Result<()> {
        let sent = self.rows;
        self.send(Bytes::from_static(TRAILER), 0, doing).await?;
        let written = self.sink.as_mut().finish().await.pg(|| doing.to_owned())?;
        if written == sent {
            return Ok(());
        }
        // A trigger or rule of the user may swallow rows: then what counts as durable would not be there.
        Err(ConnectorError::config(format!(
            "PostgreSQL took {written} of {sent} rows while {doing}: a trigger keeps the others out. Drop it, or let \
             it return every row."
        )))
    }
}
