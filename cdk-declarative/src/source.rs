//! A manifest as a source.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use cdk_core::protocol::{
    AirbyteCatalog, AirbyteMessage, AirbyteStreamStatus, AirbyteStreamStatusTraceMessage,
    AirbyteTraceMessage, ConfiguredAirbyteCatalog, ConnectorSpecification,
};
use cdk_core::{
    BoxedStream, Clock, ConnectorError, Context, DynSource, ErrorContext, InputState, ReadArgs,
    ReadSettings, Result, Source, Stream, async_trait,
};
use cdk_http::timer::{SystemTimer, Timer};
use cdk_http::{HttpTransport, Transport, TransportSettings};
use serde_json::{Map, Value};

use crate::build::{Builder, Definitions};
use crate::check;
use crate::component::Component;
use crate::config_rules::ConfigRules;
use crate::custom::Registry;
use crate::host::{Host, HostParts};
use crate::manifest::Manifest;
use crate::requester::budget;
use crate::stream::{DeclarativeStream, RunningStream};
use crate::template::{Scope, Template};
use crate::test_read::{self, Limits, Recorder};
use crate::time;
use crate::words::did_you_mean;

/// The key of a config that holds the manifest, for connectors without one of their own.
pub const INJECTED_MANIFEST: &str = "__injected_declarative_manifest";

/// Streams read at the same time when the manifest does not say.
const DEFAULT_CONCURRENCY: usize = 2;

/// A source that a manifest describes.
///
/// ```no_run
/// use cdk_declarative::ManifestSource;
///
/// # fn main() -> cdk_core::Result<()> {
/// let source = ManifestSource::from_yaml(&std::fs::read_to_string("manifest.yaml").unwrap())?;
/// # let _: std::sync::Arc<dyn cdk_core::DynSource> = std::sync::Arc::new(source);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ManifestSource {
    origin: Origin,
    registry: Registry,
    transport: Option<Arc<dyn Transport>>,
    timer: Option<Arc<dyn Timer>>,
}

/// Where the manifest is.
#[derive(Clone)]
enum Origin {
    Here(Arc<Manifest>),
    File(PathBuf),
    Config,
}

impl std::fmt::Debug for ManifestSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ManifestSource")
    }
}

impl ManifestSource {
    /// The source of a manifest, as YAML or JSON text. A manifest that can't be used is a config error that says
    /// where and why.
    pub fn from_yaml(text: &str) -> Result<Self> {
        Ok(Self::of(Origin::Here(Arc::new(Manifest::from_yaml(text)?))))
    }

    /// The source of a manifest file, which is read when the source is first used.
    pub fn from_file(path: impl Into<PathBuf>) -> Self {
        Self::of(Origin::File(path.into()))
    }

    /// A source whose manifest is in its config, under [`INJECTED_MANIFEST`].
    pub fn injected() -> Self {
        Self::of(Origin::Config)
    }

    fn of(origin: Origin) -> Self {
        Self {
            origin,
            registry: Registry::default(),
            transport: None,
            timer: None,
        }
    }

