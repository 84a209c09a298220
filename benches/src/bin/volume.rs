//! Many gigabytes from source-faker through `cdk sync`: rows and bytes per second, and the peak of memory,
//! which must not depend on how much there is.
//!
//! The argument is the size in GB of record data (default 10). Runs the `cdk` that was built beside this
//! program; `scripts/bench` builds both. Linux only: the peak is read from `/proc`.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cdk_benches::print;
use serde_json::{Value, json};

/// A user as JSON takes about this many bytes.
const USER_BYTES: f64 = 525.0;
/// A row in a file has metadata beside the data; and a disk should not be filled to the brim.
const DISK_FACTOR: f64 = 2.0;

struct Measured {
    rows: u64,
    bytes: u64,
    wall: Duration,
    peak_kib: u64,
}

/// The highest resident memory of a running process so far.
fn peak_kib(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// One sync in a process of its own, measured whenever it tells how far it is: twice a second.
fn sync(dir: &Path, destination: &Value, users: u64) -> io::Result<Measured> {
    let connection = json!({
        "name": "volume",
        "source": {"name": "faker", "config": {"count": users, "records_per_slice": 10_000}},
        "destination": destination,
        "streams": [{"name": "users", "mode": "full_refresh_append"}],
    });
    let file = dir.join("connection.json");
    fs::write(&file, connection.to_string())?;
    let started = Instant::now();
    let mut child = Command::new(std::env::current_exe()?.with_file_name("cdk"))
        .args(["sync", "--quiet", "--json"])
        .arg(&file)
        .current_dir(dir)
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().expect("stdout is piped");
    let (mut last, mut peak) = (String::new(), 0);
    for line in BufReader::new(stdout).lines() {
        last = line?;
        peak = peak.max(peak_kib(&child).unwrap_or_default());
    }
    let status = child.wait()?;
    let wall = started.elapsed();
    let report: Value = serde_json::from_str(&last)?;
    let moved = &report["streams"][0];
    let rows = moved["records_written"].as_u64().unwrap_or_default();
    if !status.success() || rows != users {
        let text = format!("the sync ends with {status}, {rows} of {users} rows written");
        return Err(io::Error::other(text));
    }
    let bytes = moved["bytes_read"].as_u64().unwrap_or_default();
    Ok(Measured {
        rows,
        bytes,
        wall,
        peak_kib: peak,
    })
}

/// Free bytes of the disk that `dir` is on, as `df` says.
fn free_bytes(dir: &Path) -> io::Result<f64> {
    let output = Command::new("df").arg("-Pk").arg(dir).output()?;
    let table = String::from_utf8_lossy(&output.stdout);
    let free = table
        .lines()
        .last()
        .and_then(|line| line.split_whitespace().nth(3));
    let free: Option<f64> = free.and_then(|kib| kib.parse().ok());
    free.map(|kib| kib * 1024.0)
        .ok_or_else(|| io::Error::other("df says nothing about free space"))
}

fn row(name: &str, measured: &Measured) -> String {
    let seconds = measured.wall.as_secs_f64();
    format!(
        "| {name} | {} | {:.2} GB | {:.0} | {:.0} | {:.0} MiB |\n",
        measured.rows,
        measured.bytes as f64 / 1e9,
        measured.rows as f64 / seconds,
        measured.bytes as f64 / 1e6 / seconds,
        measured.peak_kib as f64 / 1024.0,
    )
}

fn main() -> io::Result<()> {
    let size_gb: f64 = match std::env::args().nth(1) {
        Some(text) => text.parse().map_err(io::Error::other)?,
        None => 10.0,
    };
    let users = (size_gb * 1e9 / USER_BYTES) as u64;
    // Beside the programs: /tmp may be memory.
    let here = std::env::current_exe()?;
    let dir = tempfile::tempdir_in(here.parent().unwrap_or(Path::new(".")))?;
    let mut table = format!(
        "## source-faker → destination, {size_gb} GB in a process of its own\n\n\
         | destination | rows | data | rows/s | MB/s | peak memory |\n|---|---:|---:|---:|---:|---:|\n"
    );
    let nowhere = json!({"name": "dev-null"});
    table.push_str(&row("dev-null", &sync(dir.path(), &nowhere, users)?));
    if free_bytes(dir.path())? < size_gb * 1e9 * DISK_FACTOR {
        table.push_str("| local, JSONL: not run, the disk has too little room | | | | | |\n");
    } else {
        let files =
            json!({"name": "local", "config": {"destination_path": dir.path().join("out")}});
        // Without the first sync's state.
        fs::remove_dir_all(dir.path().join(".cdk"))?;
        table.push_str(&row("local, JSONL", &sync(dir.path(), &files, users)?));
    }
    print(&table);
    Ok(())
}
