//! Extractors: which parts of a response are records.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use cdk_core::{ConnectorError, ErrorContext, Result};
use serde_json::{Map, Value};

use crate::combined::{Combined, Found};
use crate::component::Component;
use crate::custom::{CustomExtractor, Registry};
use crate::decoder::{Decoder, Documents};
use crate::dpath;
use crate::expand::Expander;
use crate::raw_json::{self, Item};
use crate::record::Slices;
use crate::requester::body::Body;
use crate::template::{Scope, Template};

/// Takes records out of a response.
#[derive(Clone)]
pub(crate) enum Extractor {
    /// By a path.
    Path(PathExtractor),
    /// By several extractors.
    Combined(Arc<Combined>),
    /// A component of the embedding program.
    Custom(Arc<dyn CustomExtractor>),
}

impl std::fmt::Debug for Extractor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Path(_) => "DpathExtractor",
            Self::Combined(_) => "CombinedExtractor",
            Self::Custom(_) => "CustomRecordExtractor",
        })
    }
}

/// Follows a path into each document.
#[derive(Debug, Clone)]
pub(crate) struct PathExtractor {
    /// Its type and place in the manifest, for messages.
    place: Arc<str>,
    path: Vec<String>,
    expander: Option<Expander>,
    decoder: Decoder,
    /// The members of records whose places are noted.
    noted: Arc<[String]>,
}

/// The records of a page, taken one at a time.
pub(crate) enum Extracted {
    /// Slices of a response that is JSON.
    Slices(Slices),
    /// Trees.
    Trees(Box<dyn Iterator<Item = Result<Value>> + Send>),
    /// Trees, and places of records that are left out.
    Found(Found),
}

impl Extracted {
    /// The records as trees.
    pub(crate) fn into_values(self) -> Box<dyn Iterator<Item = Result<Value>> + Send> {
        match self {
            Self::Slices(slices) => Box::new(slices.map(|slice| {
                serde_json::from_str(slice.text()).system_error("An answer is not valid JSON.")
            })),
            Self::Trees(trees) => trees,
            Self::Found(found) => Box::new(found.filter_map(Result::transpose)),
        }
    }
}

impl Extractor {
    pub(crate) fn build(
        component: &Component<'_>,
        decoder: &Decoder,
        scope: &Scope<'_>,
        registry: &Registry,
    ) -> Result<Self> {
        let place = || Arc::from(format!("{} at `{}`", component.kind(), component.path()));
        match component.kind() {
            "DpathExtractor" => {
                let path = evaluated_path(component, "field_path", scope)?;
                let expander = component.child("record_expander")?;
                let expander = expander.map(|at| Expander::build(&at, scope)).transpose()?;
                Ok(Self::Path(PathExtractor {
                    place: place(),
                    path,
                    expander,
                    decoder: decoder.clone(),
                    noted: Arc::default(),
                }))
            }
            "CombinedExtractor" => {
                let combined = Combined::build(component, decoder, scope, registry)?;
                Ok(Self::Combined(Arc::new(combined)))
            }
            "CustomRecordExtractor" => Ok(Self::Custom(registry.extractor(component)?)),
            // The rows of a file that was downloaded, whatever the decoder is.
            "ResponseToFileExtractor" => Ok(Self::Path(PathExtractor {
                place: place(),
                path: Vec::new(),
                expander: None,
                decoder: Decoder::file(component.flag("preserve_na_values", false)?),
                noted: Arc::default(),
            })),
            other => {
                Err(component.error(format!("`{other}` is no extractor. Use DpathExtractor.")))
            }
        }
    }

    /// Notes where these members of records are.
    pub(crate) fn noting(mut self, members: Arc<[String]>) -> Self {
        if let Self::Path(extractor) = &mut self {
            extractor.noted = members;
        }
        self
    }

    /// True when a page has records of several lists.
    pub(crate) fn is_union(&self) -> bool {
        matches!(self, Self::Combined(combined) if combined.is_union())
    }

    /// The records in a response's body.
    pub(crate) fn extract(&self, body: &Body) -> Result<Extracted> {
        match self {
            Self::Path(extractor) => extractor.extract(body),
            Self::Combined(combined) => combined.extract(body).map(Extracted::Found),
            Self::Custom(custom) => {
                let records = custom.extract(body.whole()?)?;
                Ok(Extracted::Trees(Box::new(records.into_iter().map(Ok))))
            }
        }
    }
}

/// A path whose steps are templates over the config.
pub(crate) fn evaluated_path(
    component: &Component<'_>,
    key: &str,
    scope: &Scope<'_>,
) -> Result<Vec<String>> {
    let steps = component.texts(key)?;
    steps
        .iter()
        .map(|step| Template::new(step, component)?.text(scope))
        .collect()
}

impl PathExtractor {
    fn extract(&self, body: &Body) -> Result<Extracted> {
        let documents = match self.decoder.decode(body)? {
            Documents::Text(text) => match self.slices(&text) {
                Some(slices) => return Ok(Extracted::Slices(slices)),
                None => Documents::Text(text),
            },
            each @ Documents::Each(_) => each,
        };
        let this = self.clone();
        let records = documents
            .into_values(&self.place)
            .flat_map(move |document| match document {
                Ok(document) => this.of_document(document),
                Err(error) => vec![Err(error)],
            });
        Ok(Extracted::Trees(Box::new(records)))
    }