    /// Makes custom components known, see [`crate::custom`].
    #[must_use]
    pub fn with_components(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Sends requests another way than over the network.
    #[must_use]
    pub fn with_transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Waits another way than in real time.
    #[must_use]
    pub fn with_timer(mut self, timer: Arc<dyn Timer>) -> Self {
        self.timer = Some(timer);
        self
    }

    /// Reads a little of one stream and tells what went over the wire: for building manifests.
    ///
    /// Requests are not repeated and answers not kept. The result is an object with `slices`, each with its `slice`,
    /// `records` and `exchanges`; `other_exchanges`, those of parents and of what failed before a slice; the `state` after
    /// the last one; the `inferred_schema` that all records fit; and `limit_reached`: there may be more. An exchange has the `requester` (a stream's name), the
    /// `request` (`method`, `url`, `headers`, `body`, with credentials) and the `response` (`status`, `headers`, `body`, or
    /// an `error`); bodies are JSON where they are. An error of the stream is in `error` (`type`, `message`, `cause`),
    /// beside what was read before.
    pub async fn test_read(
        &self,
        config: &Value,
        stream: &str,
        state: &InputState,
        limits: Limits,
        context: &Context,
    ) -> Result<Value> {
        let recorder = Arc::new(Recorder::default());
        let prepared = self
            .prepare(config, context, Some(limits), Some(Arc::clone(&recorder)))
            .await?;
        let builder = Builder::new(&prepared.host)
            .with_read(&ConfiguredAirbyteCatalog::new(Vec::new()), state);
        let streams = prepared.streams(builder).await?;
        let found = streams.iter().find(|at| at.name() == stream);
        let found = found.ok_or_else(|| {
            let known: Vec<&str> = streams.iter().map(|stream| stream.name()).collect();
            let guess = did_you_mean(stream, known.iter().copied());
            ConnectorError::config(format!(
                "The manifest has no stream `{stream}`.{guess} Those it has: {}.",
                known.join(", ")
            ))
        })?;
        Ok(test_read::run(found, &recorder, limits).await)
    }

    fn manifest_of(&self, config: Option<&Value>) -> Result<Arc<Manifest>> {
        match &self.origin {
            Origin::Here(manifest) => return Ok(Arc::clone(manifest)),
            Origin::File(path) => {
                let text = std::fs::read_to_string(path)
                    .config_error(format!("The manifest {} can't be read.", path.display()))?;
                return Manifest::from_yaml(&text).map(Arc::new).map_err(|error| {
                    ConnectorError::config(format!("{}: {}", path.display(), error.message()))
                });
            }
            Origin::Config => {}
        }
        match config.and_then(|config| config.get(INJECTED_MANIFEST)) {
            Some(manifest @ Value::Object(_)) => {
                Manifest::from_value(manifest.clone()).map(Arc::new)
            }
            Some(Value::String(text)) => Manifest::from_yaml(text).map(Arc::new),
            _ => Err(ConnectorError::config(format!(
                "There is no manifest. Give one with --manifest-path, or in the config under `{INJECTED_MANIFEST}`."
            ))),
        }
    }

    /// Brings config and manifest together.
    async fn prepare(
        &self,
        config: &Value,
        context: &Context,
        limits: Option<Limits>,
        recorder: Option<Arc<Recorder>>,
    ) -> Result<Prepared> {
        let manifest = self.manifest_of(Some(config))?;
        let clock = clock(context)?;
        let root = manifest.root()?;
        let spec = root.child("spec")?;
        let rules = ConfigRules::of(spec.as_ref(), clock.as_ref(), &self.registry)?;
        let mut config = config.clone();
        if let Value::Object(map) = &mut config {
            map.retain(|key, _| key != INJECTED_MANIFEST);
        }
        let given = config.clone();
        rules.migrate(&mut config)?;
        if config != given {
            context.persist_config(&config).await?;
        }
        rules.transform(&mut config)?;
        if let Some(spec) = &spec {
            let spec = specification(spec)?;
            let schema = &spec.connection_specification;
            let secrets = cdk_core::config::secrets_of(schema, &config);
            context.secrets().add_all(secrets);
            // Templates see the config as it is, nulls included.
            cdk_core::config::validate(&spec, &config)?;
        }
        let scope = Scope::new(&config, clock.as_ref());
        let api_budget = root.child("api_budget")?;
        let api_budget = api_budget
            .map(|at| budget::build(&at, &scope))
            .transpose()?;
        let max_jobs = max_jobs(&root, &scope);
        let host = Host::new(HostParts {
            transport: match &self.transport {
                Some(transport) => Arc::clone(transport),
                None => Arc::new(HttpTransport::new(&TransportSettings::from_env())?),
            },
            timer: match &self.timer {
                Some(timer) => Arc::clone(timer),
                None => Arc::new(SystemTimer::from_env()),
            },
            clock: Arc::clone(&clock),
            context: context.clone(),
            registry: self.registry.clone(),
            budget: api_budget,
            limits,
            recorder,
            max_jobs,
            config,
        });
        Ok(Prepared {
            manifest: Arc::clone(&manifest),
            host: Arc::new(host),
        })
    }
}

/// A manifest and its config, ready to build streams of.
pub(crate) struct Prepared {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) host: Arc<Host>,
}

