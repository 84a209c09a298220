//! How long a connector takes to print its spec, and how much memory: a platform does it for every job.
//!
//! Runs the `source-faker` that was built beside this program; `scripts/bench` builds both.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cdk_benches::{print, records_or};

/// Wall time of one `spec`, from start to exit.
fn wall(program: &Path) -> io::Result<Duration> {
    let started = Instant::now();
    let status = Command::new(program)
        .arg("spec")
        .stdout(Stdio::null())
        .status()?;
    let wall = started.elapsed();
    if status.success() {
        Ok(wall)
    } else {
        Err(io::Error::other(format!("spec ends with {status}")))
    }
}

/// Peak resident memory of one `spec` in KiB, by GNU time; `None` where that is not installed.
fn peak_kib(program: &Path) -> Option<u64> {
    let output = Command::new("/usr/bin/time")
        .args(["-f", "%M"])
        .arg(program)
        .arg("spec")
        .output();
    let stderr = String::from_utf8(output.ok()?.stderr).ok()?;
    stderr.lines().last()?.trim().parse().ok()
}

fn beside(name: &str) -> io::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    if program.is_file() {
        Ok(program)
    } else {
        let text = format!("{} is not built; run scripts/bench", program.display());
        Err(io::Error::new(io::ErrorKind::NotFound, text))
    }
}

fn main() -> io::Result<()> {
    let rounds = records_or(50).max(1);
    let program = beside("source-faker")?;
    // The first run reads the file from disk.
    wall(&program)?;
    let mut walls = (0..rounds)
        .map(|_| wall(&program))
        .collect::<io::Result<Vec<_>>>()?;
    walls.sort_unstable();
    let median = walls[walls.len() / 2].as_secs_f64() * 1e3;
    let slowest = walls[walls.len() - 1].as_secs_f64() * 1e3;
    let peak = (0..rounds.min(10)).filter_map(|_| peak_kib(&program)).max();
    let peak = peak.map_or("not measured (no /usr/bin/time)".to_owned(), |kib| {
        format!("{:.1} MiB", kib as f64 / 1024.0)
    });
    let size = program.metadata()?.len() as f64 / f64::from(1 << 20);
    print(&format!(
        "## source-faker spec ({rounds} runs)\n\n| median | slowest | peak memory | program |\n\
         |---:|---:|---:|---:|\n| {median:.1} ms | {slowest:.1} ms | {peak} | {size:.1} MiB |\n"
    ));
    Ok(())
}
