//! Names of directories and files.

use std::path::PathBuf;

use airbyte_protocol::StreamDescriptor;

/// Longest name that every file system takes, less room for a hash.
const MAX_BYTES: usize = 200;

/// Where a stream's files go, below the destination path: `[<namespace>/]<stream>`.
pub(crate) fn directory(stream: &StreamDescriptor) -> PathBuf {
    let namespace = stream
        .namespace
        .as_deref()
        .filter(|namespace| !namespace.is_empty());
    namespace
        .into_iter()
        .chain([stream.name.as_str()])
        .map(component)
        .collect()
}

/// A name as one component of a path, on every operating system. A name that had to be changed ends
/// in a hash of the original, so that two names never share a directory.
fn component(name: &str) -> String {
    let is_bad = |c: char| c.is_control() || r#"/\:*?"<>|"#.contains(c);
    let mut safe: String = name
        .chars()
        .map(|c| if is_bad(c) { '_' } else { c })
        .collect();
    // Hidden names are ours, and `..` leads out.
    if safe.starts_with('.') {
        safe.replace_range(..1, "_");
    }
    // Windows ignores them at the end.
    safe.truncate(safe.trim_end_matches(['.', ' ']).len());
    let end = safe.floor_char_boundary(MAX_BYTES);
    safe.truncate(end);
    if safe != name || safe.is_empty() || is_reserved(&safe) {
        safe.push_str(&format!("_{:08x}", hash(name)));
    }
    safe
}

/// Names of devices on Windows, with any extension.
fn is_reserved(name: &str) -> bool {
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    let numbered = stem
        .strip_prefix("COM")
        .or_else(|| stem.strip_prefix("LPT"));
    ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str())
        || numbered.is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_digit()))
}

/// FNV-1a: stable across versions and machines, as names must be.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// The name of a file of ours: `<generation>_<run>_<part>.<extension>`, behind the prefix of its stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileName {
    pub(crate) generation_id: i64,
    /// When the run began, in milliseconds since the Unix epoch.
    pub(crate) run: i64,
    pub(crate) part: u64,
    pub(crate) extension: String,
}

/// In progress: removed when the run that wrote it is dead.
pub(crate) const OPEN: &str = ".open_";
/// Complete, but of a generation that is not visible yet.
pub(crate) const STAGED: &str = ".staged_";

impl FileName {
    /// The name as users see it.
    pub(crate) fn visible(&self) -> String {
        format!(
            "{}_{}_{:05}.{}",
            self.generation_id, self.run, self.part, self.extension
        )
    }

    /// Reads a visible name; `None` when the file is not ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (stem, extension) = name.split_once('.')?;
        let mut parts = stem.split('_');
        let (generation_id, run, part) = (parts.next()?, parts.next()?, parts.next()?);
        let parsed = Self {
            generation_id: generation_id.parse().ok()?,
            run: run.parse().ok()?,
            part: part.parse().ok()?,
            extension: extension.to_owned(),
        };
        let is_ours = ["jsonl", "jsonl.gz", "csv", "csv.gz"].contains(&extension);
        (is_ours && parsed.visible() == name).then_some(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory_of(namespace: Option<&str>, name: &str) -> String {
        let stream = StreamDescriptor::from_parts(name, namespace.map(str::to_owned));
        directory(&stream).to_str().unwrap().to_owned()
    }

    #[test]
    fn plain_names_stay_as_they_are() {
        assert_eq!(directory_of(None, "users"), "users");
        assert_eq!(
            directory_of(Some("public"), "Größe 1.x"),
            "public/Größe 1.x"
        );
        assert_eq!(directory_of(Some(""), "users"), "users");
    }

    #[test]
    fn no_name_leaves_its_directory() {
        let long = "é".repeat(300);
        let names = [
            "..", ".", "../x", "a/b", "a\\b", "C:", "", " ", "x.", "nul", "COM1.txt", ".git",
            "a\0b", &long,
        ];
        for name in names {
            let directory = directory_of(None, name);
            let mut components = std::path::Path::new(&directory).components();
            let only = components.next().unwrap();
            assert!(
                matches!(only, std::path::Component::Normal(_)),
                "{name:?} → {directory}"
            );
            assert!(
                components.next().is_none() && directory.len() <= 255,
                "{name:?} → {directory}"
            );
            assert!(
                !directory.starts_with('.') && directory != name,
                "{name:?} → {directory}"
            );
        }
    }

    #[test]
    fn different_names_get_different_directories() {
        let names = ["a/b", "a_b", "a\\b", "a:b", "a_b ", ".a", "_a"];
        let directories: std::collections::HashSet<_> =
            names.iter().map(|name| directory_of(None, name)).collect();
        assert_eq!(directories.len(), names.len(), "{directories:?}");
    }

    #[test]
    fn names_of_files_are_read_back_and_others_are_not_ours() {
        let name = FileName {
            generation_id: 3,
            run: 17,
            part: 4,
            extension: "csv.gz".to_owned(),
        };
        assert_eq!(name.visible(), "3_17_00004.csv.gz");
        assert_eq!(FileName::parse("3_17_00004.csv.gz"), Some(name));
        for other in [
            "3_17_4.csv",
            "3_17.csv",
            "notes.csv",
            "3_17_00004.txt",
            ".open_3_17_00004.csv",
        ] {
            assert_eq!(FileName::parse(other), None, "{other}");
        }
    }
}
