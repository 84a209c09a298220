//! Lines in and lines out, without building trees: the path of every record.
//!
//! | item | use |
//! |---|---|
//! | [`LineSplitter`] | cuts a byte stream into lines, sync or async |
//! | [`scan`] | finds a line's type, and for records stream, data and time, all borrowed |
//! | [`fields`] | walks the top-level members of one JSON object, all borrowed |
//! | [`items`] | walks the items of one JSON array, all borrowed |
//! | [`value_end`] | finds where one JSON value ends |
//! | [`decode_str`] | the content of one JSON string |
//! | [`RecordEnvelope`] | writes records from precomputed parts |
//!
//! What is validated and what isn't: envelopes, member separators, keys, escapes of the strings
//! that are handed out decoded, and scalars at the levels that are walked are checked strictly.
//! Containers that are only passed on (record data, nested values) are checked for closed strings,
//! for as many closing as opening brackets (`[` and `{` count alike), and for UTF-8; a missing
//! comma or a bad number deep inside shows up where the value is parsed. Nesting costs no stack.
//!
//! ```
//! use airbyte_protocol::StreamDescriptor;
//! use airbyte_protocol::codec::{Line, LineSplitter, RecordEnvelope, fields, scan};
//!
//! let mut out = Vec::new();
//! let envelope = RecordEnvelope::new(&StreamDescriptor::new("users"));
//! envelope.stamp(1_735_689_600_000).write(&mut out, br#"{"id":1,"name":"Ada"}"#);
//!
//! let mut lines = LineSplitter::new(64 << 20);
//! lines.fill_from(&mut out.as_slice())?;
//! while let Some(line) = lines.next_line() {
//!     let Line::Record(record) = scan(line?)? else { continue };
//!     assert_eq!(record.stream, "users");
//!     let names = fields(record.data).map(|member| member.map(|(key, _)| key.into_owned()));
//!     assert_eq!(names.collect::<Result<Vec<_>, _>>()?, ["id", "name"]);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod cursor;
mod envelope;
mod fields;
mod items;
mod lines;
mod scan;
mod scan_error;
mod simd;
mod string;
mod value;

pub use crate::json::single_line;
pub use envelope::{RecordEnvelope, StampedEnvelope};
pub use fields::{Fields, FieldsError, fields};
pub use items::{Items, items};
pub use lines::{LineSplitter, LineTooLong};
pub use scan::{Line, RecordLine, scan};
pub use scan_error::{LineError, LineErrorKind};
pub use string::{StringError, decode_str, decode_str_lossy};
pub use value::{ValueEndError, value_end};
