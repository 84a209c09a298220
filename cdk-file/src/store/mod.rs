//! Where files lie: a directory or a bucket, behind the same few operations.

mod error;
#[cfg(feature = "s3")]
mod s3;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;

use cdk_core::Result;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::runtime::Handle;

#[cfg(feature = "s3")]
pub use s3::S3Options;
pub use upload::Upload;

/// Copies at the same time.
const CONCURRENT_COPIES: usize = 8;

/// Which directory or bucket.
#[derive(Debug, Clone)]
pub enum Location {
    /// A directory, which is created if it does not exist.
    Directory {
        /// Its path.
        path: PathBuf,
        /// Files of more than so many bytes meet a full disk. For tests.
        file_limit: Option<u64>,
    },
    /// A bucket.
    #[cfg(feature = "s3")]
    S3(Box<S3Options>),
}

/// A directory or a bucket. Cheap to clone.
///
/// Its methods block: call them on threads for blocking work. What they wrote survives a crash when they return.
#[derive(Debug, Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    #[cfg(feature = "s3")]
    s3: Option<Arc<object_store::aws::AmazonS3>>,
    /// The directory, if it is one.
    root: Option<PathBuf>,
    /// How messages name it.
    name: Arc<str>,
    runtime: Handle,
    /// Lets tests fill the disk.
    file_limit: Option<u64>,
}

impl Store {
    /// Opens a place. Of a bucket nothing is asked yet. Call it on a runtime.
    ///
    /// A config error when a directory can't be created, or options contradict each other.
    pub fn open(location: &Location) -> Result<Self> {
        match location {
            Location::Directory { path, file_limit } => Self::directory(path, *file_limit),
            #[cfg(feature = "s3")]
            Location::S3(options) => Self::s3(options),
        }
    }

    fn directory(root: &std::path::Path, file_limit: Option<u64>) -> Result<Self> {
        let name = format!("directory {}", root.display());
        let failed = |error| error::of_io(&format!("create {name}"), error);
        std::fs::create_dir_all(root).map_err(failed)?;
        let root = root.canonicalize().map_err(failed)?;
        let objects = LocalFileSystem::new_with_prefix(&root)
            .map_err(|error| error::classified("open", &name, &error))?
            .with_fsync(true);
        Ok(Self {
            objects: Arc::new(objects),
            #[cfg(feature = "s3")]
            s3: None,
            root: Some(root),
            name: name.into(),
            runtime: Handle::current(),
            file_limit,
        })
    }

    /// How messages name it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The content of an object; `None` when there is none.
    pub fn read(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let path = path_of(key);
        let read = self.runtime.block_on(async {
            let found = self.objects.get(&path).await?;
            found.bytes().await
        });
        match read {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(object_store::Error::NotFound { .. }) if !error::is_missing_bucket(&read) => {
                Ok(None)
            }
            Err(error) => Err(self.failed("read", key, &error)),
        }
    }

    /// Writes a small object, in place of what was there.
    pub fn write(&self, key: &str, content: Vec<u8>) -> Result<()> {
        let written = self
            .runtime
            .block_on(self.objects.put(&path_of(key), content.into()));
        written
            .map(drop)
            .map_err(|error| self.failed("write", key, &error))
    }

    /// Begins an object of any size; it is there when the upload is finished.
    pub fn upload(&self, key: &str) -> Upload {
        Upload::new(self.clone(), key)
    }

