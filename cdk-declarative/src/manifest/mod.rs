//! Manifests: read, references resolved, parameters handed down, types filled in.

mod components;
mod json_schema;
mod names;
mod parameters;
mod reference;
mod references;
mod unread;
mod validate;

use cdk_core::{ConnectorError, Result};
use serde_json::Value;

use crate::component::Component;
use crate::yaml::{self, Entry, Kind, Node, Place};
pub use components::{ComponentType, Components, Coverage, Field, Shape, Tag};
pub use json_schema::json_schema;
pub use reference::reference;
pub use validate::{Finding, Severity};

/// References may repeat what they point to; a manifest that gets larger than this refers too much.
const MAX_NODES: usize = 1_000_000;

/// So many problems are shown at once.
const SHOWN_PROBLEMS: usize = 10;

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
        Self::parse(text)
            .map_err(|finding| refused(&finding))?
            .checked()
    }

    /// The same without a look at the components: only what can't be read at all is an error.
    pub fn parse(text: &str) -> std::result::Result<Self, Finding> {
        Self::of_tree(yaml::load_11(text)?)
    }

    /// Everything that is wrong with the text of a manifest or has no effect, in the order of the text.
    pub fn inspect(text: &str) -> Vec<Finding> {
        let (mut tree, repeats) = match yaml::load_11_with_repeats(text) {
            Ok(loaded) => loaded,
            Err(problem) => return vec![problem.into()],
        };
        let mut findings = references::unused(&tree);
        findings.extend(repeats.into_iter().map(|repeat| Finding {
            severity: Severity::Warning,
            ..repeat.into()
        }));
        match Self::with_broken_references(&mut tree) {
            Ok((manifest, broken)) => {
                // What a broken reference leaves is no fault of its own.
                let is_left = |finding: &Finding| broken.iter().any(|it| it.place == finding.place);
                findings.extend(names::findings(&manifest.tree));
                findings.extend(unread::findings(&tree, &manifest.tree));
                let of_components = manifest.findings();
                findings.extend(of_components.into_iter().filter(|it| !is_left(it)));
                findings.extend(broken);
            }
            Err(finding) => findings.push(finding),
        }
        findings.sort_by_key(|finding| finding.place);
        findings
    }

    /// A manifest that came as JSON, in a config or from a tool.
    pub fn from_value(root: Value) -> Result<Self> {
        Self::of_tree(Node::from_json(root))
            .map_err(|finding| refused(&finding))?
            .checked()
    }

    /// The manifest, unless its components are wrong.
    fn checked(self) -> Result<Self> {
        let mut errors = self.findings();
        errors.retain(|finding| finding.severity == Severity::Error);
        if errors.is_empty() {
            return Ok(self);
        }
        let shown = errors.iter().take(SHOWN_PROBLEMS).map(Finding::to_string);
        let mut text = shown.collect::<Vec<_>>().join("\n");
        if errors.len() > SHOWN_PROBLEMS {
            text.push_str(&format!("\nand {} more", errors.len() - SHOWN_PROBLEMS));
        }
        Err(ConnectorError::config(format!(
            "The manifest can't be used.\n{text}"
        )))
    }

    fn of_tree(mut tree: Node) -> std::result::Result<Self, Finding> {
        let (manifest, broken) = Self::with_broken_references(&mut tree)?;
        match broken.into_iter().next() {
            None => Ok(manifest),
            Some(first) => Err(first),
        }
    }

    /// The manifest with nothing in the place of references that can't be resolved, and these.
    fn with_broken_references(
        tree: &mut Node,
    ) -> std::result::Result<(Self, Vec<Finding>), Finding> {
        let place = tree.place;
        let Kind::Map(entries) = &mut tree.kind else {
            return Err(tree
                .expected(
                    "manifest",
                    "a mapping with `check`, `streams` and `version`",
                )
                .into());
        };
        if !entries.iter().any(|entry| entry.key == "type") {
            entries.push(text_entry("type", "DeclarativeSource", place));
        }
        let (tree, broken) = references::resolved(tree)?;
        let tree = parameters::propagated(tree, false)?;
        let manifest = Self {
            root: tree.clone().into_json(),
            tree,
        };
        Ok((manifest, broken))
    }

    /// The root component.
    pub fn root(&self) -> Result<Component<'_>> {
        Component::new(&self.root, "")
    }

    /// The whole as JSON.
    pub fn value(&self) -> &Value {
        &self.root
    }

    /// What is wrong with the components, and what has no effect; all at once, in the order of the resolved manifest.
    ///
    /// A wrong definition that is referred to several times is reported once.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = validate::findings(&self.tree);
        let mut seen = std::collections::HashSet::new();
        findings.retain(|finding| seen.insert((finding.place, finding.text.clone())));
        findings
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

