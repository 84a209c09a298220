//! An API read through `HttpStream` to stdout, beside a bare reqwest loop and curl that fetch the same pages and throw
//! them away; then requests in flight against a slow server, and a body of some GB.
//!
//! Every contender is a process of its own, so that its CPU time and memory are its own.

mod read;
mod server;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cdk_benches::{print, records_or};

/// Records on a page.
pub(crate) const PAGE: u64 = 1000;
/// Requests in flight against the slow server, each of which takes [`LATENCY`].
const IN_FLIGHT: u64 = 16;
pub(crate) const LATENCY: Duration = Duration::from_millis(200);
const ROUNDS: usize = 3;

type AnyResult<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> AnyResult<()> {
    let args: Vec<String> = std::env::args().collect();
    match args
        .iter()
        .skip(1)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["serve"] => server::run(),
        ["bare", url, records] => read::bare(url, records.parse()?),
        ["read", kind, url, records] => read::stream(kind, url, records.parse()?),
        _ => race(),
    }
}

/// What one process took.
#[derive(Debug, Default, Clone, Copy)]
struct Cost {
    wall: f64,
    cpu: f64,
    peak_mib: f64,
}

fn race() -> AnyResult<()> {
    let records = records_or(500_000);
    let server = Server::start()?;
    let url = &server.url;
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
    let mut costs = vec![Vec::new(); contenders.len()];
    for round in 0..=ROUNDS {
        for ((_, command), costs) in contenders.iter_mut().zip(&mut costs) {
            let cost = run(command)?;
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    let mut table =
        format!("## Pages of {PAGE} records ({records} records, median of {ROUNDS})\n\n");
    table.push_str("| path | records/s | ratio to the first | CPU s per million | records per CPU s | peak MiB |\n");
    table.push_str("|---|---:|---:|---:|---:|---:|\n");
    let costs: Vec<Cost> = costs.iter_mut().map(|costs| median(costs)).collect();
    for ((name, _), cost) in contenders.iter().zip(&costs) {
        let rate = records as f64 / cost.wall;
        let ratio = costs[0].wall / cost.wall;
        let millions = cost.cpu / records as f64 * 1e6;
        let per_cpu = records as f64 / cost.cpu;
        table.push_str(&format!(
            "| {name} | {rate:.0} | {ratio:.2} | {millions:.2} | {per_cpu:.0} | {:.0} |\n",
            cost.peak_mib
        ));
    }
    print(&table);
    latency(url)?;
    long_body(url)
}

/// Requests in flight, without and with a budget.
fn latency(url: &str) -> AnyResult<()> {
    let requests = IN_FLIGHT * 12;
    let ideal = IN_FLIGHT as f64 / LATENCY.as_secs_f64();
    for (kind, limit) in [("slices", ideal), ("budget", 40.0)] {
        server::reset(url)?;
        let mut command = own(&["read", kind, url, &requests.to_string()])?;
        let cost = run(&mut command)?;
        let (most, densest) = server::counts(url)?;
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

fn own(args: &[&str]) -> AnyResult<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    Ok(command)
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
    command
        .arg("-s")
        .arg("-K")
        .arg(config)
        .stderr(Stdio::piped());
    Ok(Some(command))
}

/// Runs it to its end. Its own processes say how much memory they took at most; curl does not.
fn run(command: &mut Command) -> AnyResult<Cost> {
    let cpu_before = children_cpu()?;
    let started = Instant::now();
    let output = command.output()?;
    let wall = started.elapsed().as_secs_f64();
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{command:?} failed: {text}").into());
    }
    let peak_kib = text.lines().find_map(|line| line.strip_prefix("peak KiB "));
    let peak_kib: f64 = peak_kib.and_then(|text| text.parse().ok()).unwrap_or(0.0);
    Ok(Cost {
        wall,
        cpu: children_cpu()? - cpu_before,
        peak_mib: peak_kib / 1024.0,
    })
}

/// CPU seconds of all children that have ended.
fn children_cpu() -> AnyResult<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    // Fields 16 and 17 of proc(5), counted from behind the name.
    let ticks = fields.split_whitespace().skip(13).take(2);
    let ticks: f64 = ticks.filter_map(|text| text.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS_PER_SECOND)
}

/// Says on stderr how much memory this process took at most.
pub(crate) fn report_peak() -> std::io::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.map(|text| text.trim().trim_end_matches(" kB"));
    eprintln!("peak KiB {}", peak.unwrap_or("0"));
    Ok(())
}

fn median(costs: &mut [Cost]) -> Cost {
    let of = |value: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Cost {
        wall: of(|cost| cost.wall),
        cpu: of(|cost| cost.cpu),
        peak_mib: of(|cost| cost.peak_mib),
    }
}

/// The server's process; it ends with this one.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start() -> AnyResult<Self> {
        let mut command = own(&["serve"])?;
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("the server has no stdout")?;
        let mut url = String::new();
        BufReader::new(stdout).read_line(&mut url)?;
        let url = url.trim().to_owned();
        Ok(Self { child, url })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its end is all that is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
