//! Every built connector by the conformance suite, as a black box.

use std::time::Duration;

use cdk_testkit::suite::Report;
use cdk_testkit::{Files, Program, Suite};
use cdk_tests::built;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::CONNECTORS;

/// A config that works, and one that fits the spec but not the world, if there is such a thing. None for connectors of
/// systems that have to be started first: their own tests have them.
fn configs(connector: &str, files: &Files) -> Option<(Value, Option<Value>)> {
    let root = files.path();
    Some(match connector {
        "source-faker" => (json!({"count": 40, "records_per_slice": 10}), None),
        "source-file" => {
            let path = files.write("rows.csv", "id,name\n1,one\n2,two\n3,three\n");
            let config = |url| json!({"dataset_name": "rows", "format": "csv", "url": url, "provider": {"storage": "local"}});
            (config(path), Some(config(root.join("missing.csv"))))
        }
        "destination-dev-null" => (json!({}), None),
        "destination-local" => {
            let blocked = files.write("a-file", "in the way").join("out");
            (
                json!({"destination_path": root.join("out")}),
                Some(json!({"destination_path": blocked})),
            )
        }
        "destination-sqlite" => {
            let missing = root.join("missing/out.sqlite");
            (
                json!({"path": root.join("out.sqlite")}),
                Some(json!({"path": missing})),
            )
        }
        _ => return None,
    })
}

async fn judge(connector: &str) -> Option<Report> {
    let files = Files::new();
    let (config, invalid) = configs(connector, &files)?;
    let program = Program::new(built::program(connector)).directory(files.path());
    let mut suite = Suite::program(program).named(connector).config(config);
    if let Some(invalid) = invalid {
        suite = suite.invalid_config(invalid);
    }
    // What needs more time hangs.
    let suite = suite.limits(|limits| {
        limits.run = Duration::from_secs(120);
        limits.stop = Duration::from_secs(60);
    });
    Some(suite.run().await)
}

#[tokio::test]
async fn every_connector_that_needs_no_server_conforms() {
    let mut reports = JoinSet::new();
    for connector in CONNECTORS {
        reports.spawn(judge(connector));
    }
    let reports = reports.join_all().await;
    let judged: Vec<_> = reports.into_iter().flatten().collect();
    assert!(judged.len() >= 5, "only {} were judged", judged.len());
    for report in judged {
        assert!(report.is_clean(), "{}", report.table());
    }
}
