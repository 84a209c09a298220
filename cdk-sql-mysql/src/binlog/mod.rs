//! The binary log: its events, what they mean, and following it.

pub(crate) mod charset;
pub(crate) mod ddl;
pub(crate) mod decimal;
pub(crate) mod event;
pub(crate) mod gtid;
pub(crate) mod reader;
pub(crate) mod rows_event;
pub(crate) mod table_map;

pub use gtid::GtidSet;