    /// Removes an object, if it is there.
    pub fn delete(&self, key: &str) -> Result<()> {
        let path = path_of(key);
        match self.runtime.block_on(self.objects.delete(&path)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("remove", key, &error)),
        }
    }

    /// Moves objects, each unless that was done before.
    pub fn rename_all(&self, moves: &[(String, String)]) -> Result<()> {
        let moves = futures::stream::iter(moves).map(|(from, to)| async move {
            let moved = self.objects.rename(&path_of(from), &path_of(to)).await;
            match moved {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(self.failed("rename to", to, &error)),
            }
        });
        self.runtime
            .block_on(moves.buffer_unordered(CONCURRENT_COPIES).try_collect())
    }

    /// The keys of all objects in a folder and below, sorted.
    pub fn list(&self, folder: &str) -> Result<Vec<String>> {
        let path = path_of(folder);
        let listed = self
            .objects
            .list(Some(&path))
            .map_ok(|object| object.location.to_string());
        let listed: std::result::Result<Vec<_>, _> = self.runtime.block_on(listed.try_collect());
        let mut keys = listed.map_err(|error| self.failed("list", folder, &error))?;
        keys.sort_unstable();
        Ok(keys)
    }

    /// Removes an object that a dead run may have begun, with all that its upload left.
    pub fn remove_unfinished(&self, key: &str, upload: Option<&str>) -> Result<()> {
        self.abort(key, upload)?;
        self.delete(key)?;
        self.remove_temporary(key)
    }

    /// Tries all operations that a sync needs, on an object of its own in `folder`, which it removes again.
    pub fn probe(&self, folder: &str) -> Result<()> {
        let key = path_of(&format!("{folder}/_airbyte_check_{}", uuid::Uuid::new_v4())).to_string();
        self.write(&key, b"probe".to_vec())?;
        let path = path_of(folder);
        let mut list = self.objects.list(Some(&path));
        let listed = self.runtime.block_on(list.try_next());
        let listed = listed.map_err(|error| self.failed("list", folder, &error));
        let read = listed.and_then(|listed| Ok((listed.is_some(), self.read(&key)?)));
        let deleted = self.delete(&key);
        // What failed first says more.
        let (is_listed, content) = read?;
        deleted?;
        if is_listed && content.as_deref() == Some(b"probe") {
            return Ok(());
        }
        Err(cdk_core::ConnectorError::system(format!(
            "{} does not give back what was written to it: after a write, `{key}` was not listed or not readable.",
            self.name
        )))
    }

    #[cfg(feature = "s3")]
    fn abort(&self, key: &str, upload: Option<&str>) -> Result<()> {
        use object_store::multipart::MultipartStore as _;
        let (Some(s3), Some(upload)) = (&self.s3, upload) else {
            return Ok(());
        };
        let path = path_of(key);
        let upload = upload.to_owned();
        let aborted = s3.abort_multipart(&path, &upload);
        match self.runtime.block_on(aborted) {
            // It ended before the run died, or somebody else cleaned up.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) if error::code(&error).as_deref() == Some("NoSuchUpload") => Ok(()),
            Err(error) => Err(self.failed("abort the upload of", key, &error)),
        }
    }

    #[cfg(not(feature = "s3"))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as with S3")]
    fn abort(&self, _: &str, _: Option<&str>) -> Result<()> {
        Ok(())
    }

    /// A directory's files in progress have the name of the file, `#` and a number.
    fn remove_temporary(&self, key: &str) -> Result<()> {
        let Some(path) = self
            .root
            .as_ref()
            .map(|root| root.join(path_of(key).as_ref()))
        else {
            return Ok(());
        };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(());
        };
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries
                .map_err(|error| error::of_io(&format!("list {}", folder.display()), error))?,
        };
        for entry in entries.flatten() {
            let found = entry.file_name();
            let number = found
                .to_string_lossy()
                .strip_prefix(&*name.to_string_lossy())
                .and_then(|rest| rest.strip_prefix('#').map(str::to_owned));
            if number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit())) {
                let path = entry.path();
                std::fs::remove_file(&path)
                    .map_err(|error| error::of_io(&format!("remove {}", path.display()), error))?;
            }
        }
        Ok(())
    }

    /// `doing` completes "could not … <key>".
    fn failed(
        &self,
        doing: &str,
        key: &str,
        error: &object_store::Error,
    ) -> cdk_core::ConnectorError {
        error::classified(doing, &format!("`{key}` in {}", self.name), error)
    }
}

/// A key as it is, whatever its letters; only what no key may hold is percent-encoded.
fn path_of(key: &str) -> Path {
    Path::parse(key).unwrap_or_else(|_| Path::from(key))
}
