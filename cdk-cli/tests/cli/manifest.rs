//! Low-code manifests: run by every verb, synced, tested, and the help with writing them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cdk_testkit::http::{MockServer, Reply, SeenRequest};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{Desk, Run, finish};

/// Items by date, in pages, behind a token.
pub(crate) const MANIFEST: &str = r#"version: 6.0.0
type: DeclarativeSource
check: {type: CheckStream, stream_names: [items]}
streams:
  - type: DeclarativeStream
    name: items
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url: "{{ config['api_url'] }}/items"
        authenticator: {type: BearerAuthenticator, api_token: "{{ config['token'] }}"}
      record_selector:
        type: RecordSelector
        extractor: {type: DpathExtractor, field_path: [items]}
      paginator:
        type: DefaultPaginator
        pagination_strategy: {type: PageIncrement, start_from_page: 1, page_size: 2}
        page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: page}
    incremental_sync:
      type: DatetimeBasedCursor
      cursor_field: updated_at
      datetime_format: "%Y-%m-%dT%H:%M:%SZ"
      start_datetime: "2024-01-01T00:00:00Z"
      start_time_option: {type: RequestOption, inject_into: request_parameter, field_name: since}
    schema_loader:
      type: InlineSchemaLoader
      schema:
        type: object
        properties:
          id: {type: integer}
          updated_at: {type: string, format: date-time}
spec:
  type: Spec
  connection_specification:
    type: object
    required: [api_url, token]
    additionalProperties: true
    properties:
      api_url: {type: string, title: URL, description: Where the API is.}
      token: {type: string, title: Token, description: The token., airbyte_secret: true}
"#;

const TOKEN: &str = "a-very-secret-token";

fn item(id: u64) -> Value {
    json!({"id": id, "updated_at": format!("2024-03-{id:02}T00:00:00Z")})
}

/// Items 1 to `count`, in pages of two.
fn answer(request: &SeenRequest, count: u64) -> Reply {
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return Reply::error(401, "who are you?");
    }
    let since = request.query("since").unwrap_or_default();
    let page = request.number("page").unwrap_or(1).max(1) as usize;
    let changed = (1..=count)
        .map(item)
        .filter(|item| item["updated_at"].as_str() >= Some(since));
    let items: Vec<_> = changed.skip((page - 1) * 2).take(2).collect();
    Reply::json(&json!({ "items": items }))
}

/// An API that answers while programs run.
pub(crate) struct Api {
    server: MockServer,
    _runtime: Runtime,
}

impl Api {
    pub(crate) fn serve(handler: impl FnMut(&SeenRequest) -> Reply + Send + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(MockServer::serve(handler));
        Self {
            server,
            _runtime: runtime,
        }
    }

    /// The items 1 to 5.
    fn of_items() -> Self {
        Self::serve(|request| answer(request, 5))
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    fn requests(&self) -> usize {
        self.server.requests().len()
    }
}

/// A desk with `manifest.yaml` and a `config.json` for the API.
pub(crate) fn desk(api: &Api, manifest: &str) -> Desk {
    let desk = Desk::new();
    desk.write("manifest.yaml", manifest);
    let config = json!({"api_url": api.url(), "token": TOKEN});
    desk.write("config.json", &config.to_string());
    desk
}

/// `cdk`, with a way to the API past any proxy, and short waits.
pub(crate) fn cdk(desk: &Desk, args: &[&str]) -> Run {
    let mut command = desk.command(args);
    command.env("NO_PROXY", "127.0.0.1");
    finish(command.env("CDK_SLEEP_SCALE", "0.001"))
}

const CATALOG: &str = r#"{"streams": [{"stream": {"name": "items", "json_schema": {},
    "supported_sync_modes": ["full_refresh", "incremental"]},
    "sync_mode": "incremental", "destination_sync_mode": "append"}]}"#;

/// The two ways to name a manifest.
const NAMED: [[&str; 2]; 2] = [["manifest", "--manifest-path"], ["", "--connector"]];

/// `verb` on the manifest, by one of the ways.
fn verb(desk: &Desk, [command, option]: [&str; 2], verb: &str, more: &[&str]) -> Run {
    let mut args = vec![command, verb, option, "manifest.yaml"];
    args.retain(|arg| !arg.is_empty());
    cdk(desk, &[&args[..], more].concat())
}

