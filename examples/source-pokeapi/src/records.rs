//! The records, as far as they are described; the API's other fields are passed through.

use schemars::JsonSchema;

/// The name of something, and where more about it is.
#[derive(JsonSchema)]
#[allow(dead_code)]
pub(crate) struct Named {
    name: String,
    url: String,
}

/// One Pokémon.
#[derive(JsonSchema)]
#[allow(dead_code)]
pub(crate) struct Pokemon {
    id: i64,
    name: String,
    /// In decimetres.
    height: i64,
    /// In hectograms.
    weight: i64,
    base_experience: Option<i64>,
    is_default: bool,
    order: i64,
    species: Named,
    types: Vec<TypeSlot>,
}

/// One of a Pokémon's types.
#[derive(JsonSchema)]
#[allow(dead_code)]
pub(crate) struct TypeSlot {
    slot: i64,
    r#type: Named,
}
