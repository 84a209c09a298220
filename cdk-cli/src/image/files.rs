//! What is in the image: its only layer.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use cdk_core::{ConnectorError, ErrorContext, Result};
use tar::Builder;

use super::USER;
use super::archive::{add, add_directory};

/// Where distributions keep the certificates of well-known authorities.
const CERTIFICATES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Directories that a connector may write to.
const WRITABLE: [&str; 6] = [
    "airbyte",
    "config",
    "secrets",
    "source",
    "dest",
    "custom_cache",
];

/// The layer: the program at `entrypoint`, the libraries that it needs, certificates, a user, a place for temporary
/// files.
pub(super) fn layer(program: &Path, entrypoint: &str) -> Result<Vec<u8>> {
    let shown = program.display();
    let bytes = fs::read(program).config_error(format!("The program {shown} can't be read."))?;
    if !bytes.starts_with(b"\x7fELF") {
        return Err(ConnectorError::config(format!(
            "{shown} is no program for Linux."
        )));
    }
    let mut files = vec![(entrypoint.to_owned(), bytes, 0o755)];
    for library in libraries(program)? {
        let bytes =
            fs::read(&library).config_error(format!("The library {library} can't be read."))?;
        files.push((library, bytes, 0o755));
    }
    if let Some(certificates) = CERTIFICATES.iter().find_map(|path| fs::read(path).ok()) {
        files.push((CERTIFICATES[0].to_owned(), certificates, 0o644));
    }
    let user = format!("root:x:0:0::/:\nairbyte:x:{USER}:{USER}::/airbyte:\n");
    files.push(("/etc/passwd".to_owned(), user.into_bytes(), 0o644));
    files.push((
        "/etc/nsswitch.conf".to_owned(),
        b"hosts: files dns\n".to_vec(),
        0o644,
    ));
    pack(&files).system_error("The image's layer can't be packed.")
}

type File = (String, Vec<u8>, u32);

fn pack(files: &[File]) -> std::io::Result<Vec<u8>> {
    let mut layer = Builder::new(Vec::new());
    let mut made = BTreeSet::new();
    add_directory(&mut layer, "tmp", 0o1777, 0)?;
    for name in WRITABLE {
        add_directory(&mut layer, name, 0o755, USER)?;
        made.insert(name.to_owned());
    }
    for (path, bytes, mode) in files {
        let name = path.trim_start_matches('/');
        let parents: Vec<_> = name.match_indices('/').map(|(at, _)| &name[..at]).collect();
        for parent in parents {
            if made.insert(parent.to_owned()) {
                add_directory(&mut layer, parent, 0o755, 0)?;
            }
        }
        let owner = if name.starts_with("airbyte/") {
            USER
        } else {
            0
        };
        add(&mut layer, name, bytes, *mode, owner)?;
    }
    layer.into_inner()
}

/// The shared libraries that a program needs, and its loader; none of a static one.
///
/// `ldd` prints `name => /path (0x…)` for libraries, and `/path (0x…)` for the loader.
fn libraries(program: &Path) -> Result<BTreeSet<String>> {
    let program = fs::canonicalize(program)
        .config_error(format!("The program {} can't be found.", program.display()))?;
    let output = Command::new("ldd").arg(&program).env("LC_ALL", "C").output().config_error(
        "`ldd` can't be started; it says which libraries a program needs. Build a static program \
         (--target x86_64-unknown-linux-musl) on another system.",
    )?;
    let text = String::from_utf8_lossy(&output.stdout);
    if let Some(missing) = text.lines().find(|line| line.contains("not found")) {
        return Err(ConnectorError::config(format!(
            "A library that {} needs is missing: {}.",
            program.display(),
            missing.trim()
        )));
    }
    let path = |line: &str| {
        let path = line.split("=>").last()?.split_whitespace().next()?;
        path.starts_with('/').then(|| path.to_owned())
    };
    Ok(text.lines().filter_map(path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_holds_the_program_and_what_it_needs() {
        let program = std::env::current_exe().unwrap();
        let layer = layer(&program, "/airbyte/connector").unwrap();
        let mut archive = tar::Archive::new(&layer[..]);
        let mut names = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let name = entry.path().unwrap().to_string_lossy().into_owned();
            if name == "airbyte/connector" {
                assert_eq!(entry.header().mode().unwrap(), 0o755);
                assert_eq!(entry.header().uid().unwrap(), USER);
            }
            names.push(name);
        }
        for wanted in ["airbyte/connector", "etc/passwd", "tmp/"] {
            assert!(
                names.iter().any(|name| name == wanted),
                "{wanted} is not in {names:?}"
            );
        }
        assert!(
            names.iter().any(|name| name.contains("libc.so")),
            "{names:?}"
        );
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let error = layer(Path::new("Cargo.toml"), "/airbyte/connector").unwrap_err();
        assert!(error.message().contains("no program"), "{error}");
    }
}
