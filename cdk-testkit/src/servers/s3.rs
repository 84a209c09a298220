//! An object store of the protocol of Amazon S3, in the test's own process. It checks signatures.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use cdk_core::async_trait;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::path::S3Path;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A private server with one bucket. Objects are files below a temporary directory.
#[derive(Debug)]
pub struct S3Server {
    directory: TempDir,
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl S3Server {
    /// The bucket.
    pub const BUCKET: &str = "datalake";
    /// The key that it knows.
    pub const ACCESS_KEY: &str = "minioadmin";
    /// Another that may only read.
    pub const READER_KEY: &str = "reader";
    /// The secret of both.
    pub const SECRET_KEY: &str = "minio-secret";

    /// A server that answers when this returns.
    ///
    /// # Panics
    /// If no port is free, or nothing can be written.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        std::fs::create_dir(directory.path().join(Self::BUCKET)).expect("a bucket can be made");
        let files = FileSystem::new(directory.path()).expect("the directory is there");
        let mut service = S3ServiceBuilder::new(files);
        let mut keys = SimpleAuth::from_single(Self::ACCESS_KEY, Self::SECRET_KEY);
        keys.register(Self::READER_KEY.to_owned(), Self::SECRET_KEY.into());
        service.set_auth(keys);
        service.set_access(Rights {
            root: directory.path().to_owned(),
        });
        let service = service.build();
        // Bound here, so that whoever connects from now on waits instead of being refused.
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        listener
            .set_nonblocking(true)
            .expect("a socket can be made non-blocking");
        let port = listener
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || serve(listener, &service, stopped));
        Self {
            directory,
            port,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where the bucket's objects lie as files.
    pub fn bucket(&self) -> PathBuf {
        self.directory.path().join(Self::BUCKET)
    }

    /// The keys of all objects whose key begins with `prefix`, sorted.
    ///
    /// # Panics
    /// If the bucket can't be read.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let mut keys = Vec::new();
        collect(&self.bucket(), &self.bucket(), &mut keys);
        keys.retain(|key| key.starts_with(prefix));
        keys.sort();
        keys
    }

    /// An object's content.
    ///
    /// # Panics
    /// If there is no such object.
    pub fn read(&self, key: &str) -> Vec<u8> {
        std::fs::read(self.bucket().join(key)).unwrap_or_else(|error| panic!("{key}: {error}"))
    }

    /// How many uploads in parts were begun and neither completed nor aborted.
    ///
    /// # Panics
    /// If the server's directory can't be read.
    pub fn unfinished_uploads(&self) -> usize {
        let entries = std::fs::read_dir(self.directory.path()).expect("the directory is there");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names
            .filter(|name| {
                name.to_string_lossy().starts_with(".upload-")
                    && name.to_string_lossy().ends_with(".json")
            })
            .count()
    }
}

/// Who may do what, where.
struct Rights {
    root: PathBuf,
}

#[async_trait]
impl S3Access for Rights {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = request.credentials() else {
            return Err(s3_error!(AccessDenied));
        };
        let is_reading = ["GET", "HEAD"].contains(&request.method().as_str());
        if credentials.access_key == S3Server::READER_KEY && !is_reading {
            return Err(s3_error!(AccessDenied));
        }
        match request.s3_path() {
            // The server behind makes buckets where there are none.
            S3Path::Bucket { bucket } | S3Path::Object { bucket, .. }
                if !self.root.join(&**bucket).is_dir() =>
            {
                Err(s3_error!(NoSuchBucket))
            }
            _ => Ok(()),
        }
    }
}

fn collect(root: &Path, folder: &Path, keys: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, keys);
        } else if let Ok(key) = path.strip_prefix(root) {
            keys.push(key.to_string_lossy().into_owned());
        }
    }
}

/// On a thread and a runtime of its own: those of the test may block.
fn serve(listener: TcpListener, service: &S3Service, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime can be made").block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a bound socket");
        let accept = async {
            loop {
                let Ok((socket, _)) = listener.accept().await else {
                    continue;
                };
                let service = service.clone();
                tokio::spawn(async move {
                    let http = Builder::new(TokioExecutor::new());
                    // The client may hang up at any time.
                    drop(http.serve_connection(TokioIo::new(socket), service).await);
                });
            }
        };
        tokio::select! {
            () = accept => {}
            _ = stopped => {}
        }
    });
}

impl Drop for S3Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
