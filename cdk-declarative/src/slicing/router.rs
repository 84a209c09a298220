//! Partition routers: by the records of parents, by lists, by combinations of both.

use std::collections::HashSet;
use std::sync::Arc;

use cdk_core::{ConnectorError, Result};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde_json::{Map, Value};

use crate::component::Component;
use crate::custom::CustomPartitionRouter;
use crate::dpath;
use crate::feed::{Out, feed};
use crate::host::Host;
use crate::requester::inputs::RequestOption;
use crate::slice::{Additions, ParentFactory, ParentStream, StreamSlice};
use crate::template::{Scope, Template};

/// One partition, and the state of the parents at the moment it was found.
#[derive(Debug, Clone)]
pub(super) struct Routed {
    pub(super) partition: Map<String, Value>,
    pub(super) extra: Map<String, Value>,
    /// None for routers without parents.
    pub(super) parents: Option<Arc<Map<String, Value>>>,
}

pub(super) enum Router {
    List {
        values: Vec<Value>,
        key: String,
        option: Option<RequestOption>,
    },
    Substream(Vec<Arc<Parent>>),
    /// All combinations.
    Product(Vec<Arc<Router>>),
    /// Several partitions in one.
    Grouping {
        size: usize,
        inner: Arc<Router>,
        dedups: bool,
    },
    /// The values of several routers, each once.
    Union {
        routers: Vec<Arc<Router>>,
        key: String,
    },
    /// A component of the embedding program.
    Custom(Arc<dyn CustomPartitionRouter>, Arc<Host>),
}

pub(super) struct Parent {
    stream: Arc<dyn ParentStream>,
    ancestors: HashSet<String>,
    key: Vec<String>,
    field: String,
    option: Option<RequestOption>,
    is_incremental: bool,
    /// Where in the parent's record the child's first page is.
    pointer: Option<Vec<String>>,
    extra: Vec<Vec<String>>,
}

type Partitions = BoxStream<'static, Result<Routed>>;

impl Router {
    /// The router of a retriever; a list of them is their product.
    pub(super) fn of_retriever(
        retriever: &Component<'_>,
        state: Option<&Value>,
        host: &Arc<Host>,
        parents: &dyn ParentFactory,
    ) -> Result<Option<Self>> {
        let routers = retriever.children("partition_router")?;
        let is_list = retriever
            .get("partition_router")
            .is_some_and(Value::is_array);
        match routers.as_slice() {
            [] => Ok(None),
            [one] if !is_list => Self::build(one, state, host, parents).map(Some),
            all => {
                let all = all
                    .iter()
                    .map(|at| Self::build(at, state, host, parents).map(Arc::new));
                Ok(Some(Self::Product(all.collect::<Result<_>>()?)))
            }
        }
    }

    fn build(
        component: &Component<'_>,
        state: Option<&Value>,
        host: &Arc<Host>,
        parents: &dyn ParentFactory,
    ) -> Result<Self> {
        let config = host.config();
        let scope = host.scope(&config);
        let text = |key: &str| Template::new(component.need_text(key)?, component)?.text(&scope);
        match component.kind() {
            "ListPartitionRouter" => Ok(Self::List {
                values: list(component, &scope)?,
                key: text("cursor_field")?,
                option: option(component)?,
            }),
            "SubstreamPartitionRouter" => {
                let configs = component.children("parent_stream_configs")?;
                if configs.is_empty() {
                    return Err(component.error("`parent_stream_configs` must name at least one parent."));
                }
                let configs = configs.iter();
                let built = configs.map(|at| Parent::build(at, state, &scope, host, parents).map(Arc::new));
                Ok(Self::Substream(built.collect::<Result<_>>()?))
            }
            "GroupingPartitionRouter" => {
                let size = component.need("group_size")?.as_u64().filter(|size| *size > 0);
                let size = size.ok_or_else(|| component.error("`group_size` must be at least 1."))?;
                let inner = component.need_child("underlying_partition_router")?;
                Ok(Self::Grouping {
                    size: usize::try_from(size).unwrap_or(usize::MAX),
                    inner: Arc::new(Self::build(&inner, state, host, parents)?),
                    dedups: component.flag("deduplicate", true)?,
                })
            }
            "UnionPartitionRouter" => {
                let routers = component.children("partition_routers")?;
                let routers = routers.iter().map(|at| Self::build(at, state, host, parents).map(Arc::new));
                Ok(Self::Union {
                    routers: routers.collect::<Result<_>>()?,
                    key: text("partition_field")?,
                })
            }
            "CustomPartitionRouter" => {
                let custom = host.registry().partition_router(component)?;
                Ok(Self::Custom(custom, Arc::clone(host)))
            }
            other => Err(component.error(format!(
                "`{other}` is no partition router. Use ListPartitionRouter, SubstreamPartitionRouter, \
                 GroupingPartitionRouter or UnionPartitionRouter."
            ))),
        }
    }

