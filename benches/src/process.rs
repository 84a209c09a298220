//! Contenders that are processes of their own, so that their CPU time and memory are their own.

use std::process::{Command, Stdio};
use std::time::Instant;

use wait4::Wait4;

/// A result of the benches: what goes wrong ends them.
pub type AnyResult<T> = Result<T, Box<dyn std::error::Error>>;

/// What one process took, its children included.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Seconds from its start to its end.
    pub wall: f64,
    /// Seconds in user and in system mode.
    pub cpu: f64,
    /// The most memory that was resident.
    pub peak_mib: f64,
}

/// This program again, with other arguments.
pub fn own(args: &[&str]) -> AnyResult<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args);
    Ok(command)
}

/// Runs a process to its end, throwing away what it prints. It has to succeed.
pub fn run(command: &mut Command) -> AnyResult<Cost> {
    let errors = tempfile::tempfile()?;
    command.stdout(Stdio::null()).stderr(errors.try_clone()?);
    let started = Instant::now();
    let mut child = command.spawn()?;
    let ended = child.wait4()?;
    let wall = started.elapsed().as_secs_f64();
    if !ended.status.success() {
        return Err(format!("{command:?} failed: {}", text_of(errors)?).into());
    }
    Ok(Cost {
        wall,
        cpu: (ended.rusage.utime + ended.rusage.stime).as_secs_f64(),
        peak_mib: ended.rusage.maxrss as f64 / f64::from(1 << 20),
    })
}

fn text_of(mut file: std::fs::File) -> std::io::Result<String> {
    use std::io::{Read, Seek};
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Runs a process and returns how often a text stands in what it prints. It has to succeed.
pub fn count(command: &mut Command, text: &str) -> AnyResult<usize> {
    let output = command.output()?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} failed: {errors}").into());
    }
    Ok(memchr::memmem::find_iter(&output.stdout, text).count())
}

/// Runs all contenders in turns, `rounds` times after a warm-up, and returns the table of medians, with ratios to the
/// first contender.
pub fn race(
    title: &str,
    records: u64,
    rounds: usize,
    contenders: &mut [(&str, Command)],
) -> AnyResult<String> {
    let mut costs = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds {
        for ((_, command), costs) in contenders.iter_mut().zip(&mut costs) {
            let cost = run(command)?;
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    let mut table = format!(
        "## {title} ({records} records, median of {rounds})\n\n\
         | path | records/s | ratio | records/CPU s | ratio | CPU s per million | peak MiB |\n\
         |---|---:|---:|---:|---:|---:|---:|\n"
    );
    let costs: Vec<Cost> = costs.iter().map(|costs| median(costs)).collect();
    let first = costs[0];
    for ((name, _), cost) in contenders.iter().zip(&costs) {
        table.push_str(&format!(
            "| {name} | {:.0} | {:.2} | {:.0} | {:.2} | {:.2} | {:.0} |\n",
            records as f64 / cost.wall,
            first.wall / cost.wall,
            records as f64 / cost.cpu,
            first.cpu / cost.cpu,
            cost.cpu / records as f64 * 1e6,
            cost.peak_mib
        ));
    }
    Ok(table)
}

/// The median of each figure.
pub fn median(costs: &[Cost]) -> Cost {
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
