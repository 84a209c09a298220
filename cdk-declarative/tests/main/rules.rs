//! Rules of the Python CDK that only a whole read shows.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cdk_core::entrypoint::Exit;
use cdk_http::auth::SigningKey;
use serde_json::{Value, json};

use crate::api::{
    error, of_manifest, paged, pages, read, read_given, records, source, state, stream,
};

fn everything(_: &str) -> (u16, Value) {
    let items =
        json!([{"id": 1, "at": "2024-06-03", "n": 4}, {"id": 2, "at": "2024-06-05", "n": 9}]);
    (200, json!({ "data": items }))
}

#[tokio::test]
async fn paging_begins_again_once_with_the_same_slice_and_then_fails() {
    let mut items = stream("items", paged());
    items["retriever"]["pagination_reset"] = json!({
        "type": "PaginationReset", "action": "RESET",
        "limits": {"type": "PaginationResetLimits", "number_of_records": 3}
    });
    let (exit, messages) = read(source(&[items], pages), &["items"]).await;
    assert_eq!(exit, Exit::Failure);
    assert!(
        error(&messages).contains("for the second time"),
        "{}",
        error(&messages)
    );
    assert_eq!(records(&messages, "items").len(), 6);
}

#[tokio::test]
async fn a_failed_stream_without_a_cursor_ends_with_the_marker_for_it() {
    let (exit, messages) = read(source(&[stream("lost", json!({}))], pages), &["lost"]).await;
    assert_eq!(exit, Exit::Failure);
    assert_eq!(
        state(&messages),
        &json!({"__ab_no_cursor_state_message": true})
    );
}

#[tokio::test]
async fn a_counting_cursor_asks_from_zero_on() {
    let counted = stream(
        "counted",
        json!({
            "incremental_sync": {
                "type": "IncrementingCountCursor", "cursor_field": "n", "start_value": 0,
                "start_value_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "from"}
            },
            "transformations": [asked("{{ stream_interval }}")]
        }),
    );
    fn only_from(asked: &str) -> (u16, Value) {
        match asked {
            "/counted?from=0" => everything(asked),
            other => (404, json!({ "message": other })),
        }
    }
    let (exit, messages) = read(source(&[counted], only_from), &["counted"]).await;
    assert_eq!(exit, Exit::Success);
    assert_eq!(state(&messages), &json!({"n": 9}));
}

fn asked(value: &str) -> Value {
    json!({"type": "AddFields", "fields": [{"path": ["asked"], "value": value}]})
}

#[tokio::test]
async fn the_time_a_sync_took_comes_on_top_of_the_lookback() {
    let items = stream(
        "items",
        json!({
            "incremental_sync": {
                "type": "DatetimeBasedCursor", "cursor_field": "at", "datetime_format": "%Y-%m-%dT%H:%M:%S",
                "cursor_datetime_formats": ["%Y-%m-%d"], "start_datetime": "2024-06-01T00:00:00",
                "lookback_window": "P1D", "global_substream_cursor": true
            },
            "retriever": {"partition_router":
                {"type": "ListPartitionRouter", "values": ["a"], "cursor_field": "letter"}},
            "transformations": [asked("{{ stream_interval.start_time }}")]
        }),
    );
    let given = json!({
        "use_global_cursor": true, "state": {"at": "2024-06-05T00:00:00"}, "lookback_window": 10
    });
    let states = json!({ "items": given });
    let (exit, messages) = read_given(
        source(&[items], everything),
        &["items"],
        &json!({}),
        &states,
    )
    .await;
    assert_eq!(exit, Exit::Success);
    assert_eq!(
        records(&messages, "items")[0]["asked"],
        "2024-06-03T23:59:50"
    );
}

#[tokio::test]
async fn a_condition_of_removed_fields_looks_at_all_leaves() {
    let items = stream(
        "items",
        json!({"transformations": [
            {"type": "AddFields", "fields": [{"path": ["deep", "at"], "value": "{{ record.at }}"}]},
            {"type": "RemoveFields", "field_pointers": [["id"]], "condition": "{{ property == '2024-06-03' }}"}
        ]}),
    );
    let (exit, messages) = read(source(&[items], everything), &["items"]).await;
    assert_eq!(exit, Exit::Success);
    assert_eq!(
        records(&messages, "items"),
        [
            &json!({"id": 1, "n": 4, "deep": {}}),
            &json!({"id": 2, "at": "2024-06-05", "n": 9, "deep": {"at": "2024-06-05"}}),
        ]
    );
}

