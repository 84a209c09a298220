//! Basic normalization: nested JSON records become flat tables that people can query.
//!
//! It works on what a destination keeps of every record as it came (the raw table) and needs no dbt, no
//! Python and no other process. This crate is the part that no database is needed for:
//!
//! | module | what |
//! |---|---|
//! | [`settings`], [`config`] | what a user may choose: the [`Mode`] and how deep it goes; the same as part of a config |
//! | [`plan`] | a stream's schema → the tables that its records become, with their columns and names |
//! | [`flatten`] | one record's JSON text → the rows of those tables, without a tree of values |
//! | [`merge`] | the SQL that brings staged rows into the tables: all of them, or the newest of each key |
//!
//! A destination creates the tables, stages the rows of new records, and runs the statements.
//!
//! ```
//! use airbyte_protocol::{AirbyteStream, ConfiguredAirbyteStream, DestinationSyncMode, SyncMode};
//! use cdk_normalize::{Names, Settings, plan};
//! use serde_json::json;
//!
//! let schema = json!({"properties": {
//!     "id": {"type": "integer"},
//!     "contact": {"type": "object", "properties": {"email": {"type": "string"}}},
//!     "addresses": {"type": "array", "items": {"type": "object", "properties": {"city": {"type": "string"}}}},
//! }});
//! let stream = AirbyteStream::new("customers", schema, vec![SyncMode::FullRefresh]);
//! let stream = ConfiguredAirbyteStream::new(stream, SyncMode::FullRefresh, DestinationSyncMode::Append);
//! let plans = plan::of(&[stream], &Settings::default(), &Names::POSTGRES);
//! let tables: Vec<_> = plans[0].tables.iter().map(|table| table.name.as_str()).collect();
//! assert_eq!(tables, ["customers", "customers_addresses"]);
//! let columns: Vec<_> = plans[0].tables[0].columns.iter().map(|column| column.name.as_str()).collect();
//! assert_eq!(columns, ["id", "contact_email"]);
//! ```

pub mod config;
pub mod flatten;
mod gather;
mod hashid;
mod layout;
pub mod merge;
mod naming;
pub mod plan;
mod report;
pub mod settings;

pub use config::{Normalization, NormalizationMode};
pub use flatten::{FlatRow, Flattener, Misfits, RawRow};
pub use layout::Role;
pub use merge::{Keys, Merge};
pub use naming::Names;
pub use plan::{Plan, Table, TableColumn};
pub use report::Normalized;
pub use settings::{Mode, Settings};
