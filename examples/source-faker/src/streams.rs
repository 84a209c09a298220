//! The three streams, which differ in their rows only.

use std::marker::PhantomData;
use std::ops::RangeInclusive;

use airbyte_protocol::types::AirbyteType;
use airbyte_protocol::{
    AirbyteEstimateTraceMessage, AirbyteMessage, AirbyteStream, AirbyteTraceMessage, SyncMode,
};
use cdk_core::{Partitions, RecordSink, Result, Stream, StreamRequest};
use futures::stream;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use crate::config::FakerConfig;
use crate::position::{Plan, Position};
use crate::rows::{self, Product, Purchase, START, User};
use crate::timestamp::Timestamp;

/// What is particular about one stream.
pub(crate) trait Table: Send + Sync + 'static {
    const NAME: &'static str;
    /// About how long a row is as JSON, for estimates.
    const ROW_BYTES: i64;
    type Row: Serialize + JsonSchema + Send + Sync;

    fn count(config: &FakerConfig) -> i64;
    fn row(seed: i64, id: i64) -> Self::Row;
    fn updated_at(row: &mut Self::Row) -> &mut Timestamp;
}

pub(crate) struct Users;

impl Table for Users {
    const NAME: &'static str = "users";
    const ROW_BYTES: i64 = 520;
    type Row = User;

    fn count(config: &FakerConfig) -> i64 {
        config.count
    }

    fn row(seed: i64, id: i64) -> User {
        rows::user(seed, id)
    }

    fn updated_at(row: &mut User) -> &mut Timestamp {
        &mut row.updated_at
    }
}

pub(crate) struct Products;

impl Table for Products {
    const NAME: &'static str = "products";
    const ROW_BYTES: i64 = 150;
    type Row = Product;

    fn count(_: &FakerConfig) -> i64 {
        rows::PRODUCT_COUNT
    }

    fn row(_: i64, id: i64) -> Product {
        rows::product(id)
    }

    fn updated_at(row: &mut Product) -> &mut Timestamp {
        &mut row.updated_at
    }
}

pub(crate) struct Purchases;

impl Table for Purchases {
    const NAME: &'static str = "purchases";
    const ROW_BYTES: i64 = 230;
    type Row = Purchase;

    fn count(config: &FakerConfig) -> i64 {
        rows::purchase_count(config.seed, config.count)
    }

    fn row(seed: i64, id: i64) -> Purchase {
        rows::purchase(seed, id)
    }

    fn updated_at(row: &mut Purchase) -> &mut Timestamp {
        &mut row.updated_at
    }
}

/// A stream of the rows of `T`.
pub(crate) struct FakeStream<T> {
    config: FakerConfig,
    table: PhantomData<T>,
}

impl<T: Table> FakeStream<T> {
    pub(crate) fn new(config: &FakerConfig) -> Self {
        Self {
            config: config.clone(),
            table: PhantomData,
        }
    }

    /// The state of a run that has nothing to read: the one that came in, or the one before the first row.
    fn idle_position(&self, saved: Option<Position>, plan: &Plan) -> Position {
        let start = plan.round.unwrap_or(START);
        saved.unwrap_or_else(|| plan.position(0, start, self.config.seed))
    }

    fn estimate(&self, request: &StreamRequest, rows: i64) -> Result<()> {
        let stream = request.configured().stream.descriptor();
        let bytes = rows.saturating_mul(T::ROW_BYTES);
        let estimate = AirbyteEstimateTraceMessage::new(&stream, Some(rows), Some(bytes));
        let now = request.context().now_ms() as f64;
        let trace = AirbyteTraceMessage::estimate(now, estimate);
        request.context().emit(AirbyteMessage::Trace(trace))
    }
}

/// What one partition reads.
pub(crate) enum Slice {
    /// Rows, by their ids.
    Rows(Plan, RangeInclusive<i64>),
    /// No row is left; the state is emitted all the same.
    Nothing(Position),
}

impl<T: Table> Stream for FakeStream<T> {
    type Partition = Slice;

    fn definition(&self) -> AirbyteStream {
        let modes = vec![SyncMode::FullRefresh, SyncMode::Incremental];
        AirbyteStream::new(T::NAME, json_schema::<T::Row>(), modes)
            .with_primary_key(["id"])
            .with_source_cursor("updated_at")
            .with_resumable(true)
    }

    async fn partitions(&self, request: &StreamRequest) -> Result<Partitions<Slice>> {
        let saved: Option<Position> = request.state_as()?;
        let now = self
            .config
            .always_updated
            .then(|| request.context().now_ms());
        let now = now.map(Timestamp::from_ms);
        let plan = Plan::new(
            saved.as_ref(),
            self.config.seed,
            T::count(&self.config),
            now,
        )?;
        let Plan { after, rows, .. } = plan;
        self.estimate(request, rows.saturating_sub(after).max(0))?;
        if after >= rows {
            return Ok(Partitions::one(Slice::Nothing(
                self.idle_position(saved, &plan),
            )));
        }
        let step = usize::try_from(self.config.records_per_slice)
            .unwrap_or(usize::MAX)
            .max(1);
        let slices = (after..rows).step_by(step).map(move |before| {
            let last = before.saturating_add_unsigned(step as u64).min(rows);
            Ok(Slice::Rows(plan, before + 1..=last))
        });
        Ok(Partitions::lazy(stream::iter(slices)))
    }

    async fn read(&self, slice: Slice, _: &StreamRequest, sink: &mut RecordSink) -> Result<()> {
        let (plan, ids) = match slice {
            Slice::Rows(plan, ids) => (plan, ids),
            Slice::Nothing(position) => return sink.checkpoint(&position).await,
        };
        let seed = self.config.seed;
        let (last_id, mut last_at) = (*ids.end(), START);
        for id in ids {
            let mut row = T::row(seed, id);
            let updated_at = T::updated_at(&mut row);
            if let Some(at) = plan.round {
                *updated_at = at;
            }
            last_at = *updated_at;
            sink.record(&row).await?;
        }
        sink.checkpoint(&plan.position(last_id, last_at, seed))
            .await
    }
}

/// The schema of a row in Airbyte's own shapes, by way of its types: without the number formats and titles
/// that schemars adds.
fn json_schema<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let (data_type, is_nullable) = AirbyteType::from_json_schema(schema.as_value());
    data_type.to_json_schema(is_nullable)
}
