//! The connection file: which source goes where, and how.
//!
//! Keys may be spelt in English or French, with spaces, underscores or accents (see [`keys`]); the shape
//! of the integration guide is read too (see [`guide`]).

mod guide;
mod keys;
mod part;
mod stream;

use std::path::{Path, PathBuf};

use cdk_core::Result;
use cdk_core::sync::{FileStateStore, Namespace, SqliteStateStore, StateStore, SyncBuilder};

use serde_json::Value;

use crate::references::Resolver;
use crate::registry::Role;
use crate::units;
use cdk_declarative::words::fold;
use cdk_declarative::yaml::{self, Entry, Kind, Node, Place, Problem};
use keys::{CONNECTION, STATE};

pub(crate) use part::{Part, read_config};
pub(crate) use stream::StreamChoice;

/// Where state is kept, beside the connection file, when nothing else is said.
const STATE_DIRECTORY: &str = ".cdk/state";

/// A connection as its file describes it. References to secrets are not resolved yet.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) file: PathBuf,
    pub(crate) name: String,
    pub(crate) source: Part,
    pub(crate) destination: Part,
    /// Empty: all streams.
    pub(crate) streams: Vec<StreamChoice>,
    pub(crate) namespace: Namespace,
    pub(crate) prefix: String,
    pub(crate) retries: Option<u32>,
    pub(crate) memory_bytes: Option<usize>,
    /// How the destination is to normalize, if it can.
    pub(crate) normalization: Option<Node>,
    /// What was accepted but has no effect here, for the log.
    pub(crate) notes: Vec<String>,
    state: StatePlace,
}

/// Where the state of a connection is.
#[derive(Debug, Clone, PartialEq)]
enum StatePlace {
    Default,
    Directory(Node),
    Sqlite(Node),
}

impl Connection {
    /// Reads a connection file.
    pub(crate) fn load(file: &Path) -> Result<Self> {
        let text = part::read(file)?;
        Self::parse(&text, file).map_err(|problem| part::at(file, &problem))
    }

    fn parse(text: &str, file: &Path) -> Result<Self, Problem> {
        let node = match yaml::load(text) {
            Ok(node) => node,
            // What is wrong is told about the text as it stands.
            Err(problem) => match guide::repair(text) {
                Some(repaired) => yaml::load(&repaired).map_err(|_| problem)?,
                None => return Err(problem),
            },
        };
        Draft::read(node.entries("the connection file")?, file)?.finish(file)
    }

    /// The directory of the file: where its relative paths start.
    pub(crate) fn directory(&self) -> PathBuf {
        directory_of(&self.file)
    }

    /// Puts the connection's `normalization` into the destination's config, where its own says nothing. `schema` is
    /// that of the config.
    pub(crate) fn normalize(
        &self,
        config: &mut Value,
        schema: &Value,
        resolver: &Resolver<'_>,
    ) -> Result<()> {
        let Some(node) = &self.normalization else {
            return Ok(());
        };
        if schema.pointer("/properties/normalization").is_none() {
            tracing::warn!(
                "`normalization` has no effect: this destination does not normalize. Nested values arrive as JSON."
            );
            return Ok(());
        }
        let value = resolver.value(node, "normalization");
        let value = value.map_err(|problem| part::at(&self.file, &problem))?;
        if let Value::Object(config) = config {
            config.entry("normalization").or_insert(value);
        }
        Ok(())
    }

    /// Where the state is kept; `directory` from the command line goes first.
    pub(crate) fn state_store(
        &self,
        directory: Option<&Path>,
        resolver: &Resolver<'_>,
    ) -> Result<Store> {
        if let Some(directory) = directory {
            return Ok(Store::File(FileStateStore::new(directory)));
        }
        let path = |node: &Node| {
            let path = node
                .text("state")
                .and_then(|text| resolver.text(&text, node.place, "state"));
            let path = path.map_err(|problem| part::at(&self.file, &problem))?;
            Ok(self.directory().join(path))
        };
        Ok(match &self.state {
            StatePlace::Default => {
                Store::File(FileStateStore::new(self.directory().join(STATE_DIRECTORY)))
            }
            StatePlace::Directory(node) => Store::File(FileStateStore::new(path(node)?)),
            StatePlace::Sqlite(node) => Store::Sqlite(SqliteStateStore::new(path(node)?)),
        })
    }
}

/// The state store of a connection.
#[derive(Debug)]
pub(crate) enum Store {
    File(FileStateStore),
    Sqlite(SqliteStateStore),
}

impl Store {
    /// Any of them.
    pub(crate) fn as_dyn(&self) -> &dyn StateStore {
        match self {
            Self::File(store) => store,
            Self::Sqlite(store) => store,
        }
    }

    /// Gives the store to a sync.
    pub(crate) fn give_to(self, builder: SyncBuilder) -> SyncBuilder {
        match self {
            Self::File(store) => builder.state_store(store),
            Self::Sqlite(store) => builder.state_store(store),
        }
    }
}

