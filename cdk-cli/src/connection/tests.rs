use super::*;
use cdk_core::sync::Mode;

use crate::registry::Reference;

fn parse(text: &str) -> Result<Connection, Problem> {
    Connection::parse(text, Path::new("conf/my.yaml"))
}

fn refused(text: &str) -> String {
    let Problem { place, text } = parse(text).unwrap_err();
    format!("{}:{}: {text}", place.line, place.column)
}

const ENDS: &str = "source: faker\ndestination: {name: dev-null, config: {a: 1}}\n";

#[test]
fn a_short_file_has_defaults() {
    let connection = parse(ENDS).unwrap();
    assert_eq!(connection.name, "my");
    assert_eq!(connection.namespace, Namespace::Destination);
    assert_eq!(
        connection.source.reference,
        Reference::Name("faker".to_owned())
    );
    assert_eq!(connection.directory(), Path::new("conf"));
    assert!(connection.streams.is_empty() && connection.notes.is_empty());
}

#[test]
fn a_manifest_is_a_source_in_every_spelling() {
    for source in [
        "{manifest: m.yaml}",
        "{Manifeste: m.yaml, config: c.json}",
        "{connector: m.yaml}",
        "m.yaml",
    ] {
        let connection = parse(&format!("source: {source}\ndestination: dev-null\n")).unwrap();
        let manifest = Reference::Manifest(PathBuf::from("conf/m.yaml"));
        assert_eq!(connection.source.reference, manifest, "{source}");
    }
    let twice = refused("source: {manifest: a, path: b}\ndestination: dev-null\n");
    assert!(twice.contains("names its connector twice"), "{twice}");
}

#[test]
fn the_shape_of_the_guide_is_read_as_it_is_printed() {
    let text = "\
Nom Connexion: PostgreSQL → MinIO
Fréquence Réplication: Every 24 hours
Namespace Destination: Custom
  Format Namespace: production_${SOURCE_NAMESPACE}
Source: faker
Destination: dev-null

Streams:
  - customers
    Mode Sync: Full Refresh | Overwrite
    Champ Curseur: updated_at
    Clé Primaire: customer_id
    
  - orders
    Mode Sync: Incremental | Append
    Champ Curseur: created_at
    Clé Primaire: order_id
    
  - products
    Mode Sync: Full Refresh | Overwrite
    Clé Primaire: product_id

Normalization:
  Enable: true
  Option: Basic Normalization
";
    let connection = parse(text).unwrap();
    assert_eq!(connection.name, "PostgreSQL → MinIO");
    let custom = "production_${SOURCE_NAMESPACE}".to_owned();
    assert_eq!(connection.namespace, Namespace::Custom(custom));
    let streams: Vec<_> = connection
        .streams
        .iter()
        .map(|stream| {
            (
                stream.name.as_str(),
                stream.mode,
                stream.primary_key.join(","),
            )
        })
        .collect();
    assert_eq!(
        streams,
        [
            (
                "customers",
                Some(Mode::FullRefreshOverwrite),
                "customer_id".to_owned()
            ),
            (
                "orders",
                Some(Mode::IncrementalAppend),
                "order_id".to_owned()
            ),
            (
                "products",
                Some(Mode::FullRefreshOverwrite),
                "product_id".to_owned()
            ),
        ]
    );
    assert_eq!(
        connection.streams[1].cursor_field.as_deref(),
        Some("created_at")
    );
    assert!(connection.notes[0].starts_with("`Fréquence Réplication` has no effect"));
    assert_eq!(connection.notes.len(), 1);
    assert!(connection.normalization.is_some());
}

#[test]
fn english_spellings_mean_the_same() {
    let text = "Connection Name: a\nDestination Namespace: Custom\nNamespace Format: x\n\
                Replication Frequency: Manual\nStream Prefix: p_\nmemory: 8MiB\nretries: 0\n";
    let connection = parse(&format!("{text}{ENDS}")).unwrap();
    assert_eq!(connection.name, "a");
    assert_eq!(connection.namespace, Namespace::Custom("x".to_owned()));
    assert_eq!(connection.prefix, "p_");
    assert_eq!(
        (connection.memory_bytes, connection.retries),
        (Some(8 << 20), Some(0))
    );
}

#[test]
fn namespaces_are_rules_or_formats() {
    for (text, expected) in [
        ("namespace: destination", Namespace::Destination),
        ("namespace: source", Namespace::Source),
        (
            "namespace: raw_${SOURCE_NAMESPACE}",
            Namespace::Custom("raw_${SOURCE_NAMESPACE}".into()),
        ),
        (
            "Définition Namespace: Destination Default\nFormat Namespace: x",
            Namespace::Destination,
        ),
    ] {
        assert_eq!(
            parse(&format!("{text}\n{ENDS}")).unwrap().namespace,
            expected,
            "{text}"
        );
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (text, expected) in [
        (
            "streems: []\n",
            "1:1: There is no key `streems` in the connection file. Did you mean `streams`?",
        ),
        (
            "name: a\nNom Connexion: b\n",
            "2:1: `name` is here twice; first in line 1.",
        ),
        ("retries: -1\n", "1:10: `retries` must be a whole number"),
        ("memory: lots\n", "1:9: `lots` is not a size"),
        (
            "namespace: custom\n",
            "1:12: `namespace: custom` needs a `namespace_format`",
        ),
        ("state: {dir: a, sqlite: b}\n", "1:8: `state` needs one key"),
        (
            "streams: [{name: a, mode: x}]\n",
            "1:27: `x` is not a sync mode",
        ),
    ] {
        let text = refused(&format!("{text}{ENDS}"));
        assert!(text.starts_with(expected), "{text}");
    }
    for (text, expected) in [
        ("source: faker\n", "1:1: The file has no `destination`."),
        (
            "source: {config: {}}\n",
            "1:9: `source` names no connector.",
        ),
        (
            "source: {name: a, path: b}\n",
            "1:19: `source` names its connector twice.",
        ),
        ("source: {command: []}\n", "1:19: `command` is empty."),
        (
            "source: {nmae: a}\n",
            "1:10: There is no key `nmae` in `source`. Did you mean `name`?",
        ),
        ("a: [\n", "2:1: This is not YAML"),
        (
            "just text\n",
            "1:1: `the connection file` must be a mapping",
        ),
    ] {
        let text = refused(text);
        assert!(text.starts_with(expected), "{text}");
    }
}
