//! The streams of a connection, and how each is synced.

use cdk_core::sync::{Mode, StreamSelection};

use super::keys::STREAM;
use cdk_declarative::yaml::{Entry, Kind, Node, Problem};

/// One selected stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StreamChoice {
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    pub(crate) mode: Option<Mode>,
    pub(crate) cursor_field: Option<String>,
    pub(crate) primary_key: Vec<String>,
}

impl StreamChoice {
    /// For the engine.
    pub(crate) fn selection(&self) -> StreamSelection {
        let mut selection = StreamSelection::new(&self.name);
        if let Some(namespace) = &self.namespace {
            selection = selection.with_namespace(namespace);
        }
        if let Some(mode) = self.mode {
            selection = selection.with_mode(mode);
        }
        if let Some(field) = &self.cursor_field {
            selection = selection.with_cursor(field);
        }
        if !self.primary_key.is_empty() {
            selection = selection.with_primary_key(self.primary_key.iter().cloned());
        }
        selection
    }

    /// Whether a user who writes `name` or `namespace.name` means this stream.
    pub(crate) fn is_called(&self, wanted: &str) -> bool {
        let namespace = self.namespace.as_deref();
        self.name == wanted
            || namespace.is_some_and(|namespace| wanted == format!("{namespace}.{}", self.name))
    }
}

/// Reads the list at `streams`.
pub(super) fn parse_all(node: &Node) -> Result<Vec<StreamChoice>, Problem> {
    match &node.kind {
        Kind::List(items) if items.is_empty() => {
            let text = "`streams` is empty. Leave the key out to sync all streams.";
            Err(Problem::new(node.place, text))
        }
        Kind::List(items) => items.iter().map(parse).collect(),
        _ => Err(node.expected("streams", "a list of streams")),
    }
}

fn parse(node: &Node) -> Result<StreamChoice, Problem> {
    let mut choice = StreamChoice::default();
    if let Kind::Text(name) = &node.kind {
        choice.name.clone_from(name);
        return Ok(choice);
    }
    let mut mode: Option<&Entry> = None;
    let mut write_mode: Option<&Entry> = None;
    for (key, entry) in STREAM.read(node.entries("a stream")?, "a stream")? {
        let value = &entry.value;
        match key {
            "name" => choice.name = value.text(key)?,
            _ if value.kind == Kind::Null => {}
            "namespace" => choice.namespace = Some(value.text(key)?),
            "mode" => mode = Some(entry),
            "destination_sync_mode" => write_mode = Some(entry),
            "cursor_field" => choice.cursor_field = cursor(value)?,
            _ => choice.primary_key = primary_key(value)?,
        }
    }
    if choice.name.is_empty() {
        return Err(Problem::new(node.place, "A stream needs a `name`."));
    }
    choice.mode = parse_mode(mode, write_mode)?;
    Ok(choice)
}

/// One text with both halves, or the protocol's two halves.
fn parse_mode(read: Option<&Entry>, write: Option<&Entry>) -> Result<Option<Mode>, Problem> {
    let Some(entry) = read.or(write) else {
        return Ok(None);
    };
    let halves = [read, write].into_iter().flatten();
    let halves = halves
        .map(|entry| entry.value.text(&entry.key))
        .collect::<Result<Vec<_>, _>>()?;
    let mode = halves.join(" ").parse::<Mode>();
    mode.map(Some)
        .map_err(|text| Problem::new(entry.value.place, text))
}

fn cursor(value: &Node) -> Result<Option<String>, Problem> {
    let mut fields = fields(value, "cursor_field")?;
    if fields.len() > 1 {
        let text = "`cursor_field` must be one top-level field.";
        return Err(Problem::new(value.place, text));
    }
    Ok(fields.pop())
}

fn primary_key(value: &Node) -> Result<Vec<String>, Problem> {
    fields(value, "primary_key")
}

/// Field names: `id`, `id, line`, `[id, line]` or, as in a catalog, `[[id], [line]]`.
fn fields(value: &Node, what: &str) -> Result<Vec<String>, Problem> {
    let Kind::List(items) = &value.kind else {
        let text = value.text(what)?;
        let names = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        return Ok(names.map(str::to_owned).collect());
    };
    let name = |item: &Node| match &item.kind {
        Kind::List(path) => match path.as_slice() {
            [field] => field.text(what),
            _ => Err(item.expected(what, "made of top-level fields")),
        },
        _ => item.text(what),
    };
    items.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cdk_declarative::yaml::load;

    fn streams(text: &str) -> Result<Vec<StreamChoice>, Problem> {
        parse_all(&load(text).unwrap())
    }

    #[test]
    fn every_way_to_write_a_stream_is_read() {
        let expected = StreamChoice {
            name: "users".to_owned(),
            mode: Some(Mode::IncrementalDeduped),
            cursor_field: Some("at".to_owned()),
            primary_key: vec!["id".to_owned(), "line".to_owned()],
            ..Default::default()
        };
        for text in [
            "[{name: users, mode: incremental_deduped, cursor_field: at, primary_key: [id, line]}]",
            "[{Name: users, Sync Mode: Incremental | Deduped, Cursor Field: [at], Primary Key: 'id, line'}]",
            "[{nom: users, Mode Sync: Incremental | Deduped, Champ Curseur: at, Clé Primaire: [[id], [line]]}]",
            "[{name: users, sync_mode: incremental, destination_sync_mode: append_dedup, cursor: at, \
              primary_key: [id, line]}]",
        ] {
            assert_eq!(
                streams(text).unwrap(),
                std::slice::from_ref(&expected),
                "{text}"
            );
        }
    }

    #[test]
    fn wrong_streams_are_refused_with_the_reason() {
        for (text, expected) in [
            ("[]", "Leave the key out"),
            ("users", "must be a list of streams"),
            ("[{mode: append}]", "needs a `name`"),
            (
                "[{name: users, mode: sometimes}]",
                "`sometimes` is not a sync mode",
            ),
            (
                "[{name: users, Mode Sync: x, sync_mode: y}]",
                "`mode` is here twice",
            ),
            (
                "[{name: users, cursor_feild: a}]",
                "Did you mean `cursor_field`?",
            ),
            (
                "[{name: users, cursor_field: [a, b]}]",
                "one top-level field",
            ),
        ] {
            let problem = streams(text).unwrap_err();
            assert!(problem.text.contains(expected), "{text}: {}", problem.text);
        }
    }

    #[test]
    fn a_stream_is_called_with_or_without_its_namespace() {
        let stream = &streams("[{name: users, namespace: public}]").unwrap()[0];
        assert!(stream.is_called("users") && stream.is_called("public.users"));
        assert!(!stream.is_called("other.users"));
    }
}