    /// Records as slices: not when the root is a list and a path goes on in its items, nor with globs or expansion.
    fn slices(&self, body: &Bytes) -> Option<Slices> {
        if self.expander.is_some() || dpath::has_globs(&self.path) {
            return None;
        }
        let text = ByteString::try_from(body.clone()).ok()?;
        let is_list = text.trim_start().starts_with('[');
        if is_list && !self.path.is_empty() || self.path.iter().any(|step| is_number(step)) {
            return None;
        }
        let document = raw_json::find(&text, &self.path, &self.noted).ok()?;
        let items = match document.found {
            raw_json::Found::Missing => Vec::new(),
            raw_json::Found::Items(items) if is_list => Self::of_list(&text, items)?,
            raw_json::Found::Items(items) => items,
            raw_json::Found::One(item) if is_falsy(&text[item.range.clone()]) => Vec::new(),
            raw_json::Found::One(item) => vec![item],
        };
        let noted = Arc::clone(&self.noted);
        Some(Slices::new(text, items, document.spans, noted))
    }

    /// Each item of a root list is a document: a list among them stands for its items again, nothing for none.
    fn of_list(text: &str, mut items: Vec<Item>) -> Option<Vec<Item>> {
        let of = |item: &Item| &text[item.range.clone()];
        if !items.iter().all(|item| of(item).starts_with('{')) {
            return None;
        }
        items.retain(|item| !is_falsy(of(item)));
        Some(items)
    }

    fn of_document(&self, mut document: Value) -> Vec<Result<Value>> {
        let found = if self.path.is_empty() {
            document
        } else if dpath::has_globs(&self.path) && self.path.iter().any(|step| step == "*") {
            let found = dpath::values(&document, &self.path);
            Value::Array(found.into_iter().cloned().collect())
        } else {
            match take(&mut document, &self.path) {
                Some(found) => found,
                None => return Vec::new(),
            }
        };
        let records = match found {
            Value::Array(items) => items,
            falsy if !is_true(&falsy) => return Vec::new(),
            one => vec![one],
        };
        match &self.expander {
            None => records.into_iter().map(Ok).collect(),
            Some(expander) => records
                .into_iter()
                .flat_map(|record| expander.expand(record))
                .collect(),
        }
    }
}

fn is_number(step: &str) -> bool {
    step.parse::<i64>().is_ok()
}

fn take(document: &mut Value, path: &[String]) -> Option<Value> {
    if dpath::has_globs(path) {
        return dpath::get(document, path).cloned();
    }
    let mut at = document;
    for step in path {
        at = match at {
            Value::Object(map) => map.get_mut(step)?,
            Value::Array(items) => {
                let index = step.parse::<usize>().ok()?;
                items.get_mut(index)?
            }
            _ => return None,
        };
    }
    Some(at.take())
}

/// Python's truth of a JSON value.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// The same for the text of a value that was checked.
fn is_falsy(text: &str) -> bool {
    match text.as_bytes().first() {
        Some(b'{') => text[1..].trim_start().starts_with('}'),
        Some(b'[') => text[1..].trim_start().starts_with(']'),
        Some(b'"') => text == "\"\"",
        Some(b't') => false,
        Some(b'f' | b'n') | None => true,
        Some(_) => text.parse() == Ok(0.0),
    }
}

/// A record has to be an object. `path` is the record selector's.
pub(crate) fn object(record: Value, path: &str) -> Result<Map<String, Value>> {
    match record {
        Value::Object(map) => Ok(map),
        other => {
            let what = match other {
                Value::Null => "null",
                Value::Bool(_) => "a boolean",
                Value::Number(_) => "a number",
                Value::String(_) => "a text",
                _ => "a list",
            };
            Err(no_object(what, path))
        }
    }
}

/// What a JSON text is that is no object.
pub(crate) fn kind_of_json(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'n') => "null",
        Some(b't' | b'f') => "a boolean",
        Some(b'"') => "a text",
        Some(b'[') => "a list",
        _ => "a number",
    }
}

pub(crate) fn no_object(what: &str, path: &str) -> ConnectorError {
    ConnectorError::system(format!(
        "The API answered with {what} where a record, which is an object, was expected. Check the `field_path` of \
         the extractor at `{path}`."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn extractor(path: &[&str]) -> PathExtractor {
        PathExtractor {
            place: Arc::from("a test"),
            path: path.iter().map(|step| (*step).to_owned()).collect(),
            expander: None,
            decoder: Decoder::Json,
            noted: Arc::default(),
        }
    }

    fn records(extractor: &PathExtractor, body: &str) -> Vec<Value> {
        match extractor
            .extract(&Bytes::from(body.to_owned()).into())
            .unwrap()
        {
            Extracted::Slices(slices) => slices
                .map(|slice| serde_json::from_str(slice.text()).unwrap())
                .collect(),
            other => other.into_values().map(Result::unwrap).collect(),
        }
    }

    #[test]
    fn slices_and_trees_give_the_same_records() {
        let bodies = [
            "[]",
            "{}",
            "",
            "nope",
            r#"[{"a":1},{}]"#,
            r#"[{"a":[1,2]},{"a":{"b":3}}]"#,
            "[[1],2]",
            r#"{"a":[{"x":1},{}]}"#,
            r#"{"a":{}}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":0}"#,
            r#"{"a":null}"#,
            r#"{"a":{"0":{"x":1}}}"#,
        ];
        for path in [vec![], vec!["a"], vec!["a", "0"]] {
            for body in bodies {
                let fast = extractor(&path);
                let slow: Vec<_> = Documents::Text(Bytes::from(body))
                    .into_values("a test")
                    .flat_map(|document| fast.of_document(document.unwrap()))
                    .map(Result::unwrap)
                    .collect();
                assert_eq!(records(&fast, body), slow, "{path:?} of {body}");
            }
        }
    }

    #[test]
    fn a_star_takes_all_values_of_a_level() {
        let star = extractor(&["items", "*", "x"]);
        let body = r#"{"items":[{"x":1},{"y":2},{"x":[3]}]}"#;
        assert_eq!(records(&star, body), [json!(1), json!([3])]);
    }
}
