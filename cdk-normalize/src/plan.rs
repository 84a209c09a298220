//! A stream's schema → the tables that its records become.

use std::collections::{BTreeMap, HashMap, HashSet};

use airbyte_protocol::types::{AirbyteType, fields_of};
use airbyte_protocol::{ConfiguredAirbyteStream, StreamDescriptor};

use crate::gather::{Child, Leaf, leaves};
use crate::layout::OWN;
use crate::naming::Names;
use crate::settings::{Mode, Settings};

/// Columns of a table beyond which nested objects stay JSON: PostgreSQL takes 1600, SQLite 2000.
const MAX_COLUMNS: usize = 1500;

/// The tables of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The stream, under its name at the destination.
    pub stream: StreamDescriptor,
    /// How it is normalized.
    pub mode: Mode,
    /// The stream's own table, then those of nested values: every table behind its parent.
    pub tables: Vec<Table>,
}

/// A table that records become rows of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Which table its rows' parents are in.
    pub parent: Option<usize>,
    /// Name of the column with the parent's id.
    pub parent_hashid: Option<String>,
    /// Name of the column with a row's own id.
    pub hashid: String,
    /// The values of the record, in the order of the schema.
    pub columns: Vec<TableColumn>,
    /// Where each key of an object leads.
    pub(crate) node: Node,
}

/// A column that a value of the record goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// The keys that lead to the value, from the object that the row is made of.
    pub path: Vec<String>,
    /// The type of its values. Nested values are JSON.
    pub data_type: AirbyteType,
}

/// The keys of an object that lead somewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) members: Vec<(String, Slot)>,
    index: BTreeMap<String, usize>,
}

/// Where a value goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    /// To this column.
    Column(usize),
    /// Its members go to columns of the same table.
    Object(Node),
    /// To rows of this table, and as JSON to the column, if there is one.
    Rows {
        table: usize,
        is_list: bool,
        column: Option<usize>,
    },
}

impl Node {
    /// Where the key leads. `at` is its position in the object: mostly that in the schema too.
    pub(crate) fn slot(&self, at: usize, key: &str) -> Option<&Slot> {
        if let Some((name, slot)) = self.members.get(at)
            && name == key
        {
            return Some(slot);
        }
        let at = self.index.get(key)?;
        self.members.get(*at).map(|(_, slot)| slot)
    }

    fn insert(&mut self, path: &[&str], slot: Slot) {
        let [key, rest @ ..] = path else { return };
        let at = *self.index.entry((*key).to_owned()).or_insert_with(|| {
            let slot = Slot::Object(Node::default());
            self.members.push(((*key).to_owned(), slot));
            self.members.len() - 1
        });
        let Some((_, place)) = self.members.get_mut(at) else {
            return;
        };
        match (rest, place) {
            ([], place) => *place = slot,
            (rest, Slot::Object(node)) => node.insert(rest, slot),
            // A key leads to one place: the schema has it once.
            (_, Slot::Column(_) | Slot::Rows { .. }) => {}
        }
    }
}

/// The plans of the streams of a catalog, in its order. Tables of one namespace never share a name: those of
/// streams keep theirs, those of nested values get a suffix.
pub fn of(streams: &[ConfiguredAirbyteStream], settings: &Settings, names: &Names) -> Vec<Plan> {
    let mut taken: HashMap<Option<String>, HashSet<String>> = HashMap::new();
    // Streams that would share a table are the destination's to refuse: it knows the raw tables too.
    let tables: Vec<_> = streams
        .iter()
        .map(|stream| {
            let stream = stream.descriptor();
            let name = names.clean(&stream.name, settings.mode);
            names.reserve(&name, taken.entry(stream.namespace).or_default());
            name
        })
        .collect();
    let planned = streams.iter().zip(tables).map(|(stream, table)| {
        let descriptor = stream.descriptor();
        let taken = taken.entry(descriptor.namespace.clone()).or_default();
        let fields = fields_of(&stream.stream.json_schema);
        let mut planner = Planner {
            settings,
            names,
            taken,
            tables: Vec::new(),
        };
        let root = Child {
            fields: &fields,
            is_list: false,
            depth: 0,
        };
        planner.table(table, &root, None);
        Plan {
            stream: descriptor,
            mode: settings.mode,
            tables: planner.tables,
        }
    });
    planned.collect()
}

