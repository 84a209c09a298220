//! The source against a server that answers as pokeapi.co does.

use cdk_core::entrypoint::Exit;
use cdk_testkit::http::{Fault, Faults, MockServer, Reply, SeenRequest};
use cdk_testkit::{Files, Run, StreamSpec, Suite};
use serde_json::{Value, json};
use source_pokeapi::SourcePokeapi;

const COUNT: u64 = 45;

fn answer(request: &SeenRequest) -> Reply {
    let name = request.path.trim_matches('/').strip_prefix("pokemon");
    match name.map(|name| name.trim_start_matches('/')) {
        Some("") => {
            let limit = request.number("limit").unwrap_or(20);
            let from = request.number("offset").unwrap_or(0);
            let to = (from + limit).min(COUNT);
            let results: Vec<Value> = (from..to)
                .map(|id| json!({"name": format!("mon-{id}"), "url": format!("/pokemon/{id}/")}))
                .collect();
            let next = (to < COUNT).then(|| format!("/pokemon?offset={to}&limit={limit}"));
            Reply::json(
                &json!({"count": COUNT, "next": next, "previous": null, "results": results}),
            )
        }
        Some(name) => {
            let id: Option<u64> = name.strip_prefix("mon-").and_then(|id| id.parse().ok());
            Reply::json(&json!({
                "id": id, "name": name, "height": 7, "weight": 69, "base_experience": 64, "is_default": true,
                "order": id, "species": {"name": name, "url": "/species/1/"}, "sprites": {"front": null},
                "types": [{"slot": 1, "type": {"name": "grass", "url": "/type/12/"}}],
            }))
        }
        None => Reply::error(404, "not found"),
    }
}

fn config(server: &MockServer) -> Value {
    json!({"base_url": server.url(), "page_size": 20, "concurrency": 4})
}

async fn read(config: &Value) -> cdk_testkit::Ran {
    let files = Files::new();
    let streams =
        ["pokemon_names", "pokemon"].map(|name| StreamSpec::new(name, "append", json!({})));
    let catalog = StreamSpec::catalog(&[&streams[0], &streams[1]]);
    let run = Run::new("read").file(&files, "config", config);
    run.file(&files, "catalog", &catalog)
        .source(SourcePokeapi)
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_details_arrive_once_and_pages_are_shared() {
    let mut faults = Faults::first([Fault::RateLimited(Some(0))]);
    let server = MockServer::serve(move |request| faults.apply(request, answer(request))).await;
    let ran = read(&config(&server)).await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
    assert_eq!(ran.data("pokemon_names").len() as u64, COUNT);
    let mut ids: Vec<u64> = ran
        .data("pokemon")
        .iter()
        .filter_map(|it| it["id"].as_u64())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..COUNT).collect::<Vec<_>>());
    let pages = server
        .requests()
        .iter()
        .filter(|it| it.path == "/pokemon")
        .count();
    assert_eq!(pages, 6, "three pages, each failing once");
}

#[tokio::test]
async fn an_api_that_is_not_there_fails_the_check() {
    let server = MockServer::serve(|_| Reply::error(404, "moved")).await;
    let files = Files::new();
    let ran = Run::new("check")
        .file(&files, "config", &config(&server))
        .source(SourcePokeapi)
        .await;
    let message = ran.connection_status().message.clone().unwrap_or_default();
    assert!(
        message.contains("moved") && message.contains("Check the URL"),
        "{message}"
    );
}

#[tokio::test]
async fn the_sample_config_of_the_readme_fits_the_spec() {
    let readme = include_str!("../../README.md");
    let sample = readme
        .split("```json\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let sample: Value =
        serde_json::from_str(sample.expect("the README has a sample")).expect("JSON");
    let spec = cdk_core::Source::spec(&SourcePokeapi);
    for key in sample.as_object().expect("an object").keys() {
        assert!(
            spec.connection_specification["properties"][key].is_object(),
            "{key}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms() {
    let server = MockServer::serve(answer).await;
    let missing = MockServer::serve(|_| Reply::error(404, "moved")).await;
    let report = Suite::source(SourcePokeapi)
        .config(config(&server))
        .invalid_config(config(&missing))
        .expected_records(
            "pokemon_names",
            [json!({"name": "mon-7", "url": "/pokemon/7/"})],
        )
        .run()
        .await;
    report.assert_passed();
}
