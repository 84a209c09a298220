//! From definitions to streams.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cdk_core::protocol::{ConfiguredAirbyteCatalog, ConfiguredAirbyteStream, FailureType};
use cdk_core::{ConnectorError, InputState, Result};
use serde_json::Value;

use crate::component::Component;
use crate::host::Host;
use crate::manifest;
use crate::resolvers;
use crate::slice::{ParentFactory, ParentStream};
use crate::slicing;
use crate::source::state_of;
use crate::stream::{DeclarativeStream, Given};
use crate::template::{Condition, Template, python_text};
use crate::time::{self, Span};

/// The definitions of all streams of a source, each with its place in the manifest.
pub(crate) struct Definitions {
    pub(crate) streams: Vec<Definition>,
}

#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) value: Value,
    pub(crate) path: String,
    /// The name of the dynamic stream it was made by.
    pub(crate) template: Option<String>,
}

impl Definitions {
    pub(crate) async fn resolve(root: &Component<'_>, host: &Arc<Host>) -> Result<Self> {
        let mut streams = static_streams(root, host)?;
        for (at, dynamic) in root.children("dynamic_streams")?.iter().enumerate() {
            streams.extend(dynamic_streams(dynamic, at, host).await?);
        }
        cache_parents(&mut streams);
        Ok(Self { streams })
    }

    /// Only the streams that stand in the manifest themselves.
    pub(crate) fn of_manifest(root: &Component<'_>, host: &Arc<Host>) -> Result<Self> {
        let mut streams = static_streams(root, host)?;
        cache_parents(&mut streams);
        Ok(Self { streams })
    }
}

fn static_streams(root: &Component<'_>, host: &Arc<Host>) -> Result<Vec<Definition>> {
    let config = host.config();
    let scope = host.scope(&config);
    let mut definitions = Vec::new();
    let mut add = |stream: &Component<'_>| {
        definitions.push(Definition {
            value: Value::Object(stream.fields().clone()),
            path: stream.path().to_owned(),
            template: None,
        });
    };
    for stream in root.children("streams")? {
        if stream.kind() != "ConditionalStreams" {
            add(&stream);
            continue;
        }
        if let Some(condition) = Condition::optional(&stream, "condition")?
            && condition.holds(&scope)?
        {
            stream.children("streams")?.iter().for_each(&mut add);
        }
    }
    Ok(definitions)
}

async fn dynamic_streams(
    dynamic: &Component<'_>,
    at: usize,
    host: &Arc<Host>,
) -> Result<Vec<Definition>> {
    let given = dynamic.text("name")?.map(str::to_owned);
    let name = given.unwrap_or_else(|| format!("dynamic_stream_{at}"));
    let mut resolver = dynamic.need("components_resolver")?.clone();
    set_cache(resolver.get_mut("retriever"), true);
    let path = format!("{}.components_resolver", dynamic.path());
    let resolver = Component::new(&resolver, path)?;
    let router = match resolver.child("retriever")? {
        Some(retriever) => slicing::of_resolver(&retriever, host, &Builder::new(host))?,
        None => None,
    };
    let template = dynamic.need("stream_template")?;
    let filled = resolvers::resolve(&resolver, template, &name, router, host).await?;
    let uses_parent = dynamic.flag("use_parent_parameters", true)?;
    let mut definitions = Vec::with_capacity(filled.len());
    let mut seen = HashSet::new();
    for stream in filled {
        let stream = manifest::propagated(stream, uses_parent)?;
        let stream_name = stream.get("name").map(python_text).unwrap_or_default();
        if !seen.insert(stream_name.clone()) {
            let kind = match resolver.kind() {
                "ConfigComponentsResolver" => FailureType::ConfigError,
                _ => FailureType::SystemError,
            };
            return Err(ConnectorError::new(
                kind,
                format!(
                    "The dynamic stream `{name}` makes two streams called `{stream_name}`. Check the config."
                ),
            ));
        }
        definitions.push(Definition {
            value: stream,
            path: format!("{}.stream_template", dynamic.path()),
            template: Some(name.clone()),
        });
    }
    Ok(definitions)
}

/// Requests of streams that others read as parents are kept, unless the manifest says no.
fn cache_parents(definitions: &mut [Definition]) {
    let mut names = HashSet::new();
    for definition in definitions.iter_mut() {
        visit_parents(&mut definition.value, &mut |parent| {
            names.extend(parent.get("name").map(python_text));
            cache_stream(parent);
        });
    }
    for definition in definitions {
        let name = definition.value.get("name").map(python_text);
        if name.is_some_and(|name| names.contains(&name)) {
            cache_stream(&mut definition.value);
        }
    }
}

fn cache_stream(stream: &mut Value) {
    for key in ["full_refresh_stream", "incremental_stream"] {
        set_cache(
            stream
                .get_mut(key)
                .and_then(|stream| stream.get_mut("retriever")),
            false,
        );
    }
    set_cache(stream.get_mut("retriever"), false);
}

/// Keeps the answers of a retriever's requests; `always` also where the manifest says no.
fn set_cache(retriever: Option<&mut Value>, always: bool) {
    let requester = retriever.and_then(|retriever| retriever.get_mut("requester"));
    if let Some(Value::Object(requester)) = requester
        && (always || requester.get("use_cache") != Some(&Value::Bool(false)))
    {
        requester.insert("use_cache".to_owned(), true.into());
    }
}

