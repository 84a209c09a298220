//! Bodies that are decoded on their way.

use cdk_core::entrypoint::Exit;
use cdk_http::decode::{Gzip, Jsonl};
use cdk_testkit::http::{Fault, Faults, MockServer, Reply};
use serde_json::{Value, json};

use crate::source::{TestSource, ids};

const RECORDS: i64 = 20_000;

fn document() -> Value {
    let records: Vec<Value> = (0..RECORDS)
        .map(|id| json!({"id": id, "text": "é\"]}"}))
        .collect();
    json!({"data": records, "count": RECORDS})
}

fn streaming() -> TestSource {
    TestSource::new(|api| {
        Ok(vec![
            api.stream("items", "/x")
                .records_at("data")
                .page_bytes(1000),
        ])
    })
}

#[tokio::test]
async fn a_long_body_that_breaks_off_goes_on_where_it_was() {
    let text = document().to_string();
    let mut faults = Faults::first([Fault::CutBody, Fault::Status(503), Fault::CutBody]);
    let body = text.clone();
    let server =
        MockServer::serve(move |request| faults.apply(request, Reply::new(200, body.clone())))
            .await;
    let ran = streaming().read(&server.url()).await.succeeded();
    assert_eq!(ids(&ran, "items"), (0..RECORDS).collect::<Vec<_>>());
    assert_eq!(server.requests().len(), 4);
    // What changed meanwhile can't be put together.
    let mut count = 0;
    let server = MockServer::serve(move |_| {
        count += 1;
        let changed = text.replacen("\"id\":1,", "\"id\":7,", count - 1);
        let half = text.len() / 2;
        Reply::new(200, changed).cut_at(half)
    })
    .await;
    let ran = streaming().read(&server.url()).await;
    assert_eq!(ran.exit, Exit::Failure);
    assert!(
        ran.error().message.contains("something else"),
        "{:?}",
        ran.error()
    );
}

#[tokio::test]
async fn a_long_body_in_small_chunks_is_the_same() {
    let body = document().to_string();
    let server = MockServer::serve(move |_| Reply::new(200, body.clone()).chunked(777)).await;
    let ran = streaming().read(&server.url()).await.succeeded();
    assert_eq!(ids(&ran, "items").len() as i64, RECORDS);
}

#[tokio::test]
async fn packed_lines_are_unpacked_on_their_way() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for id in 0..RECORDS {
        writeln!(encoder, "{{\"id\":{id}}}").unwrap();
    }
    let body = encoder.finish().unwrap();
    // Once as a file that is packed, once as a transfer that is.
    for is_transfer in [false, true] {
        let body = body.clone();
        let server = MockServer::serve(move |_| {
            let reply = Reply::new(200, body.clone());
            match is_transfer {
                true => reply.header("content-encoding", "gzip"),
                false => reply,
            }
        })
        .await;
        let source = TestSource::new(|api| {
            let stream = api.stream("items", "/x").decode(Gzip(Jsonl::new()));
            Ok(vec![stream.page_bytes(1000)])
        });
        let ran = source.read(&server.url()).await.succeeded();
        assert_eq!(ids(&ran, "items").len() as i64, RECORDS);
    }
}