    /// The partitions, found as they are pulled.
    pub(super) fn partitions(self: Arc<Self>) -> Partitions {
        match self.as_ref() {
            Self::List { values, key, .. } => {
                let all: Vec<Result<Routed>> = values
                    .iter()
                    .map(|value| {
                        let mut partition = Map::new();
                        partition.insert(key.clone(), value.clone());
                        Ok(Routed {
                            partition,
                            extra: Map::new(),
                            parents: None,
                        })
                    })
                    .collect();
                stream::iter(all).boxed()
            }
            Self::Substream(_) => feed(|out| self.feed_parents(out)),
            Self::Product(_) => feed(|out| self.feed_product(out)),
            Self::Grouping { .. } => feed(|out| self.feed_groups(out)),
            Self::Union { .. } => feed(|out| self.feed_union(out)),
            Self::Custom(custom, host) => {
                let routed = |slice: StreamSlice| Routed {
                    partition: slice.partition().clone(),
                    extra: slice.extra_fields().clone(),
                    parents: None,
                };
                let slices = custom.partitions(host.config());
                slices.map(move |slice| slice.map(routed)).boxed()
            }
        }
    }

    async fn feed_parents(self: Arc<Self>, mut out: Out<Result<Routed>>) {
        let Self::Substream(parents) = self.as_ref() else {
            return;
        };
        for parent in parents {
            if let Err(error) = parent.feed(parents, &mut out).await {
                out.send(Err(error)).await;
                return;
            }
        }
    }

    async fn feed_product(self: Arc<Self>, mut out: Out<Result<Routed>>) {
        let Self::Product(routers) = self.as_ref() else {
            return;
        };
        let mut combined = vec![Routed {
            partition: Map::new(),
            extra: Map::new(),
            parents: None,
        }];
        // Of equal keys the first router's counts.
        for router in routers {
            let mut next = Vec::new();
            let mut all = Vec::new();
            let mut partitions = Arc::clone(router).partitions();
            while let Some(routed) = partitions.next().await {
                match routed {
                    Ok(routed) => all.push(routed),
                    Err(error) => {
                        out.send(Err(error)).await;
                        return;
                    }
                }
            }
            for before in &combined {
                for routed in &all {
                    next.push(before.clone().and(routed));
                }
            }
            combined = next;
        }
        for routed in combined {
            out.send(Ok(routed)).await;
        }
    }