/// Calls `visit` for the parents of a stream, with theirs.
fn visit_parents(stream: &mut Value, visit: &mut impl FnMut(&mut Value)) {
    for key in ["full_refresh_stream", "incremental_stream"] {
        if let Some(inner) = stream.get_mut(key) {
            visit_parents(inner, visit);
        }
    }
    let router = stream
        .get_mut("retriever")
        .and_then(|retriever| retriever.get_mut("partition_router"));
    if let Some(router) = router {
        visit_router(router, visit);
    }
}

fn visit_router(router: &mut Value, visit: &mut impl FnMut(&mut Value)) {
    if let Value::Array(routers) = router {
        routers
            .iter_mut()
            .for_each(|router| visit_router(router, visit));
        return;
    }
    if let Some(Value::Array(configs)) = router.get_mut("parent_stream_configs") {
        for parent in configs
            .iter_mut()
            .filter_map(|config| config.get_mut("stream"))
        {
            visit(parent);
            visit_parents(parent, visit);
        }
    }
    for key in ["partition_routers", "underlying_partition_router"] {
        if let Some(inner) = router.get_mut(key) {
            visit_router(inner, visit);
        }
    }
}

/// Builds streams with their states.
pub(crate) struct Builder {
    host: Arc<Host>,
    state: InputState,
    configured: HashMap<String, Arc<ConfiguredAirbyteStream>>,
}

impl Builder {
    pub(crate) fn new(host: &Arc<Host>) -> Self {
        Self {
            host: Arc::clone(host),
            state: InputState::default(),
            configured: HashMap::new(),
        }
    }

    /// For a read: states, and what the catalog selects.
    pub(crate) fn with_read(
        mut self,
        catalog: &ConfiguredAirbyteCatalog,
        state: &InputState,
    ) -> Self {
        self.state = state.clone();
        let entries = catalog.streams.iter();
        self.configured = entries
            .map(|entry| (entry.stream.name.clone(), Arc::new(entry.clone())))
            .collect();
        self
    }

    pub(crate) fn build_all(
        &self,
        definitions: &Definitions,
    ) -> Result<Vec<Arc<DeclarativeStream>>> {
        let streams = definitions
            .streams
            .iter()
            .map(|definition| self.build(definition));
        let streams: Vec<_> = streams.collect::<Result<_>>()?;
        if let Some(name) = crate::source::repeated(streams.iter().map(|stream| stream.name())) {
            return Err(ConnectorError::config(format!(
                "Two streams are called {name}. Give each stream a name of its own."
            )));
        }
        Ok(streams)
    }

    pub(crate) fn build(&self, definition: &Definition) -> Result<Arc<DeclarativeStream>> {
        let component = Component::new(&definition.value, definition.path.as_str())?;
        let config = self.host.config();
        let name = component.text("name")?.unwrap_or_default();
        let name = Template::new(name, &component)?.text(&self.host.scope(&config))?;
        let given = Given {
            state: state_of(&self.state, &name),
            configured: self.configured.get(&name).cloned(),
            is_parent: false,
        };
        self.stream(&component, given).map(Arc::new)
    }

    fn stream(&self, component: &Component<'_>, mut given: Given) -> Result<DeclarativeStream> {
        match component.kind() {
            "DeclarativeStream" | "" => {
                DeclarativeStream::build(component, &given, &self.host, self)
            }
            "StateDelegatingStream" => {
                let chosen = self.delegated(component, &mut given)?;
                DeclarativeStream::build(&chosen, &given, &self.host, self)
            }
            other => {
                Err(component.error(format!("`{other}` is no stream. Use DeclarativeStream.")))
            }
        }
    }

    /// The full refresh stream while there is no state, or one older than the API keeps data.
    fn delegated<'a>(&self, component: &Component<'a>, given: &mut Given) -> Result<Component<'a>> {
        let full = component.need_child("full_refresh_stream")?;
        let incremental = component.need_child("incremental_stream")?;
        let name = component.text("name")?;
        if full.text("name")? != name || incremental.text("name")? != name {
            return Err(component.error(
                "`full_refresh_stream` and `incremental_stream` must be called like the stream itself.",
            ));
        }
        let Some(state) = &given.state else {
            return Ok(full);
        };
        let Some(period) = self.retention(component)? else {
            return Ok(incremental);
        };
        let reached = slicing::reached(&incremental, state, &self.host)?;
        let now = self.host.now_us();
        let oldest = time::Moment::from_us(now).and_then(|now| period.negated().after(now));
        if reached
            .zip(oldest)
            .is_some_and(|(reached, oldest)| reached >= oldest.us())
        {
            return Ok(incremental);
        }
        tracing::warn!(
            "The state of stream {} is older than the API keeps data: it is read in full.",
            name.unwrap_or_default()
        );
        given.state = None;
        Ok(full)
    }

    fn retention(&self, component: &Component<'_>) -> Result<Option<Span>> {
        let Some(text) = component.text("api_retention_period")? else {
            return Ok(None);
        };
        let config = self.host.config();
        let text = Template::new(text, component)?.text(&self.host.scope(&config))?;
        if text.is_empty() {
            return Ok(None);
        }
        Span::parse(&text).map(Some).ok_or_else(|| {
            component.error(format!(
                "`api_retention_period` is `{text}`, no ISO 8601 duration like P90D."
            ))
        })
    }
}

impl ParentFactory for Builder {
    fn parent(
        &self,
        definition: &Value,
        path: &str,
        state: Option<Value>,
    ) -> Result<Arc<dyn ParentStream>> {
        let component = Component::new(definition, path)?;
        let given = Given {
            state,
            configured: None,
            is_parent: true,
        };
        let stream = self.stream(&component, given)?;
        Ok(Arc::new(stream))
    }
}
