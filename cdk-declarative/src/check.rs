//! The checks of a manifest: can the streams it names be read?

use std::sync::Arc;

use cdk_core::{ConnectorError, Result};
use serde_json::Value;

use crate::build::{Builder, Definitions};
use crate::component::Component;
use crate::source::Prepared;
use crate::stream::DeclarativeStream;

/// Names the streams to check instead of the manifest's.
const STREAM_NAMES: &str = "__airbyte_check_stream_names";

/// Runs the manifest's check.
pub(crate) async fn run(prepared: &Prepared) -> Result<()> {
    let root = prepared.manifest.root()?;
    let check = root.need_child("check")?;
    if let Some(Value::Object(overrides)) = check.get("config_overrides") {
        prepared.host.override_config(overrides);
    }
    match check.kind() {
        "CheckStream" | "" => check_streams(&root, &check, prepared).await,
        "CheckDynamicStream" => check_first(&check, prepared).await,
        other => Err(check.error(format!(
            "`{other}` is no check. Use CheckStream or CheckDynamicStream."
        ))),
    }
}

async fn check_streams(
    root: &Component<'_>,
    check: &Component<'_>,
    prepared: &Prepared,
) -> Result<()> {
    let names = names(check, prepared)?;
    let dynamic = check.children("dynamic_streams_check_configs")?;
    let builder = Builder::new(&prepared.host);
    let listed = Definitions::of_manifest(root, &prepared.host)?;
    let is_listed = |name: &String| {
        listed
            .streams
            .iter()
            .any(|at| named(&at.value) == Some(name.as_str()))
    };
    // Streams that the API or the config make up are only resolved when they are asked for.
    let definitions = if dynamic.is_empty() && !names.is_empty() && names.iter().all(is_listed) {
        prepared.validate_config()?;
        let mut listed = listed;
        listed.streams.retain(|at| {
            named(&at.value).is_some_and(|name| names.iter().any(|wanted| wanted == name))
        });
        listed
    } else {
        prepared.definitions().await?
    };
    let streams = builder.build_all(&definitions)?;
    if streams.is_empty() {
        return Err(ConnectorError::config(
            "The manifest has no stream to check.",
        ));
    }
    for name in &names {
        let stream = streams.iter().find(|stream| stream.name() == name);
        let stream = stream.ok_or_else(|| {
            let known: Vec<&str> = streams.iter().map(|stream| stream.name()).collect();
            check.error(format!(
                "there is no stream `{name}`. Those there are: {}.",
                known.join(", ")
            ))
        })?;
        available(stream).await?;
    }
    for config in &dynamic {
        let wanted = config.need_text("dynamic_stream_name")?;
        let count = config.get("stream_count").and_then(Value::as_u64);
        let made = definitions.streams.iter().zip(&streams);
        let made = made.filter(|(definition, _)| definition.template.as_deref() == Some(wanted));
        let count = count
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(usize::MAX);
        for (_, stream) in made.take(count) {
            available(stream).await?;
        }
    }
    Ok(())
}

async fn check_first(check: &Component<'_>, prepared: &Prepared) -> Result<()> {
    let count = check
        .get("stream_count")
        .and_then(Value::as_u64)
        .unwrap_or(1);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let definitions = prepared.definitions().await?;
    let streams = Builder::new(&prepared.host).build_all(&definitions)?;
    if streams.is_empty() {
        return Err(ConnectorError::config(
            "The manifest makes no stream of this config.",
        ));
    }
    if !check.flag("use_check_availability", true)? {
        return Ok(());
    }
    for stream in streams.iter().take(count) {
        available(stream).await?;
    }
    Ok(())
}

async fn available(stream: &Arc<DeclarativeStream>) -> Result<()> {
    stream.is_available().await.map_err(|error| {
        let text = format!(
            "Stream {} is not available: {}",
            stream.name(),
            error.message()
        );
        ConnectorError::new(error.failure_type(), text).caused_by(error)
    })
}

/// The config's list counts before the manifest's.
fn names(check: &Component<'_>, prepared: &Prepared) -> Result<Vec<String>> {
    let config = prepared.host.config();
    match config.get(STREAM_NAMES) {
        None => check.texts("stream_names"),
        Some(Value::Array(names)) if names.is_empty() => check.texts("stream_names"),
        Some(Value::Array(names)) => {
            let names = names.iter().map(|name| name.as_str().map(str::to_owned));
            names.collect::<Option<_>>().ok_or_else(|| {
                ConnectorError::config(format!(
                    "`{STREAM_NAMES}` in the config must be a list of texts."
                ))
            })
        }
        Some(_) => Err(ConnectorError::config(format!(
            "`{STREAM_NAMES}` in the config must be a list of texts."
        ))),
    }
}

fn named(definition: &Value) -> Option<&str> {
    definition.get("name").and_then(Value::as_str)
}
