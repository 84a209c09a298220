//! What is wrong with a manifest, or with what the API answers, is named: stream, place in the manifest, remedy.

use cdk_testkit::http::Reply;
use serde_json::{Value, json};

use crate::manifest::{Api, MANIFEST, cdk, desk};

/// The manifest with one of its texts replaced, which must be there.
fn changed(from: &str, to: &str) -> String {
    let text = MANIFEST.replace(from, to);
    assert_ne!(text, MANIFEST, "{from}");
    text
}

#[test]
fn a_manifest_that_can_not_be_loaded_is_refused_with_its_place() {
    let api = Api::serve(|_| Reply::error(500, "nobody asked"));
    for (manifest, parts) in [
        (
            "version: [".to_owned(),
            &["manifest.yaml", "line ", "not YAML"][..],
        ),
        ("- a list".to_owned(), &["line 1", "must be a mapping"]),
        (
            changed("pagination_strategy:", "strategy:"),
            &[
                "line 18",
                "`streams[0].retriever.paginator`",
                "needs `pagination_strategy`",
            ],
        ),
        (
            changed(
                "streams:\n",
                "definitions: {a: {$ref: '#/definitions/a'}}\nstreams:\n",
            ),
            &[
                "line 4",
                "`definitions.a`",
                "refers to itself. Take one of its references out.",
            ],
        ),
        (
            changed("primary_key: id", "primary_key: '#/definitions/key'"),
            &[
                "line 7",
                "`streams[0].primary_key`",
                "points to nothing. Define it",
            ],
        ),
        (
            changed("type: PageIncrement", "type: PageIncrements"),
            &[
                "`streams[0].retriever.paginator.pagination_strategy`",
                "is no component type",
                "Did you mean `PageIncrement`?",
            ],
        ),
    ] {
        let desk = desk(&api, &manifest);
        let args = ["check", "-c", "manifest.yaml", "--config", "config.json"];
        let run = cdk(&desk, &args);
        assert_eq!(run.code, Some(1), "{run:?}");
        for part in parts {
            assert!(run.stdout.contains(part), "{part} is not in {}", run.stdout);
        }
        // The same place, whoever asks.
        let found = desk.cdk(&["manifest", "validate", "manifest.yaml"]);
        assert_eq!(found.code, Some(1), "{found:?}");
    }
}

/// Reads `items`; the error of the stream, or null, and what else was printed.
fn read(api: &Api, manifest: &str) -> (Value, String) {
    let desk = desk(api, manifest);
    let stream = json!({
        "stream": {"name": "items", "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"]},
        "sync_mode": "incremental", "destination_sync_mode": "append",
    });
    desk.write("catalog.json", &json!({"streams": [stream]}).to_string());
    let args = ["manifest", "read", "--manifest-path", "manifest.yaml"];
    let files = ["--config", "config.json", "--catalog", "catalog.json"];
    let run = cdk(&desk, &[&args[..], &files].concat());
    let of_stream = |line: &Value| {
        let error = &line["trace"]["error"];
        (error["stream_descriptor"]["name"] == "items").then(|| error.clone())
    };
    let lines = run.lines();
    let error = lines.iter().find_map(of_stream).unwrap_or_default();
    assert_eq!(run.code, Some(i32::from(!error.is_null())), "{run:?}");
    (error, run.stdout)
}

fn items(list: Value) -> Api {
    Api::serve(move |_| Reply::json(&json!({ "items": list })))
}

#[test]
fn a_template_that_has_no_value_is_named_with_its_component() {
    let api = items(json!([]));
    for (from, to, parts) in [
        (
            "{{ config['api_url'] }}/items",
            "{{ config['api_url' }}/items",
            &[
                "HttpRequester at `streams[0].retriever.requester`",
                "has no value",
            ][..],
        ),
        (
            "{{ config['api_url'] }}/items",
            "{{ confg['api_url'] }}/items",
            &[
                "HttpRequester at `streams[0].retriever.requester`",
                "`confg` is not available",
            ],
        ),
        (
            "{{ config['api_url'] }}/items",
            "{{ config['url'] }}/items",
            &[
                "The URL of a request is not valid. Check",
                "`url: {{ config['url'] }}/items`",
                "HttpRequester at `streams[0].retriever.requester`",
            ],
        ),
    ] {
        let (error, _) = read(&api, &changed(from, to));
        let message = error["message"].as_str().unwrap_or_default();
        for part in parts {
            assert!(message.contains(part), "{part} is not in {error}");
        }
    }
}

#[test]
fn records_without_a_usable_cursor_are_kept_and_told_of_once() {
    for record in [
        json!({"id": 1}),
        json!({"id": 1, "updated_at": "yesterday"}),
    ] {
        let api = items(json!([record]));
        let (error, printed) = read(&api, MANIFEST);
        assert_eq!(error, Value::Null);
        assert!(printed.contains("\"id\":1"), "{printed}");
        let said = "A record of stream items has no usable cursor field `updated_at`";
        assert_eq!(printed.matches(said).count(), 1, "{printed}");
        assert!(printed.contains("Check `cursor_field`"), "{printed}");
    }
}

#[test]
fn an_answer_of_the_wrong_shape_is_an_error_of_its_stream() {
    for (list, said) in [
        (json!([1, 2]), "a number"),
        (json!("none"), "a text"),
        (json!([[]]), "a list"),
    ] {
        let (error, _) = read(&items(list), MANIFEST);
        let message = error["message"].as_str().unwrap_or_default();
        let remedy =
            "Check the `field_path` of the extractor at `streams[0].retriever.record_selector`.";
        assert!(message.contains(remedy), "{error}");
        assert!(message.contains(said), "{error}");
    }
    let api = Api::serve(|_| Reply::text("<html>Down for maintenance</html>"));
    let (error, printed) = read(&api, MANIFEST);
    assert_eq!(error, Value::Null);
    let said = "DpathExtractor at `streams[0].retriever.record_selector.extractor` reads it as an empty object";
    assert_eq!(printed.matches(said).count(), 1, "{printed}");
    assert!(printed.contains("cdk manifest test-read"), "{printed}");
}
