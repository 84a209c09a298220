//! Every table as a stream. Pieces, states and cursors come with `TableStream`.

use std::sync::Arc;

use cdk_core::{BoxedStream, Result, Stream};
use cdk_sql::TableStream;

use crate::config::Config;
use crate::database;
use crate::dialect::Sqlite;

/// The streams of all tables.
pub fn all(config: &Config) -> Result<Vec<BoxedStream>> {
    let dialect = Arc::new(Sqlite::new(config.path.clone()));
    let tables = database::tables(&config.path)?;
    let streams = tables
        .into_iter()
        .map(|table| TableStream::new(Arc::clone(&dialect), table).boxed());
    Ok(streams.collect())
}
