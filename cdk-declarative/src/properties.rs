//! Query properties: which fields a request asks for, in chunks if the API takes only so many.

use std::sync::Arc;

use cdk_core::{ConnectorError, Result};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use crate::component::Component;
use crate::dpath;
use crate::extract::evaluated_path;
use crate::host::Host;
use crate::retriever::simple::SimpleRetriever;
use crate::slice::StreamSlice;
use crate::template::python_text;
use crate::transform::Transformation;

/// The properties of a stream's requests.
#[derive(Debug)]
pub(crate) struct QueryProperties {
    source: Source,
    always: Vec<String>,
    chunking: Option<Chunking>,
    selector: Option<SchemaSelector>,
    known: OnceCell<Vec<String>>,
}

#[derive(Debug)]
enum Source {
    List(Vec<String>),
    Endpoint {
        path: Vec<String>,
        retriever: Arc<SimpleRetriever>,
    },
}

#[derive(Debug)]
struct Chunking {
    counts_characters: bool,
    limit: Option<usize>,
    merge_key: Vec<String>,
}

/// Only properties that the configured catalog selects; all when there is no catalog.
#[derive(Debug)]
struct SchemaSelector {
    selected: Option<Map<String, Value>>,
}

/// Between two names in a request.
const SEPARATOR_CHARACTERS: usize = 3;

impl QueryProperties {
    /// `schema` is the stream's in the configured catalog.
    pub(crate) fn build(
        component: &Component<'_>,
        stream: &str,
        schema: Option<&Value>,
        host: &Arc<Host>,
    ) -> Result<Self> {
        let source = match component.get("property_list") {
            Some(Value::Object(_)) => {
                let endpoint = component.need_child("property_list")?;
                let config = host.config();
                let retriever = endpoint.need_child("retriever")?;
                Source::Endpoint {
                    path: evaluated_path(&endpoint, "property_field_path", &host.scope(&config))?,
                    retriever: Arc::new(SimpleRetriever::standalone(&retriever, stream, host)?),
                }
            }
            _ => Source::List(component.texts("property_list")?),
        };
        let chunking = component.child("property_chunking")?;
        let selector = component.child("property_selector")?;
        Ok(Self {
            source,
            always: component.texts("always_include_properties")?,
            chunking: chunking.map(|at| Chunking::build(&at)).transpose()?,
            selector: selector
                .map(|at| SchemaSelector::build(&at, schema, host))
                .transpose()?,
            known: OnceCell::new(),
        })
    }

    /// True when records of several requests have to be put together.
    pub(crate) fn is_chunked(&self) -> bool {
        self.chunking.is_some()
    }

    /// The chunks of properties, one request each.
    pub(crate) async fn chunks(&self) -> Result<Vec<Vec<String>>> {
        let known = self
            .known
            .get_or_try_init(|| Box::pin(self.fetch()))
            .await?;
        let is_selected = |name: &&String| match &self.selector {
            Some(selector) => selector.selects(name),
            None => true,
        };
        if let Some(
            chunking @ Chunking {
                limit: Some(limit), ..
            },
        ) = &self.chunking
        {
            let chosen = known.iter().filter(is_selected);
            return Ok(chunking.cut(chosen, &self.always, *limit));
        }
        if self.chunking.is_some() {
            // Without a limit all are asked for.
            return Ok(vec![known.iter().chain(&self.always).cloned().collect()]);
        }
        let chosen = known.iter().filter(is_selected);
        Ok(vec![self.always.iter().chain(chosen).cloned().collect()])
    }

    /// The value that records of one thing share.
    pub(crate) fn merge_key(&self, record: &Value) -> Option<String> {
        let keys = &self.chunking.as_ref()?.merge_key;
        let values = keys.iter().map(|key| record.get(key).map(python_text));
        let values: Option<Vec<String>> = values.collect();
        values
            .map(|values| values.join(","))
            .filter(|key| !key.is_empty())
    }

    async fn fetch(&self) -> Result<Vec<String>> {
        let (path, retriever) = match &self.source {
            Source::List(names) => return Ok(names.clone()),
            Source::Endpoint { path, retriever } => (path, retriever),
        };
        let mut names = Vec::new();
        let mut pager = Arc::clone(retriever).pager(Arc::new(StreamSlice::default()));
        while let Some(record) = pager.next().await? {
            let record = record.into_value()?;
            let name = dpath::get(&record, path).map(python_text).ok_or_else(|| {
                ConnectorError::system(format!(
                    "A property of the API has no name at `{}`.",
                    path.join(".")
                ))
            })?;
            names.push(name);
        }
        Ok(names)
    }
}

impl Chunking {
    fn build(component: &Component<'_>) -> Result<Self> {
        let counts_characters = match component.need_text("property_limit_type")? {
            "characters" => true,
            "property_count" => false,
            other => {
                return Err(component.error(format!(
                    "`property_limit_type` must be characters or property_count, not `{other}`."
                )));
            }
        };
        let limit = component.get("property_limit").and_then(Value::as_u64);
        let merge_key = match component.child("record_merge_strategy")? {
            Some(strategy) => strategy.texts("key")?,
            None => vec!["id".to_owned()],
        };
        Ok(Self {
            counts_characters,
            limit: limit.and_then(|limit| usize::try_from(limit).ok()),
            merge_key,
        })
    }

    fn cut<'a>(
        &self,
        names: impl Iterator<Item = &'a String>,
        always: &[String],
        limit: usize,
    ) -> Vec<Vec<String>> {
        let mut chunks = Vec::new();
        let mut chunk = always.to_vec();
        let mut size = 0;
        for name in names {
            let cost = match self.counts_characters {
                true => name.chars().count() + SEPARATOR_CHARACTERS,
                false => 1,
            };
            if size + cost > limit {
                chunks.push(std::mem::replace(&mut chunk, always.to_vec()));
                size = 0;
            }
            chunk.push(name.clone());
            size += cost;
        }
        chunks.push(chunk);
        chunks
    }
}

impl SchemaSelector {
    fn build(component: &Component<'_>, schema: Option<&Value>, host: &Arc<Host>) -> Result<Self> {
        let transformations = component.children("transformations")?;
        let config = host.config();
        let scope = host.scope(&config);
        let transformations = Transformation::build_all(&transformations, &scope, host.registry())?;
        let Some(schema) = schema else {
            return Ok(Self { selected: None });
        };
        // The schema calls properties as records do in the end, so it goes through the same renamings.
        let properties = schema.get("properties").cloned();
        let mut properties = properties.unwrap_or_else(|| Value::Object(Map::new()));
        for transformation in &transformations {
            transformation.apply(&mut properties, &scope)?;
        }
        Ok(Self {
            selected: properties.as_object().cloned(),
        })
    }

    fn selects(&self, name: &str) -> bool {
        self.selected
            .as_ref()
            .is_none_or(|selected| selected.contains_key(name))
    }
}

/// Puts the fields of `source` into `target`, deeply.
pub(crate) fn deep_merge(target: &mut Value, source: Value) {
    match (target, source) {
        (Value::Object(target), Value::Object(source)) => {
            for (key, value) in source {
                match target.get_mut(&key) {
                    Some(before @ Value::Object(_)) if value.is_object() => {
                        deep_merge(before, value)
                    }
                    _ => drop(target.insert(key, value)),
                }
            }
        }
        (target, source) => *target = source,
    }
}
