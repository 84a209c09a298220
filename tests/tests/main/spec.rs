//! `spec`, and arguments that make no sense.

use crate::support::{CONNECTORS, Desk, messages};

/// Platforms look for the spec among the first lines only.
const FIRST_LINES: usize = 10;

#[test]
fn every_connector_prints_one_valid_spec_early() {
    for connector in CONNECTORS {
        let output = Desk::new().run(connector, &["spec"]);
        assert_eq!(output.status.code(), Some(0), "{connector}");
        let messages = messages(&output.stdout);
        let is_spec = |message: &&serde_json::Value| message["type"] == "SPEC";
        assert_eq!(messages.iter().filter(is_spec).count(), 1, "{connector}");
        let early = messages.iter().take(FIRST_LINES).find(is_spec);
        let spec = &early.expect("the spec stands within ten lines")["spec"];
        let schema = &spec["connectionSpecification"];
        assert_eq!(schema["type"], "object", "{connector}");
        jsonschema::validator_for(schema).unwrap();
    }
}

#[test]
fn verbs_as_options_mean_the_same() {
    for connector in CONNECTORS {
        let desk = Desk::new();
        let verb = desk.run(connector, &["spec"]);
        let option = desk.run(connector, &["--spec"]);
        assert_eq!(option.stdout, verb.stdout, "{connector}");
        assert_eq!(option.status, verb.status, "{connector}");
    }
}

#[test]
fn wrong_arguments_exit_with_2_and_name_what_is_wrong() {
    for connector in CONNECTORS {
        for (args, named) in [
            (&["fetch"][..], "`fetch`"),
            (&["spec", "--quick"], "--quick"),
            (&["check"], "--config"),
            (&[], "verb"),
        ] {
            let output = Desk::new().run(connector, args);
            assert_eq!(output.status.code(), Some(2), "{connector} {args:?}");
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8(said).unwrap();
            assert!(said.contains(named), "{connector} {args:?}: {said}");
        }
    }
}
