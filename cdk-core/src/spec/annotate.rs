//! The annotations of Airbyte's form that can be derived: titles, order, descriptions as sentences.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Object, children, words};

/// Keywords in the order a reader wants them; the others stand between the two lists.
const FIRST: [&str; 5] = ["$schema", "title", "description", "type", "order"];
const LAST: [&str; 5] = [
    "required",
    "properties",
    "items",
    "oneOf",
    "additionalProperties",
];

/// Completes a schema and all below it.
pub(super) fn annotate(schema: &mut Value) {
    let Value::Object(object) = schema else {
        return;
    };
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = sentences(text);
    }
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        add_titles(properties);
        add_order(properties);
    }
    if let Some(Value::Array(branches)) = object.get_mut("oneOf") {
        branches.iter_mut().for_each(add_branch_title);
    }
    children(object).for_each(|(_, child)| annotate(child));
    sort_keywords(object);
}

fn add_titles(properties: &mut Object) {
    for (name, property) in properties {
        if let Value::Object(property) = property {
            property
                .entry("title")
                .or_insert_with(|| json!(words::title(name)));
        }
    }
}

/// Gives every property a number of its own: the given ones stay, the others fill the gaps in field order.
fn add_order(properties: &mut Object) {
    let mut taken = HashSet::new();
    let is_kept: Vec<bool> = properties
        .values()
        .map(|property| property.get("order").and_then(Value::as_u64))
        // Of two equal numbers (flattened structs) the first property keeps it.
        .map(|order| order.is_some_and(|order| taken.insert(order)))
        .collect();
    let mut free = (0..).filter(|number| !taken.contains(number));
    for (property, is_kept) in properties.values_mut().zip(is_kept) {
        if let (Value::Object(property), false) = (property, is_kept) {
            property.insert("order".to_owned(), json!(free.next()));
        }
    }
}

/// The form lists the branches of a `oneOf` by title.
fn add_branch_title(branch: &mut Value) {
    let properties = branch.get("properties").and_then(Value::as_object);
    let tag = properties
        .into_iter()
        .flat_map(Object::values)
        .find_map(|one| one.get("const")?.as_str());
    let title = tag.map(words::title);
    if let (Some(title), Value::Object(branch)) = (title, branch) {
        branch.entry("title").or_insert_with(|| json!(title));
    }
}

/// Joins the lines of each paragraph of a doc comment and ends the text as a sentence.
fn sentences(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let lines: Vec<&str> = paragraph
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        lines.join(" ")
    });
    let paragraphs: Vec<String> = paragraphs
        .filter(|paragraph| !paragraph.is_empty())
        .collect();
    let mut text = paragraphs.join("\n\n");
    // A period behind an address would become a part of the link.
    let ends_in_address = text
        .rsplit(char::is_whitespace)
        .next()
        .is_some_and(|word| word.contains("://"));
    let ends_open =
        |last: char| last.is_alphanumeric() || matches!(last, '`' | ')' | ']' | '"' | '\'');
    if text.ends_with(ends_open) && !ends_in_address {
        text.push('.');
    }
    text
}

fn sort_keywords(object: &mut Object) {
    let rank = |keyword: &str| {
        let first = FIRST.iter().position(|one| *one == keyword);
        let last = LAST.iter().position(|one| *one == keyword);
        first
            .or(last.map(|at| FIRST.len() + 1 + at))
            .unwrap_or(FIRST.len())
    };
    let mut keywords: Vec<(String, Value)> = std::mem::take(object).into_iter().collect();
    keywords.sort_by_key(|(keyword, _)| rank(keyword));
    object.extend(keywords);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(mut properties: Value) -> Vec<u64> {
        let properties = properties.as_object_mut().unwrap();
        add_order(properties);
        properties
            .values()
            .map(|property| property["order"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn given_orders_stay_and_the_others_fill_the_gaps() {
        let properties = json!({"a": {}, "b": {"order": 0}, "c": {}, "d": {"order": 2}, "e": {}});
        assert_eq!(orders(properties), [1, 0, 3, 2, 4]);
    }

    #[test]
    fn of_two_equal_orders_the_first_stays() {
        assert_eq!(
            orders(json!({"a": {"order": 5}, "b": {"order": 5}, "c": {}})),
            [5, 0, 1]
        );
    }

    #[test]
    fn descriptions_are_sentences_without_line_breaks() {
        for (doc, description) in [
            ("The host", "The host."),
            ("Ends well.", "Ends well."),
            ("Really?", "Really?"),
            ("One\ntwo\n\nthree", "One two\n\nthree."),
            ("Like `a`", "Like `a`."),
            (
                "See https://docs.example.com/a",
                "See https://docs.example.com/a",
            ),
            ("<b>Bold</b>", "<b>Bold</b>"),
            ("", ""),
        ] {
            assert_eq!(sentences(doc), description);
        }
    }

    #[test]
    fn a_given_title_is_kept() {
        let mut schema = json!({"properties": {"a_b": {"title": "Mine"}, "c_d": {}}});
        annotate(&mut schema);
        assert_eq!(schema["properties"]["a_b"]["title"], "Mine");
        assert_eq!(schema["properties"]["c_d"]["title"], "C D");
    }
}