#[test]
fn every_verb_runs_a_manifest() {
    let api = Api::of_items();
    let desk = desk(&api, MANIFEST);
    desk.write("catalog.json", CATALOG);
    let config = ["--config", "config.json"];
    for way in NAMED {
        let spec = verb(&desk, way, "spec", &[]);
        spec.assert_ok();
        assert!(spec.stdout.contains("\"airbyte_secret\""), "{spec:?}");
        let check = verb(&desk, way, "check", &config);
        check.assert_ok();
        assert!(check.stdout.starts_with("The check succeeded"), "{check:?}");
        let discover = verb(&desk, way, "discover", &config);
        discover.assert_ok();
        assert!(discover.stdout.contains("updated_at"), "{discover:?}");
        let options = [&config[..], &["--catalog", "catalog.json"]].concat();
        let read = verb(&desk, way, "read", &options);
        read.assert_ok();
        let of = |run: &Run, kind: &str| -> Vec<Value> {
            let lines = run.lines().into_iter();
            lines.filter(|line| line["type"] == kind).collect()
        };
        assert_eq!(of(&read, "RECORD").len(), 5, "{read:?}");
        let state = of(&read, "STATE").pop().unwrap();
        let reached = &state["state"]["stream"]["stream_state"];
        assert_eq!(reached, &json!({"updated_at": "2024-03-05T00:00:00Z"}));
        desk.write("state.json", &json!([state["state"]]).to_string());
        let options = [&options[..], &["--state", "state.json"]].concat();
        let rest = verb(&desk, way, "read", &options);
        rest.assert_ok();
        assert_eq!(of(&rest, "RECORD").len(), 1, "{rest:?}");
    }
    let asked = api.requests();
    let json = verb(
        &desk,
        NAMED[0],
        "check",
        &["--config", "config.json", "--json"],
    );
    assert_eq!(json.lines().last().unwrap()["type"], "CONNECTION_STATUS");
    assert_eq!(api.requests(), asked + 1);
}

#[test]
fn a_manifest_syncs_into_a_database_and_goes_on() {
    let count = Arc::new(AtomicU64::new(6));
    let there = Arc::clone(&count);
    let api = Api::serve(move |request| answer(request, there.load(Ordering::Relaxed)));
    let desk = desk(&api, MANIFEST);
    desk.write(
        "connection.yaml",
        "\
source: {manifest: manifest.yaml, config: config.json}
destination: {name: sqlite, config: {path: out.sqlite}}
streams: [{name: items, mode: incremental_deduped}]
",
    );
    let first = cdk(&desk, &["sync", "connection.yaml", "--json"]);
    first.assert_ok();
    assert_eq!(first.report()["streams"][0]["records_read"], 6);
    assert_eq!(desk.query("SELECT count(*) FROM items"), 6);
    count.store(7, Ordering::Relaxed);
    let second = cdk(&desk, &["sync", "connection.yaml", "--json"]);
    second.assert_ok();
    // The last one again, as the API includes the bound, and the new one.
    assert_eq!(second.report()["streams"][0]["records_read"], 2);
    assert_eq!(desk.query("SELECT count(*) FROM items"), 7);
    assert!(!second.stdout.contains(TOKEN) && !second.stderr.contains(TOKEN));

    desk.write(
        "connection.yaml",
        "source: faker\ndestination: {manifest: manifest.yaml}\n",
    );
    cdk(&desk, &["sync", "connection.yaml"]).assert_error(1, "describes a source");
}

#[test]
fn the_conformance_suite_judges_a_manifest() {
    let api = Api::of_items();
    let desk = desk(&api, MANIFEST);
    let wrong = json!({"api_url": api.url(), "token": "wrong"});
    desk.write("wrong.json", &wrong.to_string());
    let args = ["test", "-c", "manifest.yaml", "--config", "config.json"];
    let run = cdk(
        &desk,
        &[&args[..], &["--invalid-config", "wrong.json"]].concat(),
    );
    run.assert_ok();
    assert!(run.stdout.contains("passed   read.counts"), "{run:?}");
    assert!(run.stdout.contains(" 0 failed"), "{run:?}");
    desk.write("manifest.yaml", &MANIFEST.replace("check:", "chek:"));
    cdk(&desk, &args).assert_error(1, "manifest.yaml: The manifest can't be used.");
}

const TEST_READ: [&str; 8] = [
    "manifest",
    "test-read",
    "--manifest-path",
    "manifest.yaml",
    "--config",
    "config.json",
    "--stream",
    "items",
];

