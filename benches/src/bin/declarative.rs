//! Manifests run by `source-declarative-manifest` beside the Python CDK, which reads the same pages in the same run:
//! records per CPU second of a plain read, with a datetime cursor, and with cursor, filter and transformations; then how
//! long `spec` takes.
//!
//! Runs the program that was built beside this one; `scripts/bench` builds both, `scripts/setup` installs the Python CDK.

use std::path::Path;
use std::process::Command;

use cdk_benches::api::{self, Server};
use cdk_benches::low_code::{Kind, LowCode, python_cdk};
use cdk_benches::process::{AnyResult, Cost, count, median, race, run};
use cdk_benches::{print, records_or};

const ROUNDS: usize = 3;
const SPECS: usize = 5;

fn main() -> AnyResult<()> {
    if std::env::args().nth(1).is_some_and(|arg| arg == "serve") {
        return api::serve();
    }
    let records = records_or(200_000);
    let python = python_cdk().ok_or("The Python CDK is not installed: scripts/setup does it.")?;
    let ours = std::env::current_exe()?.with_file_name("source-declarative-manifest");
    let server = Server::start()?;
    for (title, kind) in [
        ("Manifest, plain", Kind::Plain),
        ("Manifest with a datetime cursor", Kind::Cursor),
        (
            "Manifest with cursor, filter, two AddFields and RemoveFields",
            Kind::Changed,
        ),
    ] {
        same_records(&server, kind, &python, &ours)?;
        let low_code = LowCode::new(server.url(), records, kind)?;
        let mut contenders = [
            ("Python CDK", low_code.read(&python)),
            ("source-declarative-manifest", low_code.read(&ours)),
        ];
        print(&race(title, records, ROUNDS, &mut contenders)?);
    }
    let (python, ours) = (spec(&python)?, spec(&ours)?);
    print(&format!(
        "## spec (median of {SPECS})\n\nPython CDK {:.0} ms, source-declarative-manifest {:.1} ms: {:.0} times as fast",
        python.wall * 1e3,
        ours.wall * 1e3,
        python.wall / ours.wall
    ));
    Ok(())
}

/// A race means nothing if one runs a shorter way.
fn same_records(server: &Server, kind: Kind, python: &Path, ours: &Path) -> AnyResult<()> {
    let low_code = LowCode::new(server.url(), 5000, kind)?;
    let count = |program| count(&mut low_code.read(program), "\"type\":\"RECORD\"");
    let (theirs, ours) = (count(python)?, count(ours)?);
    if theirs == 0 || theirs != ours {
        return Err(
            format!("{kind:?}: the Python CDK read {theirs} records, we read {ours}").into(),
        );
    }
    Ok(())
}

fn spec(program: &Path) -> AnyResult<Cost> {
    let costs = (0..SPECS).map(|_| run(Command::new(program).arg("spec")));
    Ok(median(&costs.collect::<AnyResult<Vec<_>>>()?))
}
