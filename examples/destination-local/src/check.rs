//! Whether the directory can be written.

use std::fs;
use std::io::Write;
use std::path::Path;

use cdk_core::Result;

use crate::config::Config;
use crate::error::FileContext;

const PROBE: &str = ".check";

/// Writes a file and removes it again.
pub(crate) fn check(config: &Config) -> Result<()> {
    let directory = &config.destination_path;
    fs::create_dir_all(directory).file("create", directory)?;
    let path = directory.join(PROBE);
    let probed = probe(&path);
    match fs::remove_file(&path) {
        Err(error) if probed.is_ok() => Err(error).file("remove", &path),
        // What failed first says more.
        _ => probed,
    }
}

fn probe(path: &Path) -> Result<()> {
    let mut file = fs::File::create(path).file("create", path)?;
    file.write_all(b"probe")
        .and_then(|()| file.sync_all())
        .file("write to", path)
}
