//! Airbyte source: the Pokémon of pokeapi.co, the example of an HTTP source.

mod config;
mod records;

use cdk_core::{BoxedStream, Context, ReadSettings, Result, Source, Stream};
use cdk_http::paginate::NextUrl;
use cdk_http::{HttpApi, HttpStream, Placement};

pub use config::PokeapiConfig;
use records::{Named, Pokemon};

/// The source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SourcePokeapi;

impl Source for SourcePokeapi {
    type Config = PokeapiConfig;

    async fn check(&self, config: &PokeapiConfig, context: &Context) -> Result<()> {
        list(config, &HttpApi::new(&config.base_url, context)?)
            .check(context)
            .await
    }

    async fn streams(&self, config: &PokeapiConfig, context: &Context) -> Result<Vec<BoxedStream>> {
        let api = HttpApi::new(&config.base_url, context)?;
        let list = list(config, &api);
        let details = api
            .stream("pokemon", "/pokemon/{name}/")
            .for_each(&list, [("name", "name")])
            .schema::<Pokemon>()
            .primary_key(["id"]);
        Ok(vec![list.boxed(), details.boxed()])
    }

    fn read_settings(&self, config: &PokeapiConfig) -> ReadSettings {
        ReadSettings::default().with_concurrency(config.concurrency)
    }
}

/// The names of all Pokémon, over the pages that each answer names.
fn list(config: &PokeapiConfig, api: &HttpApi) -> HttpStream {
    api.stream("pokemon_names", "/pokemon")
        .records_at("results")
        .schema::<Named>()
        .primary_key(["name"])
        .paginate(NextUrl::in_body("next").size(Placement::query("limit"), config.page_size))
}
