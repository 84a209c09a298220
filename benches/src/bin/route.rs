//! RECORD lines read back and routed by stream, beside serde's `RawValue` and a newline scan.

use std::hint::black_box;
use std::io::Read;

use airbyte_protocol::StreamDescriptor;
use airbyte_protocol::codec::{Line, LineSplitter, RecordEnvelope, scan};
use cdk_benches::{Contender, DISTINCT, orders, print, race, records_or};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    record: Record<'a>,
}

#[derive(Deserialize)]
struct Record<'a> {
    stream: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The lines of [`DISTINCT`] records of four streams, over and over, as a reader.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    left: u64,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.text[self.at..];
        let wanted = buffer
            .len()
            .min(rest.len())
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        buffer[..wanted].copy_from_slice(&rest[..wanted]);
        self.at = (self.at + wanted) % self.text.len();
        self.left -= wanted as u64;
        Ok(wanted)
    }
}

fn main() {
    let records = records_or(2_000_000) / DISTINCT as u64 * DISTINCT as u64;
    let mut text = Vec::new();
    for (at, order) in orders().iter().enumerate() {
        let stream = StreamDescriptor::new(["orders", "users", "products", "visits"][at % 4]);
        let data = serde_json::to_vec(order).expect("orders are JSON");
        RecordEnvelope::new(&stream)
            .stamp(1_767_323_045_000)
            .write(&mut text, &data);
    }
    let reader = |records: u64| Lines {
        text: &text,
        at: 0,
        left: text.len() as u64 * (records / DISTINCT as u64),
    };
    // Every contender reads in chunks, finds the lines and adds up bytes per stream.
    let split = |records: u64, each: &mut dyn FnMut(&[u8])| {
        let mut lines = LineSplitter::new(64 << 20);
        let mut reader = reader(records);
        while lines.fill_from(&mut reader).expect("memory can be read") > 0 {
            while let Some(line) = lines.next_line() {
                each(line.expect("lines are short"));
            }
        }
    };
    let serde = Contender::new("serde_json RawValue", |records| {
        let mut bytes = [0_usize; 4];
        split(records, &mut |line| {
            let message: Message<'_> = serde_json::from_slice(line).expect("lines are messages");
            bytes[route(message.record.stream)] += message.record.data.get().len();
        });
        black_box(bytes);
    });
    let ours = Contender::new("codec::scan", |records| {
        let mut bytes = [0_usize; 4];
        split(records, &mut |line| {
            if let Line::Record(record) = scan(line).expect("lines are messages") {
                bytes[route(&record.stream)] += record.data.len();
            }
        });
        black_box(bytes);
    });
    let newlines = Contender::new("finding line ends alone", |records| {
        let mut bytes = 0;
        split(records, &mut |line| bytes += line.len());
        black_box(bytes);
    });
    print(&race(
        "Reading RECORD lines back and routing them",
        records,
        7,
        &mut [serde, ours, newlines],
    ));
}

fn route(stream: &str) -> usize {
    match stream {
        "orders" => 0,
        "users" => 1,
        "products" => 2,
        _ => 3,
    }
}
