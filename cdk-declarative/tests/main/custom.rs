//! Components that a program registers: each kind runs where its type stands in a manifest.

use std::sync::Arc;

use bytes::Bytes;
use cdk_core::entrypoint::Exit;
use cdk_core::{ConnectorError, Result, async_trait};
use cdk_declarative::custom::{
    Additions, CustomConfigTransformation, CustomPartitionRouter, CustomRequest, CustomRequester,
    CustomResponse, CustomRetriever, CustomStateMigration, CustomValidation, Registry, StreamSlice,
};
use cdk_http::header::HeaderMap;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde_json::{Map, Value, json};

use crate::api::{error, paged, pages, read, read_given, records, source, stream};

fn named(component: &str, class: &str) -> Value {
    json!({"type": component, "class_name": format!("source_x.components.{class}")})
}

/// Answers with what it was asked for.
struct Echo;

#[async_trait]
impl CustomRequester for Echo {
    async fn send(&self, request: CustomRequest<'_>) -> Result<CustomResponse> {
        let params = Value::Object(request.additions.params.clone());
        let offset = params["offset"].as_i64().unwrap_or(0);
        let items: Vec<Value> = (offset..3.min(offset + 2))
            .map(|id| json!({"id": id, "params": params, "tenant": request.config["tenant"]}))
            .collect();
        Ok(CustomResponse {
            status: 200,
            headers: HeaderMap::new(),
            url: "ftp://files.example.com/items".to_owned(),
            body: Bytes::from(json!({ "data": items }).to_string()),
        })
    }
}

#[tokio::test]
async fn a_custom_requester_gets_the_pages_that_paginator_and_selector_work_on() {
    let mut items = stream("items", paged());
    items["retriever"]["requester"] = named("CustomRequester", "Echo");
    let registry = Registry::default().with_requester("Echo", |_| Ok(Arc::new(Echo)));
    let source = source(&[items], |_| (500, json!({}))).with_components(registry);
    let (exit, messages) =
        read_given(source, &["items"], &json!({"tenant": "a"}), &json!({})).await;
    assert_eq!(exit, Exit::Success, "{messages:?}");
    assert_eq!(
        records(&messages, "items"),
        [
            &json!({"id": 0, "params": {"limit": 2}, "tenant": "a"}),
            &json!({"id": 1, "params": {"limit": 2}, "tenant": "a"}),
            &json!({"id": 2, "params": {"offset": 2, "limit": 2}, "tenant": "a"}),
        ]
    );
}

/// A partition for each letter of the config.
struct Letters;

impl CustomPartitionRouter for Letters {
    fn partitions(&self, config: Arc<Value>) -> BoxStream<'static, Result<StreamSlice>> {
        let letters = config["letters"].as_str().unwrap_or_default().to_owned();
        let slices: Vec<_> = letters
            .chars()
            .map(|letter| {
                let mut partition = Map::new();
                partition.insert("letter".to_owned(), letter.to_string().into());
                Ok(StreamSlice::new(partition, Map::new()))
            })
            .collect();
        stream::iter(slices).boxed()
    }

    fn additions(&self, slice: &StreamSlice) -> Result<Additions> {
        let mut additions = Additions::default();
        additions
            .params
            .insert("by".to_owned(), slice.partition()["letter"].clone());
        Ok(additions)
    }
}

fn by_letter(asked: &str) -> (u16, Value) {
    match asked {
        "/items?by=a" => (200, json!({"data": [{"id": "a1"}]})),
        "/items?by=b" => (200, json!({"data": [{"id": "b1"}, {"id": "b2"}]})),
        other => (404, json!({ "message": other })),
    }
}