struct Planner<'a> {
    settings: &'a Settings,
    names: &'a Names,
    taken: &'a mut HashSet<String>,
    tables: Vec<Table>,
}

impl Planner<'_> {
    /// Plans a table and those nested in it; returns its number.
    fn table(&mut self, name: String, rows: &Child<'_>, parent: Option<usize>) -> usize {
        let at = self.tables.len();
        let leaves = leaves(rows.fields, rows.depth, self.settings, MAX_COLUMNS);
        let parent_hashid = parent
            .and_then(|parent| self.tables.get(parent))
            .map(|parent| parent.hashid.clone());
        let hashid = self.hashid(&name);
        let own = OWN
            .into_iter()
            .chain(parent_hashid.as_deref())
            .chain([hashid.as_str()]);
        let columns = self.columns(&leaves, own);
        self.tables.push(Table {
            name,
            parent,
            parent_hashid,
            hashid,
            columns: Vec::new(),
            node: Node::default(),
        });
        let children = self.children(&leaves, at);
        let mut node = Node::default();
        let mut typed = Vec::new();
        for ((leaf, column), table) in leaves.iter().zip(columns).zip(children) {
            let column = column.zip(leaf.column).map(|(name, data_type)| {
                typed.push(TableColumn {
                    name,
                    path: leaf.path.iter().map(ToString::to_string).collect(),
                    data_type: data_type.clone(),
                });
                typed.len() - 1
            });
            let slot = match (leaf.child, table, column) {
                (Some(child), Some(table), column) => Slot::Rows {
                    table,
                    is_list: child.is_list,
                    column,
                },
                (_, _, Some(column)) => Slot::Column(column),
                _ => continue,
            };
            node.insert(&leaf.path, slot);
        }
        if let Some(table) = self.tables.get_mut(at) {
            table.columns = typed;
            table.node = node;
        }
        at
    }

    /// The columns' names, where a leaf has one. Of two that would be the same the one nested less deep keeps
    /// it, whatever the order of the fields.
    fn columns<'n>(
        &self,
        leaves: &[Leaf<'_>],
        own: impl Iterator<Item = &'n str>,
    ) -> Vec<Option<String>> {
        let mut taken = HashSet::new();
        for name in own {
            self.names.reserve(name, &mut taken);
        }
        let mut named = vec![None; leaves.len()];
        for at in sorted(leaves) {
            let leaf = &leaves[at];
            if leaf.column.is_some() {
                let name = self.names.clean(&leaf.path.join("_"), self.settings.mode);
                named[at] = Some(self.names.numbered(&name, &mut taken));
            }
        }
        named
    }

    /// Plans the child tables of the leaves that have one, in the order of the schema.
    fn children(&mut self, leaves: &[Leaf<'_>], parent: usize) -> Vec<Option<usize>> {
        let parent_name = self.tables.get(parent).map(|table| table.name.clone());
        let parent_name = parent_name.unwrap_or_default();
        let mut named = vec![None; leaves.len()];
        for at in sorted(leaves) {
            let leaf = &leaves[at];
            if leaf.child.is_some() {
                let path = format!("{parent_name}.{}", leaf.path.join("."));
                let name = format!("{parent_name}_{}", leaf.path.join("_"));
                let name = self.names.clean(&name, self.settings.mode);
                named[at] = Some(self.names.hashed(&name, &path, self.taken));
            }
        }
        let planned = leaves.iter().zip(named).map(|(leaf, name)| {
            let (child, name) = leaf.child.as_ref().zip(name)?;
            Some(self.table(name, child, Some(parent)))
        });
        planned.collect()
    }

    fn hashid(&self, table: &str) -> String {
        let room = self
            .names
            .max_bytes
            .saturating_sub("_airbyte__hashid".len());
        let table = cdk_core::destination::names::shortened(table, table, room);
        format!("_airbyte_{table}_hashid")
    }
}

/// The leaves' positions, by how deep they are nested and their path.
fn sorted(leaves: &[Leaf<'_>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..leaves.len()).collect();
    order.sort_by_key(|at| (leaves[*at].path.len(), &leaves[*at].path));
    order
}
