//! The built binary reads a large file in constant memory.

use std::io::{BufWriter, Read, Write};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::{Folder, catalog, local};

const FILE_BYTES: usize = 200 << 20;
/// Queued records may take 64 MiB (the default budget) when stdout is slower than the parser.
const MAX_RSS_KIB: u64 = 100 << 10;

/// Peak resident memory of a process.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn two_hundred_megabytes_pass_in_constant_memory() {
    let folder = Folder::new();
    let path = folder.0.path().join("large.csv");
    let mut file = BufWriter::new(std::fs::File::create(&path).unwrap());
    writeln!(file, "id,name,text").unwrap();
    let row = format!("123456789,\"some name\",{}\n", "text ".repeat(200));
    let rows = FILE_BYTES / row.len();
    (0..rows).for_each(|_| file.write_all(row.as_bytes()).unwrap());
    file.into_inner().unwrap();

    let config = folder.write("config.json", local(&path, "csv", &json!({})).to_string());
    let catalog = folder.write("catalog.json", catalog(&json!({})).to_string());
    let mut child = Command::new(env!("CARGO_BIN_EXE_source-file"))
        .args(["read", "--config"])
        .arg(config)
        .arg("--catalog")
        .arg(catalog)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut buffer = vec![0; 1 << 20];
    let (mut lines, mut peak) = (0, 0);
    loop {
        let read = stdout.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        lines += memchr::memchr_iter(b'\n', &buffer[..read]).count();
        peak = peak_kib(child.id()).unwrap_or(0).max(peak);
    }
    assert!(child.wait().unwrap().success());
    assert!(lines > rows, "{lines} lines for {rows} rows");
    assert!((1..MAX_RSS_KIB).contains(&peak), "peak of {peak} KiB");
}
