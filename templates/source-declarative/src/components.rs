//! What the manifest names by `class_name`. A manifest without custom components needs none of this.

use std::sync::Arc;

use cdk_core::Result;
use cdk_declarative::custom::{CustomTransformation, Registry};
use serde_json::Value;

/// All of them, by the last part of their `class_name`.
pub fn registry() -> Registry {
    Registry::default().with_transformation("Slug", |_component| Ok(Arc::new(Slug)))
}

/// Adds `slug`: the record's name as it may stand in a URL. An example.
#[derive(Debug)]
struct Slug;

impl CustomTransformation for Slug {
    fn transform(&self, record: &mut Value, _config: &Value, _slice: &Value) -> Result<()> {
        if let Some(name) = record["name"].as_str() {
            record["slug"] = name.to_lowercase().replace(' ', "-").into();
        }
        Ok(())
    }
}
