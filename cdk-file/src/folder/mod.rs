//! The files of one stream in a store: which are there, and how generations take turns.
//!
//! A **manifest** beside the data lists the stream's files, and is replaced as a whole. A file counts once the manifest
//! says so: what a dead run had begun is listed as such and is removed by the next one. An overwrite writes its files
//! aside; when the stream is complete, the manifest decides the swap, and whoever finds it so carries it out. Files are
//! published before older ones go, so that readers see too much for a moment rather than too little.

mod manifest;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use airbyte_protocol::{ConfiguredAirbyteStream, StreamDescriptor};
use cdk_core::Result;
use cdk_core::destination::generation::{Found, Generation, Target};

use crate::folder::manifest::{Begun, Manifest, Object};
use crate::names::component;
use crate::path::{Layout, Place};
use crate::store::{Store, Upload};

/// What the destination keeps for itself lies below this.
const OWN_FOLDER: &str = ".airbyte";

/// The files of one stream.
#[derive(Debug)]
pub(crate) struct Folder {
    ledger: Arc<Ledger>,
    place: Place,
    extension: &'static str,
    generation: Generation,
    target: Target,
    run: i64,
    next_part: u64,
    /// Written, but not committed.
    pending: Vec<Object>,
}

/// The manifest and where it is kept.
#[derive(Debug)]
struct Ledger {
    store: Store,
    /// The stream's own folder.
    folder: String,
    manifest: Mutex<Manifest>,
}

impl Ledger {
    fn path(&self) -> String {
        format!("{}/manifest.json", self.folder)
    }

    fn manifest(&self) -> MutexGuard<'_, Manifest> {
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, manifest: &Manifest) -> Result<()> {
        self.store.write(&self.path(), manifest.to_json()?)
    }
}

/// The folder of a stream that the destination keeps for itself.
fn own_folder(layout: &Layout, stream: &StreamDescriptor) -> String {
    let namespace = stream.namespace.as_deref().filter(|name| !name.is_empty());
    // Without a namespace there is one component less, so that no two streams share a folder.
    let parts = namespace
        .into_iter()
        .chain([stream.name.as_str()])
        .map(component);
    let shared = layout.shared_folder();
    let parts = std::iter::once(shared)
        .filter(|shared| !shared.is_empty())
        .chain([OWN_FOLDER.to_owned()])
        .chain(parts);
    parts.collect::<Vec<_>>().join("/")
}

impl Folder {
    /// Opens a stream's files, and completes or removes what dead runs left. `run` is when the run began.
    pub(crate) fn open(
        store: &Store,
        layout: &Layout,
        stream: &ConfiguredAirbyteStream,
        extension: &'static str,
        run: i64,
    ) -> Result<Self> {
        let generation = Generation::of(stream);
        let folder = own_folder(layout, &stream.descriptor());
        let ledger = Ledger {
            store: store.clone(),
            folder,
            manifest: Mutex::default(),
        };
        let mut manifest =
            Manifest::from_json(store.read(&ledger.path())?.as_deref(), &ledger.path())?;
        let before = manifest.clone();
        if manifest.is_swap_decided {
            swap(&ledger, &mut manifest)?;
        }
        for begun in manifest.begun.drain(..) {
            store.remove_unfinished(&begun.key, begun.upload.as_deref())?;
        }
        let target = generation.target(Found {
            visible: manifest
                .visible
                .iter()
                .map(|object| object.generation_id)
                .max(),
            staged: manifest
                .staged
                .iter()
                .map(|object| object.generation_id)
                .max()
                .map(Some),
        });
        if target != Target::ResumedStage {
            manifest.staged.clear();
        }
        remove_strays(&ledger, &manifest)?;
        if manifest != before {
            ledger.save(&manifest)?;
        }
        let all = manifest.visible.iter().chain(&manifest.staged);
        let next_part = all.map(|object| object.part + 1).max().unwrap_or(0);
        *ledger.manifest() = manifest;
        Ok(Self {
            ledger: Arc::new(ledger),
            place: layout.place(stream, run),
            extension,
            generation,
            target,
            run,
            next_part,
            pending: Vec::new(),
        })
    }

    /// What the keys of its files begin with.
    pub(crate) fn prefix(&self) -> &str {
        self.place.prefix()
    }

