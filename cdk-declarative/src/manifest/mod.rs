//! Manifests: read, references resolved, parameters handed down, types filled in.

mod parameters;
mod references;

use cdk_core::{ConnectorError, Result};
use serde_json::Value;

use crate::component::Component;
use crate::yaml::{self, Entry, Kind, Node, Place, Problem};

/// References may repeat what they point to; a manifest that gets larger than this refers too much.
const MAX_NODES: usize = 1_000_000;

/// A manifest that is ready to build components of.
#[derive(Debug, Clone)]
pub struct Manifest {
    root: Value,
    /// The same with the places of the text.
    tree: Node,
}

impl Manifest {
    /// Reads YAML, with PyYAML's meaning, or JSON.
    ///
    /// References (`$ref`, `#/…`) are resolved, `$parameters` go down the tree, missing `type`s of well-known fields are
    /// filled in. What is wrong is a config error with line and column.
    pub fn from_yaml(text: &str) -> Result<Self> {
        Self::parse(text).map_err(|problem| refused(&problem))
    }

    /// The same with the problem itself, for tools that show more than one line.
    pub fn parse(text: &str) -> std::result::Result<Self, Problem> {
        yaml::load_11(text).and_then(Self::of_tree)
    }

    /// A manifest that came as JSON, in a config or from a tool.
    pub fn from_value(root: Value) -> Result<Self> {
        Self::of_tree(Node::from_json(root)).map_err(|problem| refused(&problem))
    }

    fn of_tree(mut tree: Node) -> std::result::Result<Self, Problem> {
        let place = tree.place;
        let Kind::Map(entries) = &mut tree.kind else {
            return Err(tree.expected(
                "manifest",
                "a mapping with `check`, `streams` and `version`",
            ));
        };
        if !entries.iter().any(|entry| entry.key == "type") {
            entries.push(text_entry("type", "DeclarativeSource", place));
        }
        let tree = references::resolved(&tree)?;
        let tree = parameters::propagated(tree, false)?;
        Ok(Self {
            root: tree.clone().into_json(),
            tree,
        })
    }

