//! Airbyte source: the Pokémon of pokeapi.co, the example of an HTTP source.

use std::process::ExitCode;

fn main() -> ExitCode {
    cdk_core::run_source(source_pokeapi::SourcePokeapi)
}
