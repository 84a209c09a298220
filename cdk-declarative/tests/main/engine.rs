//! Manifests run end to end, in process, against an API that is a function.

use std::sync::Arc;

use cdk_core::InputState;
use cdk_core::async_trait;
use cdk_core::entrypoint::Exit;
use cdk_declarative::custom::{CustomTransformation, Registry};
use cdk_http::header::HeaderMap;
use cdk_http::{Request, Response, StatusCode, Transport, TransportError};
use serde_json::{Value, json};

use crate::api::{paged, pages, read, read_text, records, source, state, stream};

#[tokio::test]
async fn pages_are_read_and_the_latest_record_becomes_the_state() {
    let mut items = stream("items", paged());
    items["incremental_sync"] = json!({
        "type": "DatetimeBasedCursor", "cursor_field": "at", "datetime_format": "%Y-%m-%d",
        "start_datetime": "2024-06-01"
    });
    items["transformations"] = json!([
        {"type": "AddFields", "fields": [{"path": ["double"], "value": "{{ record.id * 2 }}"}]}
    ]);
    let (exit, messages) = read(source(&[items], pages), &["items"]).await;
    assert_eq!(exit, Exit::Success);
    assert_eq!(
        records(&messages, "items"),
        [
            &json!({"id": 1, "at": "2024-06-03", "double": 2}),
            &json!({"id": 2, "at": "2024-06-05", "double": 4}),
            &json!({"id": 3, "at": "2024-06-04", "double": 6}),
        ]
    );
    assert_eq!(state(&messages), &json!({"at": "2024-06-05"}));
}

/// One answer, to the letter.
struct Exact(&'static str);

#[async_trait]
impl Transport for Exact {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        Ok(Response::new(
            StatusCode::OK,
            HeaderMap::new(),
            request.url,
            self.0,
        ))
    }
}

#[tokio::test]
async fn records_that_nothing_touches_keep_their_digits() {
    let answer = r#"{"data": [{"big": 123456789012345678901234567890, "n": 1.10}]}"#;
    let source =
        source(&[stream("items", json!({}))], pages).with_transport(Arc::new(Exact(answer)));
    let (exit, text) = read_text(source, &["items"]).await;
    assert_eq!(exit, Exit::Success);
    assert!(
        text.contains(r#"{"big": 123456789012345678901234567890, "n": 1.10}"#),
        "{text}"
    );
}

fn by_letter(asked: &str) -> (u16, Value) {
    match asked.split('=').next_back() {
        Some("b") => (400, json!({"message": "no b"})),
        Some(letter) => (200, json!({"data": [{ "letter": letter }]})),
        None => (404, json!({})),
    }
}

#[tokio::test]
async fn a_partition_that_fails_leaves_the_others_alone() {
    let letters = stream(
        "letters",
        json!({"retriever": {"partition_router": {
            "type": "ListPartitionRouter", "values": ["a", "b", "c"], "cursor_field": "letter",
            "request_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "letter"}
        }}}),
    );
    let (exit, messages) = read(source(&[letters], by_letter), &["letters"]).await;
    assert_eq!(exit, Exit::Failure);
    let mut read: Vec<_> = records(&messages, "letters");
    read.sort_by_key(|record| record.to_string());
    assert_eq!(read, [&json!({"letter": "a"}), &json!({"letter": "c"})]);
    let errors: Vec<_> = messages
        .iter()
        .map(|message| &message["trace"]["error"])
        .collect();
    let of_stream = |error: &&&Value| error["stream_descriptor"]["name"] == "letters";
    let failed = errors.iter().find(of_stream).unwrap();
    assert!(
        failed["message"].as_str().unwrap().contains("no b"),
        "{failed}"
    );
}

fn family(asked: &str) -> (u16, Value) {
    match asked {
        "/parents?limit=2" => (200, json!({"data": [{"id": 1}, {"id": 2}]})),
        "/parents?offset=2&limit=2" => (200, json!({"data": [{"id": 3}]})),
        _ => (200, json!({"data": [{ "of": asked }]})),
    }
}

#[tokio::test]
async fn children_that_share_a_parent_all_come_to_their_end() {
    let parents = stream("parents", paged());
    let child = |name: &str| {
        stream(
            name,
            json!({"retriever": {
                "requester": {"path": format!("/{name}/{{{{ stream_partition.parent }}}}")},
                "partition_router": {"type": "SubstreamPartitionRouter", "parent_stream_configs": [
                    {"type": "ParentStreamConfig", "parent_key": "id", "partition_field": "parent", "stream": parents}
                ]}
            }}),
        )
    };
    let names = ["one", "two", "three", "four"];
    let mut streams: Vec<Value> = names.iter().map(|name| child(name)).collect();
    streams.push(parents.clone());
    let all = ["one", "two", "three", "four", "parents"];
    let (exit, messages) = read(source(&streams, family), &all).await;
    assert_eq!(exit, Exit::Success);
    for name in all {
        assert_eq!(records(&messages, name).len(), 3, "{name}");
    }
}

struct Sum;

impl CustomTransformation for Sum {
    fn transform(&self, record: &mut Value, _: &Value, _: &Value) -> cdk_core::Result<()> {
        record["sum"] = (record["id"].as_i64().unwrap_or(0) + 100).into();
        Ok(())
    }
}

#[tokio::test]
async fn custom_components_are_found_by_class_name_or_refused_by_it() {
    let mut items = stream("items", paged());
    items["transformations"] =
        json!([{"type": "CustomTransformation", "class_name": "source_x.components.Sum"}]);
    let registry = Registry::default().with_transformation("Sum", |_| Ok(Arc::new(Sum)));
    let known = source(&[items.clone()], pages).with_components(registry);
    let (exit, messages) = read(known, &["items"]).await;
    assert_eq!(exit, Exit::Success);
    assert_eq!(records(&messages, "items")[0]["sum"], 101);

    let (exit, messages) = read(source(&[items], pages), &["items"]).await;
    assert_eq!(exit, Exit::Failure);
    let errors = messages
        .iter()
        .map(|message| &message["trace"]["error"]["message"]);
    let refused = errors.filter_map(Value::as_str).any(|message| {
        message.contains("source_x.components.Sum")
            && message.contains("streams[0].transformations[0]")
    });
    assert!(refused, "{messages:?}");
}

#[tokio::test]
async fn a_test_read_shows_requests_answers_and_records() {
    let budget = cdk_core::MemoryBudget::default();
    let (events, _received) =
        cdk_core::event::channel(budget, cdk_core::watchdog::Progress::default());
    let context = cdk_core::Context::new(events);
    let source = source(&[stream("items", paged())], pages);
    let limits = cdk_declarative::Limits::default();
    let read = source
        .test_read(
            &json!({}),
            "items",
            &InputState::default(),
            limits,
            &context,
        )
        .await
        .unwrap();
    let slice = &read["slices"][0];
    assert_eq!(slice["records"].as_array().unwrap().len(), 3);
    assert_eq!(slice["exchanges"].as_array().unwrap().len(), 2);
    assert_eq!(slice["exchanges"][1]["response"]["status"], 200);
    assert_eq!(read["limit_reached"], false);
    assert_eq!(
        slice["exchanges"][1]["request"]["url"],
        "https://api.example.com/items?offset=2&limit=2"
    );
    let state = InputState::default();
    let missing = source
        .test_read(&json!({}), "itms", &state, limits, &context)
        .await;
    assert!(
        missing
            .unwrap_err()
            .message()
            .contains("Did you mean `items`? Those it has: items.")
    );
}
