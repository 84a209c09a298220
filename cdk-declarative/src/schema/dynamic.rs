//! Schemas made of what an API says about its fields.

use std::sync::Arc;

use cdk_core::{ConnectorError, Result};
use serde_json::{Map, Value, json};

use crate::component::Component;
use crate::dpath;
use crate::extract::evaluated_path;
use crate::host::Host;
use crate::retriever::simple::SimpleRetriever;
use crate::slice::StreamSlice;
use crate::template::{Condition, python_text};
use crate::transform::Transformation;

pub(super) struct DynamicLoader {
    place: String,
    host: Arc<Host>,
    retriever: Arc<SimpleRetriever>,
    fields: Vec<String>,
    key: Vec<String>,
    kind: Option<Vec<String>>,
    types: Vec<TypesMap>,
    filter: Option<Condition>,
    transformations: Vec<Transformation>,
}

struct TypesMap {
    from: Value,
    to: Value,
    condition: Option<Condition>,
}

impl DynamicLoader {
    pub(super) fn build(component: &Component<'_>, name: &str, host: &Arc<Host>) -> Result<Self> {
        let config = host.config();
        let scope = host.scope(&config);
        let identifier = component.need_child("schema_type_identifier")?;
        let filter = component.child("schema_filter")?;
        let transformations = component.children("schema_transformations")?;
        let types = identifier.children("types_mapping")?;
        let types = types.iter().map(|at| {
            Ok(TypesMap {
                from: at.need("current_type")?.clone(),
                to: at.need("target_type")?.clone(),
                condition: Condition::optional(at, "condition")?,
            })
        });
        let retriever = component.need_child("retriever")?;
        Ok(Self {
            place: component.path().to_owned(),
            host: Arc::clone(host),
            retriever: Arc::new(SimpleRetriever::standalone(&retriever, name, host)?),
            fields: evaluated_path(&identifier, "schema_pointer", &scope)?,
            key: evaluated_path(&identifier, "key_pointer", &scope)?,
            kind: match identifier.get("type_pointer") {
                None => None,
                Some(_) => Some(evaluated_path(&identifier, "type_pointer", &scope)?),
            },
            types: types.collect::<Result<_>>()?,
            filter: match filter {
                Some(filter) => Condition::optional(&filter, "condition")?,
                None => None,
            },
            transformations: Transformation::build_all(&transformations, &scope, host.registry())?,
        })
    }

    pub(super) async fn load(&self) -> Result<Value> {
        let mut pager = Arc::clone(&self.retriever).pager(Arc::new(StreamSlice::default()));
        let first = Box::pin(pager.next()).await?;
        let first = first.map(|record| record.into_value()).transpose()?;
        let mut properties = Map::new();
        for field in first.iter().flat_map(|record| self.fields_of(record)) {
            let (key, schema) = self.property(&field)?;
            properties.insert(key, schema);
        }
        let properties = self.transformed(self.filtered(properties)?)?;
        Ok(json!({
            "$schema": "https://json-schema.org/draft-07/schema#",
            "type": "object",
            "additionalProperties": true,
            "properties": properties,
        }))
    }

    /// The items of a list, or the keys of an object.
    fn fields_of(&self, record: &Value) -> Vec<Value> {
        match dpath::get(record, &self.fields) {
            Some(Value::Array(items)) => items.clone(),
            Some(Value::Object(map)) => map.keys().map(|key| Value::from(key.as_str())).collect(),
            _ => Vec::new(),
        }
    }

    fn property(&self, field: &Value) -> Result<(String, Value)> {
        let Some(Value::String(key)) = dpath::get(field, &self.key) else {
            return Err(self.wrong(&format!("a field has no name at `{}`", self.key.join("."))));
        };
        let given = self.kind.as_ref().and_then(|path| dpath::get(field, path));
        let given = given.cloned().unwrap_or_else(|| "string".into());
        let kind = self.mapped(given, field)?;
        let schema = match &kind {
            Value::Array(two) if two.len() == 2 => {
                let both = two.iter().map(|kind| self.airbyte_type(kind));
                json!({"oneOf": both.collect::<Result<Vec<_>>>()?})
            }
            kind => self.complex_type(kind)?,
        };
        Ok((key.clone(), schema))
    }

    fn mapped(&self, kind: Value, field: &Value) -> Result<Value> {
        let config = self.host.config();
        let scope = self.host.scope(&config);
        let scope = scope.with("raw_schema", field);
        for map in &self.types {
            let holds = match &map.condition {
                Some(condition) => condition.holds(&scope)?,
                None => true,
            };
            if map.from == kind && holds {
                return Ok(map.to.clone());
            }
        }
        Ok(kind)
    }

    /// A type by name, or `{field_type, items}`.
    fn complex_type(&self, kind: &Value) -> Result<Value> {
        let Some(name) = kind.get("field_type") else {
            return self.airbyte_type(kind);
        };
        let mut schema = self.airbyte_type(name)?;
        if let Some(items) = kind.get("items").filter(|items| !items.is_null())
            && let Value::Object(map) = &mut schema
        {
            map.insert("items".to_owned(), self.complex_type(items)?);
        }
        Ok(schema)
    }

    fn airbyte_type(&self, name: &Value) -> Result<Value> {
        Ok(match name.as_str().unwrap_or_default() {
            "string" => json!({"type": ["null", "string"]}),
            "boolean" => json!({"type": ["null", "boolean"]}),
            "date" => json!({"type": ["null", "string"], "format": "date"}),
            "timestamp_without_timezone" => json!({
                "type": ["null", "string"], "format": "date-time",
                "airbyte_type": "timestamp_without_timezone"
            }),
            "timestamp_with_timezone" => json!({"type": ["null", "string"], "format": "date-time"}),
            "time_without_timezone" => json!({
                "type": ["null", "string"], "format": "time",
                "airbyte_type": "time_without_timezone"
            }),
            "time_with_timezone" => json!({
                "type": ["null", "string"], "format": "time",
                "airbyte_type": "time_with_timezone"
            }),
            "integer" => json!({"type": ["null", "integer"]}),
            "number" => json!({"type": ["null", "number"]}),
            "array" => json!({"type": ["null", "array"]}),
            "object" => json!({"type": ["null", "object"]}),
            _ => {
                let shown = python_text(name);
                return Err(self.wrong(&format!(
                    "`{shown}` is no type of a field; map it to one in `types_mapping`"
                )));
            }
        })
    }

    fn filtered(&self, properties: Map<String, Value>) -> Result<Map<String, Value>> {
        let Some(filter) = &self.filter else {
            return Ok(properties);
        };
        let config = self.host.config();
        let scope = self.host.scope(&config);
        let mut kept = Map::new();
        for (key, schema) in properties {
            let mut one = Map::new();
            one.insert(key.clone(), schema.clone());
            if filter.holds(&scope.with("record", &Value::Object(one)))? {
                kept.insert(key, schema);
            }
        }
        Ok(kept)
    }

    fn transformed(&self, properties: Map<String, Value>) -> Result<Value> {
        let config = self.host.config();
        let scope = self.host.scope(&config);
        let mut properties = Value::Object(properties);
        for transformation in &self.transformations {
            transformation.apply(&mut properties, &scope)?;
        }
        Ok(properties)
    }

    fn wrong(&self, problem: &str) -> ConnectorError {
        ConnectorError::system(format!(
            "DynamicSchemaLoader at `{}`: {problem}.",
            self.place
        ))
    }
}
