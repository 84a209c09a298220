//! Rules about what a spec's schema may hold, so that a form can be made of it.

use std::collections::HashSet;

use serde_json::Value;

use super::schema_walk::{Node, walk};
use crate::suite::evidence::Evidence;
use crate::suite::rule::{Level, Outcome, Rule, broken, list};

/// A rule of the specification's reference about every part of the schema.
macro_rules! ui_rule {
    ($id:literal, $title:literal, $protocol:literal, $check:expr) => {
        Rule {
            id: $id,
            title: $title,
            protocol: $protocol,
            level: Level::Must,
            needs: &[],
            check: |evidence: &Evidence| walk(evidence.schema()?, &mut $check),
        }
    };
}

pub(super) const RULES: &[Rule] = &[
    ui_rule!(
        "spec.secrets-are-marked",
        "Properties that are called like a secret are marked `airbyte_secret`.",
        "`airbyte_secret: true` keeps a value out of forms, logs and API answers.",
        secrets_are_marked
    ),
    ui_rule!(
        "spec.secrets-are-text",
        "Only text and numbers are marked `airbyte_secret`.",
        "A secret is one value; booleans, nulls, constants, objects and lists can't be hidden.",
        secrets_are_text
    ),
    ui_rule!(
        "spec.one-type",
        "Every property has one type, or one beside null.",
        "A form field has one type; `type` may be a list only to allow null.",
        one_type
    ),
    ui_rule!(
        "spec.enums-are-unique",
        "The values of an `enum` are different from each other.",
        "An `enum` becomes a list to choose from.",
        enums_are_unique
    ),
    ui_rule!(
        "spec.one-of",
        "Alternatives are objects that share one constant property with different values.",
        "`oneOf` is for objects only; each alternative has a property with a `const`, of the same name and of its own \
         value, by which a form tells them apart.",
        one_of
    ),
    ui_rule!(
        "spec.const-alone",
        "A `const` stands beside no other `enum` or `default`.",
        "The constant of an alternative is not for users to change: `enum` and `default`, if any, repeat it.",
        const_alone
    ),
    ui_rule!(
        "spec.objects-have-properties",
        "Every object has properties, or alternatives.",
        "An object without properties can't be filled in.",
        objects_have_properties
    ),
    ui_rule!(
        "spec.arrays-have-items",
        "Every array says what its items are: texts, numbers or objects.",
        "Lists of text, numbers or objects can be shown; anything else can't.",
        arrays_have_items
    ),
    ui_rule!(
        "spec.no-forbidden-keywords",
        "The schema uses none of the keywords that forms can't show.",
        "Not allowed: not, anyOf, allOf, patternProperties, prefixItems, if, then, else, dependentSchemas, \
         dependentRequired.",
        no_forbidden_keywords
    ),
    ui_rule!(
        "spec.dates-have-patterns",
        "Dates have a `pattern`.",
        "`format: date` and `date-time` show a date picker; the `pattern` validates what is typed, and says which \
         of the two it is.",
        dates_have_patterns
    ),
    ui_rule!(
        "spec.patterns-of-dates-have-formats",
        "A pattern of dates comes with the `format` that fits.",
        "Without `format`, a field for dates is a plain text field.",
        patterns_of_dates_have_formats
    ),
    ui_rule!(
        "spec.order-is-unique",
        "No two properties of an object have the same `order`.",
        "`order` sorts the fields of an object, or of a group.",
        order_is_unique
    ),
    ui_rule!(
        "spec.groups-are-top-level",
        "`group` is used on top-level properties only.",
        "Groups are sections of the form, not of its parts.",
        groups_are_top_level
    ),
    ui_rule!(
        "spec.display-type",
        "`display_type` is `dropdown` or `radio`, and on alternatives only.",
        "`display_type` says how the choice of a `oneOf` is shown.",
        display_type
    ),
];

const SECRET_NAMES: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "client_secret",
    "access_token",
    "refresh_token",
    "api_token",
    "auth_token",
    "secret_key",
    "secret_access_key",
    "service_account_key",
];

fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase().replace(['-', ' '], "_");
    let known = SECRET_NAMES.contains(&name.as_str());
    known
        || ["_password", "_secret", "_api_key", "_private_key"]
            .iter()
            .any(|end| name.ends_with(end))
}

fn secrets_are_marked(node: Node<'_>) -> Outcome {
    let is_value = node
        .types()
        .iter()
        .all(|kind| matches!(*kind, "string" | "integer" | "number"));
    let is_free = !node.has("const") && !node.has("enum") && node.alternatives().is_empty();
    let is_named = node.name.is_some_and(is_secret_name);
    if is_named && is_value && is_free && node.get("airbyte_secret") != &Value::Bool(true) {
        return broken(format!("`{}` is not marked `airbyte_secret`", node.path));
    }
    Ok(())
}

fn secrets_are_text(node: Node<'_>) -> Outcome {
    let is_value = node
        .types()
        .iter()
        .all(|kind| matches!(*kind, "string" | "integer" | "number"));
    let is_value = is_value && !node.types().is_empty() && !node.has("const");
    if node.get("airbyte_secret") == &Value::Bool(true) && !is_value {
        return broken(format!(
            "`{}` is marked, but is neither text nor a number",
            node.path
        ));
    }
    Ok(())
}

fn one_type(node: Node<'_>) -> Outcome {
    let kinds = node.types();
    let all = node.get("type").as_array().map_or(1, Vec::len);
    if kinds.len() > 1 || all > 2 {
        return broken(format!(
            "`{}` has the types {}",
            node.path,
            node.get("type")
        ));
    }
    Ok(())
}

