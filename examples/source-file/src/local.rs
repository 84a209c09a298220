//! Files on this machine.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use cdk_core::{ConnectorError, Result};

use crate::fingerprint::Fingerprint;
use crate::location::Opened;

/// The path that `url` means: a path, or a `file:` URL.
pub(crate) fn path(url: &str) -> Result<PathBuf> {
    if !url.starts_with("file:") {
        return Ok(PathBuf::from(url));
    }
    let parsed = cdk_http::Url::parse(url)
        .ok()
        .and_then(|url| url.to_file_path().ok());
    parsed.ok_or_else(|| {
        ConnectorError::config(format!(
            "`url` is {url:?}, which names no file on this machine. Write it as a path, or as \
             file:///folder/file.csv."
        ))
    })
}

/// Opens the file at byte `from`. Blocks.
pub(crate) fn open(path: &Path, from: u64) -> Result<Opened> {
    let explain = |error: io::Error| explain(path, error);
    // Asked before it is opened: opening a pipe waits for whoever writes to it.
    let metadata = std::fs::metadata(path).map_err(explain)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() {
            "a folder"
        } else {
            "a device or pipe"
        };
        return Err(ConnectorError::config(format!(
            "{} is {what}. Give the path of one file.",
            path.display()
        )));
    }
    let mut file = File::open(path).map_err(explain)?;
    if from > 0 {
        file.seek(SeekFrom::Start(from)).map_err(explain)?;
    }
    let modified = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let fingerprint = Fingerprint {
        size: Some(metadata.len()),
        modified: modified.map(|time| format!("{}.{:09}", time.as_secs(), time.subsec_nanos())),
        etag: None,
    };
    Ok(Opened {
        fingerprint,
        bytes: Box::new(file),
    })
}

fn explain(path: &Path, error: io::Error) -> ConnectorError {
    let path = path.display();
    let explained = match error.kind() {
        io::ErrorKind::NotFound => ConnectorError::config(format!(
            "The file {path} does not exist. Check the path; in a container the file must be mounted."
        )),
        io::ErrorKind::PermissionDenied => ConnectorError::config(format!(
            "The file {path} may not be read. Allow the user that runs the connector to read it."
        )),
        _ => ConnectorError::transient(format!("The file {path} could not be opened. Try again.")),
    };
    explained.caused_by(error)
}
