//! Names and texts in SQL.

/// `"name"`.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `'text'`; sessions have `standard_conforming_strings` on.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `"schema"."table"`.
pub fn table(namespace: &str, name: &str) -> String {
    format!("{}.{}", identifier(namespace), identifier(name))
}