fn enums_are_unique(node: Node<'_>) -> Outcome {
    let mut seen = HashSet::new();
    match list(node.get("enum")).find(|value| !seen.insert(value.to_string())) {
        Some(value) => broken(format!("`{}` lists {value} twice", node.path)),
        None => Ok(()),
    }
}

fn one_of(node: Node<'_>) -> Outcome {
    let alternatives = node.alternatives();
    if alternatives.is_empty() {
        return Ok(());
    }
    let path = node.path;
    if node.types() != ["object"] {
        return broken(format!(
            "`{path}` has alternatives, but its type is {}",
            node.get("type")
        ));
    }
    let constants = |alternative: &Value| -> HashSet<String> {
        let properties = alternative["properties"].as_object().into_iter().flatten();
        let constant = properties.filter(|(_, schema)| schema.get("const").is_some());
        constant.map(|(name, _)| name.clone()).collect()
    };
    let shared = alternatives
        .iter()
        .map(constants)
        .reduce(|one, other| &one & &other);
    let shared = shared.unwrap_or_default();
    let Some(name) = shared.iter().next().filter(|_| shared.len() == 1) else {
        let count = shared.len();
        return broken(format!(
            "the alternatives of `{path}` share {count} constant properties, not one"
        ));
    };
    let mut seen = HashSet::new();
    for alternative in alternatives {
        let value = alternative["properties"][name]["const"].to_string();
        if !seen.insert(value.clone()) {
            return broken(format!(
                "two alternatives of `{path}` have {value} as `{name}`"
            ));
        }
    }
    Ok(())
}

fn const_alone(node: Node<'_>) -> Outcome {
    if !node.has("const") {
        return Ok(());
    }
    let constant = node.get("const");
    let default = node.has("default") && node.get("default") != constant;
    if default || list(node.get("enum")).any(|value| value != constant) {
        return broken(format!(
            "`{}` is {constant}, but its enum or default differ",
            node.path
        ));
    }
    Ok(())
}

fn objects_have_properties(node: Node<'_>) -> Outcome {
    let is_empty = node.properties().next().is_none() && node.alternatives().is_empty();
    // A map of names to values says so.
    let is_map = node.get("additionalProperties").is_object();
    if node.name.is_some() && node.types() == ["object"] && is_empty && !is_map {
        return broken(format!("`{}` is an object without properties", node.path));
    }
    Ok(())
}

fn arrays_have_items(node: Node<'_>) -> Outcome {
    if node.types() != ["array"] {
        return Ok(());
    }
    let items = node.get("items");
    let kind = items["type"].as_str().unwrap_or_default();
    let is_shown = matches!(kind, "string" | "integer" | "number" | "object");
    let is_choice = list(&items["enum"]).count() > 0;
    if is_shown || is_choice {
        return Ok(());
    }
    broken(format!(
        "the items of `{}` have the type {}",
        node.path, items["type"]
    ))
}

const FORBIDDEN: [&str; 10] = [
    "not",
    "anyOf",
    "allOf",
    "patternProperties",
    "prefixItems",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependentRequired",
];

fn no_forbidden_keywords(node: Node<'_>) -> Outcome {
    match FORBIDDEN.iter().find(|keyword| node.has(keyword)) {
        Some(keyword) => broken(format!("`{keyword}` is used at `{}`", node.path)),
        None => Ok(()),
    }
}

fn dates_have_patterns(node: Node<'_>) -> Outcome {
    let is_date = matches!(node.get("format").as_str(), Some("date" | "date-time"));
    if is_date && !node.get("pattern").is_string() {
        return broken(format!("`{}` has a `format`, but no `pattern`", node.path));
    }
    Ok(())
}

fn patterns_of_dates_have_formats(node: Node<'_>) -> Outcome {
    let Some(pattern) = node.get("pattern").as_str() else {
        return Ok(());
    };
    let is_date = ["[0-9]{4}-[0-9]{2}-[0-9]{2}", r"\d{4}-\d{2}-\d{2}"]
        .iter()
        .any(|date| pattern.contains(date));
    let is_time = pattern.contains(":[0-9]{2}") || pattern.contains(r":\d{2}");
    let wanted = if is_time { "date-time" } else { "date" };
    if is_date && node.get("format") != wanted {
        return broken(format!(
            "`{}` has a pattern of dates, but no `format: {wanted}`",
            node.path
        ));
    }
    Ok(())
}

fn order_is_unique(node: Node<'_>) -> Outcome {
    let mut seen = HashSet::new();
    for (name, property) in node.properties() {
        let Some(order) = property.get("order") else {
            continue;
        };
        let group = property.get("group").map(Value::to_string);
        if !seen.insert((group, order.to_string())) {
            let path = node.path;
            return broken(format!(
                "`{name}` at `{path}` has the order {order} of another property"
            ));
        }
    }
    Ok(())
}

fn groups_are_top_level(node: Node<'_>) -> Outcome {
    if node.depth > 1 && node.get("group").is_string() {
        return broken(format!("`{}` has a `group`", node.path));
    }
    Ok(())
}

fn display_type(node: Node<'_>) -> Outcome {
    if !node.has("display_type") {
        return Ok(());
    }
    let value = node.get("display_type");
    if node.alternatives().is_empty() || !(value == "dropdown" || value == "radio") {
        return broken(format!("`{}` has `display_type` {value}", node.path));
    }
    Ok(())
}
