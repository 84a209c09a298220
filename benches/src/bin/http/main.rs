//! An API read through `HttpStream` to stdout, beside a bare reqwest loop and curl that fetch the same pages and throw
//! them away; then requests in flight against a slow server, and a body of some GB.
//!
//! The Python CDK reads the same pages by a manifest.

mod read;

use std::path::Path;
use std::process::Command;

use cdk_benches::api::{self, LATENCY, PAGE, Server};
use cdk_benches::low_code::{Kind, LowCode, python_cdk};
use cdk_benches::process::{AnyResult, own, race, run};
use cdk_benches::{print, records_or};

/// Requests in flight against the slow server, each of which takes [`LATENCY`].
const IN_FLIGHT: u64 = 16;
const ROUNDS: usize = 3;

fn main() -> AnyResult<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["serve"] => api::serve(),
        ["bare", url, records] => read::bare(url, records.parse()?),
        ["read", kind, url, records] => read::stream(kind, url, records.parse()?),
        _ => measure(),
    }
}

fn measure() -> AnyResult<()> {
    let records = records_or(500_000);
    let server = Server::start()?;
    let url = server.url();
    let dir = tempfile::tempdir()?;
    let mut contenders: Vec<(&str, Command)> = vec![
        (
            "bare reqwest loop",
            own(&["bare", url, &records.to_string()])?,
        ),
        (
            "HttpStream → stdout",
            own(&["read", "pages", url, &records.to_string()])?,
        ),
    ];
    if let Some(curl) = curl(dir.path(), url, records)? {
        contenders.push(("curl, one connection", curl));
    }
    let low_code = LowCode::new(url, records, Kind::Plain)?;
    match python_cdk() {
        Some(python) => contenders.push(("Python CDK → stdout", low_code.read(&python))),
        None => print("The Python CDK is not installed: scripts/setup does it."),
    }
    let title = format!("Pages of {PAGE} records");
    print(&race(&title, records, ROUNDS, &mut contenders)?);
    latency(&server)?;
    long_body(url)
}

/// Requests in flight, without and with a budget.
fn latency(server: &Server) -> AnyResult<()> {
    let requests = IN_FLIGHT * 12;
    let ideal = IN_FLIGHT as f64 / LATENCY.as_secs_f64();
    for (kind, limit) in [("slices", ideal), ("budget", 40.0)] {
        server.reset()?;
        let mut command = own(&["read", kind, server.url(), &requests.to_string()])?;
        let cost = run(&mut command)?;
        let (most, densest) = server.counts()?;
        print(&format!(
            "{requests} requests of {LATENCY:?} ({kind}): {:.1} a second, of {limit:.0} possible; at most {most} in flight \
             and {densest} within a second",
            requests as f64 / cost.wall
        ));
    }
    Ok(())
}

/// A body that no memory holds.
fn long_body(url: &str) -> AnyResult<()> {
    let bytes: u64 = 5_000_000_000;
    let cost = run(&mut own(&["read", "long", url, &bytes.to_string()])?)?;
    print(&format!(
        "one body of {:.1} GB: {:.0} MB/s, {:.1} CPU s, peak {:.0} MiB",
        bytes as f64 / 1e9,
        bytes as f64 / 1e6 / cost.wall,
        cost.cpu,
        cost.peak_mib
    ));
    Ok(())
}

/// curl with all pages in one config file, if there is curl.
fn curl(dir: &Path, url: &str, records: u64) -> AnyResult<Option<Command>> {
    if Command::new("curl").arg("--version").output().is_err() {
        return Ok(None);
    }
    let config = dir.join("urls");
    let urls = (0..records).step_by(PAGE as usize).map(|offset| {
        format!("url = \"{url}/records?offset={offset}&limit={PAGE}\"\noutput = \"/dev/null\"\n")
    });
    std::fs::write(&config, urls.collect::<String>())?;
    let mut command = Command::new("curl");
    command.arg("-s").arg("-K").arg(config);
    Ok(Some(command))
}
