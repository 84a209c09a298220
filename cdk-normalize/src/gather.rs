//! What a schema holds at one level of tables: its columns and its child tables, wherever they are nested.

use airbyte_protocol::types::{AirbyteType, Field};

use crate::settings::{Mode, Settings};

/// A value of an object: a column, a child table, or both.
#[derive(Debug)]
pub(crate) struct Leaf<'s> {
    /// The keys that lead to it.
    pub(crate) path: Vec<&'s str>,
    /// The type of the column, if the value has one.
    pub(crate) column: Option<&'s AirbyteType>,
    pub(crate) child: Option<Child<'s>>,
}

/// Rows of another table, nested in a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Child<'s> {
    pub(crate) fields: &'s [Field],
    /// A list of objects; one object otherwise.
    pub(crate) is_list: bool,
    /// How deep the fields are nested.
    pub(crate) depth: usize,
}

/// All leaves below `fields`, in the order of the schema.
pub(crate) fn leaves<'s>(
    fields: &'s [Field],
    depth: usize,
    settings: &Settings,
    columns_left: usize,
) -> Vec<Leaf<'s>> {
    let mut gathered = Gathered {
        settings,
        leaves: Vec::new(),
        columns_left: columns_left.saturating_sub(fields.len()),
    };
    gathered.object(fields, &[], depth);
    gathered.leaves
}

struct Gathered<'s, 'a> {
    settings: &'a Settings,
    leaves: Vec<Leaf<'s>>,
    /// How many columns flattened objects may add: no database takes any number of them.
    columns_left: usize,
}

impl<'s> Gathered<'s, '_> {
    fn object(&mut self, fields: &'s [Field], prefix: &[&'s str], depth: usize) {
        for field in fields {
            let mut path = prefix.to_vec();
            path.push(&field.name);
            self.value(&field.data_type, path, depth);
        }
    }

    fn value(&mut self, data_type: &'s AirbyteType, path: Vec<&'s str>, depth: usize) {
        let is_shallow = depth < self.settings.max_depth;
        let nested = nested(data_type).filter(|_| is_shallow);
        let Some((fields, is_list)) = nested else {
            self.leaves.push(Leaf {
                path,
                column: Some(data_type),
                child: None,
            });
            return;
        };
        let is_flattened = self.settings.mode == Mode::Guide && !is_list;
        // One column less: that of the object itself.
        let needed = fields.len().saturating_sub(1);
        if is_flattened && needed <= self.columns_left {
            self.columns_left -= needed;
            self.object(fields, &path, depth + 1);
        } else if is_flattened {
            self.leaves.push(Leaf {
                path,
                column: Some(data_type),
                child: None,
            });
        } else {
            let keeps_json = self.settings.mode == Mode::Classic;
            self.leaves.push(Leaf {
                path,
                column: keeps_json.then_some(data_type),
                child: Some(Child {
                    fields,
                    is_list,
                    depth: depth + 1,
                }),
            });
        }
    }
}

/// The fields of a nested object, or of the objects of a list, where the schema names any.
fn nested(data_type: &AirbyteType) -> Option<(&[Field], bool)> {
    let (object, is_list) = match data_type {
        AirbyteType::Array(Some(items)) => (items.as_ref(), true),
        other => (other, false),
    };
    match object {
        AirbyteType::Object(Some(fields)) if !fields.is_empty() => Some((fields, is_list)),
        _ => None,
    }
}
