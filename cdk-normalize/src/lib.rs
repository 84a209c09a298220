//! Basic normalization: nested JSON records become flat tables that people can query.
//!
//! It works on what a destination keeps of every record as it came (the raw table) and needs no dbt, no
//! Python and no other process. This crate is the part that no database is needed for:
//!
//! | module | what |
//! |---|---|
//! | [`settings`] | what a user may choose: the [`Mode`] and how deep it goes |
//! | [`plan`] | a stream's schema → the tables that its records become, with their columns and names |
//! | [`flatten`] | one record's JSON text → the rows of those tables, without a tree of values |
//!
//! A destination creates the tables, fills them with the rows, and merges.
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

pub mod flatten;
mod gather;
mod hashid;
mod layout;
mod naming;
pub mod plan;
pub mod settings;

pub use flatten::{FlatRow, Flattener, Misfits, RawRow};
pub use layout::Role;
pub use naming::Names;
pub use plan::{Plan, Table, TableColumn};
pub use settings::{Mode, Settings};