#[test]
fn a_test_read_shows_what_went_over_the_wire_and_no_secrets() {
    let api = Api::of_items();
    let desk = desk(&api, MANIFEST);
    let json = cdk(&desk, &[&TEST_READ[..], &["--json"]].concat());
    json.assert_ok();
    let read: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(read["limit_reached"], false);
    assert_eq!(read["state"]["updated_at"], "2024-03-05T00:00:00Z");
    let properties = &read["inferred_schema"]["properties"];
    assert_eq!(properties["id"]["type"], json!(["null", "integer"]));
    let slice = &read["slices"][0];
    assert_eq!(slice["records"].as_array().unwrap().len(), 5);
    let exchanges = slice["exchanges"].as_array().unwrap();
    assert_eq!(exchanges.len(), 3);
    let url = exchanges[1]["request"]["url"].as_str().unwrap();
    assert!(url.contains("page=2"), "{url}");
    assert_eq!(
        exchanges[1]["request"]["headers"]["authorization"],
        "Bearer ****"
    );
    assert_eq!(exchanges[1]["response"]["status"], 200);
    assert_eq!(exchanges[1]["response"]["body"]["items"][0], item(3));

    let text = cdk(&desk, &TEST_READ);
    text.assert_ok();
    for part in [
        "Slice 1",
        "page=3&since=",
        "5 records in 1 slice",
        "Schema {",
        "State {",
    ] {
        assert!(text.stdout.contains(part), "{part}: {}", text.stdout);
    }
    assert!(!text.stdout.contains(TOKEN) && !json.stdout.contains(TOKEN));
}

#[test]
fn a_test_read_keeps_its_limits_and_goes_on_from_a_state() {
    let api = Api::of_items();
    let desk = desk(&api, MANIFEST);
    let read = |more: &[&str]| -> Value {
        let run = cdk(&desk, &[&TEST_READ[..], &["--json"], more].concat());
        run.assert_ok();
        serde_json::from_str(&run.stdout).unwrap()
    };
    let records = |read: &Value| read["slices"][0]["records"].as_array().unwrap().len();
    let of_one_page = read(&["--max-pages", "1"]);
    assert_eq!(
        (records(&of_one_page), &of_one_page["limit_reached"]),
        (2, &json!(true))
    );
    let of_three = read(&["--max-records", "3"]);
    assert_eq!(
        (records(&of_three), &of_three["limit_reached"]),
        (3, &json!(true))
    );
    let state = json!([{"type": "STREAM", "stream": {"stream_descriptor": {"name": "items"},
        "stream_state": {"updated_at": "2024-03-04T00:00:00Z"}}}]);
    desk.write("state.json", &state.to_string());
    assert_eq!(records(&read(&["--state", "state.json"])), 2);
}

