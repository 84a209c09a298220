//! The files: which there are, and what is in them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use cdk_core::{ErrorContext, Result};
use serde_json::{Map, Value};

use crate::config::Config;

/// The files to read, in the order of their names. New files must have later names than old ones.
pub fn list(config: &Config) -> Result<Vec<PathBuf>> {
    let directory = config.directory.display();
    let cannot = || {
        format!(
            "The directory {directory} can't be read. Set `directory` to one that this user may read."
        )
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(&config.directory).config_error(cannot())? {
        let path = entry.config_error(cannot())?.path();
        if path.is_file() && path.to_string_lossy().ends_with(&config.ending) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What is in a line. This is the place for another format.
pub fn parse(line: &str, file: &Path, number: u64) -> Result<Map<String, Value>> {
    serde_json::from_str(line).config_error(format!(
        "{}, line {number}: it is no JSON object.",
        file.display()
    ))
}

/// The lines of a file, numbered from 1.
pub fn lines(file: &Path) -> Result<impl Iterator<Item = Result<(u64, String)>>> {
    let name = file.display().to_string();
    let opened = File::open(file).config_error(format!("{name} can't be opened."))?;
    let lines = (1..).zip(BufReader::new(opened).lines());
    Ok(lines.map(move |(number, line)| {
        let line = line.transient_error(format!("{name} can't be read to its end."))?;
        Ok((number, line))
    }))
}
