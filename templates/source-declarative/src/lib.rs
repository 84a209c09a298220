//! Airbyte source: {{ crate_name | title_case }}.
//!
//! `manifest.yaml` says what it reads; [`components`] are for what a manifest can't say.

pub mod components;

use cdk_core::Result;
use cdk_declarative::ManifestSource;

/// The manifest, a part of the program.
pub const MANIFEST: &str = include_str!("../manifest.yaml");

/// The source. An error says what is wrong with the manifest, and where.
pub fn source() -> Result<ManifestSource> {
    let source = ManifestSource::from_yaml(MANIFEST)?;
    Ok(source.with_components(components::registry()))
}
