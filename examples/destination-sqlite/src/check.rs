//! Whether the file can be written.

use cdk_core::Result;

use crate::config::Config;
use crate::database::Database;
use crate::error::SqliteContext;

/// Creates a table and takes it back. A file that was not there before is removed again.
pub(crate) fn check(config: &Config) -> Result<()> {
    let is_new = !config.path.exists();
    let checked = probe(config);
    if is_new && config.path.is_file() {
        let path = config.path.display();
        // Only a probe is in it. A file that stays is no reason to fail.
        if let Err(error) = std::fs::remove_file(&config.path) {
            tracing::warn!("The file {path} of the check could not be removed: {error}");
        }
    }
    checked
}

fn probe(config: &Config) -> Result<()> {
    let doing = || format!("write to {}", config.path.display());
    let mut database = Database::open(config, None)?;
    database.begin()?;
    let sql = "CREATE TABLE _airbyte_check (probe); DROP TABLE _airbyte_check; ROLLBACK";
    database.connection().execute_batch(sql).sqlite(doing)
}