    /// Begins a file.
    pub(crate) fn begin(&mut self, now_ms: i64) -> Result<Upload> {
        let part = self.next_part;
        self.next_part += 1;
        let key = self.free_key(part, now_ms);
        let staged_key = self.target.is_staged().then(|| {
            let id = self.generation.column_value();
            format!(
                "{}/staged/{id}_{}_{part:05}{}",
                self.ledger.folder, self.run, self.extension
            )
        });
        let object = Object {
            key,
            staged_key,
            generation_id: self.generation.column_value(),
            part,
        };
        let target = object.written_to().to_owned();
        let mut manifest = self.ledger.manifest();
        manifest.begun.push(Begun {
            key: target.clone(),
            upload: None,
        });
        self.ledger.save(&manifest)?;
        drop(manifest);
        self.pending.push(object);
        let (ledger, noted) = (Arc::clone(&self.ledger), target.clone());
        Ok(self.ledger.store.upload(&target).on_begin(move |id| {
            let mut manifest = ledger.manifest();
            for begun in manifest.begun.iter_mut().filter(|begun| begun.key == noted) {
                begun.upload = Some(id.to_owned());
            }
            ledger.save(&manifest)
        }))
    }

    /// Makes all finished files count.
    pub(crate) fn commit(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut manifest = self.ledger.manifest();
        let mut changed = manifest.clone();
        for object in &self.pending {
            changed
                .begun
                .retain(|begun| begun.key != object.written_to());
            let list = if self.target.is_staged() {
                &mut changed.staged
            } else {
                &mut changed.visible
            };
            list.push(object.clone());
        }
        self.ledger.save(&changed)?;
        *manifest = changed;
        drop(manifest);
        self.pending.clear();
        Ok(())
    }

    /// The stream is complete: what was staged becomes visible in place of what was.
    pub(crate) fn complete(&mut self) -> Result<()> {
        if !self.target.is_staged() {
            return Ok(());
        }
        let mut manifest = self.ledger.manifest();
        manifest.is_swap_decided = true;
        self.ledger.save(&manifest)?;
        swap(&self.ledger, &mut manifest)?;
        self.ledger.save(&manifest)
    }

    /// The stream is not complete: what was staged stays, if a later run can go on with it.
    pub(crate) fn leave(&mut self) -> Result<()> {
        if !self.target.is_staged() || self.generation.is_resumable() {
            return Ok(());
        }
        let mut manifest = self.ledger.manifest();
        manifest.staged.clear();
        remove_strays(&self.ledger, &manifest)?;
        self.ledger.save(&manifest)
    }

    /// A key that no file of the stream has.
    fn free_key(&self, part: u64, now_ms: i64) -> String {
        let key = self.place.key(part, self.extension, now_ms);
        let manifest = self.ledger.manifest();
        let mut taken = manifest
            .visible
            .iter()
            .chain(&manifest.staged)
            .chain(&self.pending);
        if taken.all(|object| object.key != key) {
            return key;
        }
        let stem = key.strip_suffix(self.extension).unwrap_or(&key);
        format!("{stem}-{}_{part}{}", self.run, self.extension)
    }
}

/// Carries out a swap that was decided. May be repeated at any point.
fn swap(ledger: &Ledger, manifest: &mut Manifest) -> Result<()> {
    let moves = manifest
        .staged
        .iter()
        .filter_map(|object| Some((object.staged_key.clone()?, object.key.clone())));
    ledger.store.rename_all(&moves.collect::<Vec<_>>())?;
    for old in &manifest.visible {
        if manifest.staged.iter().all(|new| new.key != old.key) {
            ledger.store.delete(&old.key)?;
        }
    }
    manifest.visible = std::mem::take(&mut manifest.staged);
    manifest
        .visible
        .iter_mut()
        .for_each(|object| object.staged_key = None);
    manifest.is_swap_decided = false;
    Ok(())
}

/// Removes what lies aside and is not staged.
fn remove_strays(ledger: &Ledger, manifest: &Manifest) -> Result<()> {
    for key in ledger.store.list(&format!("{}/staged", ledger.folder))? {
        let is_known = manifest
            .staged
            .iter()
            .any(|object| object.staged_key.as_deref() == Some(&key));
        if !is_known {
            ledger.store.delete(&key)?;
        }
    }
    Ok(())
}