impl Prepared {
    /// The definitions of all streams; templates of dynamic ones are filled.
    pub(crate) async fn definitions(&self) -> Result<Definitions> {
        self.validate_config()?;
        let root = self.manifest.root()?;
        Definitions::resolve(&root, &self.host).await
    }

    /// Checks the config by the manifest's own rules.
    pub(crate) fn validate_config(&self) -> Result<()> {
        let root = self.manifest.root()?;
        let config = self.host.config();
        let spec = root.child("spec")?;
        let rules = ConfigRules::of(
            spec.as_ref(),
            self.host.clock.as_ref(),
            self.host.registry(),
        )?;
        rules.validate(&config)
    }

    /// All streams.
    pub(crate) async fn streams(&self, given: Builder) -> Result<Vec<Arc<DeclarativeStream>>> {
        let definitions = self.definitions().await?;
        given.build_all(&definitions)
    }

    fn concurrency(&self) -> Result<usize> {
        let root = self.manifest.root()?;
        let Some(level) = root.child("concurrency_level")? else {
            return Ok(DEFAULT_CONCURRENCY);
        };
        let config = self.host.config();
        let scope = self.host.scope(&config);
        let number = match level.get("default_concurrency") {
            None => return Ok(DEFAULT_CONCURRENCY),
            Some(Value::String(text)) => Template::new(text, &level)?.eval(&scope)?,
            Some(number) => number.clone(),
        };
        let number = number.as_u64().ok_or_else(|| {
            level.error(format!(
                "`default_concurrency` is {number}, not a whole number."
            ))
        })?;
        let max = level.get("max_concurrency").and_then(Value::as_u64);
        let number = max.map_or(number, |max| number.min(max));
        Ok(usize::try_from(number).unwrap_or(usize::MAX).clamp(1, 1000))
    }
}

/// The wall clock: pinned by `CDK_NOW`, else the host's.
fn clock(context: &Context) -> Result<Arc<dyn Clock>> {
    match std::env::var_os("CDK_NOW") {
        Some(_) => time::wall_clock(),
        None => Ok(Arc::clone(context.clock())),
    }
}

/// How many jobs may run at once; what can't be read is one.
fn max_jobs(root: &Component<'_>, scope: &Scope<'_>) -> usize {
    let number = match root.get("max_concurrent_async_job_count") {
        Some(Value::String(text)) => {
            let value = Template::new(text, root).and_then(|template| template.eval(scope));
            value.ok().and_then(|value| value.as_u64())
        }
        Some(number) => number.as_u64(),
        None => None,
    };
    usize::try_from(number.unwrap_or(1))
        .unwrap_or(1)
        .clamp(1, 10_000)
}

/// The specification that a manifest's `spec` describes.
fn specification(spec: &Component<'_>) -> Result<ConnectorSpecification> {
    let schema = spec.get("connection_specification").cloned();
    let mut specification =
        ConnectorSpecification::new(schema.unwrap_or_else(|| Value::Object(Map::new())));
    specification.protocol_version = None;
    specification.supports_normalization = Some(false);
    specification.supports_dbt = Some(false);
    specification.documentation_url = spec.text("documentation_url")?.map(str::to_owned);
    if let Some(auth) = spec.get("advanced_auth") {
        let mut auth = auth.clone();
        without_types(&mut auth);
        let parsed = serde_json::from_value(auth);
        specification.advanced_auth = Some(parsed.config_error(
            "`spec.advanced_auth` of the manifest does not describe an OAuth flow.",
        )?);
    }
    Ok(specification)
}

