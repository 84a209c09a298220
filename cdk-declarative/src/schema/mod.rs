//! Schema loaders: where a stream's JSON schema comes from.

mod dynamic;
pub(crate) mod normalize;

use std::path::Path;
use std::sync::Arc;

use cdk_core::{ConnectorError, ErrorContext, Result};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use crate::component::Component;
use crate::custom::CustomSchemaLoader;
use crate::host::Host;
use crate::template::Template;

/// Gives a schema, once.
pub(crate) struct SchemaLoader {
    source: Source,
    loaded: OnceCell<Arc<Value>>,
}

enum Source {
    Inline(Arc<Value>),
    File {
        path: String,
        is_optional: bool,
    },
    Dynamic(Box<dynamic::DynamicLoader>),
    /// The properties of all; of equal names the first counts.
    Merged(Vec<SchemaLoader>),
    Custom {
        loader: Arc<dyn CustomSchemaLoader>,
        host: Arc<Host>,
    },
}

impl std::fmt::Debug for SchemaLoader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.source {
            Source::Inline(_) => "InlineSchemaLoader",
            Source::File { .. } => "JsonFileSchemaLoader",
            Source::Dynamic(_) => "DynamicSchemaLoader",
            Source::Merged(_) => "CompositeSchemaLoader",
            Source::Custom { .. } => "CustomSchemaLoader",
        })
    }
}

impl SchemaLoader {
    /// The loader of a stream.
    pub(crate) fn of_stream(stream: &Component<'_>, name: &str, host: &Arc<Host>) -> Result<Self> {
        let loaders = stream.children("schema_loader")?;
        let is_list = stream.get("schema_loader").is_some_and(Value::is_array);
        let source = match loaders.as_slice() {
            [] => Source::File {
                path: format!("schemas/{name}.json"),
                is_optional: true,
            },
            [one] if !is_list => Self::build(one, name, host)?,
            all => {
                let all = all
                    .iter()
                    .map(|loader| Ok(Self::new(Self::build(loader, name, host)?)));
                Source::Merged(all.collect::<Result<_>>()?)
            }
        };
        Ok(Self::new(source))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            loaded: OnceCell::new(),
        }
    }

    fn build(component: &Component<'_>, name: &str, host: &Arc<Host>) -> Result<Source> {
        Ok(match component.kind() {
            "InlineSchemaLoader" => {
                let schema = component.get("schema").cloned();
                Source::Inline(Arc::new(schema.unwrap_or_else(|| json!({}))))
            }
            "JsonFileSchemaLoader" => {
                let config = host.config();
                let path = component.text("file_path")?.unwrap_or_default();
                let path = match path {
                    "" => format!("schemas/{name}.json"),
                    path => Template::new(path, component)?.text(&host.scope(&config))?,
                };
                Source::File {
                    path,
                    is_optional: false,
                }
            }
            "DynamicSchemaLoader" => Source::Dynamic(Box::new(dynamic::DynamicLoader::build(
                component, name, host,
            )?)),
            "CustomSchemaLoader" => Source::Custom {
                loader: host.registry().schema_loader(component)?,
                host: Arc::clone(host),
            },
            other => {
                return Err(component.error(format!(
                    "`{other}` is no schema loader. Use InlineSchemaLoader, JsonFileSchemaLoader or DynamicSchemaLoader."
                )));
            }
        })
    }

    /// The schema; loaded when first asked for.
    pub(crate) async fn schema(&self) -> Result<Arc<Value>> {
        let loaded = self.loaded.get_or_try_init(|| async {
            match &self.source {
                Source::Inline(schema) => Ok(Arc::clone(schema)),
                Source::File { path, is_optional } => file(path, *is_optional).map(Arc::new),
                Source::Dynamic(loader) => loader.load().await.map(Arc::new),
                Source::Merged(loaders) => merged(loaders).await.map(Arc::new),
                Source::Custom { loader, host } => {
                    let config = host.config();
                    loader.schema(&config).await.map(Arc::new)
                }
            }
        });
        loaded.await.cloned()
    }
}

async fn merged(loaders: &[SchemaLoader]) -> Result<Value> {
    let mut properties = Map::new();
    for loader in loaders {
        let schema = Box::pin(loader.schema()).await?;
        let Some(Value::Object(more)) = schema.get("properties") else {
            return Err(ConnectorError::system(
                "One of a stream's schema loaders gives a schema without `properties`.",
            ));
        };
        for (name, schema) in more {
            if !properties.contains_key(name) {
                properties.insert(name.clone(), schema.clone());
            }
        }
    }
    Ok(json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": ["null", "object"],
        "properties": properties,
    }))
}

/// Reads a schema file, relative to the working folder; references into `schemas/shared` are put in place.
fn file(path: &str, is_optional: bool) -> Result<Value> {
    let path = Path::new(path);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(_) if is_optional => return Ok(json!({})),
        Err(error) => {
            return Err(ConnectorError::config(format!(
                "The schema file {} can't be read.",
                path.display()
            ))
            .caused_by(error));
        }
    };
    let mut schema = serde_json::from_str(&text).config_error(format!(
        "The schema file {} is not valid JSON.",
        path.display()
    ))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    put_references(&mut schema, &folder.join("shared"), 0)?;
    Ok(schema)
}

/// Shared schemas may refer to each other, but not in circles.
const MAX_REFERENCES: usize = 16;

fn put_references(schema: &mut Value, shared: &Path, depth: usize) -> Result<()> {
    let reference = schema
        .get("$ref")
        .and_then(Value::as_str)
        .map(str::to_owned);
    if let Some(reference) = reference.filter(|reference| !reference.starts_with('#')) {
        let (name, pointer) = reference.split_once('#').unwrap_or((&reference, ""));
        let path = shared.join(name);
        if depth > MAX_REFERENCES || name.contains("..") {
            return Err(ConnectorError::config(format!(
                "The schema reference `{reference}` goes in a circle or out of the folder of shared schemas."
            )));
        }
        let text = std::fs::read_to_string(&path)
            .config_error(format!("The schema file {} can't be read.", path.display()))?;
        let document: Value = serde_json::from_str(&text).config_error(format!(
            "The schema file {} is not valid JSON.",
            path.display()
        ))?;
        *schema = document.pointer(pointer).cloned().unwrap_or(Value::Null);
        return put_references(schema, shared, depth + 1);
    }
    match schema {
        Value::Object(map) => map
            .values_mut()
            .try_for_each(|value| put_references(value, shared, depth)),
        Value::Array(items) => items
            .iter_mut()
            .try_for_each(|value| put_references(value, shared, depth)),
        _ => Ok(()),
    }
}
