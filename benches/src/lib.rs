//! What the benches share: the records they move, the clock they read, the table they print.
//!
//! Each bench runs our path and a reference in turns within one process, so that both see the same
//! machine, and prints the ratios of medians. `scripts/bench` runs all of them.
//! What has to be a process of its own runs as [`process`].

pub mod api;
pub mod low_code;
pub mod process;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A record of about 400 bytes as JSON: 12 members, one nested object, one list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Order {
    pub id: u64,
    pub reference: String,
    pub customer: String,
    pub email: String,
    pub status: String,
    pub total: f64,
    pub lines: i64,
    pub is_gift: bool,
    pub labels: Vec<String>,
    pub address: Address,
    pub updated_at: String,
    pub remark: String,
}

/// Where an [`Order`] goes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Address {
    pub street: String,
    pub city: String,
    pub postcode: String,
    pub country: String,
}

/// Distinct records; benches cycle through them.
pub const DISTINCT: usize = 4096;

/// [`DISTINCT`] records, the same in every run.
pub fn orders() -> Vec<Order> {
    (0..DISTINCT as u64).map(order).collect()
}

fn order(id: u64) -> Order {
    let mut random = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut pick = |choices: &[&str]| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        choices[(random % choices.len() as u64) as usize].to_owned()
    };
    let words = [
        "oak", "copper", "linen", "harbour", "velvet", "ember", "quartz", "meadow",
    ];
    let remark: Vec<String> = (0..11).map(|_| pick(&words)).collect();
    Order {
        id,
        reference: format!("ORD-{id:010}-{:08x}", id.wrapping_mul(2_654_435_761)),
        customer: format!(
            "{} {}",
            pick(&["Ines", "Jonas", "Mei", "Omar"]),
            pick(&words)
        ),
        email: format!("{}.{id}@example.com", pick(&words)),
        status: pick(&["open", "paid", "shipped", "returned"]),
        total: (id * 37 % 100_000) as f64 / 100.0,
        lines: (id % 9) as i64 + 1,
        is_gift: id.is_multiple_of(5),
        labels: vec![pick(&words), pick(&words)],
        address: Address {
            street: format!("{} {} street", id % 400 + 1, pick(&words)),
            city: pick(&["Porto", "Zürich", "Osaka", "Nairobi", "Québec"]),
            postcode: format!("{:05}", id * 7919 % 100_000),
            country: pick(&["PT", "CH", "JP", "KE", "CA"]),
        },
        updated_at: format!(
            "2026-{:02}-{:02}T{:02}:30:00Z",
            id % 12 + 1,
            id % 28 + 1,
            id % 24
        ),
        remark: remark.join(" "),
    }
}

/// One contender: its name and a function that handles this many records once.
pub struct Contender<'a> {
    name: &'static str,
    run: Box<dyn FnMut(u64) + 'a>,
}

impl std::fmt::Debug for Contender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl<'a> Contender<'a> {
    /// A contender; `run` handles as many records as it is told.
    pub fn new(name: &'static str, run: impl FnMut(u64) + 'a) -> Self {
        Self {
            name,
            run: Box::new(run),
        }
    }
}

/// What one run of a contender took.
#[derive(Debug, Clone, Copy)]
struct Cost {
    wall: Duration,
    /// Of all threads of this process: it hardly changes when other work shares the machine.
    cpu: Duration,
}

/// Runs all contenders in turns, `rounds` times after a warm-up, and returns the table: records per second
/// and per CPU second (medians), each with its ratio to the first contender.
pub fn race(title: &str, records: u64, rounds: usize, contenders: &mut [Contender<'_>]) -> String {
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds {
        for (contender, costs) in contenders.iter_mut().zip(&mut costs) {
            let (started, cpu) = (Instant::now(), cpu_time());
            (contender.run)(records);
            if round > 0 {
                costs.push(Cost {
                    wall: started.elapsed(),
                    cpu: cpu_time().saturating_sub(cpu),
                });
            }
        }
    }
    let mut table = format!("## {title} ({records} records, median of {rounds})\n\n");
    table.push_str(
        "| path | records/s | ratio | records/CPU s | ratio |\n|---|---:|---:|---:|---:|\n",
    );
    let wall: Vec<f64> = costs.iter().map(|c| rate(records, c, |c| c.wall)).collect();
    let cpu: Vec<f64> = costs.iter().map(|c| rate(records, c, |c| c.cpu)).collect();
    for (at, contender) in contenders.iter().enumerate() {
        let _ = writeln!(
            table,
            "| {} | {:.0} | {:.2} | {:.0} | {:.2} |",
            contender.name,
            wall[at],
            wall[at] / wall[0],
            cpu[at],
            cpu[at] / cpu[0]
        );
    }
    table
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("CPU time is not negative")
}

fn rate(records: u64, costs: &[Cost], of: impl Fn(&Cost) -> Duration) -> f64 {
    let mut times: Vec<Duration> = costs.iter().map(of).collect();
    times.sort_unstable();
    records as f64 / times[times.len() / 2].as_secs_f64()
}

/// Prints to stdout, the one place where a bench may.
#[allow(clippy::print_stdout)]
pub fn print(text: &str) {
    println!("{text}");
}

/// The number of records: the first argument, or `default`.
pub fn records_or(default: u64) -> u64 {
    std::env::args()
        .nth(1)
        .and_then(|argument| argument.parse().ok())
        .unwrap_or(default)
}
