//! Airbyte's data types, and their JSON schemas.
//!
//! One model that the SQL, Arrow and file layers map from and to. [`AirbyteType::from_json_schema`]
//! reads every form found in catalogs, [`AirbyteType::to_json_schema`] writes one:
//!
//! | type | schema written | also read |
//! |---|---|---|
//! | `String` | `{"type":"string"}` | `enum` or `const` of strings, `…#/definitions/String` |
//! | `Boolean` | `{"type":"boolean"}` | `…/Boolean` |
//! | `Integer` | `{"type":"integer"}` | `number` with `airbyte_type: integer`; `airbyte_type: big_integer`; `…/Integer` |
//! | `Number` | `{"type":"number"}` | `airbyte_type: big_number`; `…/Number` |
//! | `Date` | `string`, `format: date` | `…/Date` |
//! | `TimestampWithTimezone` | `string`, `format: date-time`, `airbyte_type: timestamp_with_timezone` | without `airbyte_type`, or without `format`; `…/TimestampWithTimezone` |
//! | `TimestampWithoutTimezone` | the same with `timestamp_without_timezone` | likewise |
//! | `TimeWithTimezone` | `string`, `format: time`, `airbyte_type: time_with_timezone` | likewise |
//! | `TimeWithoutTimezone` | the same with `time_without_timezone` | without `format`; `…/TimeWithoutTimezone` |
//! | `Binary` | `string`, `contentEncoding: base64` | `…/BinaryData` |
//! | `Array` | `array`, `items` | no `type` but `items`; a tuple's items form a union |
//! | `Object` | `object`, `properties`, `required` | no `type` but `properties` |
//! | `Union` | `oneOf` | `anyOf`; `type` as a list |
//! | `Unknown` | `{}` | anything else, also `true` |
//!
//! Null isn't a type here but a flag beside it: a `null` in a `type` list or among the options of
//! a union. Source: "Data types" of the Airbyte documentation and `well_known_types.yaml`.

mod from_schema;
mod to_schema;
mod widen;

pub use from_schema::fields_of;
pub use widen::widen;

/// The type of a field's values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AirbyteType {
    /// Text.
    String,
    /// `true` or `false`.
    Boolean,
    /// A whole number of any size.
    Integer,
    /// A decimal number of any size and scale.
    Number,
    /// A day: `2022-01-23`, perhaps with ` BC`.
    Date,
    /// An instant: `2022-01-23T01:23:45.678+02:00`, perhaps with ` BC`.
    TimestampWithTimezone,
    /// A local date and time: `2022-01-23T01:23:45.678`, perhaps with ` BC`.
    TimestampWithoutTimezone,
    /// A time of day with its offset: `01:23:45.678+02:00`.
    TimeWithTimezone,
    /// A local time of day: `01:23:45.678`.
    TimeWithoutTimezone,
    /// Bytes, in base64.
    Binary,
    /// A list; the type of its items if known.
    Array(Option<Box<AirbyteType>>),
    /// An object; its fields, in order, if known.
    Object(Option<Vec<Field>>),
    /// One of several types.
    Union(Vec<AirbyteType>),
    /// Anything; travels as JSON.
    Unknown,
}

/// A field of an object or of a stream's records.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub data_type: AirbyteType,
    /// Whether it may be null or absent.
    pub nullable: bool,
}

impl Field {
    /// A field that may be null.
    pub fn new(name: impl Into<String>, data_type: AirbyteType) -> Self {
        Self {
            name: name.into(),
            data_type,
            nullable: true,
        }
    }

    /// Makes the field required and not null.
    #[must_use]
    pub fn not_null(mut self) -> Self {
        self.nullable = false;
        self
    }
}
