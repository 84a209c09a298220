//! `$parameters` on their way down the tree, and the types of components that do not say theirs.

use super::{MAX_NODES, text_entry};
use crate::yaml::{Entry, Kind, Node, Problem};

const PARAMETERS: &str = "$parameters";

/// The type of a component by the field it stands in.
const TYPES: [(&str, &str); 46] = [
    ("AddFields.fields", "AddedFieldDefinition"),
    (
        "CompositeErrorHandler.error_handlers",
        "DefaultErrorHandler",
    ),
    (
        "ConfigComponentsResolver.components_mapping",
        "ComponentMappingDefinition",
    ),
    ("ConfigComponentsResolver.stream_config", "StreamConfig"),
    ("CursorPagination.decoder", "JsonDecoder"),
    (
        "CustomPartitionRouter.parent_stream_configs",
        "ParentStreamConfig",
    ),
    ("DatetimeBasedCursor.end_datetime", "MinMaxDatetime"),
    ("DatetimeBasedCursor.end_time_option", "RequestOption"),
    ("DatetimeBasedCursor.start_datetime", "MinMaxDatetime"),
    ("DatetimeBasedCursor.start_time_option", "RequestOption"),
    ("DeclarativeSource.check", "CheckStream"),
    ("DeclarativeSource.spec", "Spec"),
    ("DeclarativeSource.streams", "DeclarativeStream"),
    ("DeclarativeStream.retriever", "SimpleRetriever"),
    ("DeclarativeStream.schema_loader", "JsonFileSchemaLoader"),
    ("DefaultErrorHandler.response_filters", "HttpResponseFilter"),
    ("DefaultPaginator.decoder", "JsonDecoder"),
    ("DefaultPaginator.page_size_option", "RequestOption"),
    ("DpathExtractor.decoder", "JsonDecoder"),
    ("DpathExtractor.record_expander", "RecordExpander"),
    (
        "DynamicDeclarativeStream.components_resolver",
        "ConfigComponentResolver",
    ),
    (
        "DynamicDeclarativeStream.stream_template",
        "DeclarativeStream",
    ),
    ("DynamicSchemaLoader.retriever", "SimpleRetriever"),
    (
        "HttpComponentsResolver.components_mapping",
        "ComponentMappingDefinition",
    ),
    ("HttpComponentsResolver.retriever", "SimpleRetriever"),
    ("HttpRequester.error_handler", "DefaultErrorHandler"),
    ("ListPartitionRouter.request_option", "RequestOption"),
    ("ParentStreamConfig.request_option", "RequestOption"),
    ("ParentStreamConfig.stream", "DeclarativeStream"),
    ("RecordExpander.parent_fields", "ParentFieldPath"),
    ("RecordSelector.extractor", "DpathExtractor"),
    ("RecordSelector.record_filter", "RecordFilter"),
    ("SchemaTypeIdentifier.types_map", "TypesMap"),
    ("SimpleRetriever.paginator", "NoPagination"),
    ("SimpleRetriever.record_selector", "RecordSelector"),
    ("SimpleRetriever.requester", "HttpRequester"),
    (
        "SubstreamPartitionRouter.parent_stream_configs",
        "ParentStreamConfig",
    ),
    // With a `class_name`:
    (
        "class:CompositeErrorHandler.backoff_strategies",
        "CustomBackoffStrategy",
    ),
    ("class:DeclarativeStream.retriever", "CustomRetriever"),
    (
        "class:DeclarativeStream.transformations",
        "CustomTransformation",
    ),
    (
        "class:DefaultErrorHandler.backoff_strategies",
        "CustomBackoffStrategy",
    ),
    (
        "class:DefaultPaginator.pagination_strategy",
        "CustomPaginationStrategy",
    ),
    ("class:HttpRequester.authenticator", "CustomAuthenticator"),
    ("class:HttpRequester.error_handler", "CustomErrorHandler"),
    ("class:RecordSelector.extractor", "CustomRecordExtractor"),
    (
        "class:SimpleRetriever.partition_router",
        "CustomPartitionRouter",
    ),
];

type Parameters = Vec<Entry>;

/// The tree with parameters and types in all its components.
pub(super) fn propagated(root: Node, uses_parent: bool) -> Result<Node, Problem> {
    let mut walk = Walk {
        uses_parent,
        nodes: 0,
    };
    walk.component("", root, &Vec::new())
}

struct Walk {
    uses_parent: bool,
    nodes: usize,
}

