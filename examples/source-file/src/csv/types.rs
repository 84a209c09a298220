//! `dtype`: types the user fixes.

use std::collections::HashMap;

use cdk_core::{ConnectorError, Result};
use serde_json::Value;

use crate::csv::Kind;

/// Types of columns that are not inferred.
#[derive(Debug, Clone, Default)]
pub(crate) struct TypeOverrides {
    all: Option<Kind>,
    by_name: HashMap<String, Kind>,
}

impl TypeOverrides {
    /// Reads `"str"` or `{"column": "int64", …}`, with the names of pandas and of JSON schema.
    pub(crate) fn parse(value: &Value) -> Result<Self> {
        match value {
            Value::String(name) => Ok(Self {
                all: Some(kind(name)?),
                ..Self::default()
            }),
            Value::Object(columns) => {
                let typed = |(column, name): (&String, &Value)| {
                    let name = name.as_str().unwrap_or_default();
                    Ok((column.clone(), kind(name)?))
                };
                let by_name = columns.iter().map(typed).collect::<Result<_>>()?;
                Ok(Self { all: None, by_name })
            }
            _ => Err(ConnectorError::config(
                "`reader_options.dtype` must be a type, or an object from columns to types.",
            )),
        }
    }

    /// The type fixed for `column`.
    pub(crate) fn of(&self, column: &str) -> Option<Kind> {
        self.by_name.get(column).copied().or(self.all)
    }

    /// Columns that have a type of their own.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

fn kind(name: &str) -> Result<Kind> {
    let lower = name.to_ascii_lowercase();
    match lower.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "str" | "string" | "object" | "text" | "category" => Ok(Kind::Text),
        "int" | "integer" | "uint" => Ok(Kind::Integer),
        "float" | "double" | "number" => Ok(Kind::Number),
        "bool" | "boolean" => Ok(Kind::Boolean),
        _ => Err(ConnectorError::config(format!(
            "`reader_options.dtype` names the type {name:?}. Use `string`, `integer`, `number` or \
             `boolean`."
        ))),
    }
}
