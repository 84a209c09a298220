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
        let mut stream = orders(url, records);
        kind.change(&mut stream);
        Self::of(&stream, kind != Kind::Plain)
    }

    /// A manifest of one stream, which is read incrementally or in full.
    pub fn of(stream: &Value, is_incremental: bool) -> AnyResult<Self> {
        let dir = tempfile::tempdir()?;
        let name = &stream["name"];
        for (file, value) in [
            ("manifest.yaml", manifest(stream)),
            ("config.json", json!({})),
            ("catalog.json", catalog(name, is_incremental)),
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

impl Kind {
    fn change(self, stream: &mut Value) {
        if self != Self::Plain {
            stream["incremental_sync"] = cursor();
        }
        if self == Self::Changed {
            stream["retriever"]["record_selector"]["record_filter"] = json!({"type": "RecordFilter", "condition": "{{ record['status'] != 'returned' }}"});
            stream["transformations"] = json!([
                {"type": "AddFields", "fields": [
                    {"path": ["contact"], "value": "{{ record['customer'] }} <{{ record['email'] }}>"},
                    {"path": ["origin"], "value": "bench"},
                ]},
                {"type": "RemoveFields", "field_pointers": [["remark"]]},
            ]);
        }
    }
}

/// A cursor on the field `updated_at`, with one window.
pub fn cursor() -> Value {
    let format = "%Y-%m-%dT%H:%M:%SZ";
    let moment = |datetime: &str| json!({"type": "MinMaxDatetime", "datetime": datetime, "datetime_format": format});
    json!({
        "type": "DatetimeBasedCursor",
        "cursor_field": "updated_at",
        "datetime_format": format,
        "start_datetime": moment("2026-01-01T00:00:00Z"),
        "end_datetime": moment("2026-12-31T23:59:59Z"),
    })
}

/// The stream of the API's orders.
fn orders(url: &str, records: u64) -> Value {
    let mut stream = stream("orders", url, "/records", &["data"]);
    stream["retriever"]["requester"]["request_parameters"] = json!({"total": records.to_string()});
    stream["retriever"]["paginator"] = pages();
    stream
}

/// A stream that reads `path` with one request, and takes records from `field_path` of the answer.
pub fn stream(name: &str, url: &str, path: &str, field_path: &[&str]) -> Value {
    json!({
        "type": "DeclarativeStream",
        "name": name,
        "primary_key": ["id"],
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {"type": "HttpRequester", "url_base": url, "path": path, "http_method": "GET"},
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": field_path},
            },
        },
        "schema_loader": {"type": "InlineSchemaLoader", "schema": schema()},
    })
}

/// Pages by offset and limit.
pub fn pages() -> Value {
    let option = |name: &str| json!({"type": "RequestOption", "inject_into": "request_parameter", "field_name": name});
    json!({
        "type": "DefaultPaginator",
        "page_token_option": option("offset"),
        "page_size_option": option("limit"),
        "pagination_strategy": {"type": "OffsetIncrement", "page_size": PAGE},
    })
}

fn manifest(stream: &Value) -> Value {
    json!({
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": [stream["name"]]},
        "streams": [stream],
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
    })
}

/// Of an [`Order`](crate::Order), without references: a manifest has its own.
fn schema() -> Value {
    let types = [
        ("integer", "id lines"),
        (
            "string",
            "reference customer email status updated_at remark",
        ),
        ("number", "total"),
        ("boolean", "is_gift"),
        ("array", "labels"),
        ("object", "address"),
    ];
    let fields = types.iter().flat_map(|(kind, names)| {
        let names = names.split(' ');
        names.map(move |name| (name.to_owned(), json!({"type": ["null", kind]})))
    });
    json!({"type": "object", "properties": fields.collect::<serde_json::Map<_, _>>()})
}

fn catalog(name: &Value, is_incremental: bool) -> Value {
    let mode = if is_incremental {
        "incremental"
    } else {
        "full_refresh"
    };
    json!({"streams": [{
        "stream": {
            "name": name,
            "json_schema": schema(),
            "supported_sync_modes": ["full_refresh", "incremental"],
        },
        "sync_mode": mode,
        "destination_sync_mode": "append",
    }]})
}
