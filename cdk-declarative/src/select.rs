//! Record selectors: extracted, filtered, transformed, cast.

use std::ops::Range;
use std::sync::Arc;

use cdk_core::{ConnectorError, Result};
use serde_json::Value;

use crate::component::Component;
use crate::custom::{CustomFilter, CustomNormalization};
use crate::decoder::Decoder;
use crate::extract::{self, Extracted, Extractor};
use crate::host::Host;
use crate::raw_json;
use crate::requester::response::PageResponse;
use crate::schema::normalize::normalize;
use crate::slice::{Cursor, StreamSlice};
use crate::template::{Condition, Scope};
use crate::transform::Transformation;

/// A record on its way.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    /// A slice of a response that nothing has touched.
    Slice(Arc<str>, Range<usize>),
    /// A tree.
    Tree(Value),
}

impl Record {
    /// A top-level field.
    pub(crate) fn get(&self, key: &str) -> Option<Value> {
        match self {
            Self::Slice(text, range) => {
                let value = raw_json::get(text.get(range.clone())?, key)?;
                serde_json::from_str(value).ok()
            }
            Self::Tree(value) => value.get(key).cloned(),
        }
    }

    /// The record as a tree.
    pub(crate) fn into_value(self) -> Result<Value> {
        match self {
            Self::Slice(text, range) => parse(&text[range]),
            Self::Tree(value) => Ok(value),
        }
    }
}

fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        ConnectorError::system(
            "A record in the API's answer can't be read: it is nested too deeply.",
        )
        .caused_by(error)
    })
}

/// Makes records of a response.
pub(crate) struct Selector {
    /// Where it stands in the manifest.
    path: String,
    extractor: Extractor,
    filter: Option<Filter>,
    transformations: Vec<Transformation>,
    transforms_first: bool,
    normalization: Normalization,
    /// Keeps only records that the cursor wants.
    client_side: Option<Arc<dyn Cursor>>,
}

enum Filter {
    Condition(Condition),
    Custom(Arc<dyn CustomFilter>),
}

enum Normalization {
    None,
    Default,
    Custom(Arc<dyn CustomNormalization>),
}

impl std::fmt::Debug for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordSelector")
    }
}

impl Selector {
    pub(crate) fn build(
        component: &Component<'_>,
        decoder: &Decoder,
        transformations: Vec<Transformation>,
        client_side: Option<Arc<dyn Cursor>>,
        host: &Arc<Host>,
    ) -> Result<Self> {
        let config = host.config();
        let scope = host.scope(&config);
        let extractor = component.need_child("extractor")?;
        let filter = match component.child("record_filter")? {
            None => None,
            Some(filter) if filter.kind() == "CustomRecordFilter" => {
                Some(Filter::Custom(host.registry().filter(&filter)?))
            }
            Some(filter) => Condition::optional(&filter, "condition")?.map(Filter::Condition),
        };
        Ok(Self {
            path: component.path().to_owned(),
            extractor: Extractor::build(&extractor, decoder, &scope, host.registry())?,
            filter,
            transforms_first: component
                .flag("transform_before_filtering", client_side.is_some())?,
            transformations,
            normalization: Normalization::build(component, host)?,
            client_side,
        })
    }

    /// True when records pass as they are.
    pub(crate) fn is_plain(&self) -> bool {
        self.filter.is_none()
            && self.transformations.is_empty()
            && self.client_side.is_none()
            && matches!(self.normalization, Normalization::None)
    }

    /// Begins with a response.
    pub(crate) fn select(&self, response: &PageResponse) -> Result<Page> {
        let extracted = if response.is_ok() {
            self.extractor.extract(response.body.clone())?
        } else {
            Extracted::Trees(Box::new(std::iter::empty()))
        };
        Ok(Page {
            extracted,
            count: 0,
        })
    }

