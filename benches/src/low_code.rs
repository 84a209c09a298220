//! Manifests that read [`api`](crate::api), and the command that runs them: ours and the Python CDK's take the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::PAGE;
use crate::process::AnyResult;

/// What a manifest does with the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Plain,
    /// A datetime cursor watches them.
    Cursor,
    /// The same, and they are filtered, get two fields and lose one.
    Changed,
}

/// A manifest with its config and catalog, in files.
#[derive(Debug)]
pub struct LowCode(TempDir);

impl LowCode {
    /// A manifest that reads so many records of the API at `url`.
    pub fn new(url: &str, records: u64, kind: Kind) -> AnyResult<Self> {
        let dir = tempfile::tempdir()?;
        let has_cursor = kind != Kind::Plain;
        for (file, value) in [
            ("manifest.yaml", manifest(url, records, kind)),
            ("config.json", json!({})),
            ("catalog.json", catalog(has_cursor)),
        ] {
            std::fs::write(dir.path().join(file), value.to_string())?;
        }
        Ok(Self(dir))
    }

    /// The read of it by a program that runs manifests.
    pub fn read(&self, program: &Path) -> Command {
        let file = |name: &str| self.0.path().join(name);
        let mut command = Command::new(program);
        command.arg("read");
        command.arg("--config").arg(file("config.json"));
        command.arg("--catalog").arg(file("catalog.json"));
        command.arg("--manifest-path").arg(file("manifest.yaml"));
        command
    }
}

/// The Python CDK's `source-declarative-manifest`, where `scripts/setup` or `CDK_PYTHON` has it.
pub fn python_cdk() -> Option<PathBuf> {
    let usual = || PathBuf::from("target/python/bin/python");
    let python = std::env::var_os("CDK_PYTHON").map_or_else(usual, PathBuf::from);
    let program = python.with_file_name("source-declarative-manifest");
    program.is_file().then_some(program)
}

fn manifest(url: &str, records: u64, kind: Kind) -> Value {
    let pages = json!({
        "type": "DefaultPaginator",
        "page_token_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "offset"},
        "page_size_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "limit"},
        "pagination_strategy": {"type": "OffsetIncrement", "page_size": PAGE},
    });
    let mut selector = json!({
        "type": "RecordSelector",
        "extractor": {"type": "DpathExtractor", "field_path": ["data"]},
    });
    if kind == Kind::Changed {
        selector["record_filter"] =
            json!({"type": "RecordFilter", "condition": "{{ record['status'] != 'returned' }}"});
    }
    let mut stream = json!({
        "type": "DeclarativeStream",
        "name": "orders",
        "primary_key": ["id"],
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {
                "type": "HttpRequester",
                "url_base": url,
                "path": "/records",
                "http_method": "GET",
                "request_parameters": {"total": records.to_string()},
            },
            "record_selector": selector,
            "paginator": pages,
        },
        "schema_loader": {"type": "InlineSchemaLoader", "schema": schema()},
    });
    if kind != Kind::Plain {
        let format = "%Y-%m-%dT%H:%M:%SZ";
        let moment = |datetime: &str| json!({"type": "MinMaxDatetime", "datetime": datetime, "datetime_format": format});
        stream["incremental_sync"] = json!({
            "type": "DatetimeBasedCursor",
            "cursor_field": "updated_at",
            "datetime_format": format,
            "start_datetime": moment("2026-01-01T00:00:00Z"),
            "end_datetime": moment("2026-12-31T23:59:59Z"),
        });
    }
    if kind == Kind::Changed {
        stream["transformations"] = json!([
            {"type": "AddFields", "fields": [
                {"path": ["contact"], "value": "{{ record['customer'] }} <{{ record['email'] }}>"},
                {"path": ["origin"], "value": "bench"},
            ]},
            {"type": "RemoveFields", "field_pointers": [["remark"]]},
        ]);
    }
    json!({
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["orders"]},
        "streams": [stream],
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
    })
}

fn schema() -> Value {
    schemars::schema_for!(crate::Order).to_value()
}

fn catalog(is_incremental: bool) -> Value {
    let mode = if is_incremental {
        "incremental"
    } else {
        "full_refresh"
    };
    json!({"streams": [{
        "stream": {
            "name": "orders",
            "json_schema": schema(),
            "supported_sync_modes": ["full_refresh", "incremental"],
        },
        "sync_mode": mode,
        "destination_sync_mode": "append",
    }]})
}
