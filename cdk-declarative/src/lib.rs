//! The low-code engine: runs the `manifest.yaml` connectors of Airbyte unchanged.

pub mod slice;