/// Types of components mean nothing outside of the manifest.
fn without_types(auth: &mut Value) {
    if let Value::Object(map) = auth {
        map.retain(|key, value| key != "type" && key != "$parameters" && !value.is_null());
        if let Some(Value::Object(oauth)) = map.get_mut("oauth_config_specification") {
            oauth.retain(|key, value| key != "type" && key != "$parameters" && !value.is_null());
            if let Some(Value::Object(input)) = oauth.get_mut("oauth_connector_input_specification")
            {
                input
                    .entry("scopes_join_strategy")
                    .or_insert_with(|| "space".into());
            }
        }
    }
}

#[async_trait]
impl DynSource for ManifestSource {
    async fn spec_dyn(&self, _: &Context) -> Result<ConnectorSpecification> {
        if matches!(self.origin, Origin::Config) {
            return Ok(ConnectorSpecification::new(serde_json::json!({
                "type": "object",
                "properties": { INJECTED_MANIFEST: {"type": "object"} },
                "required": [INJECTED_MANIFEST],
                "additionalProperties": true,
            })));
        }
        let manifest = self.manifest_of(None)?;
        let root = manifest.root()?;
        match root.child("spec")? {
            Some(spec) => specification(&spec),
            None => Err(ConnectorError::config(
                "The manifest has no `spec`. Add one that describes the config.",
            )),
        }
    }

    async fn check_dyn(&self, config: &Value, context: &Context) -> Result<()> {
        let prepared = self.prepare(config, context, None, None).await?;
        check::run(&prepared).await
    }

    async fn discover_dyn(&self, config: &Value, context: &Context) -> Result<AirbyteCatalog> {
        let prepared = self.prepare(config, context, None, None).await?;
        let streams = prepared.streams(Builder::new(&prepared.host)).await?;
        let mut entries = Vec::with_capacity(streams.len());
        for stream in &streams {
            entries.push(stream.catalog_entry().await?);
        }
        Ok(AirbyteCatalog::new(entries))
    }