fn directory_of(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).to_owned()
}

/// A connection while its keys are read.
#[derive(Default)]
struct Draft {
    name: Option<String>,
    source: Option<Part>,
    destination: Option<Part>,
    streams: Vec<StreamChoice>,
    namespace: Option<Node>,
    namespace_format: Option<String>,
    prefix: String,
    retries: Option<u32>,
    memory_bytes: Option<usize>,
    normalization: Option<Node>,
    notes: Vec<String>,
    state: Option<StatePlace>,
}

impl Draft {
    fn read(entries: &[Entry], file: &Path) -> Result<Self, Problem> {
        let mut draft = Self::default();
        for (key, entry) in CONNECTION.read(entries, "the connection file")? {
            if entry.value.kind != Kind::Null {
                draft.take(key, entry, &directory_of(file))?;
            }
        }
        Ok(draft)
    }

    fn take(&mut self, key: &str, entry: &Entry, directory: &Path) -> Result<(), Problem> {
        let value = &entry.value;
        match key {
            "name" => self.name = Some(value.text(key)?).filter(|name| !name.is_empty()),
            "source" => self.source = Some(Part::parse(value, Role::Source, directory)?),
            "destination" => {
                self.destination = Some(Part::parse(value, Role::Destination, directory)?);
            }
            "streams" => self.streams = stream::parse_all(value)?,
            "namespace" => self.namespace = Some(value.clone()),
            "namespace_format" => self.namespace_format = Some(value.text(key)?),
            "prefix" => self.prefix = value.text(key)?,
            "state" => self.state = Some(state_place(value)?),
            "retries" => {
                let text = value.text(key)?;
                let wrong =
                    |_| Problem::new(value.place, "`retries` must be a whole number from 0.");
                self.retries = Some(text.parse().map_err(wrong)?);
            }
            "memory" => {
                let size = units::parse_size(&value.text(key)?);
                self.memory_bytes = Some(size.map_err(|text| Problem::new(value.place, text))?);
            }
            "schedule" => self.notes.push(format!(
                "`{}` has no effect: this tool syncs once when it is called. Have cron or another \
                 scheduler call it.",
                entry.key
            )),
            "normalization" => self.normalization = Some(value.clone()),
            _ => {}
        }
        Ok(())
    }

    fn finish(self, file: &Path) -> Result<Connection, Problem> {
        let namespace = namespace(self.namespace.as_ref(), self.namespace_format)?;
        let missing = |what: &str| {
            let text =
                format!("The file has no `{what}`. Add `{what}: {{name: …, config: {{…}}}}`.");
            Problem::new(Place { line: 1, column: 1 }, text)
        };
        let stem = || {
            file.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
        };
        Ok(Connection {
            name: self
                .name
                .or_else(stem)
                .unwrap_or_else(|| "default".to_owned()),
            file: file.to_owned(),
            source: self.source.ok_or_else(|| missing("source"))?,
            destination: self.destination.ok_or_else(|| missing("destination"))?,
            streams: self.streams,
            namespace,
            prefix: self.prefix,
            retries: self.retries,
            memory_bytes: self.memory_bytes,
            normalization: self.normalization,
            notes: self.notes,
            state: self.state.unwrap_or(StatePlace::Default),
        })
    }
}

fn state_place(value: &Node) -> Result<StatePlace, Problem> {
    if let Kind::Text(_) = value.kind {
        return Ok(StatePlace::Directory(value.clone()));
    }
    match STATE.read(value.entries("state")?, "`state`")?.as_slice() {
        [("dir", entry)] => Ok(StatePlace::Directory(entry.value.clone())),
        [(_, entry)] => Ok(StatePlace::Sqlite(entry.value.clone())),
        _ => {
            let text = "`state` needs one key: `dir: …` or `sqlite: …`.";
            Err(Problem::new(value.place, text))
        }
    }
}

/// The rule by its name, or any other text as the format itself.
fn namespace(node: Option<&Node>, format: Option<String>) -> Result<Namespace, Problem> {
    let Some(node) = node else {
        return Ok(format.map_or(Namespace::Destination, Namespace::Custom));
    };
    let text = node.text("namespace")?;
    match (fold(&text).as_str(), format) {
        ("destination" | "destinationdefault" | "default", _) => Ok(Namespace::Destination),
        ("source" | "sourcedefault" | "mirrorsource" | "mirrorsourcestructure", _) => {
            Ok(Namespace::Source)
        }
        ("custom" | "customformat" | "personnalise", Some(format)) => Ok(Namespace::Custom(format)),
        ("custom" | "customformat" | "personnalise", None) => {
            let text =
                "`namespace: custom` needs a `namespace_format`, such as ${SOURCE_NAMESPACE}.";
            Err(Problem::new(node.place, text))
        }
        (_, Some(_)) => {
            Err(node.expected("namespace", "`custom` when there is a namespace_format"))
        }
        (_, None) => Ok(Namespace::Custom(text)),
    }
}

#[cfg(test)]
mod tests;