#[tokio::test]
async fn a_custom_partition_router_cuts_a_stream_and_adds_to_its_requests() {
    let mut items = stream("items", json!({}));
    items["retriever"]["partition_router"] = named("CustomPartitionRouter", "Letters");
    let registry = Registry::default().with_partition_router("Letters", |_| Ok(Arc::new(Letters)));
    let source = source(&[items], by_letter).with_components(registry);
    let config = json!({"letters": "ab"});
    let (exit, messages) = read_given(source, &["items"], &config, &json!({})).await;
    assert_eq!(exit, Exit::Success, "{messages:?}");
    let mut ids: Vec<_> = records(&messages, "items")
        .into_iter()
        .map(|record| record["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, ["a1", "b1", "b2"]);
}

/// Makes records up, as many as its `count` says.
struct Counting(i64);

impl CustomRetriever for Counting {
    fn read(
        &self,
        slice: Arc<StreamSlice>,
        _config: Arc<Value>,
    ) -> BoxStream<'static, Result<Value>> {
        let part = slice.partition().get("part").cloned();
        let records = (0..self.0).map(move |id| Ok(json!({"id": id, "part": part})));
        stream::iter(records.collect::<Vec<_>>()).boxed()
    }
}

#[tokio::test]
async fn a_custom_retriever_gives_the_records_of_the_slices_that_routers_cut() {
    let mut items = stream("items", json!({}));
    items["retriever"] = named("CustomRetriever", "Counting");
    items["retriever"]["count"] = json!(2);
    items["retriever"]["partition_router"] =
        json!({"type": "ListPartitionRouter", "values": ["x", "y"], "cursor_field": "part"});
    let registry = Registry::default().with_retriever("Counting", |component| {
        let count = component.need("count")?.as_i64();
        let count = count.ok_or_else(|| component.error("`count` must be a whole number."))?;
        Ok(Arc::new(Counting(count)))
    });
    let source = source(&[items], pages).with_components(registry);
    let (exit, messages) = read(source, &["items"]).await;
    assert_eq!(exit, Exit::Success, "{messages:?}");
    let records = records(&messages, "items");
    assert_eq!(records.len(), 4);
    for part in ["x", "y"] {
        let of_part = records.iter().filter(|record| record["part"] == *part);
        assert_eq!(of_part.count(), 2);
    }
}

/// `{"last": …}` of an old version becomes `{"at": …}`.
struct Renamed;

impl CustomStateMigration for Renamed {
    fn should_migrate(&self, state: &Value) -> bool {
        state.get("last").is_some()
    }

    fn migrate(&self, state: Value) -> Result<Value> {
        Ok(json!({ "at": state["last"] }))
    }
}

fn since(asked: &str) -> (u16, Value) {
    match asked {
        "/items?from=2024-06-10" => (200, json!({"data": [{"id": 1, "at": "2024-06-11"}]})),
        other => (404, json!({ "message": other })),
    }
}

#[tokio::test]
async fn a_custom_state_migration_brings_old_states_into_todays_form_and_leaves_others_alone() {
    let mut items = stream("items", json!({}));
    items["incremental_sync"] = json!({
        "type": "DatetimeBasedCursor", "cursor_field": "at", "datetime_format": "%Y-%m-%d",
        "start_datetime": "2024-01-01",
        "start_time_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "from"}
    });
    items["state_migrations"] = json!([named("CustomStateMigration", "Renamed")]);
    for old in [json!({"last": "2024-06-10"}), json!({"at": "2024-06-10"})] {
        let registry =
            Registry::default().with_state_migration("Renamed", |_| Ok(Arc::new(Renamed)));
        let source = source(&[items.clone()], since).with_components(registry);
        let (exit, messages) =
            read_given(source, &["items"], &json!({}), &json!({ "items": old })).await;
        assert_eq!(exit, Exit::Success, "{messages:?}");
        assert_eq!(records(&messages, "items").len(), 1);
    }
}

/// Writes a region in lower case.
struct LowerRegion;

impl CustomConfigTransformation for LowerRegion {
    fn transform(&self, config: &mut Value) -> Result<()> {
        let region = config["region"].as_str().unwrap_or_default().to_lowercase();
        config["region"] = region.into();
        Ok(())
    }
}

/// Only knows one region.
struct Known;

impl CustomValidation for Known {
    fn validate(&self, value: &Value) -> Result<()> {
        if value == "eu" {
            return Ok(());
        }
        Err(ConnectorError::config(format!("{value} is no region.")))
    }
}

#[tokio::test]
async fn custom_rules_change_the_config_and_judge_it() {
    let mut items = stream("items", json!({}));
    items["retriever"]["requester"]["path"] = json!("/{{ config['region'] }}");
    let rules = json!({
        "transformations": [named("CustomConfigTransformation", "LowerRegion")],
        "validations": [{
            "type": "DpathValidator", "field_path": ["region"],
            "validation_strategy": named("CustomValidationStrategy", "Known")
        }]
    });
    let manifest = json!({
        "type": "DeclarativeSource", "version": "6.0.0",
        "check": {"type": "CheckStream", "stream_names": ["items"]},
        "streams": [items],
        "spec": {
            "type": "Spec", "connection_specification": {"type": "object", "properties": {}},
            "config_normalization_rules": rules
        }
    });
    let run = async |region: &str| {
        let registry = Registry::default()
            .with_config_transformation("LowerRegion", |_| Ok(Arc::new(LowerRegion)))
            .with_validation("Known", |_| Ok(Arc::new(Known)));
        let source = crate::api::of_manifest(&manifest.to_string(), |asked| match asked {
            "/eu" => (200, json!({"data": [{"id": 1}]})),
            other => (404, json!({ "message": other })),
        });
        let source = source.with_components(registry);
        read_given(source, &["items"], &json!({ "region": region }), &json!({})).await
    };
    let (exit, messages) = run("EU").await;
    assert_eq!(exit, Exit::Success, "{messages:?}");
    assert_eq!(records(&messages, "items").len(), 1);
    let (exit, messages) = run("MOON").await;
    assert_eq!(exit, Exit::Failure);
    assert!(error(&messages).contains("moon"), "{messages:?}");
}
