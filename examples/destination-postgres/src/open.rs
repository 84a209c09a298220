//! Prepares the tables of a sync before its first record.

use airbyte_protocol::{ConfiguredAirbyteCatalog, ConfiguredAirbyteStream, StreamDescriptor};
use cdk_core::Result;
use cdk_core::destination::columns::Columns;
use cdk_core::destination::generation::{Found, Generation, Target};
use cdk_core::destination::meta_columns::MetaWriter;
use cdk_core::destination::names::hash;
use cdk_sql_postgres::tokio_postgres::Client;

use crate::catalog;
use crate::config::Config;
use crate::encode::Encoder;
use crate::error::PgContext;
use crate::layout::{Layout, Role, Shape};
use crate::merge;
use crate::names::{self, TableName, quoted};
use crate::normalize::{self, Entries, Normalizer};
use crate::pool::Pool;
use crate::registry::{self, Entry, Registry};
use crate::table::Table;
use crate::writer::Writer;

/// A stream whose table is ready for rows.
#[derive(Debug)]
pub(crate) struct OpenStream {
    /// Normalizes the raw table when the stream is complete.
    pub(crate) normalizer: Option<Normalizer>,
    pub(crate) writer: Writer,
    /// Where the rows go.
    pub(crate) table: Table,
    pub(crate) generation: Generation,
    pub(crate) target: Target,
    /// The table that users see.
    pub(crate) visible: TableName,
}

/// Where streams are written.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) registry: Registry,
    pub(crate) internal: String,
    pub(crate) drop_cascade: bool,
}

/// Prepares all streams, in the order of the catalog. Names are checked before anything is touched; each stream's
/// table is prepared in a transaction of its own.
pub(crate) async fn open(
    pool: &Pool,
    catalog: &ConfiguredAirbyteCatalog,
    config: &Config,
) -> Result<(Place, Vec<OpenStream>)> {
    let layout = config.layout();
    let table = |stream: &ConfiguredAirbyteStream| visible(config, layout, &stream.descriptor());
    let tables = catalog
        .streams
        .iter()
        .map(table)
        .collect::<Result<Vec<_>>>()?;
    let descriptors: Vec<_> = catalog
        .streams
        .iter()
        .map(|stream| stream.descriptor())
        .collect();
    names::check_tables(descriptors.iter().zip(&tables))?;
    let internal = names::RULES.name(&config.raw_data_schema);
    let place = Place {
        registry: Registry::new(&internal),
        internal,
        drop_cascade: config.drop_cascade,
    };
    let lease = pool.lease().await?;
    place.registry.create(lease.client()).await?;
    let mut opened = Vec::with_capacity(tables.len());
    for (stream, visible) in catalog.streams.iter().zip(tables) {
        lease.begin().await?;
        let client = lease.client();
        let ready = open_stream(client, stream, visible, config, &place).await;
        let committed = match ready {
            Ok(ready) => {
                let doing = || format!("preparing table {}", ready.visible);
                client
                    .batch_execute("COMMIT")
                    .await
                    .pg(doing)
                    .map(|()| ready)
            }
            Err(error) => Err(error),
        };
        opened.push(committed.map_err(|error| error.with_stream(&stream.descriptor()))?);
    }
    if let Some(settings) = config.normalization.settings() {
        let normalizers = normalize::of_catalog(pool, catalog, config, &settings)?;
        Entries::new(&place.internal).create(lease.client()).await?;
        let group = group(&descriptors);
        for (stream, normalizer) in opened.iter_mut().zip(normalizers) {
            normalizer.note(&lease, &settings, &group).await?;
            stream.normalizer = Some(normalizer);
        }
    }
    lease.give_back();
    Ok((place, opened))
}

/// The same for the same streams, whatever their order.
fn group(streams: &[StreamDescriptor]) -> String {
    let mut names: Vec<_> = streams.iter().map(ToString::to_string).collect();
    names.sort();
    format!("{:016x}", hash(&names.join("\n")))
}

/// The table that users see of a stream.
pub(crate) fn visible(
    config: &Config,
    layout: Layout,
    stream: &StreamDescriptor,
) -> Result<TableName> {
    match layout {
        Layout::Typed => names::typed(&config.schema, stream),
        Layout::RawV1 => Ok(names::raw_v1(&config.schema, stream)),
        Layout::RawV2 => Ok(names::raw_v2(
            &config.raw_data_schema,
            &config.schema,
            stream,
        )),
    }
}

