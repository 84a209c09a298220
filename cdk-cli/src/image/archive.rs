//! An image as a file: the OCI's layout, with the index that older `docker load` reads beside it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// Content that is named by its digest.
pub(super) struct Blob {
    pub(super) bytes: Vec<u8>,
    hex: String,
}

impl Blob {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let hex = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self { bytes, hex }
    }

    pub(super) fn digest(&self) -> String {
        format!("sha256:{}", self.hex)
    }

    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.hex)
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": self.digest(), "size": self.bytes.len()})
    }
}

/// Writes the image to a file, or unpacked if `path` is a directory or ends in a slash.
pub(super) fn write(path: &Path, tag: &str, config: &Blob, layer: &Blob) -> io::Result<()> {
    let manifest = Blob::new(manifest(config, layer).to_string().into_bytes());
    let mut index = manifest.descriptor("application/vnd.oci.image.manifest.v1+json");
    index["annotations"] = json!({
        "io.containerd.image.name": tag,
        "org.opencontainers.image.ref.name": tag.rsplit(':').next(),
    });
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [index]});
    let docker = json!([{"Config": config.path(), "RepoTags": [tag], "Layers": [layer.path()]}]);
    let files = [
        (
            "oci-layout".to_owned(),
            br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
        ),
        ("index.json".to_owned(), index.to_string().into_bytes()),
        ("manifest.json".to_owned(), docker.to_string().into_bytes()),
        (manifest.path(), manifest.bytes),
        (config.path(), config.bytes.clone()),
        (layer.path(), layer.bytes.clone()),
    ];
    if path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/') {
        unpacked(path, &files)
    } else {
        packed(path, &files)
    }
}

fn manifest(config: &Blob, layer: &Blob) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
        "layers": [layer.descriptor("application/vnd.oci.image.layer.v1.tar")],
    })
}

type Files = [(String, Vec<u8>)];

fn unpacked(directory: &Path, files: &Files) -> io::Result<()> {
    fs::create_dir_all(directory.join("blobs/sha256"))?;
    files
        .iter()
        .try_for_each(|(name, bytes)| fs::write(directory.join(name), bytes))
}

fn packed(path: &Path, files: &Files) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut archive = Builder::new(BufWriter::new(File::create(path)?));
    for (name, bytes) in files {
        add(&mut archive, name, bytes, 0o644, 0)?;
    }
    archive.into_inner()?.into_inner()?.sync_all()
}

/// Adds a file. Times are zero, so that the same content gives the same image.
pub(super) fn add<W: Write>(
    archive: &mut Builder<W>,
    name: &str,
    bytes: &[u8],
    mode: u32,
    owner: u64,
) -> io::Result<()> {
    let mut header = header(EntryType::Regular, mode, owner);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, name, bytes)
}

/// Adds a directory.
pub(super) fn add_directory<W: Write>(
    archive: &mut Builder<W>,
    name: &str,
    mode: u32,
    owner: u64,
) -> io::Result<()> {
    let mut header = header(EntryType::Directory, mode, owner);
    archive.append_data(&mut header, format!("{name}/"), io::empty())
}

fn header(kind: EntryType, mode: u32, owner: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(0);
    header
}