    async fn feed_groups(self: Arc<Self>, mut out: Out<Result<Routed>>) {
        let Self::Grouping {
            size,
            inner,
            dedups,
        } = self.as_ref()
        else {
            return;
        };
        let mut partitions = Arc::clone(inner).partitions();
        let (mut group, mut seen) = (Vec::new(), HashSet::new());
        while let Some(routed) = partitions.next().await {
            let routed = match routed {
                Ok(routed) => routed,
                Err(error) => {
                    out.send(Err(error)).await;
                    return;
                }
            };
            let keys = routed
                .partition
                .iter()
                .filter(|(key, _)| *key != "parent_slice");
            let keys: Vec<_> = keys.collect();
            let [(_, value)] = keys.as_slice() else {
                let error = ConnectorError::system("Only partitions with one key can be grouped.");
                out.send(Err(error)).await;
                return;
            };
            if *dedups && !seen.insert(value.to_string()) {
                continue;
            }
            group.push(routed);
            if group.len() == *size {
                out.send(Ok(grouped(&std::mem::take(&mut group)))).await;
            }
        }
        if !group.is_empty() {
            out.send(Ok(grouped(&group))).await;
        }
    }

    async fn feed_union(self: Arc<Self>, mut out: Out<Result<Routed>>) {
        let Self::Union { routers, key } = self.as_ref() else {
            return;
        };
        let mut seen = HashSet::new();
        for router in routers {
            let mut partitions = Arc::clone(router).partitions();
            while let Some(routed) = partitions.next().await {
                let mut routed = match routed {
                    Ok(routed) => routed,
                    Err(error) => {
                        out.send(Err(error)).await;
                        return;
                    }
                };
                let Some(value) = routed.partition.shift_remove(key) else {
                    let error = ConnectorError::system(format!(
                        "A router of a UnionPartitionRouter gives partitions without `{key}`."
                    ));
                    out.send(Err(error)).await;
                    return;
                };
                if !seen.insert(value.to_string()) {
                    continue;
                }
                routed.extra.extend(std::mem::take(&mut routed.partition));
                routed.partition.insert(key.clone(), value);
                out.send(Ok(routed)).await;
            }
        }
    }

    /// What goes into requests of a slice.
    pub(super) fn additions(&self, slice: &StreamSlice, host: &Host) -> Result<Additions> {
        let mut additions = Additions::default();
        let config = host.config();
        let scope = host.scope(&config);
        let mut inject = |option: &Option<RequestOption>, key: &str| {
            let value = slice
                .fields()
                .get(key)
                .filter(|value| crate::extract::is_true(value));
            match (option, value) {
                (Some(option), Some(value)) => additions.inject(option, value.clone(), &scope),
                _ => Ok(()),
            }
        };
        match self {
            Self::List { key, option, .. } => inject(option, key)?,
            Self::Substream(parents) => {
                for parent in parents {
                    inject(&parent.option, &parent.field)?;
                }
            }
            Self::Product(routers) => {
                for router in routers.iter().rev() {
                    let more = router.additions(slice, host)?;
                    additions.params.extend(more.params);
                    additions.headers.extend(more.headers);
                    additions.body_data.extend(more.body_data);
                    additions.body_json.extend(more.body_json);
                }
            }
            Self::Grouping { .. } | Self::Union { .. } => {}
            Self::Custom(custom, _) => return custom.additions(slice),
        }
        Ok(additions)
    }

    /// The state of the parents that are read incrementally, now.
    pub(super) fn parent_state(&self) -> Option<Map<String, Value>> {
        match self {
            Self::List { .. } | Self::Product(_) | Self::Custom(..) => None,
            Self::Substream(parents) => Some(parents_state(parents)),
            Self::Grouping { inner, .. } => inner.parent_state(),
            Self::Union { routers, .. } => {
                let states = routers.iter().filter_map(|router| router.parent_state());
                Some(states.flatten().collect())
            }
        }
    }

    pub(super) fn forces_global(&self) -> bool {
        matches!(self, Self::Grouping { .. })
    }

    pub(super) fn is_lazy(&self) -> bool {
        match self {
            Self::Substream(parents) => parents.iter().any(|parent| parent.pointer.is_some()),
            _ => false,
        }
    }

