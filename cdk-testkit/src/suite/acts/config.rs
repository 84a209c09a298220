//! `check`, with good and bad configs.

use serde_json::{Value, json};

use super::Stage;
use crate::suite::call::Call;
use crate::suite::evidence::Act;
use crate::suite::rule::list;

pub(super) async fn play(stage: &mut Stage) {
    let check = |label: &str, config: Value| {
        let mut call = Call::new(label, "check");
        call.config = Some(config);
        call
    };
    let good = stage.evidence.plan.config.clone();
    stage.call(Act::Check, check("check", good.clone())).await;
    for (at, config) in stage
        .evidence
        .plan
        .invalid_configs
        .clone()
        .into_iter()
        .enumerate()
    {
        let label = format!("check (invalid config {})", at + 1);
        stage
            .call(Act::CheckInvalid(at), check(&label, config))
            .await;
    }
    let schema = stage.evidence.schema().ok();
    match schema.and_then(|schema| break_config(schema, &good)) {
        Some((config, how)) => {
            let label = format!("check ({how})");
            stage.call(Act::CheckBroken, check(&label, config)).await;
        }
        None => stage.miss(
            Act::CheckBroken,
            "the spec has no property that a config could break",
        ),
    }
    let mut missing = Call::new("check (the config file is missing)", "check");
    missing.args = vec!["--config".into(), "conformance-no-such-file.json".into()];
    stage.call(Act::CheckNoFile, missing).await;
}

/// The same config, but against its schema; and how.
fn break_config(schema: &Value, config: &Value) -> Option<(Value, String)> {
    let mut broken = config.as_object()?.clone();
    let required = list(&schema["required"]).filter_map(Value::as_str);
    for name in required {
        if broken.shift_remove(name).is_some() {
            return Some((Value::Object(broken), format!("config without `{name}`")));
        }
    }
    let properties = schema["properties"].as_object()?;
    let scalar = |schema: &Value| {
        let kinds = ["string", "integer", "number", "boolean"];
        schema["type"]
            .as_str()
            .is_some_and(|kind| kinds.contains(&kind))
    };
    let (name, _) = properties.iter().find(|(_, schema)| scalar(schema))?;
    broken.insert(name.clone(), json!({"conformance": ["not", "a", "scalar"]}));
    Some((
        Value::Object(broken),
        format!("config with an object as `{name}`"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_required_property_goes_first() {
        let schema = json!({"required": ["a"], "properties": {"a": {"type": "string"}}});
        let (broken, _) = break_config(&schema, &json!({"a": "x", "b": 1})).unwrap();
        assert_eq!(broken, json!({"b": 1}));
        let schema = json!({"properties": {"a": {"type": "string"}}});
        let (broken, _) = break_config(&schema, &json!({})).unwrap();
        assert!(broken["a"].is_object());
        assert_eq!(break_config(&json!({"properties": {}}), &json!({})), None);
    }
}
