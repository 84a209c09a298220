//! Record selectors: extracted, filtered, transformed, cast.

use std::sync::Arc;

use cdk_core::Result;
use serde_json::Value;

use crate::component::Component;
use crate::custom::{CustomFilter, CustomNormalization};
use crate::decoder::Decoder;
use crate::extract::{self, Extracted, Extractor};
use crate::host::Host;
use crate::partial::{Members, Partial};
use crate::picked::{Fields, Picked};
use crate::record::{self, Record};
use crate::requester::response::PageResponse;
use crate::schema::normalize::normalize;
use crate::slice::{Cursor, StreamSlice};
use crate::template::{Condition, Scope};
use crate::transform::{FieldChange, Transformation};

/// Makes records of a response.
pub(crate) struct Selector {
    /// Where it stands in the manifest.
    path: String,
    extractor: Extractor,
    /// The members whose places the extractor notes.
    noted: Arc<[String]>,
    filter: Option<Filter>,
    transformations: Vec<Transformation>,
    transforms_first: bool,
    normalization: Normalization,
    /// Keeps only records that the cursor wants.
    client_side: Option<Arc<dyn Cursor>>,
    looks_at: LooksAt,
}

/// What of a record the filter, the cursor and the transformations look at.
enum LooksAt {
    Nothing,
    Members {
        partial: Partial,
        /// The transformations.
        changes: Vec<FieldChange>,
    },
    All,
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
        cursor: Option<&Arc<dyn Cursor>>,
        is_client_side: bool,
        host: &Arc<Host>,
    ) -> Result<Self> {
        let client_side = cursor.filter(|_| is_client_side).cloned();
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
        let looks_at = LooksAt::of(filter.as_ref(), &transformations, client_side.as_deref());
        let cursor_field = cursor.and_then(|cursor| cursor.cursor_field());
        let noted: Arc<[String]> = looks_at.members(cursor_field).into();
        let extractor = Extractor::build(&extractor, decoder, &scope, host.registry())?;
        Ok(Self {
            path: component.path().to_owned(),
            extractor: extractor.noting(Arc::clone(&noted)),
            noted,
            looks_at,
            filter,
            transforms_first: component
                .flag("transform_before_filtering", client_side.is_some())?,
            transformations,
            normalization: Normalization::build(component, host)?,
            client_side,
        })
    }

    /// Cuts records out for `other`, which finishes them.
    pub(crate) fn for_other(mut self, other: &Self) -> Self {
        self.noted = Arc::clone(&other.noted);
        self.extractor = self.extractor.noting(Arc::clone(&other.noted));
        self
    }

    /// True when a page has records of several lists, so that their number is no offset of any.
    pub(crate) fn is_union(&self) -> bool {
        self.extractor.is_union()
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
            self.extractor.extract(&response.body)?
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
        record: Record,
        slice: &StreamSlice,
        scope: &Scope<'_>,
        schema: Option<&Value>,
    ) -> Result<Option<Record>> {
        if matches!(self.looks_at, LooksAt::Nothing) {
            return self.normalized(record, schema).map(Some);
        }
        if let (LooksAt::Members { partial, changes }, Record::Slice(text)) =
            (&self.looks_at, &record)
            && text.text().starts_with('{')
            && text.notes(&self.noted)
            && let Some(mut picked) = partial.pick(text)
        {
            let change = |picked: &mut Picked<'_>| {
                let mut changes = changes.iter();
                changes.try_for_each(|change| change.apply(picked, scope))
            };
            if !self.passes(&mut picked, change, slice, scope)? {
                return Ok(None);
            }
            let changed = partial.text(text, &picked);
            let record = changed.map_or_else(|| Record::Slice(text.clone()), Record::Text);
            return self.normalized(record, schema).map(Some);
        }
        self.finished_whole(record, slice, scope, schema)
    }

    /// The same for a record all of which matters.
    fn finished_whole(
        &self,
        record: Record,
        slice: &StreamSlice,
        scope: &Scope<'_>,
        schema: Option<&Value>,
    ) -> Result<Option<Record>> {
        let changes = !self.transformations.is_empty();
        let change = |tree: &mut Value| self.transform(tree, scope);
        let record = match record {
            // What only a filter looks at keeps its text.
            Record::Slice(_) | Record::Text(_) if !changes => {
                let mut tree = record::parse(record.text().unwrap_or_default())?;
                let passes = self.passes(&mut tree, change, slice, scope)?;
                passes.then_some(record)
            }
            record => {
                let mut tree = record.into_value()?;
                let passes = self.passes(&mut tree, change, slice, scope)?;
                passes.then_some(Record::Tree(tree))
            }
        };
        record
            .map(|record| self.normalized(record, schema))
            .transpose()
    }

    /// Filters and changes; false if the record is left out.
    fn passes<R: Fields>(
        &self,
        record: &mut R,
        change: impl Fn(&mut R) -> Result<()>,
        slice: &StreamSlice,
        scope: &Scope<'_>,
    ) -> Result<bool> {
        if self.transforms_first {
            change(record)?;
        }
        let keeps = self.keeps(record, slice, scope)?;
        if keeps && !self.transforms_first {
            change(record)?;
        }
        Ok(keeps)
    }

    fn transform(&self, tree: &mut Value, scope: &Scope<'_>) -> Result<()> {
        if self.transformations.is_empty() {
            return Ok(());
        }
        *tree = Value::Object(extract::object(std::mem::take(tree), &self.path)?);
        self.transformations
            .iter()
            .try_for_each(|transformation| transformation.apply(tree, scope))
    }

    fn keeps(&self, record: &impl Fields, slice: &StreamSlice, scope: &Scope<'_>) -> Result<bool> {
        if let Some(cursor) = &self.client_side {
            let field = cursor.cursor_field();
            let value = field.and_then(|field| record.field(field));
            if !cursor.should_be_synced(slice, value.as_deref()) {
                return Ok(false);
            }
        }
        match &self.filter {
            None => Ok(true),
            Some(Filter::Condition(condition)) => condition.holds(&record.bind(scope)),
            Some(Filter::Custom(custom)) => {
                custom.keeps(&record.tree(), scope.config(), scope.slice())
            }
        }
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

impl LooksAt {
    fn of(
        filter: Option<&Filter>,
        transformations: &[Transformation],
        client_side: Option<&dyn Cursor>,
    ) -> Self {
        if filter.is_none() && transformations.is_empty() && client_side.is_none() {
            return Self::Nothing;
        }
        let mut members = Members::default();
        match filter {
            None => {}
            Some(Filter::Condition(condition)) => members.reads(condition.members_read("record")),
            Some(Filter::Custom(_)) => members.all(),
        }
        members.reads(Some(client_side.and_then(Cursor::cursor_field)));
        let changes = transformations.iter().map(Transformation::field_change);
        let Some(changes) = changes
            .map(Option::<&_>::cloned)
            .collect::<Option<Vec<_>>>()
        else {
            return Self::All;
        };
        changes
            .iter()
            .for_each(|change| change.note_members(&mut members));
        let partial = members.into_partial();
        partial.map_or(Self::All, |partial| Self::Members { partial, changes })
    }

    /// The members to note when records are cut out of a response; the cursor looks at one too.
    fn members(&self, cursor_field: Option<&str>) -> Vec<String> {
        let mut members = match self {
            Self::Members { partial, .. } => partial.taken().to_vec(),
            Self::Nothing | Self::All => Vec::new(),
        };
        if let Some(field) = cursor_field
            && !members.iter().any(|member| member == field)
        {
            members.push(field.to_owned());
        }
        members
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
            Extracted::Slices(slices) => slices.next().map(Record::Slice),
            Extracted::Trees(trees) => trees.next().transpose()?.map(Record::Tree),
            Extracted::Found(found) => loop {
                match found.next().transpose()? {
                    // An empty record that is left out.
                    Some(None) => self.count += 1,
                    next => break next.flatten().map(Record::Tree),
                }
            },
        };
        self.count += usize::from(next.is_some());
        Ok(next)
    }
}