/// Every request shows the token it came with in its parameters.
fn quotas(asked: &str) -> (u16, Value) {
    match asked {
        "/quota" => {
            let pool = |remaining: u32| json!({"left": remaining, "reset": "2024-06-15T13:00:00Z"});
            (200, json!({"core": pool(100), "search": pool(1)}))
        }
        _ => everything(asked),
    }
}

#[tokio::test]
async fn requests_are_counted_in_the_quota_whose_matchers_know_them() {
    let quota = |name: &str, matchers: Value| {
        json!({"type": "TokenQuota", "name": name, "remaining_path": [name, "left"], "reset_path": [name, "reset"],
               "matchers": matchers})
    };
    let authenticator = json!({
        "type": "RateLimitedMultipleTokenAuthenticator", "tokens": ["one"], "max_wait_time": "PT1S",
        "budget_min_reserve": 0, "budget_reserve_fraction": 0.0,
        "quotas": [
            quota("search", json!([{"type": "HttpRequestRegexMatcher", "url_path_pattern": "^/search"}])),
            quota("core", json!([]))
        ],
        "quota_status_source": {"type": "QuotaStatusSource", "url": "https://api.example.com/quota"}
    });
    let with_quota = |name: &str, pages: u32| {
        stream(
            name,
            json!({"retriever": {
                "requester": {"authenticator": authenticator},
                "partition_router": {"type": "ListPartitionRouter", "cursor_field": "p",
                    "values": (0..pages).map(|page| page.to_string()).collect::<Vec<_>>()}
            }}),
        )
    };
    // The first quota has one call left, the other has many.
    let text = crate::api::manifest(&[with_quota("items", 5)]);
    let (exit, messages) = read(of_manifest(&text, quotas), &["items"]).await;
    assert_eq!(exit, Exit::Success, "{messages:?}");
    let text = crate::api::manifest(&[with_quota("search", 2)]);
    let (exit, messages) = read(of_manifest(&text, quotas), &["search"]).await;
    assert_eq!(exit, Exit::Failure);
    assert!(
        error(&messages).contains("rate limits of all tokens"),
        "{}",
        error(&messages)
    );
    assert_eq!(records(&messages, "search").len(), 2);
}

fn tables(asked: &str) -> (u16, Value) {
    match asked {
        "/tables" => (200, json!({"data": [{"id": "a"}]})),
        _ => everything(asked),
    }
}

fn mapping(path: &[&str], value: &str) -> Value {
    json!({"type": "ComponentMappingDefinition", "field_path": path, "value": value, "create_or_update": true})
}

/// A manifest whose streams come out of a template by this resolver.
fn with_resolver(resolver: &Value) -> Value {
    let text = crate::api::manifest(&[stream("static", json!({}))]);
    let mut document: Value = serde_json::from_str(&text).unwrap();
    document["dynamic_streams"] = json!([{
        "type": "DynamicDeclarativeStream",
        "stream_template": stream("template", json!({})),
        "components_resolver": resolver
    }]);
    document
}

#[tokio::test]
async fn a_mapping_with_a_condition_applies_where_it_holds() {
    let mut key = mapping(&["primary_key"], "{{ components_values.key }}");
    key["condition"] = json!("{{ components_values.key is defined }}");
    let mut document = with_resolver(&json!({
        "type": "ConfigComponentsResolver",
        "stream_config": {"type": "StreamConfig", "configs_pointer": ["tables"]},
        "components_mapping": [mapping(&["name"], "{{ components_values.name }}"), key]
    }));
    document["streams"] = json!([]);
    document["check"]["stream_names"] = json!([]);
    let source = of_manifest(&document.to_string(), everything);
    let config = json!({"tables": [{"name": "a", "key": "id"}, {"name": "b"}]});
    let budget = cdk_core::MemoryBudget::default();
    let (events, _received) =
        cdk_core::event::channel(budget, cdk_core::watchdog::Progress::default());
    let context = cdk_core::Context::new(events);
    let catalog = cdk_core::DynSource::discover_dyn(&source, &config, &context)
        .await
        .unwrap();
    let keys = catalog.streams.iter().map(|stream| {
        (
            stream.name.as_str(),
            stream.source_defined_primary_key.clone(),
        )
    });
    let key = vec![vec!["id".to_owned()]];
    assert_eq!(keys.collect::<Vec<_>>(), [("a", Some(key)), ("b", None)]);
}

