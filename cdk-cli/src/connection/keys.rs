//! The keys of a connection file in all their spellings: one table per mapping.

use cdk_declarative::words::{did_you_mean, fold};
use cdk_declarative::yaml::{Entry, Problem};

/// The keys of one kind of mapping: the name used here, and other (folded) spellings of it.
pub(super) struct Keys {
    pub(super) table: &'static [(&'static str, &'static [&'static str])],
}

/// The keys at the top.
pub(super) const CONNECTION: Keys = Keys {
    table: &[
        (
            "name",
            &["connectionname", "connection", "nomconnexion", "nom"],
        ),
        ("source", &[]),
        ("destination", &[]),
        ("streams", &["flux"]),
        (
            "namespace",
            &[
                "namespacedestination",
                "destinationnamespace",
                "namespacedefinition",
                "definitionnamespace",
            ],
        ),
        ("namespace_format", &["formatnamespace"]),
        ("prefix", &["streamprefix", "tableprefix", "prefixe"]),
        ("state", &["etat"]),
        ("retries", &[]),
        ("memory", &["memoire"]),
        (
            "schedule",
            &[
                "frequencereplication",
                "replicationfrequency",
                "frequency",
                "frequence",
                "cron",
            ],
        ),
        ("normalization", &["normalisation"]),
    ],
};

/// The keys of a stream.
pub(super) const STREAM: Keys = Keys {
    table: &[
        ("name", &["stream", "nom"]),
        ("namespace", &["sourcenamespace"]),
        ("mode", &["syncmode", "modesync"]),
        ("destination_sync_mode", &[]),
        ("cursor_field", &["cursor", "champcurseur"]),
        ("primary_key", &["key", "cleprimaire"]),
    ],
};

/// The keys of a source or destination.
pub(super) const CONNECTOR: Keys = Keys {
    table: &[
        ("name", &["nom"]),
        ("connector", &["connecteur"]),
        ("path", &["executable", "chemin"]),
        ("docker", &["image", "dockerimage"]),
        ("command", &["commande"]),
        ("manifest", &["manifeste"]),
        ("config", &["configuration"]),
    ],
};

/// The keys of `state`.
pub(super) const STATE: Keys = Keys {
    table: &[("dir", &["directory"]), ("sqlite", &["database"])],
};

impl Keys {
    /// The key's name here, if it is one of these.
    pub(super) fn find(&self, key: &str) -> Option<&'static str> {
        let key = fold(key);
        let mut table = self.table.iter();
        let found =
            table.find(|(name, others)| fold(name) == key || others.contains(&key.as_str()));
        found.map(|(name, _)| *name)
    }

    /// The entries of the mapping called `what` by their names here. Unknown keys are refused, and two
    /// spellings of the same one.
    pub(super) fn read<'a>(
        &self,
        entries: &'a [Entry],
        what: &str,
    ) -> Result<Vec<(&'static str, &'a Entry)>, Problem> {
        let mut read: Vec<(&'static str, &Entry)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let name = self
                .find(&entry.key)
                .ok_or_else(|| self.unknown(entry, what))?;
            if let Some((_, first)) = read.iter().find(|(other, _)| *other == name) {
                let text = format!(
                    "`{name}` is here twice; first in line {}.",
                    first.place.line
                );
                return Err(Problem::new(entry.place, text));
            }
            read.push((name, entry));
        }
        Ok(read)
    }

    fn unknown(&self, entry: &Entry, what: &str) -> Problem {
        let names = self.table.iter().map(|(name, _)| *name);
        let guess = did_you_mean(&entry.key, names.clone());
        let known: Vec<_> = names.collect();
        let text = format!(
            "There is no key `{}` in {what}.{guess} Known keys: {}.",
            entry.key,
            known.join(", ")
        );
        Problem::new(entry.place, text)
    }
}
