//! States: where they stand, and that reading on from each gives exactly the rest.

use std::io::Write;

use cdk_core::entrypoint::Exit;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::server::{Reply, Server};
use crate::support::{Folder, Output, local, web};

const ROWS: usize = 300;

fn csv() -> String {
    let mut text = String::from("\u{feff}id,note\n");
    (0..ROWS).for_each(|row| text += &format!("{row},\"li\r\nne é {row}\"\n"));
    text
}

fn jsonl() -> String {
    (0..ROWS)
        .map(|row| format!("{{\"id\":{row},\"note\":\"é\"}}\n"))
        .collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Reads `config` whole, then from every state: each time the rest must come, and nothing else.
async fn resumes_everywhere(folder: &Folder, config: &Value) -> Output {
    let schema = folder.discover(config).await.schema();
    let whole = folder
        .read_with(config, &schema, None, 300)
        .await
        .expect_success();
    let records = whole.records();
    assert_eq!(records.len(), ROWS);
    let states = whole.states();
    assert!(states.len() > 20, "{} states", states.len());
    assert_eq!(states.last().unwrap().0, ROWS);
    for (before, state) in states.iter().step_by(3).chain(states.last()) {
        let state = json!([state]);
        let rest = folder
            .read_with(config, &schema, Some(&state), 300)
            .await
            .expect_success();
        assert_eq!(rest.records(), records[*before..], "after {before} records");
    }
    whole
}

#[tokio::test]
async fn local_csv_goes_on_from_every_state() {
    let folder = Folder::new();
    let path = folder.write("file.csv", csv());
    let whole = resumes_everywhere(&folder, &local(&path, "csv", &json!({}))).await;
    let counted = whole
        .states()
        .into_iter()
        .map(|(_, state)| state["sourceStats"]["recordCount"].as_f64().unwrap());
    assert_eq!(counted.sum::<f64>(), ROWS as f64);
}

#[tokio::test]
async fn local_jsonl_goes_on_from_every_state() {
    let folder = Folder::new();
    let path = folder.write("file.jsonl", jsonl());
    resumes_everywhere(&folder, &local(&path, "jsonl", &json!({}))).await;
}

#[tokio::test]
async fn packed_and_encoded_files_go_on_from_every_state() {
    let folder = Folder::new();
    let path = folder.write("file.csv.gz", gzip(csv().as_bytes()));
    resumes_everywhere(&folder, &local(&path, "csv", &json!({}))).await;
    let latin: Vec<u8> = csv()
        .chars()
        .skip(1)
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    let path = folder.write("latin.csv", latin);
    resumes_everywhere(
        &folder,
        &local(&path, "csv", &json!({"encoding": "latin1"})),
    )
    .await;
}

#[tokio::test]
async fn a_url_goes_on_from_every_state_by_range() {
    let folder = Folder::new();
    let server = Server::of_file(csv()).await;
    resumes_everywhere(&folder, &web(&format!("{}/file.csv", server.url), "csv")).await;
    let ranged = server
        .requests()
        .iter()
        .filter(|request| request.range_start().is_some())
        .count();
    assert!(ranged > 5, "{ranged} requests with a range");
}

#[tokio::test]
async fn a_url_without_ranges_goes_on_by_skipping() {
    let folder = Folder::new();
    let server = Server::start(|_| {
        Reply::new(200, csv()).header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
    })
    .await;
    resumes_everywhere(&folder, &web(&format!("{}/file.csv", server.url), "csv")).await;
}

#[tokio::test]
async fn the_row_limit_counts_rows_before_the_state() {
    let folder = Folder::new();
    let path = folder.write("file.csv", csv());
    let config = local(&path, "csv", &json!({"nrows": 100}));
    let schema = folder.discover(&config).await.schema();
    let whole = folder
        .read_with(&config, &schema, None, 300)
        .await
        .expect_success();
    assert_eq!(whole.records().len(), 100);
    let (before, state) = &whole.states()[3];
    let rest = folder
        .read_with(&config, &schema, Some(&json!([state])), 300)
        .await;
    assert_eq!(rest.expect_success().records(), whole.records()[*before..]);
}

#[tokio::test]
async fn what_the_state_does_not_stand_for_is_read_from_the_start() {
    let folder = Folder::new();
    let path = folder.write("file.csv", csv());
    let config = local(&path, "csv", &json!({}));
    let schema = folder.discover(&config).await.schema();
    let whole = folder
        .read_with(&config, &schema, None, 300)
        .await
        .expect_success();
    let state = json!([whole.states()[5].1]);
    // Other options, another format, another version of the file.
    let options = local(&path, "csv", &json!({"quoting": 0}));
    let again = folder
        .read_with(&options, &schema, Some(&state), 300)
        .await
        .expect_success();
    assert_eq!(again.records().len(), ROWS);
    assert!(
        again.text.contains("is read from the start"),
        "{}",
        again.text
    );
    folder.write("file.csv", csv() + "300,x\n");
    let again = folder
        .read_with(&config, &schema, Some(&state), 300)
        .await
        .expect_success();
    assert_eq!(again.records().len(), ROWS + 1);
}

#[tokio::test]
async fn states_of_others_mean_the_start_and_broken_ones_are_config_errors() {
    let folder = Folder::new();
    let path = folder.write("file.csv", csv());
    let config = local(&path, "csv", &json!({}));
    let schema = folder.discover(&config).await.schema();
    let state = |body: Value| {
        json!([{"type": "STREAM", "stream": {
            "stream_descriptor": {"name": "data"}, "stream_state": body}}])
    };
    let marker = state(json!({"__ab_no_cursor_state_message": true}));
    let read = folder
        .read_with(&config, &schema, Some(&marker), 300)
        .await
        .expect_success();
    assert_eq!(read.records().len(), ROWS);
    let broken = state(json!({"position": {"offset": "far"}}));
    let read = folder.read_with(&config, &schema, Some(&broken), 300).await;
    assert_eq!(read.error().0, "config_error");
    assert!(
        read.error().1.contains("Reset the stream"),
        "{}",
        read.error().1
    );
}

#[tokio::test]
async fn a_server_that_tells_no_version_is_read_from_the_start() {
    let folder = Folder::new();
    let server = Server::start(|_| Reply::new(200, csv())).await;
    let config = web(&format!("{}/file.csv", server.url), "csv");
    let schema = folder.discover(&config).await.schema();
    let whole = folder
        .read_with(&config, &schema, None, 300)
        .await
        .expect_success();
    let state = json!([whole.states()[5].1]);
    let again = folder
        .read_with(&config, &schema, Some(&state), 300)
        .await
        .expect_success();
    assert_eq!(again.records().len(), ROWS);
    assert!(again.text.contains("neither an ETag"), "{}", again.text);
}

#[tokio::test]
async fn a_stopped_read_ends_with_a_state_to_go_on_from() {
    const MANY: usize = 100_000;
    let folder = Folder::new();
    let text: String = (0..MANY)
        .map(|row| format!("{{\"id\":{row},\"note\":\"a note\"}}\n"))
        .collect();
    let path = folder.write("file.jsonl", text);
    let config = local(&path, "jsonl", &json!({}));
    let schema = folder.discover(&config).await.schema();
    let stopped = folder.read_until_record(&config, &schema, 5000).await;
    assert_eq!(stopped.exit, Exit::Stopped);
    let first = stopped.records();
    assert!((1..MANY).contains(&first.len()), "{} records", first.len());
    let (before, state) = stopped.states().pop().unwrap();
    assert_eq!(before, first.len());
    let rest = folder
        .read_with(&config, &schema, Some(&json!([state])), 100_000)
        .await;
    assert_eq!(rest.expect_success().records().len(), MANY - before);
}
