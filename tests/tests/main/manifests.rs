//! A low-code manifest as a connector: by the conformance suite, as a file and inside of the config.

use std::time::Duration;

use cdk_declarative::yaml;
use cdk_testkit::http::{MockServer, Reply, SeenRequest};
use cdk_testkit::{Files, Program, Suite};
use cdk_tests::built;
use serde_json::{Value, json};

use crate::support::{Desk, messages};

/// Orders by date and shop, and the shops they belong to.
const MANIFEST: &str = r#"version: 6.0.0
type: DeclarativeSource
check: {type: CheckStream, stream_names: [shops]}
definitions:
  requester:
    type: HttpRequester
    url_base: "{{ config['api_url'] }}"
    authenticator: {type: BearerAuthenticator, api_token: "{{ config['token'] }}"}
  selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [data]}}
  shops:
    type: DeclarativeStream
    name: shops
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester: {$ref: '#/definitions/requester', path: /shops}
      record_selector: '#/definitions/selector'
    schema_loader: {type: InlineSchemaLoader, schema: {type: object, properties: {id: {type: integer}}}}
streams:
  - '#/definitions/shops'
  - type: DeclarativeStream
    name: orders
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester: {$ref: '#/definitions/requester', path: "/shops/{{ stream_partition.shop }}/orders"}
      record_selector: '#/definitions/selector'
      partition_router:
        type: SubstreamPartitionRouter
        parent_stream_configs:
          - {type: ParentStreamConfig, stream: '#/definitions/shops', parent_key: id, partition_field: shop}
      paginator:
        type: DefaultPaginator
        pagination_strategy: {type: OffsetIncrement, page_size: 2}
        page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: offset}
    incremental_sync:
      type: DatetimeBasedCursor
      cursor_field: at
      datetime_format: "%Y-%m-%d"
      start_datetime: "2024-01-01"
      start_time_option: {type: RequestOption, inject_into: request_parameter, field_name: since}
    transformations:
      - {type: AddFields, fields: [{path: [shop], value: "{{ stream_partition.shop }}"}]}
    schema_loader:
      type: InlineSchemaLoader
      schema:
        type: object
        properties: {id: {type: integer}, at: {type: string, format: date}, shop: {type: integer}}
spec:
  type: Spec
  connection_specification:
    $schema: http://json-schema.org/draft-07/schema#
    type: object
    required: [api_url, token]
    additionalProperties: true
    properties:
      api_url: {type: string, title: URL, description: Where the API is.}
      token: {type: string, title: Token, description: The token., airbyte_secret: true}
"#;

fn answer(request: &SeenRequest) -> Reply {
    if request.header("authorization") != Some("Bearer a-good-token") {
        return Reply::error(401, "wrong token");
    }
    let steps: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let data: Vec<Value> = match steps[..] {
        ["shops"] => (1..=3).map(|id| json!({ "id": id })).collect(),
        ["shops", shop, "orders"] => {
            let shop: u64 = shop.parse().unwrap();
            let offset = request.number("offset").unwrap_or(0) as usize;
            let since = request.query("since").unwrap_or_default();
            let orders = (1..=shop + 2)
                .map(|nth| json!({"id": 10 * shop + nth, "at": format!("2024-02-0{nth}")}));
            let changed = orders.filter(|order| order["at"].as_str() >= Some(since));
            changed.skip(offset).take(2).collect()
        }
        _ => return Reply::error(404, "nothing here"),
    };
    Reply::json(&json!({ "data": data }))
}

fn suite(program: Program, config: &Value) -> Suite {
    let mut wrong = config.clone();
    wrong["token"] = "a-wrong-token".into();
    Suite::program(program)
        .config(config.clone())
        .invalid_config(wrong)
        .excuse("spec.protocol-version", "the Python CDK prints none")
        .expected_records("orders", [json!({"id": 33, "at": "2024-02-03", "shop": 3})])
        // What needs more time hangs.
        .limits(|limits| {
            limits.run = Duration::from_secs(120);
            limits.stop = Duration::from_secs(60);
        })
}

/// The program, with a way to the API past any proxy.
fn program(files: &Files) -> Program {
    Program::new(built::program("source-declarative-manifest"))
        .directory(files.path())
        .env("NO_PROXY", "127.0.0.1")
}

#[test]
fn the_path_of_a_manifest_is_an_option_with_a_value() {
    let desk = Desk::new();
    std::fs::write(desk.path("manifest.yaml"), MANIFEST).unwrap();
    for path in [
        &["--manifest-path", "manifest.yaml"][..],
        &["--manifest-path=manifest.yaml"],
    ] {
        let run = desk.run("source-declarative-manifest", &[&["spec"], path].concat());
        let printed = messages(&run.stdout);
        let spec = printed
            .iter()
            .find(|message| message["type"] == "SPEC")
            .unwrap();
        let properties = &spec["spec"]["connectionSpecification"]["properties"];
        assert_eq!(properties["token"]["airbyte_secret"], true);
    }
    let run = desk.run("source-declarative-manifest", &["spec", "--manifest-path"]);
    assert_eq!(run.status.code(), Some(2), "{run:?}");
    let said = [run.stdout, run.stderr].concat();
    assert!(String::from_utf8_lossy(&said).contains("--manifest-path"));
}

#[tokio::test]
async fn a_manifest_conforms() {
    let api = MockServer::serve(answer).await;
    let files = Files::new();
    let path = files.write("manifest.yaml", MANIFEST);
    let program = program(&files).args(["--manifest-path".to_owned(), path.display().to_string()]);
    let config = json!({"api_url": api.url(), "token": "a-good-token"});
    let report = suite(program, &config).run().await;
    assert!(report.is_clean(), "{}", report.table());
}

#[tokio::test]
async fn a_manifest_in_the_config_conforms() {
    let api = MockServer::serve(answer).await;
    let files = Files::new();
    let config = json!({
        "api_url": api.url(),
        "token": "a-good-token",
        "__injected_declarative_manifest": yaml::parse(MANIFEST).unwrap(),
    });
    let suite = suite(program(&files), &config).excuse(
        "spec.objects-have-properties",
        "the manifest has a schema of its own",
    );
    let report = suite.run().await;
    report.assert_passed();
}