#[tokio::test]
async fn streams_of_one_group_are_never_read_at_once() {
    let streams = ["a", "b", "c", "alone"].map(|name| stream(name, json!({})));
    let mut document: Value = serde_json::from_str(&crate::api::manifest(&streams)).unwrap();
    document["concurrency_level"] = json!({"type": "ConcurrencyLevel", "default_concurrency": 8});
    document["stream_groups"] = json!({"heavy": {
        "streams": [{"$ref": "#/streams/0"}, {"$ref": "#/streams/1"}, {"$ref": "#/streams/2"}],
        "action": {"type": "BlockSimultaneousSyncsAction"}
    }});
    let source = of_manifest(&document.to_string(), everything);
    let (exit, messages) = read(source, &["a", "b", "c", "alone"]).await;
    assert_eq!(exit, Exit::Success, "{messages:?}");
    let mut running = Vec::new();
    for message in &messages {
        let status = &message["trace"]["stream_status"];
        let name = status["stream_descriptor"]["name"].as_str().unwrap_or("");
        if !matches!(name, "a" | "b" | "c") {
            continue;
        }
        match status["status"].as_str() {
            Some("STARTED") => {
                assert!(running.is_empty(), "{name} began beside {running:?}");
                running.push(name);
            }
            Some("COMPLETE") => running.retain(|running| *running != name),
            _ => {}
        }
    }
    for name in ["a", "b", "c", "alone"] {
        assert_eq!(records(&messages, name).len(), 2, "{name}");
    }
}

#[tokio::test]
async fn mappings_of_an_api_only_replace_what_the_template_has() {
    let document = with_resolver(&json!({
        "type": "HttpComponentsResolver",
        "retriever": stream("tables", json!({}))["retriever"],
        "components_mapping": [
            mapping(&["name"], "{{ components_values.id }}"),
            mapping(&["retriever", "requester", "request_parameters"], "{{ {'new': 'x'} }}")
        ]
    }));
    fn no_parameters(asked: &str) -> (u16, Value) {
        match asked {
            "/template" | "/tables" => tables(asked),
            other => (404, json!({ "message": other })),
        }
    }
    let (exit, messages) = read(of_manifest(&document.to_string(), no_parameters), &["a"]).await;
    assert_eq!(exit, Exit::Success, "{messages:?}");
    assert_eq!(records(&messages, "a").len(), 2);
}

/// The one record is the token that the request came with.
fn echo(asked: &str) -> (u16, Value) {
    let token = asked.split_once("token=").map(|(_, token)| token);
    (200, json!({"data": [{ "token": token }]}))
}

#[tokio::test]
async fn a_key_behind_a_passphrase_signs_sorted_headers_and_the_claims_of_the_moment() {
    const OPEN: &str = include_str!("../../../cdk-http/src/auth/keys/es256.pem");
    const LOCKED: &str = include_str!("../../../cdk-http/src/auth/keys/locked.pem");
    let authenticator = json!({
        "type": "JwtAuthenticator", "algorithm": "ES256", "secret_key": LOCKED,
        "passphrase": "{{ 'open' ~ ' sesame' }}", "token_duration": 60,
        "jwt_headers": {"type": "JwtHeaders", "kid": "k1"},
        "additional_jwt_headers": {"zip": "DEF", "a": "b"},
        "jwt_payload": {"type": "JwtPayload", "iss": "me"},
        "request_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "token"}
    });
    let items = stream(
        "items",
        json!({"retriever": {"requester": {"authenticator": authenticator}}}),
    );
    let (exit, messages) = read(source(&[items], echo), &["items"]).await;
    assert_eq!(exit, Exit::Success, "{messages:?}");
    let token = records(&messages, "items")[0]["token"].as_str().unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let part = |at: usize| {
        let part = message.split('.').nth(at).unwrap();
        String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(
        part(0),
        r#"{"a":"b","alg":"ES256","kid":"k1","typ":"JWT","zip":"DEF"}"#
    );
    assert_eq!(
        part(1),
        r#"{"iss":"me","iat":1718452800,"exp":1718452860,"nbf":1718452800}"#
    );
    let key = SigningKey::new("ES256", OPEN, None).unwrap();
    assert_eq!(signature, key.sign(message.as_bytes()).unwrap());
}
