//! The files of one test.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder of its own, removed when this is dropped.
#[derive(Debug)]
pub struct Files(TempDir);

impl Files {
    /// An empty folder below the system's directory of temporary files.
    pub fn new() -> Self {
        let folder = tempfile::tempdir();
        Self(folder.unwrap_or_else(|error| panic!("no temporary folder: {error}")))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file of this name, over an older one, and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }
}

impl Default for Files {
    fn default() -> Self {
        Self::new()
    }
}