    /// The next record of a page.
    pub(crate) fn next(
        &self,
        page: &mut Page,
        slice: &StreamSlice,
        scope: &Scope<'_>,
        schema: Option<&Value>,
    ) -> Result<Option<Record>> {
        while let Some(record) = page.next()? {
            if let Some(record) = self.finished(record, slice, scope, schema)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Filters, transforms and casts one record.
    pub(crate) fn finished(
        &self,
        mut record: Record,
        slice: &StreamSlice,
        scope: &Scope<'_>,
        schema: Option<&Value>,
    ) -> Result<Option<Record>> {
        if self.transforms_first {
            record = self.transformed(record, scope)?;
        }
        let Some(mut record) = self.kept(record, slice, scope)? else {
            return Ok(None);
        };
        if !self.transforms_first {
            record = self.transformed(record, scope)?;
        }
        self.normalized(record, schema).map(Some)
    }

    fn transformed(&self, record: Record, scope: &Scope<'_>) -> Result<Record> {
        if self.transformations.is_empty() {
            return Ok(record);
        }
        let mut value = Value::Object(extract::object(record.into_value()?, &self.path)?);
        for transformation in &self.transformations {
            transformation.apply(&mut value, scope)?;
        }
        Ok(Record::Tree(value))
    }

    fn kept(
        &self,
        record: Record,
        slice: &StreamSlice,
        scope: &Scope<'_>,
    ) -> Result<Option<Record>> {
        if let Some(cursor) = &self.client_side {
            let field = cursor.cursor_field();
            let value = field.and_then(|field| record.get(field));
            if !cursor.should_be_synced(slice, value.as_ref()) {
                return Ok(None);
            }
        }
        let Some(filter) = &self.filter else {
            return Ok(Some(record));
        };
        let parsed;
        let tree = match &record {
            Record::Tree(tree) => tree,
            Record::Slice(text, range) => {
                parsed = parse(&text[range.clone()])?;
                &parsed
            }
        };
        let keeps = match filter {
            Filter::Condition(condition) => condition.holds(&scope.with("record", tree))?,
            Filter::Custom(custom) => custom.keeps(tree, scope.config(), scope.slice())?,
        };
        Ok(keeps.then_some(record))
    }

    fn normalized(&self, record: Record, schema: Option<&Value>) -> Result<Record> {
        let is_empty = |schema: &&Value| schema.as_object().is_none_or(serde_json::Map::is_empty);
        let Some(schema) = schema.filter(|schema| !is_empty(schema)) else {
            return Ok(record);
        };
        match &self.normalization {
            Normalization::None => Ok(record),
            Normalization::Default => {
                let mut value = record.into_value()?;
                normalize(&mut value, schema);
                Ok(Record::Tree(value))
            }
            Normalization::Custom(custom) => {
                let mut value = record.into_value()?;
                custom.normalize(&mut value, schema)?;
                Ok(Record::Tree(value))
            }
        }
    }
}

impl Normalization {
    fn build(component: &Component<'_>, host: &Host) -> Result<Self> {
        match component.get("schema_normalization") {
            None => Ok(Self::None),
            Some(Value::String(name)) if name == "Default" => Ok(Self::Default),
            Some(Value::String(name)) if name == "None" => Ok(Self::None),
            Some(Value::Object(_)) => {
                let custom = component.need_child("schema_normalization")?;
                Ok(Self::Custom(host.registry().normalization(&custom)?))
            }
            Some(_) => Err(component.error("`schema_normalization` must be Default or None.")),
        }
    }
}

/// The records of one response.
pub(crate) struct Page {
    extracted: Extracted,
    count: usize,
}

impl Page {
    /// Records that the extractor found so far.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The next record as it was extracted.
    pub(crate) fn next(&mut self) -> Result<Option<Record>> {
        let next = match &mut self.extracted {
            Extracted::Slices(slices) => {
                let range = slices.ranges.next();
                range.map(|range| Record::Slice(Arc::clone(&slices.text), range))
            }
            Extracted::Trees(trees) => trees.next().transpose()?.map(Record::Tree),
        };
        self.count += usize::from(next.is_some());
        Ok(next)
    }
}
