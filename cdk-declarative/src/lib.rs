//! The low-code engine: runs the `manifest.yaml` connectors of Airbyte unchanged.

pub mod component;
pub mod manifest;
pub mod python;
pub mod slice;
pub mod template;
pub mod time;
pub mod words;
pub mod yaml;