impl Walk {
    fn component(&mut self, field: &str, node: Node, outer: &Parameters) -> Result<Node, Problem> {
        let place = node.place;
        let Kind::Map(mut entries) = node.kind else {
            return Ok(node);
        };
        if !entries.iter().any(|entry| entry.key == "type")
            && let Some(found) =
                type_of(field, entries.iter().any(|entry| entry.key == "class_name"))
        {
            entries.push(text_entry("type", found, place));
        }
        let at = entries.iter().position(|entry| entry.key == PARAMETERS);
        let own = at.map(|at| entries.remove(at).value);
        let mut parameters = self.merged(outer, own)?;
        let kind = entries
            .iter()
            .find(|entry| entry.key == "type")
            .map(|entry| entry.value.kind.clone());
        match kind {
            // A JSON schema: its `type` is `object`, a list of types, or a property of that name.
            Some(Kind::List(_) | Kind::Map(_)) => {}
            Some(Kind::Text(kind)) if kind == "object" => {}
            None => self.nested(field, &mut entries, &parameters)?,
            Some(kind) => {
                self.fill(&mut entries, &parameters)?;
                let kind = match kind {
                    Kind::Text(kind) => kind,
                    _ => "None".to_owned(),
                };
                self.fields(&kind, &mut entries, &mut parameters)?;
                if !parameters.is_empty() {
                    let kind = Kind::Map(parameters);
                    entries.push(Entry {
                        key: PARAMETERS.to_owned(),
                        place,
                        value: Node { place, kind },
                    });
                }
            }
        }
        Ok(Node {
            place,
            kind: Kind::Map(entries),
        })
    }

    /// The parameters at a component: its own over the outer ones, or the other way round.
    fn merged(&mut self, outer: &Parameters, own: Option<Node>) -> Result<Parameters, Problem> {
        let own = match own {
            None => return Ok(outer.clone()),
            Some(Node {
                kind: Kind::Map(own),
                ..
            }) => own,
            Some(Node {
                kind: Kind::Null, ..
            }) => Vec::new(),
            Some(node) => return Err(node.expected(PARAMETERS, "a mapping of names to values")),
        };
        let (mut first, second) = if self.uses_parent {
            (own, outer.clone())
        } else {
            (outer.clone(), own)
        };
        for entry in second {
            match first.iter_mut().find(|known| known.key == entry.key) {
                Some(known) => known.value = entry.value,
                None => first.push(entry),
            }
        }
        Ok(first)
    }

    /// Each parameter is a field too, where the component has none of that name or an empty one.
    fn fill(&mut self, entries: &mut Vec<Entry>, parameters: &Parameters) -> Result<(), Problem> {
        for parameter in parameters {
            self.nodes += size(&parameter.value);
            if self.nodes > MAX_NODES {
                return Err(Problem::new(
                    parameter.place,
                    "These parameters get too large on their way down.",
                ));
            }
            match entries.iter_mut().find(|entry| entry.key == parameter.key) {
                None => entries.push(parameter.clone()),
                Some(entry) if !is_true(&entry.value) => entry.value = parameter.value.clone(),
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn fields(
        &mut self,
        kind: &str,
        entries: &mut [Entry],
        parameters: &mut Parameters,
    ) -> Result<(), Problem> {
        for entry in entries {
            if !matches!(entry.value.kind, Kind::Map(_) | Kind::List(_)) {
                continue;
            }
            // A parameter named like the field would go down into itself without end.
            let at = parameters
                .iter()
                .position(|parameter| parameter.key == entry.key);
            let excluded = at.map(|at| parameters.remove(at));
            let field = format!("{kind}.{}", entry.key);
            match &mut entry.value.kind {
                Kind::List(items) => {
                    for item in items
                        .iter_mut()
                        .filter(|item| matches!(item.kind, Kind::Map(_)))
                    {
                        *item = self.component(&field, take(item), parameters)?;
                    }
                }
                _ => entry.value = self.component(&field, take(&mut entry.value), parameters)?,
            }
            parameters.extend(excluded.filter(|parameter| is_true(&parameter.value)));
        }
        Ok(())
    }

    /// An object that is no component hands parameters to the components in it.
    fn nested(
        &mut self,
        field: &str,
        entries: &mut [Entry],
        parameters: &Parameters,
    ) -> Result<(), Problem> {
        for entry in entries {
            if entry.value.get("type").is_some_and(is_true) {
                entry.value = self.component(field, take(&mut entry.value), parameters)?;
            }
        }
        Ok(())
    }
}

fn take(node: &mut Node) -> Node {
    let empty = Node {
        place: node.place,
        kind: Kind::Null,
    };
    std::mem::replace(node, empty)
}

fn type_of(field: &str, has_class: bool) -> Option<&'static str> {
    let wanted = if has_class {
        format!("class:{field}")
    } else {
        field.to_owned()
    };
    let mut known = TYPES.iter();
    known
        .find(|(name, _)| *name == wanted)
        .map(|(_, kind)| *kind)
}

fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Kind::Map(entries) => {
            1 + entries
                .iter()
                .map(|entry| size(&entry.value))
                .sum::<usize>()
        }
        _ => 1,
    }
}

/// Python's truth of a value.
fn is_true(node: &Node) -> bool {
    match &node.kind {
        Kind::Null => false,
        Kind::Bool(truth) => *truth,
        Kind::Number(number) => number.as_f64() != Some(0.0),
        Kind::Text(text) => !text.is_empty(),
        Kind::List(items) => !items.is_empty(),
        Kind::Map(entries) => !entries.is_empty(),
    }
}
