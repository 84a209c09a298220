//! `wire_struct!`: one declaration of a protocol object gives the struct and both directions of
//! the wire. `serde(flatten)` can't do it: it buffers unknown fields and so loses exact numbers.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// Declares a protocol object. Each field reads `kind "wireName" name: Type [as Repr],` where
/// - `required` must be there and not null,
/// - `optional` becomes `Option<Type>`; absent and null read as `None`, `None` isn't written,
/// - `defaulted` takes `Type::default()` when absent or null and is always written,
/// - `as Repr` reads and writes through a type that converts from and into `Type`.
///
/// Unknown fields go to `extra`; of duplicate keys the last wins.
macro_rules! wire_struct {
    (@type required $ty:ty) => { $ty };
    (@type optional $ty:ty) => { Option<$ty> };
    (@type defaulted $ty:ty) => { $ty };

    (@repr $ty:ty) => { $ty };
    (@repr $ty:ty, $repr:ty) => { $repr };

    (@done required $wire:literal $value:ident) => {
        $value.map(Into::into).ok_or_else(|| serde::de::Error::missing_field($wire))?
    };
    (@done optional $wire:literal $value:ident) => { $value.map(Into::into) };
    (@done defaulted $wire:literal $value:ident) => { $value.map(Into::into).unwrap_or_default() };

    (@out $value:expr) => { $value };
    (@out $value:expr, $repr:ty) => { &<$repr>::from($value.clone()) };

    (@write optional $map:ident $wire:literal $value:expr $(, $repr:ty)?) => {
        if let Some(value) = $value {
            $map.serialize_entry($wire, $crate::wire_struct::wire_struct!(@out value $(, $repr)?))?;
        }
    };
    (@write $kind:ident $map:ident $wire:literal $value:expr $(, $repr:ty)?) => {
        $map.serialize_entry($wire, $crate::wire_struct::wire_struct!(@out $value $(, $repr)?))?;
    };

    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $(
                $(#[$field_meta:meta])*
                $kind:ident $wire:literal $field:ident: $ty:ty $(as $repr:ty)?,
            )*
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $(
                $(#[$field_meta])*
                pub $field: $crate::wire_struct::wire_struct!(@type $kind $ty),
            )*
            /// Unknown fields, written back after the known ones.
            pub extra: $crate::Extra,
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(None)?;
                $( $crate::wire_struct::wire_struct!(@write $kind map $wire &self.$field $(, $repr)?); )*
                self.extra.write_into(&mut map)?;
                map.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;
                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("a JSON object (", stringify!($name), ")"))
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<$name, A::Error> {
                        use $crate::wire_struct::{Key, in_field};
                        $( let mut $field: Option<$crate::wire_struct::wire_struct!(@repr $ty $(, $repr)?)> = None; )*
                        let mut extra = Vec::new();
                        while let Some(key) = map.next_key::<Key<'de>>()? {
                            match key.0.as_ref() {
                                $( $wire => $field = map.next_value().map_err(|e| in_field($wire, &e))?, )*
                                _ => extra.push((key.0.into_owned(), map.next_value()?)),
                            }
                        }
                        Ok($name {
                            $( $field: $crate::wire_struct::wire_struct!(@done $kind $wire $field), )*
                            extra: extra.into_iter().collect(),
                        })
                    }
                }
                deserializer.deserialize_map(Fields)
            }
        }
    };
}
pub(crate) use wire_struct;

/// Says in which field an error is; the path grows on the way out.
pub(crate) fn in_field<E: Error>(field: &str, error: &E) -> E {
    E::custom(format_args!("{field}: {error}"))
}

/// An object key, borrowed from the input when it holds no escapes.
pub(crate) struct Key<'de>(pub(crate) Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object key")
            }

            fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E: Error>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}
