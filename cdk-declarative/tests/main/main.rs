//! What manifests mean, checked against values the Python CDK gave.

mod manifests;
mod templates;
