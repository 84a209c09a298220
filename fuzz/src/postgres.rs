//! What must hold for any bytes of a PostgreSQL server. The fuzz target and `cdk-sql-postgres`'s own tests (over the
//! checked-in corpus) run the same functions.

use cdk_sql_postgres::cdc::pgoutput::Message;
use cdk_sql_postgres::value::{Kind, write_binary, write_text};

/// Reads `input` as a message of the change log, and as a value of every type in both forms.
///
/// # Panics
/// When a value that was taken is no JSON.
pub fn check_postgres(input: &[u8]) {
    // Any outcome is right, as long as it is one.
    let _ = Message::parse(input);
    for kind in kinds() {
        // JSON columns pass through what the server checked.
        let is_checked = !matches!(kind, Kind::Json | Kind::Jsonb);
        for write in [write_binary, write_text] {
            let mut out = Vec::new();
            let written = write(&kind, input, &mut out);
            if written.is_ok() && is_checked {
                let parsed = serde_json::from_slice::<&serde_json::value::RawValue>(&out);
                assert!(
                    parsed.is_ok(),
                    "{kind:?}: {:?}",
                    String::from_utf8_lossy(&out)
                );
            }
        }
    }
}

fn kinds() -> Vec<Kind> {
    let mut kinds = vec![
        Kind::Bool,
        Kind::Int2,
        Kind::Int4,
        Kind::Int8,
        Kind::Oid,
        Kind::Float4,
        Kind::Float8,
        Kind::Numeric,
        Kind::Money,
        Kind::Text,
        Kind::Bytea,
        Kind::Uuid,
        Kind::Date,
        Kind::Time,
        Kind::TimeTz,
        Kind::Timestamp,
        Kind::TimestampTz,
        Kind::Json,
        Kind::Jsonb,
        Kind::Hstore,
        Kind::Inet,
        Kind::Cast,
    ];
    let scalars = kinds
        .clone()
        .into_iter()
        .filter(|kind| !matches!(kind, Kind::Json | Kind::Jsonb));
    let arrays: Vec<Kind> = scalars.map(|kind| Kind::Array(Box::new(kind))).collect();
    kinds.extend(arrays);
    kinds
}
