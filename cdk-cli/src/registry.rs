//! The connectors that are built in: the one place that lists them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cdk_core::entrypoint::Connector;
use cdk_core::{
    ConnectorError, Destination, ProcessCommand, ProcessDestination, ProcessSource, Result, Source,
};

use cdk_declarative::{ManifestSource, words};

/// A connector in this program.
pub(crate) struct BuiltIn {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    make: fn() -> Connector,
}

/// All of them. A new one is one entry here and one dependency in `Cargo.toml`.
pub(crate) const BUILT_INS: &[BuiltIn] = &[
    BuiltIn {
        name: "source-faker",
        about: "deterministic users, products and purchases",
        make: || source(source_faker::SourceFaker),
    },
    BuiltIn {
        name: "source-file",
        about: "one CSV or JSONL file from a path or a URL",
        make: source_file::connector,
    },
    BuiltIn {
        name: "source-declarative-manifest",
        about: "any manifest.yaml of a low-code connector, given in the config",
        make: || Connector::Source(Arc::new(ManifestSource::injected())),
    },
    BuiltIn {
        name: "source-mysql",
        about: "tables of MySQL and MariaDB, by cursor or change data capture",
        make: source_mysql::connector,
    },
    BuiltIn {
        name: "destination-postgres",
        about: "typed, raw and normalized tables in PostgreSQL",
        make: || destination(destination_postgres::PostgresDestination),
    },
    BuiltIn {
        name: "source-rest-api",
        about: "any JSON API, described in the config",
        make: source_rest_api::connector,
    },
    BuiltIn {
        name: "source-pokeapi",
        about: "the Pokémon of pokeapi.co, the example of an HTTP source",
        make: || source(source_pokeapi::SourcePokeapi),
    },
    BuiltIn {
        name: "source-postgres",
        about: "PostgreSQL, by full refresh, cursor, xmin or change log",
        make: || source(source_postgres::PostgresSource::default()),
    },
    BuiltIn {
        name: "destination-sqlite",
        about: "typed tables in an SQLite file",
        make: || destination(destination_sqlite::SqliteDestination::default()),
    },
    BuiltIn {
        name: "destination-local",
        about: "JSONL, CSV, Parquet or Avro files in a local directory",
        make: || destination(destination_local::LocalDestination::default()),
    },
    BuiltIn {
        name: "destination-s3",
        about: "Parquet, Avro, JSONL or CSV files in a bucket of S3, MinIO or a store like them",
        make: || destination(destination_s3::S3Destination),
    },
    BuiltIn {
        name: "destination-dev-null",
        about: "keeps nothing: discards, logs, fails or slows down",
        make: || destination(destination_dev_null::DestinationDevNull::new()),
    },
];

fn source(source: impl Source) -> Connector {
    Connector::Source(Arc::new(source))
}

fn destination(destination: impl Destination) -> Connector {
    Connector::Destination(Arc::new(destination))
}

/// What a connector is to be used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Source,
    Destination,
}

impl Role {
    /// `source` or `destination`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// Where a connector comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A built-in one, by its name with or without `source-` or `destination-`.
    Name(String),
    /// The manifest of a low-code source.
    Manifest(PathBuf),
    /// Any executable that speaks the protocol.
    Command(ProcessCommand),
}

/// How the name of a manifest's file ends.
const MANIFEST_ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

impl Reference {
    /// Reads what `--connector` takes: a name, `docker:IMAGE`, a manifest, a path, or a command with arguments.
    /// A relative path starts at `directory`.
    pub(crate) fn parse(text: &str, directory: &Path) -> Self {
        let path = directory.join(text);
        if let Some(image) = text.strip_prefix("docker:") {
            return Self::Command(ProcessCommand::docker(image));
        }
        let is_one_word = path.exists() || !text.contains(' ');
        if is_one_word && is_manifest(&path) {
            return Self::Manifest(path);
        }
        if text.contains('/') && is_one_word {
            return Self::path(text, directory);
        }
        match text.split_once(' ') {
            Some((program, args)) => {
                Self::Command(ProcessCommand::new(program, args.split_whitespace()))
            }
            None => Self::Name(text.to_owned()),
        }
    }

    /// The executable at `path`, relative to `directory`.
    pub(crate) fn path(path: &str, directory: &Path) -> Self {
        let mut path = directory.join(path);
        if path.components().count() == 1 {
            // Without a slash it would be looked up in PATH.
            path = Path::new(".").join(path);
        }
        let no_args: [&str; 0] = [];
        Self::Command(ProcessCommand::new(path.to_string_lossy(), no_args))
    }

    /// True for connectors in a process of their own.
    pub(crate) fn is_process(&self) -> bool {
        matches!(self, Self::Command(_))
    }