    async fn read_dyn(&self, args: ReadArgs, context: &Context) -> Result<()> {
        let prepared = self.prepare(&args.config, context, None, None).await?;
        let builder = Builder::new(&prepared.host).with_read(&args.catalog, &args.state);
        let streams = prepared.streams(builder).await?;
        let by_name: HashMap<&str, &Arc<DeclarativeStream>> = streams
            .iter()
            .map(|stream| (stream.name(), stream))
            .collect();
        let catalog = known(&args.catalog, &by_name, context)?;
        let settings = ReadSettings::default().with_concurrency(prepared.concurrency()?);
        let running = streams
            .iter()
            .map(|stream| RunningStream(Arc::clone(stream)).boxed());
        let built = Built {
            streams: running.collect(),
            settings,
        };
        let root = prepared.manifest.root()?;
        let mut failed = None;
        for catalog in waves(&root, &catalog, &streams)? {
            let args = ReadArgs {
                config: Value::Object(Map::new()),
                catalog,
                state: args.state.clone(),
            };
            match built.read_dyn(args, context).await {
                Ok(()) => {}
                Err(error) if error.is_stop() => return Err(error),
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        match failed {
            None => Ok(()),
            // The platform takes the type of each stream's own trace; this one says that some failed.
            Some(error) => {
                Err(ConnectorError::config(error.message())
                    .with_internal("Concurrent read failure"))
            }
        }
    }
}

/// The entries of the catalog that there are streams for; the others are INCOMPLETE.
fn known(
    catalog: &ConfiguredAirbyteCatalog,
    streams: &HashMap<&str, &Arc<DeclarativeStream>>,
    context: &Context,
) -> Result<ConfiguredAirbyteCatalog> {
    let mut known = catalog.clone();
    known
        .streams
        .retain(|entry| streams.contains_key(entry.stream.name.as_str()));
    for entry in &catalog.streams {
        if streams.contains_key(entry.stream.name.as_str()) {
            continue;
        }
        tracing::warn!("The manifest has no stream {}.", entry.stream.name);
        let body = AirbyteStreamStatusTraceMessage::new(
            entry.stream.descriptor(),
            AirbyteStreamStatus::Incomplete,
        );
        let trace = AirbyteTraceMessage::stream_status(context.now_ms() as f64, body);
        context.emit(AirbyteMessage::Trace(trace))?;
    }
    Ok(known)
}

/// The catalog in parts that are read one after another, so that streams of one group are never read at once.
fn waves(
    root: &Component<'_>,
    catalog: &ConfiguredAirbyteCatalog,
    streams: &[Arc<DeclarativeStream>],
) -> Result<Vec<ConfiguredAirbyteCatalog>> {
    let groups = groups(root)?;
    if groups.is_empty() {
        return Ok(vec![catalog.clone()]);
    }
    for stream in streams {
        let Some(group) = groups.get(stream.name()) else {
            continue;
        };
        let ancestors = crate::slice::ParentStream::ancestors(stream.as_ref());
        if let Some(parent) = ancestors
            .iter()
            .find(|parent| groups.get(*parent) == Some(group))
        {
            return Err(ConnectorError::config(format!(
                "The streams `{}` and its parent `{parent}` stand in the same stream group `{group}`; the child could \
                 never be read. Take one of them out.",
                stream.name()
            )));
        }
    }
    let mut waves: Vec<ConfiguredAirbyteCatalog> = Vec::new();
    let mut members: HashMap<&str, usize> = HashMap::new();
    for entry in &catalog.streams {
        let wave = match groups.get(&entry.stream.name) {
            None => 0,
            Some(group) => {
                let next = members.entry(group.as_str()).or_default();
                *next += 1;
                *next - 1
            }
        };
        while waves.len() <= wave {
            let mut empty = catalog.clone();
            empty.streams.clear();
            waves.push(empty);
        }
        waves[wave].streams.push(entry.clone());
    }
    Ok(waves)
}

/// The group of each stream that is in one.
fn groups(root: &Component<'_>) -> Result<HashMap<String, String>> {
    let mut by_stream = HashMap::new();
    let Some(groups) = root.child("stream_groups")? else {
        return Ok(by_stream);
    };
    for name in groups.fields().keys().filter(|name| !name.starts_with('$')) {
        let Some(group) = groups.child(name)? else {
            continue;
        };
        for stream in group.children("streams")? {
            if let Some(stream) = stream.text("name")? {
                by_stream.insert(stream.to_owned(), name.clone());
            }
        }
    }
    Ok(by_stream)
}

/// Streams that are built, for the scheduler of core.
struct Built {
    streams: Vec<BoxedStream>,
    settings: ReadSettings,
}

impl Source for Built {
    type Config = Map<String, Value>;

    fn spec(&self) -> ConnectorSpecification {
        ConnectorSpecification::new(serde_json::json!({"type": "object"}))
    }

    async fn check(&self, _: &Self::Config, _: &Context) -> Result<()> {
        Ok(())
    }

    async fn streams(&self, _: &Self::Config, _: &Context) -> Result<Vec<BoxedStream>> {
        Ok(self.streams.clone())
    }

    fn read_settings(&self, _: &Self::Config) -> ReadSettings {
        self.settings.clone()
    }
}

/// The states that streams go on from, by name.
pub(crate) fn state_of(state: &InputState, name: &str) -> Option<Value> {
    let descriptor = cdk_core::protocol::StreamDescriptor::new(name);
    state
        .stream(&descriptor)
        .and_then(|state| state.parse_as().ok())
}

/// The names in a list that come more than once.
pub(crate) fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    let mut names = names;
    names.find(|name| !seen.insert(*name))
}