#[test]
fn a_failed_test_read_shows_the_answer_and_who_has_to_act() {
    let api = Api::serve(|_| Reply::error(403, "not yours"));
    let desk = desk(&api, MANIFEST);
    let failed = cdk(&desk, &TEST_READ);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    for part in ["→ 403", "not yours", "Failed (config_error)"] {
        assert!(failed.stdout.contains(part), "{part}: {}", failed.stdout);
    }
    let args: Vec<_> = TEST_READ
        .iter()
        .map(|arg| if *arg == "items" { "itms" } else { arg })
        .collect();
    cdk(&desk, &args).assert_error(1, "Did you mean `items`? Those it has: items.");
    desk.write("config.json", r#"{"token": "x"}"#);
    cdk(&desk, &TEST_READ).assert_error(1, "api_url");
}

#[test]
fn validation_shows_all_that_is_wrong_with_place_and_remedy() {
    let desk = Desk::new();
    desk.write("manifest.yaml", MANIFEST);
    let good = desk.cdk(&["manifest", "validate", "manifest.yaml"]);
    good.assert_ok();
    assert_eq!(good.stdout, "manifest.yaml is a manifest without faults.\n");

    let unused = MANIFEST.replace("streams:\n", "definitions: {old: {a: 1}}\nstreams:\n");
    desk.write("manifest.yaml", &unused);
    let warned = desk.cdk(&["manifest", "validate", "manifest.yaml"]);
    warned.assert_ok();
    assert_eq!(
        warned.stdout,
        "manifest.yaml:4:15: warning: `definitions.old`: Nothing refers to this definition: it has no effect.\n"
    );

    let broken = unused
        .replace("type: HttpRequester", "type: HtpRequester")
        .replace("primary_key: id", "primry_key: id")
        .replace("{{ config['token'] }}", "{{ config['token' }}")
        .replace(
            "start_time_option: {",
            "start_time_option: {$ref: '#/definitions/nope', ",
        );
    desk.write("manifest.yaml", &broken);
    let bad = desk.cdk(&["manifest", "validate", "manifest.yaml"]);
    assert_eq!(bad.code, Some(1), "{bad:?}");
    let lines: Vec<&str> = bad.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{lines:#?}");
    for (line, parts) in lines.iter().zip([
        [
            "manifest.yaml:4:15: warning:",
            "`definitions.old`",
            "no effect",
        ],
        [
            "manifest.yaml:8:5: warning:",
            "`streams[0].primry_key`",
            "Did you mean `primary_key`?",
        ],
        [
            "manifest.yaml:12:9: error:",
            "`streams[0].retriever.requester`",
            "Did you mean `HttpRequester`?",
        ],
        [
            "manifest.yaml:14:",
            "`streams[0].retriever.requester.authenticator.api_token`",
            "can't be read",
        ],
        [
            "manifest.yaml:27:",
            "`streams[0].incremental_sync.start_time_option`",
            "points to nothing",
        ],
    ]) {
        for part in parts {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
    let json = desk.cdk(&["manifest", "validate", "manifest.yaml", "--json"]);
    assert_eq!(json.code, Some(1));
    let found: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(found.len(), 5);
    assert_eq!(found[2]["path"], "streams[0].retriever.requester");
    assert_eq!(
        (&found[2]["line"], &found[2]["severity"]),
        (&json!(12), &json!("error"))
    );
    assert_eq!(found[3]["severity"], "error later");
    desk.cdk(&["manifest", "validate", "nowhere.yaml"])
        .assert_error(1, "nowhere.yaml can't be read");
}

#[test]
fn a_template_is_evaluated_to_a_value_and_its_type() {
    let desk = Desk::new();
    desk.write("record.json", r#"{"id": 7, "tags": ["a", "b"]}"#);
    for (args, printed) in [
        (
            &[
                "{{ config.days | int * 2 }}",
                "--config",
                r#"{"days": "7"}"#,
            ][..],
            "14  (int)",
        ),
        (
            &["{{ record.tags | join('-') }}", "--record", "@record.json"],
            "\"a-b\"  (str)",
        ),
        (
            &["{{ record.id > 5 }}", "--record", "@record.json"],
            "true  (bool)",
        ),
        (
            &["{{ response.next }}", "--response", "next: null"],
            "null  (None)",
        ),
        (
            &["{{ headers['x'] }}", "--headers", r#"{"x": "1.5"}"#],
            "1.5  (float)",
        ),
        (
            &[
                "{{ stream_slice.start }}",
                "--slice",
                r#"{"start": "2024-01-01"}"#,
            ],
            "\"2024-01-01\"  (str)",
        ),
        (
            &["{{ parameters.p }}", "--parameters", r#"{"p": {"a": 1}}"#],
            "{\"a\":1}  (dict)",
        ),
        (
            &[
                "{{ last_record['id'] }}",
                "--var",
                r#"last_record={"id": 3}"#,
            ],
            "3  (int)",
        ),
    ] {
        let run = desk.cdk(&[&["manifest", "eval"], args].concat());
        run.assert_ok();
        assert_eq!(run.stdout.trim_end(), printed, "{args:?}");
    }
    let pinned = finish(
        desk.command(&["manifest", "eval", "{{ today_utc() }}"])
            .env("CDK_NOW", "2024-06-15T12:00:00Z"),
    );
    assert_eq!(pinned.stdout, "\"2024-06-15\"  (str)\n");
    for (args, said) in [
        (&["{{ config['a'"][..], "has no value"),
        (&["{{ config.a.b }}"], "has no value"),
        (
            &["x", "--config", "{a"],
            "The value of --config is neither JSON nor YAML",
        ),
        (
            &["x", "--record", "@nowhere.json"],
            "nowhere.json can't be read",
        ),
        (
            &["x", "--slice", "[1]"],
            "The value of --slice is no object",
        ),
        (&["x", "--var", "last_record"], "is no NAME=JSON"),
    ] {
        let run = desk.cdk(&[&["manifest", "eval"], args].concat());
        run.assert_error(1, said);
        assert!(run.stderr.contains("config_error"), "{run:?}");
    }
}

#[test]
fn the_schema_of_manifests_is_a_json_schema() {
    let run = Desk::new().cdk(&["manifest", "schema"]);
    run.assert_ok();
    let schema: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    let requester = &schema["definitions"]["HttpRequester"]["properties"];
    assert!(requester["http_method"].is_object(), "{requester}");
}
