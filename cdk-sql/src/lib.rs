//! SQL sources, whatever the database.
//!
//! A database implements [`Dialect`]: how names and literals are written, how a query is run. [`TableStream`] then
//! reads its tables as Airbyte streams: discovery's [`Table`] becomes the stream's definition, a full refresh is cut
//! into pieces that resume, an incremental read follows a cursor with its full precision.
//!
//! | module | what is there |
//! |---|---|
//! | [`dialect`] | the trait of a database |
//! | [`table`] | tables, columns, keys |
//! | [`stream`] | a table as a stream |
//! | [`plan`] | which pieces a run reads, and the state behind each |
//! | [`state`] | where a table stands |
//! | [`tunnel`] | SSH tunnels |
//! | [`tls`] | certificates and keys |

pub mod dialect;
pub mod plan;
pub mod state;
pub mod stream;
pub mod table;
pub mod tls;
pub mod tunnel;
mod walk;

pub use dialect::{Comparison, Dialect, Extent, Select, TextRow};
pub use state::{StateType, Storage, TableState};
pub use stream::{Incremental, PieceSettings, TableStream, emit_estimate, selected_columns};
pub use table::{Column, Table};
pub use tunnel::{Tunnel, TunnelMethod};
