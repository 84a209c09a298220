//! The component types of manifests, from a table: what checks manifests, completes them in editors and fills the docs.

use std::sync::LazyLock;

/// Types that are newer than this engine: a manifest with one of them is refused, and says so.
const NOT_RUN: [&str; 2] = ["PageSizeReduction", "RequestWindowSplitting"];

/// How the engine treats a component type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// It runs.
    Runs,
    /// A factory that the program registers runs it; without one what needs it fails with its class and place.
    Registered,
    /// A manifest with it is refused.
    Refused,
}

/// A component type.
#[derive(Debug, Clone)]
pub struct ComponentType {
    /// Its name.
    pub name: String,
    /// What it is, in a sentence.
    pub description: String,
    /// What stands in its `type`.
    pub tag: Tag,
    /// Its fields, besides `type` and `$parameters`.
    pub fields: Vec<Field>,
}

impl ComponentType {
    /// How the engine treats the type.
    pub fn coverage(&self) -> Coverage {
        match self.name.as_str() {
            name if NOT_RUN.contains(&name) => Coverage::Refused,
            name if name.starts_with("Custom") => Coverage::Registered,
            _ => Coverage::Runs,
        }
    }
}

/// The `type` of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// Has to be there.
    Required(String),
    /// May be left out.
    Optional(String),
    /// There is none.
    None,
}

/// A field of a component.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its key.
    pub name: String,
    /// Whether it has to be there.
    pub is_required: bool,
    /// What its value is.
    pub shape: Shape,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Anything.
    Any,
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// Null.
    Null,
    /// A mapping of any kind.
    Object,
    /// A list of any kind.
    Array,
    /// This text.
    Constant(String),
    /// A component of this type, or what a name of the table stands for.
    Named(String),
    /// A list of such values.
    List(Box<Shape>),
    /// A mapping to such values.
    Map(Box<Shape>),
    /// One of these.
    Union(Vec<Shape>),
}

/// All component types, and names for common shapes.
#[derive(Debug)]
pub struct Components {
    types: Vec<ComponentType>,
    aliases: Vec<(String, Shape)>,
}

static ALL: LazyLock<Components> =
    LazyLock::new(|| Components::parse(include_str!("components.txt")));

impl Components {
    /// The table.
    pub fn all() -> &'static Self {
        &ALL
    }

    /// The types by name.
    pub fn types(&self) -> &[ComponentType] {
        &self.types
    }

    /// The names of common shapes.
    pub fn aliases(&self) -> &[(String, Shape)] {
        &self.aliases
    }

    /// The type of that name.
    pub fn get(&self, name: &str) -> Option<&ComponentType> {
        let at = self
            .types
            .binary_search_by(|known| known.name.as_str().cmp(name));
        at.ok().map(|at| &self.types[at])
    }

    /// What a name that is no component type stands for.
    pub fn alias(&self, name: &str) -> Option<&Shape> {
        self.aliases
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, shape)| shape)
    }

    fn parse(table: &str) -> Self {
        let mut all = Self {
            types: Vec::new(),
            aliases: Vec::new(),
        };
        for line in table
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            if let Some(field) = line.strip_prefix("  ") {
                let (name, shape) = field.split_once(' ').unwrap_or((field, "any"));
                let is_required = name.ends_with('*');
                let field = Field {
                    name: name.trim_end_matches('*').to_owned(),
                    is_required,
                    shape: Reader { rest: shape }.union(),
                };
                if let Some(last) = all.types.last_mut() {
                    last.fields.push(field);
                }
            } else if let Some((name, shape)) = line.split_once(" := ") {
                all.aliases
                    .push((name.to_owned(), Reader { rest: shape }.union()));
            } else if let Some((name, description)) = line.split_once(": ") {
                all.types.push(component_type(name, description));
            }
        }
        all.types.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

fn component_type(name: &str, description: &str) -> ComponentType {
    let (name, tag) = match name.split_once('=') {
        Some((name, tag)) => (name, Tag::Required(tag.to_owned())),
        None => match (name.strip_suffix('?'), name.strip_suffix('-')) {
            (Some(name), _) => (name, Tag::Optional(name.to_owned())),
            (_, Some(name)) => (name, Tag::None),
            _ => (name, Tag::Required(name.to_owned())),
        },
    };
    ComponentType {
        name: name.to_owned(),
        description: description.to_owned(),
        tag,
        fields: Vec::new(),
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn union(&mut self) -> Shape {
        let mut shapes = vec![self.one()];
        while let Some(rest) = self.rest.strip_prefix('|') {
            self.rest = rest;
            shapes.push(self.one());
        }
        if shapes.len() == 1 {
            shapes.remove(0)
        } else {
            Shape::Union(shapes)
        }
    }

    fn one(&mut self) -> Shape {
        let inside = |reader: &mut Self| {
            reader.rest = &reader.rest[1..];
            let shape = Box::new(reader.union());
            reader.rest = reader.rest.get(1..).unwrap_or_default();
            shape
        };
        match self.rest.as_bytes().first() {
            Some(b'[') => return Shape::List(inside(self)),
            Some(b'{') => return Shape::Map(inside(self)),
            _ => {}
        }
        let end = self.rest.find(['|', ']', '}']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "any" => Shape::Any,
            "string" => Shape::Text,
            "integer" => Shape::Integer,
            "number" => Shape::Number,
            "boolean" => Shape::Boolean,
            "null" => Shape::Null,
            "object" => Shape::Object,
            "array" => Shape::Array,
            _ if word.starts_with('"') => Shape::Constant(word.trim_matches('"').to_owned()),
            _ => Shape::Named(word.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(shape: &Shape, found: &mut Vec<String>) {
        match shape {
            Shape::Named(name) => found.push(name.clone()),
            Shape::List(inner) | Shape::Map(inner) => names(inner, found),
            Shape::Union(shapes) => shapes.iter().for_each(|shape| names(shape, found)),
            _ => {}
        }
    }

    #[test]
    fn every_name_in_the_table_is_defined() {
        let all = Components::all();
        assert!(all.types().len() >= 133, "{}", all.types().len());
        for kind in all.types() {
            assert!(kind.description.ends_with('.'), "{}", kind.name);
            for field in &kind.fields {
                let mut found = Vec::new();
                names(&field.shape, &mut found);
                for name in found {
                    let is_known = all.get(&name).is_some() || all.alias(&name).is_some();
                    assert!(is_known, "{}.{}: {name}", kind.name, field.name);
                }
            }
        }
    }

    #[test]
    fn shapes_are_read_from_their_text() {
        let read = |text| Reader { rest: text }.union();
        assert_eq!(
            read("string|[A|\"x\"]|{[integer]}"),
            Shape::Union(vec![
                Shape::Text,
                Shape::List(Box::new(Shape::Union(vec![
                    Shape::Named("A".to_owned()),
                    Shape::Constant("x".to_owned())
                ]))),
                Shape::Map(Box::new(Shape::List(Box::new(Shape::Integer)))),
            ])
        );
    }
}
