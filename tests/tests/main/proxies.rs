//! The proxy that the environment names.

use std::process::Output;

use cdk_testkit::http::{MockServer, Reply};
use serde_json::{Value, json};

use crate::support::{Desk, messages};

/// A host that only the proxy can reach.
const FAR: &str = "http://far.invalid/data";

fn check(source: &str, config: &Value, proxy: &str) -> Output {
    let desk = Desk::new();
    desk.write("config.json", config);
    let mut command = desk.command(source, &["check", "--config", "config.json"]);
    // Both spellings, so that none of the machine's counts.
    command.env("HTTP_PROXY", proxy).env("http_proxy", proxy);
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_of_http_go_through_the_proxy_of_the_environment() {
    let endpoint = json!({"name": "items", "path": "/items"});
    let file = json!({"dataset_name": "rows", "format": "csv", "url": format!("{FAR}/rows.csv"),
        "provider": {"storage": "HTTPS"}});
    let sources = [
        (
            "source-rest-api",
            json!({"url_base": FAR, "endpoints": [endpoint]}),
            r#"[{"id":1}]"#,
        ),
        (
            "source-pokeapi",
            json!({"base_url": FAR}),
            r#"{"results":[]}"#,
        ),
        ("source-file", file, "id,name\n1,one\n"),
    ];
    for (source, config, body) in sources {
        let proxy = MockServer::serve(move |_| Reply::text(body)).await;
        let url = proxy.url();
        let output = tokio::task::spawn_blocking(move || check(source, &config, &url)).await;
        let messages = messages(&output.unwrap().stdout);
        let is_status = |message: &&Value| message["type"] == "CONNECTION_STATUS";
        let status = messages.iter().find(is_status).unwrap();
        assert_eq!(
            status["connectionStatus"]["status"], "SUCCEEDED",
            "{source}: {status}"
        );
        let requests = proxy.requests();
        assert!(
            requests.iter().any(|it| it.path.starts_with(FAR)),
            "{source}: {requests:?}"
        );
    }
}
