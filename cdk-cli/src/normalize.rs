//! `cdk normalize`: the normalization of a connection's destination, alone.

use cdk_core::{Clock as _, ConnectorError, Destination, Result, Secrets, SystemClock};
use cdk_normalize::Normalized;
use serde_json::Value;

use crate::args::NormalizeArgs;
use crate::connection::Connection;
use crate::output::{Exit, Output};
use crate::references::Resolver;
use crate::summary;

/// The built-in destinations that normalize.
const NORMALIZING: [&str; 2] = ["destination-postgres", "destination-sqlite"];

/// Runs the command.
pub(crate) async fn run(args: &NormalizeArgs, output: &Output) -> Exit {
    match normalize(args, output).await {
        Ok(done) => {
            output.print(&report(&done));
            output.settle(Exit::Success)
        }
        Err(error) => {
            output.tell_error(&error);
            Exit::of(&error)
        }
    }
}

async fn normalize(args: &NormalizeArgs, output: &Output) -> Result<Vec<Normalized>> {
    let connection = Connection::load(&args.connection)?;
    let env = |name: &str| std::env::var(name).ok();
    let secrets = output.secrets();
    let resolver = Resolver::new(&env, connection.directory(), secrets);
    let config = connection.destination.config(&resolver, &connection.file)?;
    let (is_full, now_ms) = (args.full, SystemClock.now_ms());
    match connection.destination.reference.built_in_destination() {
        Some("destination-postgres") => {
            let config = parsed(&destination_postgres::PostgresDestination, config, secrets)?;
            destination_postgres::normalize(&config, is_full, now_ms).await
        }
        Some("destination-sqlite") => {
            let destination = destination_sqlite::SqliteDestination::default();
            let config = parsed(&destination, config, secrets)?;
            destination_sqlite::normalize(&config, is_full, now_ms).await
        }
        _ => Err(ConnectorError::config(format!(
            "The destination of this connection does not normalize. Those that do: {}.",
            NORMALIZING.join(", ")
        ))),
    }
}

fn parsed<D: Destination>(destination: &D, config: Value, secrets: &Secrets) -> Result<D::Config> {
    let config = destination.normalize_config(config);
    cdk_core::config::parse(&destination.spec(), &config, secrets)
}

fn report(done: &[Normalized]) -> String {
    let mut table = summary::table(["Stream", "Raw rows", "Table", "Rows"], &[1, 3]);
    for normalized in done {
        for (name, rows) in &normalized.tables {
            table.add_row([
                normalized.stream.clone(),
                normalized.raw_rows.to_string(),
                name.clone(),
                rows.to_string(),
            ]);
        }
    }
    table.to_string()
}
