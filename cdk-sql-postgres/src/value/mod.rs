//! PostgreSQL's values as JSON, from the binary form of COPY and from the text form of change events.
//!
//! | type | JSON |
//! |---|---|
//! | `bool`, integers, `oid`, floats, `numeric` | boolean, number with every digit; `NaN` and infinities as strings |
//! | `date`, `time`, `timestamp` and those with zone | ISO 8601 with microseconds, in UTC; years before 1 end in ` BC`; `infinity`, `-infinity` |
//! | `json`, `jsonb` | the value itself, as the server wrote it |
//! | `bytea` | base64 |
//! | `hstore` | object of strings and nulls |
//! | arrays | arrays, nested by dimension |
//! | all others | the server's own text |

mod array;
mod binary;
mod datetime;
mod escape;
mod hstore;
mod kind;
mod numeric;
mod text;

pub use binary::write_binary;
pub(crate) use datetime::write_timestamp;
pub use kind::{Kind, TypeInfo, TypeMap, nullable};
pub use text::write_text;

/// A value that does not have the form its type has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

type Written = Result<(), Malformed>;
