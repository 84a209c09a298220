//! Every built connector by the conformance suite, as a black box.

use std::time::Duration;

use cdk_testkit::http::{MockServer, Reply, SeenRequest};
use cdk_testkit::suite::Report;
use cdk_testkit::{Files, Program, Suite};
use cdk_tests::built;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::CONNECTORS;

/// What a connector is judged with.
struct Bench {
    /// A config that works.
    config: Value,
    /// One that fits the spec but not the world, if there is such a thing.
    invalid: Option<Value>,
    /// A rule that it cannot keep, and why.
    excuse: Option<(&'static str, &'static str)>,
    /// What the configs point to, until the suite is over.
    _servers: Vec<MockServer>,
}

impl Bench {
    fn new(config: Value, invalid: Option<Value>) -> Self {
        Self {
            config,
            invalid,
            excuse: None,
            _servers: Vec::new(),
        }
    }

    /// Of a source that reads an API: `config` makes a config of its URL. The API of the invalid config refuses all.
    async fn api(
        config: impl Fn(String) -> Value,
        answer: impl FnMut(&SeenRequest) -> Reply + Send + 'static,
    ) -> Self {
        let server = MockServer::serve(answer).await;
        let closed = MockServer::serve(|_| Reply::error(403, "closed today")).await;
        let mut bench = Self::new(config(server.url()), Some(config(closed.url())));
        bench._servers = vec![server, closed];
        bench
    }
}

/// Four pages of ten records each; every page names the next one.
fn pages(request: &SeenRequest, record: impl Fn(u64) -> Value) -> Reply {
    let page = request.number("page").unwrap_or(1);
    let records: Vec<Value> = (page * 10..page * 10 + 10).map(record).collect();
    let next = (page < 4).then(|| format!("{}?page={}", request.path, page + 1));
    Reply::json(&json!({"results": records, "next": next}))
}

fn items(request: &SeenRequest) -> Reply {
    pages(
        request,
        |id| json!({"id": id, "name": format!("item {id}")}),
    )
}

/// Names, and the details of each.
fn pokemon(request: &SeenRequest) -> Reply {
    let path = request.path.trim_matches('/');
    let Some(name) = path.strip_prefix("pokemon/") else {
        return pages(request, |id| {
            let name = format!("mon-{id}");
            json!({"name": name, "url": format!("/pokemon/{name}/")})
        });
    };
    let id = name
        .strip_prefix("mon-")
        .and_then(|id| id.parse::<u64>().ok());
    Reply::json(&json!({
        "id": id, "name": name, "height": 7, "weight": 69, "base_experience": 64, "is_default": true, "order": id,
        "species": {"name": name, "url": "/species/1/"},
        "types": [{"slot": 1, "type": {"name": "grass", "url": "/type/12/"}}],
    }))
}

fn manifest(url: &str) -> Value {
    json!({
        "version": "6.0.0", "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["items"]},
        "streams": [{
            "type": "DeclarativeStream", "name": "items", "primary_key": "id",
            "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object",
                "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}},
            "retriever": {
                "type": "SimpleRetriever",
                "requester": {"type": "HttpRequester", "url_base": url, "path": "/items"},
                "record_selector": {"type": "RecordSelector",
                    "extractor": {"type": "DpathExtractor", "field_path": ["results"]}},
            },
        }],
    })
}

/// None for connectors of systems that have to be started first: their own tests have them.
async fn bench(connector: &str, files: &Files) -> Option<Bench> {
    let root = files.path();
    Some(match connector {
        "source-faker" => Bench::new(json!({"count": 40, "records_per_slice": 10}), None),
        "source-file" => {
            let path = files.write("rows.csv", "id,name\n1,one\n2,two\n3,three\n");
            let config = |url| json!({"dataset_name": "rows", "format": "csv", "url": url, "provider": {"storage": "local"}});
            Bench::new(config(path), Some(config(root.join("missing.csv"))))
        }
        "source-declarative-manifest" => {
            let config = |url: String| json!({"__injected_declarative_manifest": manifest(&url)});
            let mut bench = Bench::api(config, items).await;
            let reason =
                "a manifest in the config is an object of any kind, as Airbyte's own spec has it";
            bench.excuse = Some(("spec.objects-have-properties", reason));
            bench
        }
        "source-pokeapi" => {
            let config = |url| json!({"base_url": url, "page_size": 10, "concurrency": 4});
            Bench::api(config, pokemon).await
        }
        "source-rest-api" => {
            let endpoint = json!({"name": "items", "path": "/items"});
            let config = move |url| {
                let token = json!({"type": "bearer", "token": "black-box-secret"});
                json!({"url_base": url, "authentication": token, "endpoints": [endpoint]})
            };
            Bench::api(config, items).await
        }
        "destination-dev-null" => Bench::new(json!({}), None),
        "destination-local" => {
            let blocked = files.write("a-file", "in the way").join("out");
            Bench::new(
                json!({"destination_path": root.join("out")}),
                Some(json!({"destination_path": blocked})),
            )
        }
        "destination-sqlite" => {
            let missing = root.join("missing/out.sqlite");
            Bench::new(
                json!({"path": root.join("out.sqlite")}),
                Some(json!({"path": missing})),
            )
        }
        _ => return None,
    })
}

async fn judge(connector: &str) -> Option<Report> {
    let files = Files::new();
    let bench = bench(connector, &files).await?;
    let program = Program::new(built::program(connector))
        .directory(files.path())
        .env("NO_PROXY", "127.0.0.1");
    let mut suite = Suite::program(program)
        .named(connector)
        .config(bench.config.clone());
    if let Some(invalid) = &bench.invalid {
        suite = suite.invalid_config(invalid.clone());
    }
    if let Some((rule, reason)) = bench.excuse {
        suite = suite.excuse(rule, reason);
    }
    // What needs more time hangs.
    let suite = suite.limits(|limits| {
        limits.run = Duration::from_secs(120);
        limits.stop = Duration::from_secs(60);
    });
    Some(suite.run().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connector_that_needs_no_server_conforms() {
    let mut reports = JoinSet::new();
    for connector in CONNECTORS {
        reports.spawn(judge(connector));
    }
    let reports = reports.join_all().await;
    let judged: Vec<_> = reports.into_iter().flatten().collect();
    assert!(judged.len() >= 8, "only {} were judged", judged.len());
    for report in judged {
        assert!(report.is_clean(), "{}", report.table());
    }
}