    /// Parents, with theirs.
    pub(super) fn ancestors(&self) -> HashSet<String> {
        match self {
            Self::List { .. } | Self::Custom(..) => HashSet::new(),
            Self::Substream(parents) => parents
                .iter()
                .flat_map(|parent| parent.ancestors.iter().cloned())
                .collect(),
            Self::Product(routers) | Self::Union { routers, .. } => routers
                .iter()
                .flat_map(|router| router.ancestors())
                .collect(),
            Self::Grouping { inner, .. } => inner.ancestors(),
        }
    }
}

impl Routed {
    fn and(mut self, other: &Self) -> Self {
        for (key, value) in &other.partition {
            self.partition
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
        for (key, value) in &other.extra {
            self.extra
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
        self
    }
}

fn parents_state(parents: &[Arc<Parent>]) -> Map<String, Value> {
    let incremental = parents.iter().filter(|parent| parent.is_incremental);
    incremental
        .map(|parent| {
            let state = parent.stream.cursor().state();
            (
                parent.stream.name().to_owned(),
                state.unwrap_or_else(|| Value::Object(Map::new())),
            )
        })
        .collect()
}

fn grouped(group: &[Routed]) -> Routed {
    let together = |pick: fn(&Routed) -> &Map<String, Value>| {
        let keys = group.iter().flat_map(|routed| pick(routed).keys());
        let mut map = Map::new();
        for key in keys {
            if !map.contains_key(key) {
                let values = group
                    .iter()
                    .map(|routed| pick(routed).get(key).cloned().unwrap_or(Value::Null));
                map.insert(key.clone(), Value::Array(values.collect()));
            }
        }
        map
    };
    Routed {
        partition: together(|routed| &routed.partition),
        extra: together(|routed| &routed.extra),
        parents: group.last().and_then(|last| last.parents.clone()),
    }
}

fn option(component: &Component<'_>) -> Result<Option<RequestOption>> {
    component
        .child("request_option")?
        .map(|at| RequestOption::build(&at))
        .transpose()
}

/// A list, or a template that gives one.
fn list(component: &Component<'_>, scope: &Scope<'_>) -> Result<Vec<Value>> {
    let values = match component.need("values")? {
        Value::String(text) => Template::new(text, component)?.eval(scope)?,
        values => values.clone(),
    };
    match values {
        Value::Array(values) => Ok(values),
        other => Err(component.error(format!("`values` is {other}, not a list."))),
    }
}

impl Parent {
    fn build(
        component: &Component<'_>,
        state: Option<&Value>,
        scope: &Scope<'_>,
        host: &Arc<Host>,
        parents: &dyn ParentFactory,
    ) -> Result<Self> {
        let text = |key: &str| Template::new(component.need_text(key)?, component)?.text(scope);
        let path = |steps: &[Value]| -> Result<Vec<String>> {
            let steps = steps.iter().map(|step| {
                Template::new(&crate::template::python_text(step), component)?.text(scope)
            });
            steps.collect()
        };
        let is_incremental = component.flag("incremental_dependency", false)?;
        let stream = component.need_child("stream")?;
        let extra = component.get("extra_fields").and_then(Value::as_array);
        let extra = extra.into_iter().flatten().filter_map(Value::as_array);
        let pointer = component.get("lazy_read_pointer").and_then(Value::as_array);
        let pointer = pointer.filter(|pointer| !pointer.is_empty());
        let key = text("parent_key")?;
        let key = key.trim_start_matches('/').split('/').map(str::to_owned);
        let parent_state = parent_state_of(&stream, state, is_incremental, host)?;
        let built = parents.parent(component.need("stream")?, stream.path(), parent_state)?;
        let mut ancestors = built.ancestors();
        ancestors.insert(built.name().to_owned());
        Ok(Self {
            stream: built,
            ancestors,
            key: key.collect(),
            field: text("partition_field")?,
            option: option(component)?,
            is_incremental,
            pointer: pointer.map(|pointer| path(pointer)).transpose()?,
            extra: extra.map(|steps| path(steps)).collect::<Result<_>>()?,
        })
    }

    /// A partition for each record. The last record of a parent's slice is held back until the slice is closed, so
    /// that the state found with it covers the slice.
    async fn feed(&self, all: &[Arc<Self>], out: &mut Out<Result<Routed>>) -> Result<()> {
        let cursor = self.stream.cursor();
        let none = Arc::new(Map::new());
        let parents = |is_any: bool| match is_any {
            true => Arc::new(parents_state(all)),
            false => Arc::clone(&none),
        };
        let is_any = all.iter().any(|parent| parent.is_incremental);
        let mut state = parents(is_any);
        let mut slices = Arc::clone(&self.stream).slices();
        // As in the reference, a slice is read once the next one is known.
        let mut ahead = slices.next().await.transpose()?;
        while let Some(slice) = ahead {
            ahead = slices.next().await.transpose()?;
            let mut records = Arc::clone(&self.stream).read(Arc::clone(&slice));
            let mut held: Option<Routed> = None;
            while let Some(record) = records.next().await {
                let next = self.routed(&record?, &slice, &state);
                if let Some(routed) = std::mem::replace(&mut held, next) {
                    out.send(Ok(routed)).await;
                }
            }
            cursor.close(&slice)?;
            state = parents(is_any);
            if let Some(mut routed) = held {
                routed.parents = Some(Arc::clone(&state));
                out.send(Ok(routed)).await;
            }
        }
        cursor.finish();
        Ok(())
    }

    fn routed(
        &self,
        record: &Value,
        slice: &StreamSlice,
        parents: &Arc<Map<String, Value>>,
    ) -> Option<Routed> {
        let value = dpath::get(record, &self.key).filter(|value| !value.is_null())?;
        let mut partition = Map::new();
        partition.insert(self.field.clone(), value.clone());
        partition.insert(
            "parent_slice".to_owned(),
            Value::Object(slice.partition().clone()),
        );
        let mut extra = Map::new();
        if let Some(pointer) = &self.pointer {
            let page = dpath::get(record, pointer).cloned();
            extra.insert(
                "child_response".to_owned(),
                page.unwrap_or_else(|| Value::Array(Vec::new())),
            );
        }
        for path in &self.extra {
            let value = dpath::get(record, path).cloned().unwrap_or(Value::Null);
            extra.insert(path.join("."), value);
        }
        Some(Routed {
            partition,
            extra,
            parents: Some(Arc::clone(parents)),
        })
    }
}

/// Where an incremental parent goes on: its part of the child's state, else the child's own position.
fn parent_state_of(
    stream: &Component<'_>,
    state: Option<&Value>,
    is_incremental: bool,
    host: &Arc<Host>,
) -> Result<Option<Value>> {
    let Some(state) = state.and_then(Value::as_object).filter(|_| is_incremental) else {
        return Ok(None);
    };
    let config = host.config();
    let scope = host.scope(&config);
    let name = stream.text("name")?.unwrap_or_default();
    let name = Template::new(name, stream)?.text(&scope)?;
    let kept = state
        .get("parent_state")
        .and_then(|parents| parents.get(&name));
    if let Some(kept) = kept.or_else(|| state.get("state")) {
        return Ok(Some(kept.clone()));
    }
    // The oldest form: the child had one position, which the parent takes over.
    let mut values = state.values();
    let (Some(value @ (Value::String(_) | Value::Number(_))), None) =
        (values.next(), values.next())
    else {
        return Ok(None);
    };
    let definition = match stream.kind() {
        "StateDelegatingStream" => stream.need_child("incremental_stream")?,
        _ => stream.clone(),
    };
    let Some(sync) = definition.child("incremental_sync")? else {
        return Ok(None);
    };
    let field = Template::new(sync.need_text("cursor_field")?, &sync)?.text(&scope)?;
    let mut seeded = Map::new();
    seeded.insert(field, value.clone());
    Ok(Some(Value::Object(seeded)))
}
