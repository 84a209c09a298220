//! The reference of all component types, as a page of the docs.

use super::components::{ComponentType, Components, Coverage, Shape};

/// The page: a table of all types and how the engine treats them, then their fields.
pub fn reference() -> String {
    let types = Components::all().types();
    let count = |coverage| {
        types
            .iter()
            .filter(|kind| kind.coverage() == coverage)
            .count()
    };
    let mut page = format!(
        "# Components of a manifest\n\n\
         <!-- Made of the engine's own table: `UPDATE_DOCS=1 cargo test -p cdk-declarative reference` writes it anew. -->\n\n\
         {} of the {} component types run. {} run by a factory that your program registers under their `class_name`; \
         without it what needs them fails with its class and place. {} are newer than the engine: a manifest with one of them is \
         refused when it is loaded, with its place.\n\n\
         | Type | What it is | |\n|---|---|---|\n",
        count(Coverage::Runs),
        types.len(),
        count(Coverage::Registered),
        count(Coverage::Refused),
    );
    for kind in types {
        let note = match kind.coverage() {
            Coverage::Runs => "runs",
            Coverage::Registered => "registered",
            Coverage::Refused => "refused",
        };
        page.push_str(&format!(
            "| [{0}](#{1}) | {2} | {note} |\n",
            kind.name,
            kind.name.to_lowercase(),
            kind.description
        ));
    }
    page.push_str(
        "\nA field with * has to be there; `$parameters` of an outer component may give it. Every component may have \
         `$parameters`, and `$ref` to take over a definition.\n",
    );
    types.iter().for_each(|kind| section(kind, &mut page));
    page.push_str("\n## Named values\n\n| Name | Value |\n|---|---|\n");
    for (name, shape) in Components::all().aliases() {
        page.push_str(&format!("| `{name}` | {} |\n", words(shape)));
    }
    page
}

fn section(kind: &ComponentType, page: &mut String) {
    page.push_str(&format!("\n## {}\n\n{}\n", kind.name, kind.description));
    if kind.fields.is_empty() {
        return;
    }
    page.push_str("\n| Field | Value |\n|---|---|\n");
    for field in &kind.fields {
        let mark = if field.is_required { "\\*" } else { "" };
        page.push_str(&format!(
            "| `{}`{mark} | {} |\n",
            field.name,
            words(&field.shape)
        ));
    }
}

fn words(shape: &Shape) -> String {
    match shape {
        Shape::Any => "anything".to_owned(),
        Shape::Text => "text".to_owned(),
        Shape::Integer => "whole number".to_owned(),
        Shape::Number => "number".to_owned(),
        Shape::Boolean => "true or false".to_owned(),
        Shape::Null => "null".to_owned(),
        Shape::Object => "mapping".to_owned(),
        Shape::Array => "list".to_owned(),
        Shape::Constant(text) => format!("`{text}`"),
        Shape::Named(name) => match Components::all().get(name) {
            Some(kind) => format!("[{name}](#{})", kind.name.to_lowercase()),
            None => Components::all()
                .alias(name)
                .map_or_else(|| name.clone(), words),
        },
        Shape::List(item) => format!("list of {}", words(item)),
        Shape::Map(value) => format!("mapping to {}", words(value)),
        Shape::Union(shapes) => shapes.iter().map(words).collect::<Vec<_>>().join(", "),
    }
}
