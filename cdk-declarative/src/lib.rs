//! The low-code engine: runs the `manifest.yaml` connectors of Airbyte unchanged.

pub mod python;
pub mod slice;
pub mod time;
