//! Names of streams as parts of paths.

/// Longest name that every file system takes, less room for a hash.
const MAX_BYTES: usize = 200;

/// A name as one component of a path, on every operating system and object store. A name that had to be
/// changed ends in a hash of the original, so that two names never share a directory.
pub fn component(name: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay_as_they_are() {
        for name in ["users", "Größe 1.x", "public"] {
            assert_eq!(component(name), name);
        }
    }

    #[test]
    fn a_name_is_one_visible_component_whatever_it_says() {
        let long = "é".repeat(300);
        for name in [
            "..", ".", "../x", "a/b", "a\\b", "C:", "", " ", "x.", "nul", "COM1.txt", ".git",
            "a\0b", &long,
        ] {
            let safe = component(name);
            let is_bad =
                safe.is_empty() || safe.starts_with('.') || safe.contains(['/', '\\', '\0']);
            assert!(
                !is_bad && safe != name && safe.len() <= 255,
                "{name:?} → {safe}"
            );
        }
    }
}