fn refused(finding: &Finding) -> ConnectorError {
    ConnectorError::config(format!("The manifest can't be used, {finding}"))
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
        .map_err(|problem| refused(&problem.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HEAD: &str = "version: 6.0.0\ncheck: {type: CheckStream, stream_names: [a]}\n";

    fn value_of(text: &str) -> Value {
        Manifest::parse(&format!("{HEAD}{text}")).unwrap().root
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
        assert!(
            refused("streams: ['#/nope/x']\n")
                .contains("line 3, column 11, `streams[0]`: `#/nope/x`")
        );
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
    fn broken_references_are_found_with_everything_else() {
        let text = format!(
            "{HEAD}definitions:\n  a: {{$ref: '#/definitions/a'}}\n  group: {{b: {{x: 1}}, c: {{x: 1}}}}\nstreams:\n  - $ref: '#/nope'\n  - '#/definitions/a'\n  - {{type: DeclarativeStream, retrievr: '#/definitions/group/b'}}\n"
        );
        let found: Vec<String> = Manifest::inspect(&text)
            .iter()
            .map(Finding::to_string)
            .collect();
        let wanted = [
            "line 4, column 13, `definitions.a`: The reference `#/definitions/a` refers to itself. Take one of its references out.",
            "line 5, column 22, `definitions.group.c`: Nothing refers to this definition: it has no effect.",
            "line 7, column 11, `streams[0]`: `#/nope` points to nothing. Define it, or correct the reference.",
            "line 9, column 5, `streams[2]`: A DeclarativeStream needs `retriever`, which is missing.",
            "line 9, column 31, `streams[2].retrievr`: A DeclarativeStream has no field `retrievr`: it has no effect. Did you mean `retriever`?",
        ];
        assert_eq!(found, wanted, "{found:#?}");
    }

    #[test]
    fn parameters_that_nothing_reads_are_told_of() {
        let stream = "type: DeclarativeStream, $parameters: {name: a, path: /a, size: 5, old: 1}";
        let requester = "{type: HttpRequester, url_base: 'https://x', request_parameters: {n: \"{{ parameters['size'] }}\"}}";
        let selector = "{type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}";
        let text = format!(
            "{HEAD}streams:\n  - {{{stream}, retriever: {{type: SimpleRetriever, requester: {requester}, record_selector: {selector}}}}}\n"
        );
        let found: Vec<String> = Manifest::inspect(&text)
            .iter()
            .map(Finding::to_string)
            .collect();
        let wanted = "line 4, column 73, `streams[0].$parameters.old`: Nothing reads the parameter `old`: it has no effect.";
        assert_eq!(found, [wanted]);
    }

    #[test]
    fn keys_that_are_there_twice_are_told_of_and_the_last_one_counts() {
        let text = format!("{HEAD}streams: [1]\nstreams: []\ndynamic_streams: []\n");
        let found = Manifest::inspect(&text);
        let wanted = "line 4, column 1, `manifest`: `streams` is here twice, and only this one counts. Take the one in line 3 out.";
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].to_string().as_str(), found[0].severity),
            (wanted, Severity::Warning)
        );
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
        let manifest = Manifest::parse(&text).unwrap();
        assert_eq!(manifest.place("streams[0].retriever.x").line, 5);
        assert_eq!(manifest.place("streams[0].nope").line, 7);
    }

    const STREAM: &str = "streams:
  - type: DeclarativeStream
    name: a
    retriever:
      type: SimpleRetriever
      requester: {type: HttpRequester, url: 'https://x', http_method: GTE}
      record_selector:
        extractor: {type: DpathExtrator, field_path: [5]}
      paginator: {type: DefaultPaginator}
      decodr: {type: JsonDecoder}
    incremental_sync: {type: MinMaxDatetime, datetime: x}
    primary_key: [[1]]
    transformations:
      - {type: AddFields, fields: [{path: [x], value: '{{ a. }}'}, {path: [y], value: '{{ recrd.a }}'}]}
";

    #[test]
    fn all_problems_are_found_at_once_with_place_and_remedy() {
        let manifest = Manifest::parse(&format!("{HEAD}{STREAM}nope: 1\n")).unwrap();
        let found: Vec<String> = manifest.findings().iter().map(Finding::to_string).collect();
        let wanted = [
            "line 8, column 71, `streams[0].retriever.requester.http_method`: This must be `GET` or `POST`, not the text `GTE`. Did you mean `GET`?",
            "line 10, column 20, `streams[0].retriever.record_selector.extractor`: `DpathExtrator` is no component type. Use `DpathExtractor`, `CustomRecordExtractor` or `CombinedExtractor`. Did you mean `DpathExtractor`?",
            "line 10, column 55, `streams[0].retriever.record_selector.extractor.field_path[0]`: This must be a text, not a number. Put it in quotes.",
            "line 11, column 18, `streams[0].retriever.paginator`: A DefaultPaginator needs `pagination_strategy`, which is missing.",
            "line 12, column 7, `streams[0].retriever.decodr`: A SimpleRetriever has no field `decodr`: it has no effect. Did you mean `decoder`?",
            "line 13, column 23, `streams[0].incremental_sync`: `MinMaxDatetime` can't stand here. Use `DatetimeBasedCursor` or `IncrementingCountCursor`.",
            "line 14, column 19, `streams[0].primary_key[0]`: This must be a text, not a list.",
            "line 16, column 55, `streams[0].transformations[0].fields[0].value`: The template `{{ a. }}` can't be read: unexpected end of variable block, expected identifier or integer.",
            "line 16, column 87, `streams[0].transformations[0].fields[1].value`: The template `{{ recrd.a }}` reads the variable `recrd`, which no component gives it. Did you mean `record`?",
            "line 17, column 1, `nope`: A manifest has no field `nope`. Take it out.",
        ];
        assert_eq!(found, wanted, "{found:#?}");
        let error = Manifest::from_yaml(&format!("{HEAD}{STREAM}")).unwrap_err();
        assert_eq!(error.message().lines().count(), 7, "{error}");
    }

    #[test]
    fn a_manifest_without_streams_is_refused() {
        assert!(
            Manifest::from_yaml(HEAD)
                .unwrap_err()
                .message()
                .contains("`streams` or `dynamic_streams` has to be there")
        );
        assert!(
            Manifest::from_yaml("[]")
                .unwrap_err()
                .message()
                .contains("must be a mapping")
        );
        assert!(
            Manifest::from_yaml("a: [")
                .unwrap_err()
                .message()
                .contains("line 2")
        );
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
