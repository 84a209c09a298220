//! States of older versions of a connector, brought to the shape of this one.

use std::sync::Arc;

use cdk_core::Result;
use serde_json::{Map, Value, json};

use crate::component::Component;
use crate::host::Host;
use crate::template::Template;

/// The stream's state after its migrations.
pub(super) fn migrated(
    stream: &Component<'_>,
    state: Option<Value>,
    host: &Arc<Host>,
) -> Result<Option<Value>> {
    let Some(mut state) = state else {
        return Ok(None);
    };
    for migration in stream.children("state_migrations")? {
        match migration.kind() {
            "LegacyToPerPartitionStateMigration" => {
                state = legacy_to_partitions(stream, state, host)?;
            }
            "CustomStateMigration" => {
                let custom = host.registry().state_migration(&migration)?;
                if custom.should_migrate(&state) {
                    state = custom.migrate(state)?;
                }
            }
            other => {
                return Err(migration.error(format!(
                    "`{other}` is no state migration. Use LegacyToPerPartitionStateMigration."
                )));
            }
        }
    }
    Ok(Some(state))
}

/// `{"<parent>": {"<cursor>": value}}` becomes one state per partition. Only with one parent.
fn legacy_to_partitions(stream: &Component<'_>, state: Value, host: &Arc<Host>) -> Result<Value> {
    let Value::Object(map) = &state else {
        return Ok(state);
    };
    let config = host.config();
    let scope = host.scope(&config);
    let retriever = stream.need_child("retriever")?;
    let routers = retriever.children("partition_router")?;
    let [router] = routers.as_slice() else {
        return Ok(state);
    };
    let parents = router.children("parent_stream_configs")?;
    let key = match (router.kind(), parents.as_slice()) {
        ("SubstreamPartitionRouter", [parent]) => parent.need_text("partition_field")?,
        ("UnionPartitionRouter", _) => router.need_text("partition_field")?,
        _ => return Ok(state),
    };
    let key = Template::new(key, router)?.text(&scope)?;
    let sync = stream.need_child("incremental_sync")?;
    let field = Template::new(sync.need_text("cursor_field")?, &sync)?.text(&scope)?;
    let is_legacy = |value: &Value| {
        let members = value.as_object();
        members.is_some_and(|members| members.len() == 1 && members.contains_key(&field))
    };
    if map.is_empty() || map.contains_key("states") || !map.values().all(is_legacy) {
        return Ok(state);
    }
    let states = map.iter().map(|(parent, cursor)| {
        let mut partition = Map::new();
        partition.insert(key.clone(), parent.as_str().into());
        json!({"partition": partition, "cursor": cursor})
    });
    Ok(json!({ "states": states.collect::<Vec<_>>() }))
}
