//! What becomes of the parts of an answer, in whole reads.

use std::io::{Cursor, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cdk_core::entrypoint::Exit;
use cdk_http::header::HeaderMap;
use cdk_http::{Request, Response, ResponseBody, StatusCode};
use serde_json::{Value, json};

use crate::api::{Answers, error, pages, read, records, source, stream};

/// Lists `a` and `b`, of which each page has two places.
fn two_lists(asked: &str) -> (u16, Value) {
    match asked {
        "/items?limit=2" => (200, json!({"a": [{"id": 1}, null], "b": [{"id": 10}]})),
        "/items?page=1&limit=2" => (200, json!({"a": [{"id": 2}], "b": [{"id": 20}]})),
        other => (404, json!({ "message": other })),
    }
}

fn combined(mode: &str, strategy: &str) -> Value {
    let option = |name: &str| json!({"type": "RequestOption", "inject_into": "request_parameter", "field_name": name});
    let path = |path: &str| json!({"type": "DpathExtractor", "field_path": [path]});
    stream(
        "items",
        json!({"retriever": {
            "record_selector": {"extractor": {
                "type": "CombinedExtractor", "mode": mode, "skip_empty_records": true,
                "extractors": [path("a"), path("b")]
            }},
            "paginator": {
                "type": "DefaultPaginator",
                "page_token_option": option("page"),
                "page_size_option": option("limit"),
                "pagination_strategy": {"type": strategy, "page_size": 2}
            }
        }}),
    )
}

#[tokio::test]
async fn records_that_are_left_out_count_for_the_size_of_their_page() {
    let items = combined("first_match", "PageIncrement");
    let (exit, messages) = read(source(&[items], two_lists), &["items"]).await;
    assert_eq!(exit, Exit::Success, "{messages:?}");
    assert_eq!(
        records(&messages, "items"),
        [&json!({"id": 1}), &json!({"id": 2})]
    );
}

#[tokio::test]
async fn records_of_several_lists_are_no_offset() {
    let items = combined("union", "OffsetIncrement");
    let (exit, messages) = read(source(&[items], two_lists), &["items"]).await;
    assert_eq!(exit, Exit::Failure);
    assert!(
        error(&messages).contains("first_match"),
        "{}",
        error(&messages)
    );
}

fn contacts(asked: &str) -> (u16, Value) {
    match asked {
        "/properties" => (200, json!({"data": [{"name": "email"}, {"name": "phone"}]})),
        "/contacts?fields=email%7Cphone" => (200, json!({"data": [{"id": 1}]})),
        other => (404, json!({ "message": other })),
    }
}

#[tokio::test]
async fn the_older_spelling_fetches_properties_too() {
    let retriever = stream("properties", json!({}))["retriever"].clone();
    let fields = "{{ stream_partition.extra_fields['query_properties'] | join('|') }}";
    let contacts_stream = stream(
        "contacts",
        json!({"retriever": {"requester": {
            "request_parameters": {"fields": fields},
            "fetch_properties_from_endpoint": {
                "type": "PropertiesFromEndpoint", "property_field_path": ["name"], "retriever": retriever
            }
        }}}),
    );
    let (exit, messages) = read(source(&[contacts_stream], contacts), &["contacts"]).await;
    assert_eq!(exit, Exit::Success, "{messages:?}");
    assert_eq!(records(&messages, "contacts"), [&json!({"id": 1})]);
}

/// The records of a stream whose only answer is this one.
async fn decoded(decoder: Value, body: Vec<u8>) -> Vec<Value> {
    let items = stream(
        "items",
        json!({"retriever": {
            "decoder": decoder, "record_selector": {"extractor": {"field_path": []}}
        }}),
    );
    let body = Bytes::from(body);
    let answer = move |request: &Request| {
        Response::new(
            StatusCode::OK,
            HeaderMap::new(),
            request.url.clone(),
            body.clone(),
        )
    };
    let source = source(&[items], pages).with_transport(Arc::new(Answers(answer)));
    let (exit, messages) = read(source, &["items"]).await;
    assert_eq!(exit, Exit::Success, "{messages:?}");
    records(&messages, "items").into_iter().cloned().collect()
}

#[tokio::test]
async fn all_files_of_an_archive_are_read_in_their_order() {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [("b.csv", "id,n\n1,x\n"), ("a.csv", "id,n\n2,y\n3,z\n")] {
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file(name, options).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    let body = archive.finish().unwrap().into_inner();
    let decoder = json!({"type": "ZipfileDecoder", "decoder": {"type": "CsvDecoder"}});
    assert_eq!(
        decoded(decoder, body).await,
        [
            json!({"id": "1", "n": "x"}),
            json!({"id": "2", "n": "y"}),
            json!({"id": "3", "n": "z"}),
        ]
    );
}

#[tokio::test]
async fn items_are_read_out_of_the_middle_of_a_long_document() {
    // Longer than what is kept in memory.
    let filler = "x".repeat(17 << 20);
    let body = format!(
        r#"{{"before": "{filler}", "a": {{"items": [{{"id": 1}}, {{"id": 2}}]}}, "after": []}}"#
    );
    let decoder = json!({"type": "JsonItemsDecoder", "items_path": "a.items"});
    assert_eq!(
        decoded(decoder, body.into_bytes()).await,
        [json!({"id": 1}), json!({"id": 2})]
    );
}

/// Answers, streams, and the records that the Python CDK 7.39 made of them.
#[tokio::test]
async fn combined_and_expanded_records_are_those_of_the_python_cdk() {
    let table: Value = serde_json::from_str(include_str!("data/extracted.json")).unwrap();
    let answers = table["answers"].clone();
    let answer = move |request: &Request| {
        let query = request.url.query().map(|query| format!("?{query}"));
        let asked = format!("{}{}", request.url.path(), query.unwrap_or_default());
        let (url, body) = (request.url.clone(), answers[asked].to_string());
        Response::new(StatusCode::OK, HeaderMap::new(), url, body)
    };
    let streams = table["streams"].as_array().unwrap();
    let names: Vec<&str> = streams
        .iter()
        .map(|stream| stream["name"].as_str().unwrap())
        .collect();
    let source = source(streams, pages).with_transport(Arc::new(Answers(answer)));
    let (exit, messages) = read(source, &names).await;
    assert_eq!(exit, Exit::Success, "{messages:?}");
    for name in names {
        let expected = table["records"][name].as_array().unwrap();
        let found = records(&messages, name);
        assert_eq!(found, expected.iter().collect::<Vec<_>>(), "{name}");
    }
}

/// A part of an answer that is counted while somebody holds it.
struct Counted(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

#[tokio::test]
async fn most_of_a_long_answer_is_never_held_at_once() {
    const ROWS: usize = 64;
    let (held, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let answer = move |request: &Request| {
        let (held, most) = (Arc::clone(&held), Arc::clone(&most));
        let rows = (0..ROWS).map(move |row| {
            let header = if row == 0 { "id,text\n" } else { "" };
            let text = format!("{header}{row},{}\n", "x".repeat(1 << 20)).into_bytes();
            let now = held.fetch_add(text.len(), Ordering::Relaxed) + text.len();
            most.fetch_max(now, Ordering::Relaxed);
            Ok(Bytes::from_owner(Counted(text, Arc::clone(&held))))
        });
        let url = request.url.clone();
        let mut response = Response::new(StatusCode::OK, HeaderMap::new(), url, Bytes::new());
        response.body = ResponseBody::chunks(futures::stream::iter(rows));
        response
    };
    let items = stream(
        "items",
        json!({
            "retriever": {
                "decoder": {"type": "CsvDecoder"},
                "record_selector": {
                    "extractor": {"field_path": []},
                    "record_filter": {"type": "RecordFilter", "condition": "{{ record['id'] == '63' }}"}
                }
            },
            "transformations": [{"type": "RemoveFields", "field_pointers": [["text"]]}]
        }),
    );
    let source = source(&[items], pages).with_transport(Arc::new(Answers(answer)));
    let (exit, messages) = read(source, &["items"]).await;
    assert_eq!(exit, Exit::Success, "{messages:?}");
    assert_eq!(records(&messages, "items"), [&json!({"id": "63"})]);
    let most = seen.load(Ordering::Relaxed);
    assert!(most < 20 << 20, "{most} bytes of {ROWS} MiB at once");
}