async fn open_stream(
    client: &Client,
    stream: &ConfiguredAirbyteStream,
    visible: TableName,
    config: &Config,
    place: &Place,
) -> Result<OpenStream> {
    let generation = Generation::of(stream);
    let columns = Columns::of(stream);
    let shape = match config.layout() {
        Layout::Typed => Shape::typed(stream, &columns, config.removes_deleted())?,
        raw => Shape::raw(stream, raw),
    };
    registry::create_schema(client, &visible.schema).await?;
    let staging = visible.staging(&place.internal);
    let entry = place
        .registry
        .find(client, &visible, &stream.descriptor())
        .await?;
    let mut entry = entry.unwrap_or_default();
    let found = found(client, &visible, &staging, &entry).await?;
    let target = generation.target(found);
    if target != Target::ResumedStage {
        Table::drop(client, &staging).await?;
    }
    let name = if target.is_staged() {
        staging
    } else {
        visible.clone()
    };
    let mut table = Table::new(name, shape);
    for change in table
        .ensure(client, &entry.columns, place.drop_cascade)
        .await?
    {
        tracing::info!("Table `{visible}`: {change}.");
    }
    if target.is_staged() {
        // What is not ours is refused now, not after hours of loading.
        if let Some(existing) = catalog::columns(client, &visible).await? {
            table.check_ours(&visible, &existing)?;
        }
    } else {
        index(client, &table).await?;
    }
    remember(&mut entry, &table);
    entry.staging_generation_id = generation.id().filter(|_| target.is_staged());
    place
        .registry
        .save(client, &visible, stream, &entry)
        .await?;
    let encoder = Encoder::new(server_version(client).await?);
    let meta = MetaWriter::new(stream);
    let mut writer = Writer::new(&table, columns, encoder, meta, generation.column_value());
    if table.shape.layout == Layout::Typed
        && table.set_default_meta(client, writer.plain_meta()).await?
    {
        writer.leave_out_plain_meta();
    }
    if table.shape.layout != Layout::Typed {
        writer.start_ids_at(last_id_ms(client, &table).await? + 1);
    }
    Ok(OpenStream {
        normalizer: None,
        writer,
        table,
        generation,
        target,
        visible,
    })
}

/// Makes the index over the key of a table that users see, after merging the rows that stand in its way.
async fn index(client: &Client, table: &Table) -> Result<()> {
    if table.shape.is_deduped && !table.has_key_index(client).await? {
        merge::merge_in_place(client, table).await?;
    }
    table.ensure_key_index(client).await
}

async fn found(
    client: &Client,
    visible: &TableName,
    staging: &TableName,
    entry: &Entry,
) -> Result<Found> {
    let is_staged = catalog::columns(client, staging).await?.is_some();
    // Users may have dropped the table.
    let is_visible = catalog::columns(client, visible).await?.is_some();
    Ok(Found {
        visible: entry.generation_id.filter(|_| is_visible),
        staged: is_staged.then_some(entry.staging_generation_id),
    })
}

fn remember(entry: &mut Entry, table: &Table) {
    for column in &table.shape.columns {
        if matches!(column.role, Role::Field(_)) && !entry.columns.contains(&column.name) {
            entry.columns.push(column.name.clone());
        }
    }
}

pub(crate) async fn server_version(client: &Client) -> Result<i32> {
    let doing = || "asking for the server's version".to_owned();
    let row = client
        .query_one("SELECT current_setting('server_version_num')::int", &[])
        .await
        .pg(doing)?;
    row.try_get(0).pg(doing)
}

/// The time in the greatest id of a raw table, in milliseconds since the Unix epoch: ids grow from run to run, even
/// when the clock is set back.
async fn last_id_ms(client: &Client, table: &Table) -> Result<i64> {
    let Some(id) = table.shape.name_of(Role::RawId) else {
        return Ok(0);
    };
    let doing = || format!("looking up the last id of table {}", table.name);
    let select = format!(
        "SELECT {id} FROM {} ORDER BY {id} COLLATE \"C\" DESC LIMIT 1",
        table.quoted(),
        id = quoted(id)
    );
    let row = client.query_opt(&select, &[]).await.pg(doing)?;
    let Some(row) = row else { return Ok(0) };
    let id: String = row.try_get(0).pg(doing)?;
    let digits: String = id.chars().filter(|char| *char != '-').take(12).collect();
    // Ids that another program wrote tell no time.
    let is_ours = id.get(14..15) == Some("7");
    Ok(i64::from_str_radix(&digits, 16)
        .ok()
        .filter(|_| is_ours)
        .unwrap_or(0))
}
