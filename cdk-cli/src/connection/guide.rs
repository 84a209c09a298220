//! The connection as the integration guide prints it.
//!
//! It looks like YAML but is none: keys stand indented below a value that is already complete.
//!
//! ```text
//! Namespace Destination: Custom                      Namespace Destination: Custom
//!   Format Namespace: production_${SOURCE_NAMESPACE}  Format Namespace: production_${SOURCE_NAMESPACE}
//! Streams:                                     →    Streams:
//!   - customers                                       - name: customers
//!     Mode Sync: Full Refresh | Overwrite               Mode Sync: Full Refresh | Overwrite
//! ```
//!
//! Each line is read for itself and keeps its number. Only lines whose key is known move, so that nothing
//! else can change its meaning.

use super::keys::{CONNECTION, Keys, STREAM};

/// The same text as YAML; `None` when there is nothing of the guide's kind in it.
pub(super) fn repair(text: &str) -> Option<String> {
    let mut repaired = Vec::new();
    let mut has_changed = false;
    let mut open: Option<Open> = None;
    for (at, line) in text.lines().enumerate() {
        let indent = indent_of(line);
        let content = line.trim();
        if is_blank(line) {
            repaired.push(line.to_owned());
            continue;
        }
        if let Some(below) = open.as_ref().filter(|open| indent > open.indent)
            && below.keys.knows(content)
        {
            has_changed |= indent != below.target;
            repaired.push(format!("{}{content}", " ".repeat(below.target)));
            continue;
        }
        open = Open::after(indent, content);
        let next = text.lines().skip(at + 1).find(|line| !is_blank(line));
        match bare_item(content) {
            Some(name) if next.is_some_and(|next| goes_on(indent, next)) => {
                has_changed = true;
                repaired.push(format!("{}- name: {name}", " ".repeat(indent)));
            }
            _ => repaired.push(line.to_owned()),
        }
    }
    has_changed.then(|| repaired.join("\n") + "\n")
}

/// A complete value, below which further keys may stand although they belong beside it.
struct Open {
    indent: usize,
    /// Where the keys belong.
    target: usize,
    keys: &'static Keys,
}

impl Open {
    fn after(indent: usize, content: &str) -> Option<Self> {
        if bare_item(content).is_some() {
            return Some(Self {
                indent,
                target: indent + 2,
                keys: &STREAM,
            });
        }
        let (key, value) = content.split_once(':')?;
        let is_complete = !value.trim().is_empty() && CONNECTION.find(key) == Some("namespace");
        is_complete.then_some(Self {
            indent,
            target: indent,
            keys: &CONNECTION,
        })
    }
}

impl Keys {
    fn knows(&self, content: &str) -> bool {
        content
            .split_once(": ")
            .is_some_and(|(key, _)| self.find(key).is_some())
    }
}

/// The name in a list item without keys: `- customers`.
fn bare_item(content: &str) -> Option<&str> {
    let name = content.strip_prefix("- ")?.trim();
    (!name.is_empty() && !name.contains(": ") && !name.ends_with(':')).then_some(name)
}

fn goes_on(indent: usize, next: &str) -> bool {
    indent_of(next) > indent && STREAM.knows(next.trim())
}

fn is_blank(line: &str) -> bool {
    let content = line.trim();
    content.is_empty() || content.starts_with('#')
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cdk_declarative::yaml;

    const PRINTED: &str = "\
Nom Connexion: PostgreSQL → MinIO
Namespace Destination: Custom
  Format Namespace: production_${SOURCE_NAMESPACE}

Streams:
  - customers
    Mode Sync: Full Refresh | Overwrite
    Champ Curseur: updated_at

  - orders
      Mode Sync: Incremental | Append
  - products
";

    #[test]
    fn the_printed_shape_is_no_yaml_until_it_is_repaired() {
        assert!(yaml::load(PRINTED).is_err());
        let repaired = repair(PRINTED).unwrap();
        assert!(yaml::load(&repaired).is_ok(), "{repaired}");
        assert_eq!(repaired.lines().count(), PRINTED.lines().count());
        for line in [
            "\nFormat Namespace: production_${SOURCE_NAMESPACE}\n",
            "\n  - name: customers\n    Mode Sync: Full Refresh | Overwrite\n",
            "\n  - name: orders\n    Mode Sync: Incremental | Append\n",
            "\n  - products\n",
        ] {
            assert!(repaired.contains(line), "{line:?} is missing in {repaired}");
        }
    }

    #[test]
    fn each_part_is_repaired_for_itself() {
        for text in [
            "Streams:\n  - customers\n    Clé Primaire: id\n",
            "Streams:\n- customers\n  # why\n\n  Clé Primaire: id\n",
            "Namespace Destination: Custom\n  Format Namespace: x\n",
        ] {
            assert!(yaml::load(text).is_err(), "{text}");
            assert!(yaml::load(&repair(text).unwrap()).is_ok(), "{text}");
        }
    }

    #[test]
    fn broken_yaml_of_another_kind_is_left_alone() {
        assert_eq!(
            repair("source: faker\n  config: {}\nstreams:\n  - users\n"),
            None
        );
        assert_eq!(
            repair("streams:\n  - name: users\n    mode: append\n"),
            None
        );
    }
}
