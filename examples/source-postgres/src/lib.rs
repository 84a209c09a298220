//! Reads PostgreSQL: full refresh, by cursor, by `xmin`, or from the change log.
//!
//! | module | what |
//! |---|---|
//! | `config` | what the user sets |
//! | `source` | discovery and streams |
//! | `check` | what is missing |

mod check;
mod config;
mod source;

pub use config::{CdcConfig, LostPosition, LsnCommit, Plugin, PostgresConfig, ReplicationMethod};
pub use source::PostgresSource;
