//! The connector's config.

use schemars::JsonSchema;
use serde::Deserialize;

/// Pokémon of pokeapi.co. The API is free and needs no key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "PokeAPI Source Spec")]
#[non_exhaustive]
pub struct PokeapiConfig {
    /// Where the API is; another place for a mirror or a test.
    #[serde(default = "base_url")]
    #[schemars(title = "Base URL", extend("order" = 0))]
    pub base_url: String,

    /// Names asked for at a time.
    #[serde(default = "page_size")]
    #[schemars(title = "Page Size", range(min = 1, max = 10000), extend("order" = 1))]
    pub page_size: u64,

    /// Requests sent at the same time.
    #[serde(default = "concurrency")]
    #[schemars(title = "Concurrency", range(min = 1, max = 50), extend("order" = 2))]
    pub concurrency: usize,
}

fn base_url() -> String {
    "https://pokeapi.co/api/v2".to_owned()
}

fn page_size() -> u64 {
    1000
}

fn concurrency() -> usize {
    8
}