    /// The root component.
    pub fn root(&self) -> Result<Component<'_>> {
        Component::new(&self.root, "")
    }

    /// The whole as JSON.
    pub fn value(&self) -> &Value {
        &self.root
    }

    /// Where a path of the resolved manifest (`streams[0].retriever`) stands in the text; what came by a reference
    /// stands where it was defined. For a path that is not there, the place of its nearest parent.
    pub fn place(&self, path: &str) -> Place {
        let mut node = &self.tree;
        let steps = path.split(['.', '[', ']']).filter(|step| !step.is_empty());
        for step in steps {
            let next = match &node.kind {
                Kind::List(items) => step.parse::<usize>().ok().and_then(|at| items.get(at)),
                _ => node.get(step),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.place
    }
}

fn refused(problem: &Problem) -> ConnectorError {
    ConnectorError::config(format!(
        "The manifest can't be used, line {}, column {}: {}",
        problem.place.line, problem.place.column, problem.text
    ))
}

fn text_entry(key: &str, text: &str, place: Place) -> Entry {
    Entry {
        key: key.to_owned(),
        place,
        value: Node {
            place,
            kind: Kind::Text(text.to_owned()),
        },
    }
}

/// Hands parameters down and fills in types in a component that was made at run time.
///
/// With `uses_parent`, parameters of outer components win over those of inner ones.
pub fn propagated(component: Value, uses_parent: bool) -> Result<Value> {
    let tree = parameters::propagated(Node::from_json(component), uses_parent);
    tree.map(Node::into_json)
        .map_err(|problem| refused(&problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HEAD: &str = "version: 6.0.0\ncheck: {type: CheckStream, stream_names: [a]}\n";

    fn value_of(text: &str) -> Value {
        Manifest::from_yaml(&format!("{HEAD}{text}")).unwrap().root
    }

    fn refused(text: &str) -> String {
        let error = Manifest::from_yaml(&format!("{HEAD}{text}")).unwrap_err();
        error.message().to_owned()
    }

    #[test]
    fn references_are_replaced_and_own_keys_win() {
        let value = value_of(
            "definitions:\n  base: {a: 1, b: {c: 2}}\n  list: [x, {k: v}]\n  a/b: slash\nstreams:\n  - $ref: '#/definitions/base'\n    a: 9\n  - '#/definitions/list/1/k'\n  - '#/definitions/a/b'\n",
        );
        assert_eq!(
            value["streams"],
            json!([{"a": 9, "b": {"c": 2}, "type": "DeclarativeStream"}, "v", "slash"])
        );
    }

    #[test]
    fn wrong_references_are_named_with_their_line() {
        assert!(refused("streams: ['#/nope/x']\n").contains("line 3, column 11: `#/nope/x`"));
        let cycle =
            "definitions:\n  a: {$ref: '#/definitions/b'}\n  b: {$ref: '#/definitions/a'}\n";
        assert!(
            refused(cycle).contains("refers to itself"),
            "{}",
            refused(cycle)
        );
        let bomb: String = (1..30)
            .map(|at| {
                format!(
                    "  d{at}: ['#/definitions/d{0}', '#/definitions/d{0}']\n",
                    at - 1
                )
            })
            .collect();
        assert!(refused(&format!("definitions:\n  d0: x\n{bomb}")).contains("refer too much"));
    }

    #[test]
    fn config_overrides_are_no_references() {
        let value = value_of("x: {config_overrides: {a: '#/nope'}}\n");
        assert_eq!(value["x"]["config_overrides"]["a"], "#/nope");
    }

    #[test]
    fn parameters_go_down_and_fill_missing_fields() {
        let value = value_of(
            "streams:\n  - type: DeclarativeStream\n    $parameters: {name: users, path: /users}\n    retriever:\n      type: SimpleRetriever\n      requester: {type: HttpRequester, url_base: x, path: ''}\n      record_selector:\n        $parameters: {path: /inner}\n        extractor: {field_path: []}\n",
        );
        let stream = &value["streams"][0];
        assert_eq!(stream["name"], "users");
        let requester = &stream["retriever"]["requester"];
        assert_eq!(requester["path"], "/users");
        assert_eq!(
            requester["$parameters"],
            json!({"name": "users", "path": "/users"})
        );
        let selector = &stream["retriever"]["record_selector"];
        assert_eq!(selector["type"], "RecordSelector");
        assert_eq!(selector["extractor"]["type"], "DpathExtractor");
        assert_eq!(selector["extractor"]["path"], "/inner");
    }

    #[test]
    fn json_schemas_stay_as_they_are() {
        let schema = json!({"type": "object", "properties": {"type": {"type": "string"}}});
        let text = format!(
            "streams:\n  - type: DeclarativeStream\n    $parameters: {{name: n}}\n    schema_loader: {{type: InlineSchemaLoader, schema: {schema}}}\n"
        );
        assert_eq!(
            value_of(&text)["streams"][0]["schema_loader"]["schema"],
            schema
        );
    }

    #[test]
    fn places_follow_references_to_their_definition() {
        let text = format!(
            "{HEAD}definitions:\n  base:\n    retriever: {{x: 1}}\nstreams:\n  - $ref: '#/definitions/base'\n"
        );
        let manifest = Manifest::from_yaml(&text).unwrap();
        assert_eq!(manifest.place("streams[0].retriever.x").line, 5);
        assert_eq!(manifest.place("streams[0].nope").line, 7);
    }

    #[test]
    fn with_parent_parameters_the_outer_ones_win() {
        let component = json!({"type": "DeclarativeStream", "$parameters": {"n": "outer"},
            "retriever": {"type": "SimpleRetriever", "$parameters": {"n": "inner"}}});
        let inner = propagated(component.clone(), false).unwrap();
        assert_eq!(inner["retriever"]["n"], "inner");
        let outer = propagated(component, true).unwrap();
        assert_eq!(outer["retriever"]["n"], "outer");
    }
}