    /// The connector, ready to run. Without a role, what the name says counts; a process counts as a
    /// source, whose verbs `spec` and `check` are those of a destination too.
    pub(crate) fn connect(&self, role: Option<Role>) -> Result<Connector> {
        let name = match self {
            Self::Command(command) if role == Some(Role::Destination) => {
                return Ok(destination_process(command.clone()));
            }
            Self::Command(command) => {
                let source = ProcessSource::new(command.clone());
                return Ok(Connector::Source(Arc::new(source)));
            }
            Self::Manifest(path) if role == Some(Role::Destination) => {
                return Err(ConnectorError::config(format!(
                    "{} is a manifest, which describes a source. A destination is given by its name or path.",
                    path.display()
                )));
            }
            Self::Manifest(path) => {
                let source = ManifestSource::from_file(path);
                return Ok(Connector::Source(Arc::new(source)));
            }
            Self::Name(name) => name,
        };
        let roles = match role {
            Some(Role::Source) => &["source-"][..],
            Some(Role::Destination) => &["destination-"][..],
            None => &["source-", "destination-"][..],
        };
        match find(name, roles) {
            Some(built_in) => Ok((built_in.make)()),
            None => Err(unknown(name, role, roles)),
        }
    }

    /// The full name of the built-in destination that this is.
    pub(crate) fn built_in_destination(&self) -> Option<&'static str> {
        match self {
            Self::Name(name) => find(name, &["destination-"]).map(|built_in| built_in.name),
            Self::Command(_) | Self::Manifest(_) => None,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Manifest(path) => write!(f, "{}", path.display()),
            Self::Command(command) => f.write_str(command.name()),
        }
    }
}

fn is_manifest(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| MANIFEST_ENDINGS.contains(&ending))
}

fn find(name: &str, roles: &[&str]) -> Option<&'static BuiltIn> {
    let fits = |built_in: &&BuiltIn| {
        let mut short = roles
            .iter()
            .filter_map(|role| built_in.name.strip_prefix(role));
        short.any(|short| short == name || built_in.name == name)
    };
    BUILT_INS.iter().find(fits)
}

fn destination_process(command: ProcessCommand) -> Connector {
    Connector::Destination(Arc::new(ProcessDestination::new(command)))
}

fn unknown(name: &str, role: Option<Role>, roles: &[&str]) -> ConnectorError {
    let kind = role.map_or("connector", Role::name);
    let known: Vec<_> = BUILT_INS
        .iter()
        .map(|built_in| built_in.name)
        .filter(|known| roles.iter().any(|role| known.starts_with(role)))
        .collect();
    let short = known
        .iter()
        .flat_map(|name| [Some(*name), name.split_once('-').map(|(_, s)| s)]);
    let guess = words::did_you_mean(name, short.flatten());
    ConnectorError::config(format!(
        "There is no built-in {kind} `{name}`.{guess} Built in: {}. Any other connector is given by the \
         path of its executable (./{name}) or manifest (./manifest.yaml), or as docker:IMAGE.",
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(name: &str, role: Option<Role>) -> Result<Connector> {
        Reference::parse(name, Path::new("")).connect(role)
    }

    #[test]
    fn built_ins_are_found_by_long_and_short_name() {
        for name in ["faker", "source-faker"] {
            let connector = connect(name, Some(Role::Source)).unwrap();
            assert!(matches!(connector, Connector::Source(_)), "{name}");
        }
        let connector = connect("dev-null", None).unwrap();
        assert!(matches!(connector, Connector::Destination(_)));
    }

    #[test]
    fn a_source_is_no_destination() {
        let error = connect("source-faker", Some(Role::Destination)).unwrap_err();
        assert!(
            error
                .message()
                .contains("no built-in destination `source-faker`"),
            "{error}"
        );
    }

    #[test]
    fn a_manifest_is_no_destination() {
        let error = connect("manifest.yaml", Some(Role::Destination)).unwrap_err();
        assert!(error.message().contains("describes a source"), "{error}");
    }

    #[test]
    fn a_misspelt_name_is_guessed() {
        let error = connect("facker", Some(Role::Source)).unwrap_err();
        assert!(error.message().contains("Did you mean `faker`?"), "{error}");
    }

    #[test]
    fn paths_images_manifests_and_commands_are_told_apart() {
        let dir = Path::new("/conf");
        let none: [&str; 0] = [];
        for (text, command) in [
            ("./source-x", ProcessCommand::new("/conf/./source-x", none)),
            (
                "docker:airbyte/source-x:1",
                ProcessCommand::docker("airbyte/source-x:1"),
            ),
            ("python main.py", ProcessCommand::new("python", ["main.py"])),
        ] {
            assert_eq!(
                Reference::parse(text, dir),
                Reference::Command(command),
                "{text}"
            );
        }
        for name in ["manifest.yaml", "x/m.yml", "m.json"] {
            let manifest = Reference::parse(name, dir);
            assert_eq!(manifest, Reference::Manifest(dir.join(name)));
        }
        assert_eq!(
            Reference::parse("faker", dir),
            Reference::Name("faker".to_owned())
        );
    }
}
