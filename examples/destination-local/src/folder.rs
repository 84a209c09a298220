//! The directory of one stream: which files are there, and how generations take turns.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use cdk_core::destination::generation::{Found, Generation, Target};
use cdk_core::{ConnectorError, Result};
use serde::{Deserialize, Serialize};

use crate::error::FileContext;
use crate::names::{FileName, OPEN, STAGED};

/// Says what a swap does. Once it is there the swap is decided, and whoever finds it carries it out.
const SWAP: &str = ".swap.json";

/// The directory of one stream.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

/// What a swap does.
#[derive(Debug, Serialize, Deserialize)]
struct Swap {
    /// Visible names that staged files get.
    publish: BTreeSet<String>,
    /// Visible files that go.
    delete: BTreeSet<String>,
}

impl Folder {
    /// Opens the directory, creates it if needed, and completes or removes what dead runs left.
    pub(crate) fn open(path: PathBuf, generation: &Generation) -> Result<(Self, Target)> {
        fs::create_dir_all(&path).file("create", &path)?;
        let folder = Self { path };
        folder.finish_swap()?;
        folder.remove(OPEN)?;
        let target = generation.target(folder.found()?);
        if target != Target::ResumedStage {
            folder.remove(STAGED)?;
        }
        folder.sync()?;
        // The directory itself must survive, too.
        folder.path.parent().map_or(Ok(()), sync_directory)?;
        Ok((folder, target))
    }

    /// The path of a file in it.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The number behind the highest part of a run, of all stages.
    pub(crate) fn next_part(&self, generation_id: i64, run: i64) -> Result<u64> {
        let mut names = self.files("")?;
        names.extend(self.files(STAGED)?);
        let of_run = names.iter().filter_map(|name| FileName::parse(name));
        let of_run = of_run.filter(|name| (name.generation_id, name.run) == (generation_id, run));
        Ok(of_run.map(|name| name.part + 1).max().unwrap_or(0))
    }

    /// Makes new and removed names survive a crash.
    pub(crate) fn sync(&self) -> Result<()> {
        sync_directory(&self.path)
    }

    /// Makes the staged files visible in place of the visible ones.
    pub(crate) fn swap(&self) -> Result<()> {
        let swap = Swap {
            publish: self.files(STAGED)?,
            delete: self.files("")?,
        };
        let text = serde_json::to_vec(&swap)
            .map_err(|error| ConnectorError::system("A swap is no JSON.").caused_by(error))?;
        let temporary = self.path_of(&format!("{OPEN}swap"));
        let path = self.path_of(SWAP);
        let mut file = File::create(&temporary).file("create", &temporary)?;
        io::Write::write_all(&mut file, &text)
            .and_then(|()| file.sync_all())
            .file("write to", &temporary)?;
        fs::rename(&temporary, &path).file("rename to", &path)?;
        self.sync()?;
        self.finish_swap()
    }

    /// Removes what this or a dead run staged.
    pub(crate) fn drop_staged(&self) -> Result<()> {
        self.remove(STAGED)?;
        self.sync()
    }

    /// Carries out the swap that was decided, if one was. May be repeated at any point.
    fn finish_swap(&self) -> Result<()> {
        let path = self.path_of(SWAP);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text.file("read", &path)?,
        };
        let swap: Swap = serde_json::from_slice(&text).map_err(|error| {
            let text = format!(
                "{} is damaged. Remove it and run the sync again.",
                path.display()
            );
            ConnectorError::config(text).caused_by(error)
        })?;
        // Published first: a crash in between leaves too much rather than too little.
        for name in &swap.publish {
            let (from, to) = (self.path_of(&format!("{STAGED}{name}")), self.path_of(name));
            unless_done(fs::rename(&from, &to)).file("rename to", &to)?;
        }
        self.sync()?;
        for name in swap.delete.difference(&swap.publish) {
            let path = self.path_of(name);
            unless_done(fs::remove_file(&path)).file("remove", &path)?;
        }
        self.sync()?;
        fs::remove_file(&path).file("remove", &path)?;
        self.sync()
    }

    fn found(&self) -> Result<Found> {
        let generation = |names: BTreeSet<String>| {
            names
                .iter()
                .filter_map(|name| FileName::parse(name))
                .map(|name| name.generation_id)
                .max()
        };
        Ok(Found {
            visible: generation(self.files("")?),
            staged: generation(self.files(STAGED)?).map(Some),
        })
    }

    /// Our files with this prefix, without it.
    fn files(&self, prefix: &str) -> Result<BTreeSet<String>> {
        let mut files = BTreeSet::new();
        for entry in fs::read_dir(&self.path).file("list", &self.path)? {
            let name = entry.file("list", &self.path)?.file_name();
            let name = name.to_str().and_then(|name| name.strip_prefix(prefix));
            if let Some(name) = name.filter(|name| FileName::parse(name).is_some()) {
                files.insert(name.to_owned());
            }
        }
        Ok(files)
    }

    fn remove(&self, prefix: &str) -> Result<()> {
        for name in self.files(prefix)? {
            let path = self.path_of(&format!("{prefix}{name}"));
            fs::remove_file(&path).file("remove", &path)?;
        }
        Ok(())
    }
}

fn unless_done(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Names in a directory survive a crash only after this.
fn sync_directory(path: &Path) -> Result<()> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    if cfg!(windows) {
        // Windows has no handle to sync; its file systems journal names themselves.
        return Ok(());
    }
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .file("sync", path)
}
