//! Rules about the answer of `spec`.

use jsonschema::Validator;
use serde_json::Value;

use super::schema_walk::walk;
use crate::suite::evidence::{Act, Evidence};
use crate::suite::rule::{
    Halt, Level, Need, Outcome, Rule, broken, broken_at, broken_by, list, skip,
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "spec.one-answer",
        title: "`spec` prints exactly one SPEC and exits with 0, without a config.",
        protocol: "The platform asks a connector for its spec before it knows anything else about it.",
        level: Level::Must,
        needs: &[],
        check: one_answer,
    },
    Rule {
        id: "spec.early",
        title: "SPEC stands within the first ten lines and two MiB.",
        protocol: "Platforms look for the protocol's version there and assume an old one if they don't find it.",
        level: Level::Must,
        needs: &[],
        check: early,
    },
    Rule {
        id: "spec.valid-schema",
        title: "`connectionSpecification` is a JSON schema of an object.",
        protocol: "`connectionSpecification` is a JSON schema (draft 7) that forms are made of and configs validated by.",
        level: Level::Must,
        needs: &[],
        check: valid_schema,
    },
    Rule {
        id: "spec.config-fits",
        title: "The config that works is valid by the spec.",
        protocol: "Platforms validate a config by `connectionSpecification` before they hand it over.",
        level: Level::Must,
        needs: &[],
        check: config_fits,
    },
    Rule {
        id: "spec.required-exists",
        title: "Every required property is described.",
        protocol: "A form shows the described properties; what is required but not described can't be filled in.",
        level: Level::Must,
        needs: &[],
        check: required_exists,
    },
    Rule {
        id: "spec.refs-resolve",
        title: "The schema has no `$ref` that does not resolve.",
        protocol: "A spec has to stand on its own: no unresolved `$ref`.",
        level: Level::Must,
        needs: &[],
        check: refs_resolve,
    },
    Rule {
        id: "spec.accepts-more",
        title: "`additionalProperties` is nowhere false.",
        protocol: "Configs of newer and older versions carry other properties; they must stay valid.",
        level: Level::Must,
        needs: &[],
        check: accepts_more,
    },
    Rule {
        id: "spec.protocol-version",
        title: "`protocol_version` says which version the connector speaks.",
        protocol: "A spec without `protocol_version` is taken for version 0.2.0.",
        level: Level::Should,
        needs: &[],
        check: protocol_version,
    },
    Rule {
        id: "spec.destination-modes",
        title: "A destination says which sync modes it has.",
        protocol: "`supported_destination_sync_modes` decides what users can choose; without it there is nothing.",
        level: Level::Must,
        needs: &[Need::Destination],
        check: destination_modes,
    },
    Rule {
        id: "spec.oauth-paths",
        title: "Every `path_in_connector_config` of the OAuth specification is in the schema.",
        protocol: "The platform writes the outcome of the OAuth flow to these paths of the config.",
        level: Level::Must,
        needs: &[Need::OAuth],
        check: oauth_paths,
    },
    Rule {
        id: "spec.oauth-predicate",
        title: "The OAuth specification's `predicate_key` is in the schema.",
        protocol: "`predicate_key` and `predicate_value` say in which configs the OAuth flow is offered.",
        level: Level::Must,
        needs: &[Need::OAuth],
        check: oauth_predicate,
    },
    Rule {
        id: "spec.oauth-default",
        title: "The OAuth alternative comes first.",
        protocol: "Where OAuth can be used, it is the default: the first alternative, or the one that is `default`.",
        level: Level::Should,
        needs: &[Need::OAuth],
        check: oauth_default,
    },
];

fn one_answer(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::Spec)?;
    let mut specs = run.messages("SPEC", "spec");
    match (specs.next(), specs.next()) {
        (None, _) => broken_by(run, format!("there is no SPEC ({})", run.ended)),
        (_, Some((line, _))) => broken_at(run, line, "this is the second SPEC"),
        (Some(_), None) if run.succeeded() => Ok(()),
        (Some(_), None) => broken_by(run, run.ended.to_string()),
    }
}

const FIRST_LINES: usize = 10;
const FIRST_BYTES: usize = 2 << 20;

fn early(evidence: &Evidence) -> Outcome {
    let run = evidence.run(Act::Spec)?;
    let Some((line, _)) = run.messages("SPEC", "spec").next() else {
        return skip("the connector printed no SPEC");
    };
    let bytes: usize = run.lines[..line.number]
        .iter()
        .map(|it| it.text.len() + 1)
        .sum();
    if line.number > FIRST_LINES || bytes > FIRST_BYTES {
        return broken_at(
            run,
            line,
            format!("it ends at line {}, byte {bytes}", line.number),
        );
    }
    Ok(())
}

fn validator(evidence: &Evidence) -> Result<Validator, Halt> {
    let schema = evidence.schema()?;
    jsonschema::draft7::new(schema)
        .or_else(|error| broken(format!("it is no JSON schema: {error}")))
}

