//! Which types there are, and how the values of each are read.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

/// How the values of a column are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `boolean`.
    Bool,
    /// `smallint`.
    Int2,
    /// `integer`.
    Int4,
    /// `bigint`.
    Int8,
    /// `oid`.
    Oid,
    /// `real`.
    Float4,
    /// `double precision`.
    Float8,
    /// `numeric` of any scale.
    Numeric,
    /// `money`: a number.
    Money,
    /// Whatever is sent as its text: `text`, `varchar`, `char`, `name`, enums.
    Text,
    /// `bytea`.
    Bytea,
    /// `uuid`.
    Uuid,
    /// `date`.
    Date,
    /// `time`.
    Time,
    /// `time with time zone`.
    TimeTz,
    /// `timestamp`.
    Timestamp,
    /// `timestamp with time zone`.
    TimestampTz,
    /// `json`.
    Json,
    /// `jsonb`.
    Jsonb,
    /// `hstore`.
    Hstore,
    /// An array of these, of any number of dimensions.
    Array(Box<Kind>),
    /// `inet`: a cast to text adds a netmask that its output does not have.
    Inet,
    /// Any other type: the server turns its values to text.
    Cast,
}

impl Kind {
    /// JSON schema of the values.
    pub fn schema(&self) -> Value {
        let temporal = |format: &str, kind: &str| json!({"type": "string", "format": format, "airbyte_type": kind});
        match self {
            Self::Bool => json!({"type": "boolean"}),
            Self::Int2 | Self::Int4 | Self::Int8 | Self::Oid => json!({"type": "integer"}),
            Self::Float4 | Self::Float8 | Self::Numeric | Self::Money => json!({"type": "number"}),
            Self::Bytea => json!({"type": "string", "contentEncoding": "base64"}),
            Self::Date => json!({"type": "string", "format": "date"}),
            Self::Time => temporal("time", "time_without_timezone"),
            Self::TimeTz => temporal("time", "time_with_timezone"),
            Self::Timestamp => temporal("date-time", "timestamp_without_timezone"),
            Self::TimestampTz => temporal("date-time", "timestamp_with_timezone"),
            Self::Json | Self::Jsonb => {
                json!({"type": ["object", "array", "string", "number", "boolean"]})
            }
            Self::Hstore => json!({"type": "object"}),
            Self::Array(items) => json!({"type": "array", "items": nullable(items.schema())}),
            Self::Uuid | Self::Text | Self::Inet | Self::Cast => json!({"type": "string"}),
        }
    }

    /// Whether values have no binary form that is read here, so that arrays of them are sent as text.
    pub(crate) fn is_text_only(&self) -> bool {
        matches!(self, Self::Cast | Self::Inet | Self::Money)
    }

    /// The expression that COPY sends for a column with this quoted name.
    pub(crate) fn expression(&self, quoted: &str) -> String {
        match self {
            Self::Cast => format!("{quoted}::text"),
            Self::Money => format!("{quoted}::numeric"),
            Self::Inet => {
                format!("CASE WHEN {quoted} IS NOT NULL THEN pg_catalog.format('%s', {quoted}) END")
            }
            Self::Array(items) if items.is_text_only() => format!("{quoted}::text"),
            _ => quoted.to_owned(),
        }
    }
}

/// A schema that allows null too.
pub fn nullable(mut schema: Value) -> Value {
    match schema.get_mut("type") {
        Some(Value::Array(types)) if !types.contains(&json!("null")) => {
            types.insert(0, json!("null"))
        }
        Some(one @ Value::String(_)) => *one = json!(["null", one]),
        _ => {}
    }
    schema
}

/// A type as the catalog describes it.
#[derive(Debug, Clone)]
pub struct TypeInfo {
    /// `pg_type.oid`.
    pub oid: u32,
    /// `pg_type.typname`.
    pub name: String,
    /// `pg_type.typtype`: `b`ase, `d`omain, `e`num, …
    pub class: char,
    /// `pg_type.typbasetype`, of domains.
    pub base: u32,
    /// `pg_type.typelem`, of arrays (0 for other types).
    pub element: u32,
}

/// The types of a database.
#[derive(Debug, Clone, Default)]
pub struct TypeMap {
    types: HashMap<u32, TypeInfo>,
    ordered: HashSet<u32>,
}

/// Domains over domains end long before this.
const MAX_DEPTH: usize = 32;

impl TypeMap {
    /// A map of these types, of which those in `ordered` have a default B-tree order.
    pub fn new(
        types: impl IntoIterator<Item = TypeInfo>,
        ordered: impl IntoIterator<Item = u32>,
    ) -> Self {
        let types = types.into_iter().map(|info| (info.oid, info)).collect();
        Self {
            types,
            ordered: ordered.into_iter().collect(),
        }
    }

    /// Whether the type was there when the catalog was read.
    pub fn knows(&self, oid: u32) -> bool {
        built_in(oid).is_some() || self.types.contains_key(&oid)
    }

    /// How values of the type `oid` are read.
    pub fn kind(&self, oid: u32) -> Kind {
        self.kind_within(oid, MAX_DEPTH)
    }

    fn kind_within(&self, oid: u32, depth: usize) -> Kind {
        if let Some(kind) = built_in(oid) {
            return kind;
        }
        let Some(info) = self.types.get(&oid).filter(|_| depth > 0) else {
            return Kind::Cast;
        };
        match info.class {
            'd' => self.kind_within(info.base, depth - 1),
            'e' => Kind::Text,
            'b' if info.element != 0 => {
                Kind::Array(Box::new(self.kind_within(info.element, depth - 1)))
            }
            'b' if info.name == "hstore" => Kind::Hstore,
            _ => Kind::Cast,
        }
    }

    /// Whether a cursor can follow values of the type.
    pub fn is_ordered(&self, oid: u32) -> bool {
        let mut oid = oid;
        for _ in 0..MAX_DEPTH {
            match self.types.get(&oid) {
                Some(info) if info.class == 'd' => oid = info.base,
                Some(info) if info.class == 'e' => return true,
                // char varying borrows the order of text.
                Some(info) => {
                    return info.element == 0 && (oid == 1043 || self.ordered.contains(&oid));
                }
                None => return false,
            }
        }
        false
    }
}

/// The types whose numbers are part of the protocol (`pg_type.dat` of the server).
fn built_in(oid: u32) -> Option<Kind> {
    Some(match oid {
        16 => Kind::Bool,
        17 => Kind::Bytea,
        19 | 25 | 1042 | 1043 => Kind::Text,
        20 => Kind::Int8,
        21 => Kind::Int2,
        23 => Kind::Int4,
        26 => Kind::Oid,
        114 => Kind::Json,
        700 => Kind::Float4,
        701 => Kind::Float8,
        790 => Kind::Money,
        869 => Kind::Inet,
        1082 => Kind::Date,
        1083 => Kind::Time,
        1114 => Kind::Timestamp,
        1184 => Kind::TimestampTz,
        1266 => Kind::TimeTz,
        1700 => Kind::Numeric,
        2950 => Kind::Uuid,
        3802 => Kind::Jsonb,
        // int2vector and oidvector look like arrays, but start at 0 and print otherwise.
        22 | 30 => Kind::Cast,
        _ => return None,
    })
}
