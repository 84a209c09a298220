//! Verbs with a config.

use cdk_testkit::{Files, Ran, Run};
use serde_json::{Value, json};
use source_rest_api::SourceRestApi;

pub(crate) async fn check(config: &Value) -> String {
    let files = Files::new();
    let check = Run::new("check").file(&files, "config", config);
    let ran = check.source(SourceRestApi).await;
    let status = ran.connection_status();
    format!(
        "{:?} {}",
        status.status,
        status.message.as_deref().unwrap_or_default()
    )
}

pub(crate) async fn discover(config: &Value) -> Value {
    let files = Files::new();
    let discover = Run::new("discover").file(&files, "config", config);
    let ran = discover.source(SourceRestApi).await.succeeded();
    serde_json::to_value(ran.catalog()).expect("a catalog is JSON")
}

pub(crate) async fn read(config: &Value, names: &[&str]) -> Ran {
    let streams: Vec<Value> = names
        .iter()
        .map(|name| {
            let modes = ["full_refresh", "incremental"];
            json!({"stream": {"name": name, "json_schema": {}, "supported_sync_modes": modes},
                "sync_mode": "full_refresh", "destination_sync_mode": "append"})
        })
        .collect();
    let files = Files::new();
    let run = Run::new("read").file(&files, "config", config);
    let run = run.file(&files, "catalog", &json!({ "streams": streams }));
    run.source(SourceRestApi).await
}