fn valid_schema(evidence: &Evidence) -> Outcome {
    validator(evidence)?;
    let schema = evidence.schema()?;
    if schema["type"] != "object" {
        return broken(format!("its `type` is {}, not \"object\"", schema["type"]));
    }
    if !schema["properties"].is_object() {
        return broken("it has no `properties`");
    }
    Ok(())
}

fn config_fits(evidence: &Evidence) -> Outcome {
    let Ok(validator) = validator(evidence) else {
        return skip("the spec is no JSON schema");
    };
    match validator.iter_errors(&evidence.plan.config).next() {
        // The value may be a secret.
        Some(error) => broken(format!(
            "the config breaks the spec at `{}`",
            error.instance_path()
        )),
        None => Ok(()),
    }
}

fn required_exists(evidence: &Evidence) -> Outcome {
    walk(evidence.schema()?, &mut |node| {
        for name in list(node.get("required")).filter_map(Value::as_str) {
            if node.properties().all(|(property, _)| property != name) {
                return broken(format!(
                    "`{name}` is required but not described, at `{}`",
                    node.path
                ));
            }
        }
        Ok(())
    })
}

fn refs_resolve(evidence: &Evidence) -> Outcome {
    let schema = evidence.schema()?;
    walk(schema, &mut |node| {
        let Some(target) = node.get("$ref").as_str() else {
            return Ok(());
        };
        let found = target
            .strip_prefix('#')
            .and_then(|pointer| schema.pointer(pointer));
        match found {
            Some(_) => Ok(()),
            None => broken(format!(
                "`$ref` to `{target}` at `{}` leads nowhere",
                node.path
            )),
        }
    })
}

fn accepts_more(evidence: &Evidence) -> Outcome {
    walk(evidence.schema()?, &mut |node| {
        if node.get("additionalProperties") == &Value::Bool(false) {
            return broken(format!(
                "`additionalProperties` is false at `{}`",
                node.path
            ));
        }
        Ok(())
    })
}

fn protocol_version(evidence: &Evidence) -> Outcome {
    evidence.schema()?;
    match evidence.spec().map(|spec| &spec["protocol_version"]) {
        Some(Value::String(version)) if !version.is_empty() => Ok(()),
        _ => broken("there is no `protocol_version`"),
    }
}

fn destination_modes(evidence: &Evidence) -> Outcome {
    evidence.schema()?;
    if evidence.modes().is_empty() {
        return broken("`supported_destination_sync_modes` is empty or missing");
    }
    Ok(())
}

/// Every value of a key, however deep.
fn values_of<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            if name == key {
                found.push(member);
            }
            values_of(member, key, found);
        }),
        Value::Array(items) => items.iter().for_each(|item| values_of(item, key, found)),
        _ => {}
    }
}

fn oauth(evidence: &Evidence) -> Result<&Value, Halt> {
    evidence.schema()?;
    let spec = evidence.spec().unwrap_or(&Value::Null);
    Ok(&spec["advanced_auth"])
}

fn oauth_paths(evidence: &Evidence) -> Outcome {
    let schema = evidence.schema()?;
    let mut paths = Vec::new();
    values_of(oauth(evidence)?, "path_in_connector_config", &mut paths);
    for path in paths {
        let steps: Vec<_> = list(path).filter_map(Value::as_str).collect();
        if !has_property(schema, &steps) {
            return broken(format!("the schema has no property {path}"));
        }
    }
    Ok(())
}

fn oauth_predicate(evidence: &Evidence) -> Outcome {
    let key = &oauth(evidence)?["predicate_key"];
    let steps: Vec<_> = list(key).filter_map(Value::as_str).collect();
    if !steps.is_empty() && !has_property(evidence.schema()?, &steps) {
        return broken(format!("the schema has no property {key}"));
    }
    Ok(())
}

fn oauth_default(evidence: &Evidence) -> Outcome {
    let schema = evidence.schema()?;
    let oauth = oauth(evidence)?;
    let steps: Vec<_> = list(&oauth["predicate_key"])
        .filter_map(Value::as_str)
        .collect();
    let [property, constant] = steps[..] else {
        return Ok(());
    };
    let property = &schema["properties"][property];
    let first = &property["oneOf"][0]["properties"][constant];
    let wanted = &oauth["predicate_value"];
    let is_default = property["default"][constant] == *wanted;
    if wanted.is_null() || first["const"] == *wanted || is_default || first.is_null() {
        return Ok(());
    }
    broken(format!(
        "the first alternative is {}, not {wanted}",
        first["const"]
    ))
}

/// Whether a schema describes a property, in any of its alternatives.
fn has_property(schema: &Value, steps: &[&str]) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return true;
    };
    let here = schema["properties"].get(*step);
    here.is_some_and(|schema| has_property(schema, rest))
        || list(&schema["oneOf"]).any(|part| has_property(part, steps))
}
