//! Records from a typed stream to stdout, beside a bare serde_json loop and a bare copy.
//!
//! Pin it to one core (`taskset -c 1`) to compare like with like: our path has a reader and a writer.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{Arc, Mutex};

use airbyte_protocol::{AirbyteStream, SyncMode};
use cdk_benches::{Contender, DISTINCT, Order, orders, print, race, records_or};
use cdk_core::entrypoint::{self, Connector, Invocation};
use cdk_core::{
    BoxedStream, Context, Partitions, RecordSink, Result, Source, Stream, StreamRequest,
    SystemClock,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize)]
struct Message<'a> {
    r#type: &'a str,
    record: Record<'a>,
}

#[derive(Serialize)]
struct Record<'a> {
    stream: &'a str,
    data: &'a Order,
    emitted_at: i64,
}

#[derive(Deserialize, JsonSchema)]
struct Config {}

/// What a read emits.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Typed,
    Raw,
}

#[derive(Clone)]
struct Emitter {
    how: How,
    records: u64,
    orders: Arc<Vec<Order>>,
    texts: Arc<Vec<String>>,
}

impl Source for Emitter {
    type Config = Config;

    async fn check(&self, _: &Config, _: &Context) -> Result<()> {
        Ok(())
    }

    async fn streams(&self, _: &Config, _: &Context) -> Result<Vec<BoxedStream>> {
        Ok(vec![self.clone().boxed()])
    }
}

impl Stream for Emitter {
    type Partition = ();

    fn definition(&self) -> AirbyteStream {
        AirbyteStream::new("orders", serde_json::json!({}), vec![SyncMode::FullRefresh])
    }

    async fn partitions(&self, _: &StreamRequest) -> Result<Partitions<()>> {
        Ok(Partitions::one(()))
    }

    async fn read(&self, (): (), _: &StreamRequest, sink: &mut RecordSink) -> Result<()> {
        for at in 0..self.records as usize {
            match self.how {
                How::Typed => sink.record(&self.orders[at % DISTINCT]).await?,
                How::Raw => sink.raw_record(&self.texts[at % DISTINCT]).await?,
            }
        }
        Ok(())
    }
}

fn dev_null() -> File {
    OpenOptions::new()
        .write(true)
        .open("/dev/null")
        .expect("/dev/null is there")
}

/// Runs `read` as a connector's main would, with stdout at /dev/null.
fn read(runtime: &tokio::runtime::Runtime, dir: &std::path::Path, source: Emitter) {
    let file = |name: &str| dir.join(name).into_os_string();
    let invocation = Invocation {
        args: vec![
            "read".into(),
            "--config".into(),
            file("config.json"),
            "--catalog".into(),
            file("catalog.json"),
        ],
        env: |_| None,
        stdin: Box::new(std::io::empty()),
        stdout: Box::new(dev_null()),
        clock: Arc::new(SystemClock),
        stop: CancellationToken::new(),
    };
    let exit = runtime.block_on(entrypoint::run(
        Connector::Source(Arc::new(source)),
        invocation,
    ));
    assert_eq!(exit.code(), 0, "the read failed");
}

fn main() -> std::io::Result<()> {
    let records = records_or(1_000_000);
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("config.json"), "{}")?;
    let catalog = serde_json::json!({"streams": [{"stream": {"name": "orders", "json_schema": {},
        "supported_sync_modes": ["full_refresh"]}, "sync_mode": "full_refresh",
        "destination_sync_mode": "append"}]});
    std::fs::write(dir.path().join("catalog.json"), catalog.to_string())?;
    let orders = Arc::new(orders());
    let texts: Arc<Vec<String>> = Arc::new(
        orders
            .iter()
            .map(|order| serde_json::to_string(order).expect("orders are JSON"))
            .collect(),
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let emitter = |how, records| Emitter {
        how,
        records,
        orders: Arc::clone(&orders),
        texts: Arc::clone(&texts),
    };
    let out = Mutex::new((dev_null(), Vec::<u8>::new()));
    let emit = |records: u64, each: &dyn Fn(&mut Vec<u8>, usize)| {
        let mut out = out.lock().expect("no other thread");
        let (file, buffer) = &mut *out;
        for at in 0..records as usize {
            each(buffer, at % DISTINCT);
            if buffer.len() >= 64 << 10 {
                file.write_all(buffer).expect("/dev/null takes all");
                buffer.clear();
            }
        }
    };
    let bare = Contender::new("bare serde_json loop, same struct", |records| {
        emit(records, &|buffer, at| {
            let record = Record {
                stream: "orders",
                data: &orders[at],
                emitted_at: 1_767_323_045_000,
            };
            serde_json::to_writer(
                &mut *buffer,
                &Message {
                    r#type: "RECORD",
                    record,
                },
            )
            .expect("JSON");
            buffer.push(b'\n');
        });
    });
    let ours = Contender::new("cdk typed stream → read → stdout", |records| {
        read(&runtime, dir.path(), emitter(How::Typed, records));
    });
    print(&race(
        "Emitting typed records",
        records,
        7,
        &mut [bare, ours],
    ));
    let copy = Contender::new("bare copy into the envelope", |records| {
        emit(records, &|buffer, at| {
            buffer.extend_from_slice(br#"{"type":"RECORD","record":{"stream":"orders","data":"#);
            buffer.extend_from_slice(texts[at].as_bytes());
            buffer.extend_from_slice(b",\"emitted_at\":1767323045000}}\n");
        });
    });
    let ours = Contender::new("cdk raw records → read → stdout", |records| {
        read(&runtime, dir.path(), emitter(How::Raw, records));
    });
    print(&race(
        "Passing serialised records through",
        records * 5,
        7,
        &mut [copy, ours],
    ));
    Ok(())
}
