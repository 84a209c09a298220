//! Children of very many parents, read by a manifest: requests per second, and the peak of memory, which must not grow
//! with the number of parents, state included.
//!
//! The argument is the number of parents (default 100,000). Runs the `source-declarative-manifest` that was built beside
//! this program; `scripts/bench` builds both.

use cdk_benches::api::{self, Server};
use cdk_benches::low_code::{self, LowCode};
use cdk_benches::process::{AnyResult, run};
use cdk_benches::{print, records_or};
use serde_json::{Value, json};

fn main() -> AnyResult<()> {
    if std::env::args().nth(1).is_some_and(|arg| arg == "serve") {
        return api::serve();
    }
    let parents = records_or(100_000);
    let ours = std::env::current_exe()?.with_file_name("source-declarative-manifest");
    let server = Server::start()?;
    let mut table = format!(
        "## Children of {parents} parents\n\n| child | requests/s | CPU s | peak MiB |\n|---|---:|---:|---:|\n"
    );
    for (name, has_cursor) in [
        ("without a cursor", false),
        ("with a cursor per parent", true),
    ] {
        let stream = children(server.url(), parents, has_cursor);
        let cost = run(&mut LowCode::of(&stream, has_cursor)?.read(&ours))?;
        table.push_str(&format!(
            "| {name} | {:.0} | {:.1} | {:.0} |\n",
            parents as f64 / cost.wall,
            cost.cpu,
            cost.peak_mib
        ));
    }
    print(&table);
    Ok(())
}

/// A stream that asks for the children of each parent; with a cursor, so have the parents, whose state the children keep.
fn children(url: &str, total: u64, has_cursor: bool) -> Value {
    let mut parents = low_code::stream("parents", url, "/parents", &[]);
    parents["retriever"]["requester"]["request_parameters"] = json!({"total": total.to_string()});
    parents["retriever"]["paginator"] = low_code::pages();
    let path = "/children?parent={{ stream_partition.parent }}";
    let mut children = low_code::stream("children", url, path, &[]);
    if has_cursor {
        parents["incremental_sync"] = low_code::cursor();
        children["incremental_sync"] = low_code::cursor();
    }
    children["retriever"]["partition_router"] = json!({
        "type": "SubstreamPartitionRouter",
        "parent_stream_configs": [{
            "type": "ParentStreamConfig",
            "stream": parents,
            "parent_key": "id",
            "partition_field": "parent",
            "incremental_dependency": has_cursor,
        }],
    });
    children
}
